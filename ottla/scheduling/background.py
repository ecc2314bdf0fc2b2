"""Runs the work that blocks on the disk. Storage says which; the broker gives threads, tests do it at once."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from ottla.scheduling.promise import Promise
from ottla.wire.errors import KafkaError

T = TypeVar("T")


class Background(Protocol):
    """Runs calls that release the interpreter lock (fsync, unlink) off the event loop."""

    def run(self, work: Callable[[], None], then: Callable[[Exception | None], None]) -> None:
        """Call ``work``, then ``then`` with the error it raised or None, on the thread that owns the logs."""
        ...

    def soon(self, call: Callable[[], None]) -> None:
        """Call ``call`` on the thread that owns the logs, at the end of its pass: at once if it is idle.

        The wishes of several requests of one pass of the loop can be gathered that way.
        """
        call()


class Inline:
    """Does the work at once, in the caller's thread."""

    def run(self, work: Callable[[], None], then: Callable[[Exception | None], None]) -> None:
        """Call ``work`` and ``then`` before returning."""
        error: Exception | None = None
        try:
            work()
        except OSError as failure:
            error = failure
        then(error)

    def soon(self, call: Callable[[], None]) -> None:
        """Call it."""
        call()


def outcome_of(work: Callable[[], T], background: Background) -> Promise[T]:
    """Return the promise of what ``work`` returns or raises, which is done in the background."""
    done: Promise[T] = Promise()
    returned: list[T] = []
    refused: list[KafkaError] = []

    def run() -> None:
        try:
            returned.append(work())
        except KafkaError as error:
            refused.append(error)

    def then(error: Exception | None) -> None:
        if returned:
            done.resolve(returned[0])
        else:
            done.fail(error or refused[0])

    background.run(run, then)
    return done
