"""Takes long work (``scheduling.steps``) in slices between the loop's passes, by the machine's time.

A slice is short enough that nobody who waits for an answer notices; calls that block go to the background.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from ottla.scheduling.background import Background
from ottla.scheduling.clock import Stopwatch
from ottla.scheduling.promise import Promise
from ottla.scheduling.steps import Steps, run_steps
from ottla.scheduling.timers import Timers

T = TypeVar("T")

SLICE_S = 0.002

log = logging.getLogger(__name__)


class Stepper:
    """Gives the turns of one loop. ``timers`` are those of the machine's clock, which ``stopwatch`` reads."""

    def __init__(self, *, timers: Timers, stopwatch: Stopwatch, background: Background) -> None:
        self.background = background
        self._timers = timers
        self.now = stopwatch

    def run(self, steps: Steps[T]) -> Promise[T]:
        """Return what the steps come to: done already where they are few, else between other work."""
        return run_steps(steps, self.background, self)

    def start(self, steps: Steps[None], name: str) -> Promise[None]:
        """Run work that nobody asked for and log its failure under ``name``; return the promise of its end."""
        ended: Promise[None] = Promise()

        def end(done: Promise[None]) -> None:
            if done.error is not None:
                log.error("%s failed", name, exc_info=done.error)
            ended.resolve(None)

        self.run(steps).add_done_callback(end)
        return ended

    def slice_end(self) -> float:
        """Return the time at which a slice that begins now ends."""
        return self.now() + SLICE_S

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call ``call`` after ``seconds``; with 0, once others had their turn."""
        self._timers.schedule(self.now() + seconds, call)
