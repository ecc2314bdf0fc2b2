"""The two kinds of time: the cluster's, which a test may stop or move, and the machine's. Nothing else tells time."""

import time
from collections.abc import Callable
from typing import Protocol

Stopwatch = Callable[[], float]
"""Seconds of the machine, which go on whatever the cluster's clock does: for slices, turns, pauses and stalls."""

stopwatch: Stopwatch = time.monotonic
"""The machine's own."""


class Clock(Protocol):
    """The cluster's time, for what clients and records can see: deadlines, sessions, expiry, timestamps."""

    def monotonic(self) -> float:
        """Return seconds that never go back, for deadlines."""
        ...

    def wall_ms(self) -> int:
        """Return milliseconds since the epoch, for timestamps of records and expiry."""
        ...


class SystemClock:
    """The cluster's time where nobody controls it: the machine's."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Return milliseconds since the epoch."""
        return time.time_ns() // 1_000_000
