"""Takes long work as a generator: where it yields, others have their turn. Knows neither a loop nor a clock.

The yielded value says what the work waits for: ``None`` for nothing, a number for that many seconds, a promise for its
end, a callable for its outcome. The callable is run off the loop's thread, so it must be a call that releases the
interpreter lock (a read, an fsync); what it returns comes back from the ``yield``, and what it raises is raised there.
"""

import math
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Protocol, TypeVar

from ottla.scheduling.background import Background, outcome_of
from ottla.scheduling.promise import Promise

T = TypeVar("T")
W = TypeVar("W")

Wanted = Callable[[], Any] | Promise[Any] | float | None
Steps = Generator[Wanted, Any, T]
CallSteps = Generator[Callable[[], Any], Any, T]
"""Steps that wait for calls only."""


class Turns(Protocol):
    """Says when it is others' turn (``scheduling.stepper``)."""

    def slice_end(self) -> float:
        """Return the time at which a slice that begins now ends."""
        ...

    def now(self) -> float:
        """Return the time."""
        ...

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call ``call`` after ``seconds``; with 0, once others had their turn."""
        ...


def run_steps(steps: Generator[Any, Any, T], background: Background, turns: Turns | None = None) -> Promise[T]:
    """Return what ``steps`` come to: done already, unless they have to wait for something or it is others' turn.

    Without ``turns``, they wait for nothing but calls (``CallSteps``) and promises, and give nobody else a turn.
    """
    done: Promise[T] = Promise()

    def go_on(awaited: Promise[Any] | None = None) -> None:
        until = math.inf if turns is None else turns.slice_end()
        try:
            while True:
                wanted = next_step(steps, awaited)
                awaited = None
                if callable(wanted):
                    wanted = outcome_of(wanted, background)
                if isinstance(wanted, Promise):
                    if not wanted.done:  # A background that works at once has answered by now.
                        wanted.add_done_callback(go_on)
                        return
                    awaited = wanted
                elif wanted is not None and turns is not None:
                    turns.later(wanted, go_on)
                    return
                if turns is not None and turns.now() > until:
                    turns.later(0, partial(go_on, awaited))
                    return
        except StopIteration as end:
            done.resolve(end.value)
        except Exception as error:
            done.fail(error)

    go_on()
    return done


def next_step(steps: Generator[W, Any, object], awaited: Promise[Any] | None) -> W:
    """Take one step, given the outcome or error that the step before waited for; returns the wish of this one.

    Raises StopIteration at the work's end, and what the work raises.
    """
    if awaited is None:
        return steps.send(None)
    try:
        outcome = awaited.result()
    except Exception as failure:
        error = failure
    else:
        return steps.send(outcome)
    return steps.throw(error)
