"""Stands for a value that comes later: the one such type in Ottla. Knows no event loop, no thread and no clock.

A promise is resolved, failed or abandoned once, on the thread that owns the caller's state. A callback that raises is
logged and harms neither the other callbacks nor the code that resolves.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from ottla.wire.errors import KafkaError

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")

log = logging.getLogger(__name__)


class Promise(Generic[T]):
    """The result of work that may still be under way; only the first ``resolve``, ``fail`` or ``abandon`` counts.

    ``on_abandoned`` is called when nobody waits any more, before the value came: a client has gone away, mostly. The
    promises that one was made of by ``then`` or ``gather`` are not abandoned with it, since others may wait for them;
    ``then`` with ``owns`` says that nobody else does.
    """

    __slots__ = ("_callbacks", "done", "error", "on_abandoned", "value")

    def __init__(self, on_abandoned: Callable[[], None] | None = None) -> None:
        self.done = False
        self.value: T | None = None
        """The value once it is there; ``result`` raises instead of giving None where there is none."""
        self.error: Exception | None = None
        self.on_abandoned = on_abandoned
        self._callbacks: list[Callable[[Promise[T]], None]] | None = None

    def resolve(self, value: T) -> None:
        """Give the value and call those who wait, in the order in which they came."""
        if not self.done:
            self.value = value
            self._finish()

    def fail(self, error: Exception) -> None:
        """Give an error instead of the value; ``result`` raises it."""
        if not self.done:
            self.error = error
            self._finish()

    def abandon(self) -> None:
        """Forget those who wait, and tell the owner."""
        if self.done:
            return
        self.done = True
        self.error = RuntimeError("The promise was abandoned")
        self._callbacks = None
        on_abandoned, self.on_abandoned = self.on_abandoned, None
        if on_abandoned is not None:
            try:
                on_abandoned()
            except Exception:
                log.exception("Callback of an abandoned promise failed")

    def result(self) -> T:
        """Return the value; raises what the work raised, or RuntimeError while it is not done."""
        if self.error is not None:
            raise self.error
        if not self.done:
            raise RuntimeError("The work is not done yet")
        return self.value  # type: ignore[return-value]

    def now_or_later(self) -> "T | Promise[T]":
        """Return the value if it is there, raising its error, else the promise of it."""
        return self.result() if self.done else self

    def add_done_callback(self, callback: Callable[["Promise[T]"], None]) -> None:
        """Call ``callback`` with this once it is resolved or failed: at once if it is. Never after ``abandon``."""
        if self.done:
            callback(self)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def then(self, step: "Callable[[T], R | Promise[R]]", *, owns: bool = False) -> "Promise[R]":
        """Return the promise of what comes of ``step``, which is called with the value. An error passes it by.

        With ``owns``, abandoning the returned promise abandons this one.
        """
        following: Promise[R] = Promise(self.abandon if owns else None)

        def go_on(done: "Promise[T]") -> None:
            try:
                outcome = step(done.result())
            except Exception as error:
                following.fail(error)
                return
            if isinstance(outcome, Promise):
                outcome.pass_on_to(following)
            else:
                following.resolve(outcome)

        self.add_done_callback(go_on)
        return following

    def pass_on_to(self, other: "Promise[T]") -> None:
        """Let ``other`` come to the same value or error as this."""
        self.add_done_callback(lambda done: _settle(other, done))

    def _finish(self) -> None:
        self.done = True
        self.on_abandoned = None
        callbacks, self._callbacks = self._callbacks, None
        if callbacks is not None:
            for callback in callbacks:
                try:
                    callback(self)
                except Exception:
                    log.exception("Callback of a promise failed")


def _settle(promise: Promise[T], done: Promise[T]) -> None:
    if done.error is not None:
        promise.fail(done.error)
    else:
        promise.resolve(done.result())


def then(
    outcome: A | Promise[A],
    step: Callable[[A], R],
    *,
    refuse: Callable[[KafkaError], R] | None = None,
    owns: bool = False,
) -> R | Promise[R]:
    """Return what ``step`` makes of a value, now or when it comes. ``owns`` is that of ``Promise.then``.

    ``refuse`` makes an answer of a ``KafkaError`` that comes instead of the value, or that ``step`` raises later.
    """
    if not isinstance(outcome, Promise):
        return step(outcome)
    if refuse is None:
        return outcome.then(step, owns=owns)
    answer: Promise[R] = Promise(outcome.abandon if owns else None)

    def settle(done: Promise[A]) -> None:
        try:
            response = step(done.result())
        except KafkaError as error:
            response = refuse(error)
        except Exception as error:  # a bug, which is logged where the answer is encoded
            answer.fail(error)
            return
        answer.resolve(response)

    outcome.add_done_callback(settle)
    return answer


def gather(outcomes: Iterable[A | Promise[A]]) -> list[A] | Promise[list[A]]:
    """Return all values in order, now or when the last of them has come; fails with the first error."""
    found: list[Any] = list(outcomes)
    missing = sum(isinstance(each, Promise) for each in found)
    if not missing:
        return found
    gathered: Promise[list[A]] = Promise()

    def settle(position: int, done: Promise[A]) -> None:
        nonlocal missing
        missing -= 1
        if done.error is not None:
            gathered.fail(done.error)
            return
        found[position] = done.value
        if not missing:
            gathered.resolve(found)

    for position, each in enumerate(list(found)):
        if isinstance(each, Promise):
            each.add_done_callback(lambda done, position=position: settle(position, done))  # type: ignore[misc]
    return gathered
