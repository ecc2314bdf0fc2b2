"""Long work as a generator: where it yields, others have their turn. Knows neither a loop nor a clock.

What is yielded says what the work waits for: ``None`` nothing, a number so many seconds, a completion that it is done,
a callable its own outcome. The callable is run off the loop's thread, so it must be a call that releases the
interpreter lock (a read, an fsync); what it returns comes back from the ``yield``, and what it raises is raised there.
"""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from ottla.scheduling.background import Background, outcome_of
from ottla.scheduling.completion import Completion

T = TypeVar("T")
W = TypeVar("W")

Wanted = Callable[[], Any] | Completion[Any] | float | None
Steps = Generator[Wanted, Any, T]
CallSteps = Generator[Callable[[], Any], Any, T]
"""Steps that wait for calls only."""


def take_in_background(steps: CallSteps[T], background: Background) -> T | Completion[T]:
    """What ``steps`` return or raise: at once, unless the background takes its time for one of their calls."""
    done: Completion[T] = Completion()

    def go_on(awaited: Completion[Any] | None = None) -> None:
        try:
            while True:
                awaited = outcome_of(next_step(steps, awaited), background)
                if not awaited.done:
                    awaited.add_done_callback(go_on)
                    return
        except StopIteration as end:
            done.complete(end.value)
        except Exception as error:
            done.fail(error)

    go_on()
    return done.result() if done.done else done


def next_step(steps: Generator[W, Any, object], awaited: Completion[Any] | None) -> W:
    """Take one step, with the outcome or the error of what the step before waited for; returns what this one wants.

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
