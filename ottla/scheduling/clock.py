"""Tells the two kinds of time: the cluster's, which a test may stop or move, and the machine's. Nothing else does."""

import time
from collections.abc import Callable
from typing import Protocol

Stopwatch = Callable[[], float]
"""Returns seconds of the machine, which go on when the cluster stands still: for slices, turns, pauses, idleness."""

stopwatch: Stopwatch = time.monotonic
"""The machine's own stopwatch."""


class Clock(Protocol):
    """The cluster's time, for what clients and records can see: deadlines, sessions, expiry, timestamps."""

    def monotonic(self) -> float:
        """Return seconds that never go back, for deadlines."""
        ...

    def wall_ms(self) -> int:
        """Return milliseconds since the epoch, for timestamps of records and expiry."""
        ...


class SystemClock:
    """Gives the machine's time as the cluster's: where nobody controls it."""

    monotonic = staticmethod(time.monotonic)  # with nothing between: the loop asks in every pass

    def wall_ms(self) -> int:
        """Return milliseconds since the epoch."""
        return time.time_ns() // 1_000_000
