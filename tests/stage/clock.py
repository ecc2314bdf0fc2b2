"""The cluster's clock for tests: it moves when told, and nothing else moves it."""

START_S = 100.0
START_MS = 1_700_000_000_000
"""The milliseconds since the epoch at which the clock stands at ``START_S``."""


class SteppedClock:
    """Stands still until told; `scheduling.clock.Clock` says what the two readings are."""

    def __init__(self) -> None:
        self.now = START_S

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return START_MS + round((self.now - START_S) * 1000)
