"""Takes the steps of long work (``scheduling.steps``) in slices between the loop's passes.

A slice is short enough that nobody who waits for an answer notices, and what would block goes to the background.
"""

import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ottla.scheduling.background import Background, outcome_of
from ottla.scheduling.completion import Completion
from ottla.scheduling.steps import Steps, next_step
from ottla.scheduling.waiting import Clock, Timers

T = TypeVar("T")

SLICE_S = 0.002

log = logging.getLogger(__name__)


class Stepper(Generic[T]):
    """One piece of long work. ``then`` is called at its end with what it returned.

    If it failed, ``failed`` is; without one, it is logged.
    """

    def __init__(
        self,
        steps: Steps[T],
        *,
        timers: Timers,
        clock: Clock,
        background: Background,
        then: Callable[[T], None] | None = None,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        self._steps = steps
        self._timers = timers
        self._clock = clock
        self._background = background
        self._then = then
        self._failed = failed
        self._awaited: Completion[Any] | None = None
        """What the last step waits for: its outcome goes into the next."""

    def run(self) -> None:
        """Take steps until it is others' turn, or until the work waits for something."""
        monotonic = self._clock.monotonic
        until = monotonic() + SLICE_S
        try:
            while True:
                awaited, self._awaited = self._awaited, None
                wanted = next_step(self._steps, awaited)
                if callable(wanted):
                    wanted = outcome_of(wanted, self._background)
                if isinstance(wanted, Completion):
                    self._awaited = wanted
                    if not wanted.done:  # A background that works at once has answered by now.
                        wanted.add_done_callback(self._go_on)
                        return
                elif wanted is not None:
                    self._timers.schedule(monotonic() + wanted, self.run)
                    return
                if monotonic() > until:
                    self._timers.schedule(monotonic(), self.run)
                    return
        except StopIteration as end:
            if self._then is not None:
                self._then(end.value)
        except Exception as error:
            if self._failed is None:
                log.exception("work in steps failed")
            else:
                self._failed(error)

    def _go_on(self, _: Completion[Any]) -> None:
        self.run()
