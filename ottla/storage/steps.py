"""Long work as a generator: where it yields, others have their turn. Knows neither a loop nor a clock.

What is yielded says what the work waits for: ``None`` nothing, a number so many seconds, a completion that it is done,
a callable its own outcome. The callable is run off the loop's thread, so it must be a call that releases the
interpreter lock (a read, an fsync); what it returns comes back from the ``yield``, and what it raises is raised there.
"""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from ottla.storage.completion import Completion

T = TypeVar("T")

Wanted = Callable[[], Any] | Completion[Any] | float | None
Steps = Generator[Wanted, Any, T]


def take_all(steps: Steps[T]) -> T:
    """Take all steps at once, in the caller's thread and without waiting; returns what the work returns."""
    outcome: Any = None
    while True:
        try:
            wanted = steps.send(outcome)
            outcome = None
            while callable(wanted):
                try:
                    outcome = wanted()
                except OSError as failure:
                    wanted = steps.throw(failure)
                else:
                    break
        except StopIteration as end:
            result: T = end.value
            return result
