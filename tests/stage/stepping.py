"""Takes the steps of long work: all at once, or one by one and measured."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import thread_time
from typing import Any, NamedTuple, TypeVar

from ottla.scheduling.background import Inline, outcome_of
from ottla.scheduling.promise import Promise
from ottla.scheduling.steps import Steps, next_step

T = TypeVar("T")


class Taken(NamedTuple):
    """The outcome of work, and how many steps it took."""

    outcome: Any
    steps: int
    longest_s: float
    """The longest step in the thread's own time: a busy machine does not count, nor does work in the background."""


@contextmanager
def without_collections() -> Iterator[None]:
    """Keep the collector out of what is measured: it takes as long as the whole process has garbage."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def take_all(steps: Steps[T]) -> T:
    """Take all steps at once, without waiting for anything; returns what the work returns."""
    awaited: Promise[Any] | None = None
    while True:
        try:
            wanted = next_step(steps, awaited)
        except StopIteration as end:
            result: T = end.value
            return result
        awaited = outcome_of(wanted, Inline()) if callable(wanted) else None


def take_measured(steps: Steps[Any], between: Callable[[int], None] = lambda _: None, *, outcome: Any = None) -> Taken:
    """Take all steps, calling ``between`` with the number of each one after it.

    ``outcome`` is of what the first steps, taken before, want now.
    """
    longest_s = 0.0
    count = 0
    while True:
        started = thread_time()
        try:
            wanted = steps.send(outcome)
        except StopIteration as end:
            longest_s = max(longest_s, thread_time() - started)
            return Taken(end.value, count + 1, longest_s)
        longest_s = max(longest_s, thread_time() - started)
        count += 1
        outcome = wanted() if callable(wanted) else None
        between(count)
