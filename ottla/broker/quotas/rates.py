"""Rates of late, and the time until they are within their limits again.

Follows Apache's ``Rate``, ``TokenBucket`` and ``QuotaUtils``.
"""

from collections import deque


class Rate:
    """An amount per second over the last ``windows`` of ``window_s`` seconds each, the current one among them."""

    __slots__ = ("_samples", "_window_s", "_windows")

    def __init__(self, *, windows: int, window_s: float) -> None:
        self._windows = windows
        self._window_s = window_s
        self._samples: deque[list[float]] = deque()
        """The start and the amount of each window."""

    def add(self, amount: float, now: float) -> None:
        """Count an amount; a negative one takes back what was counted before."""
        samples = self._samples
        if not samples or now - samples[-1][0] >= self._window_s:
            samples.append([now, amount])
        else:
            samples[-1][1] += amount
        self._forget(now)

    def seconds(self, now: float) -> float:
        """Return the time that is measured over: as if the windows before the first had been empty."""
        self._forget(now)
        elapsed = now - self._samples[0][0] if self._samples else 0.0
        missing = self._windows - 1 - int(elapsed // self._window_s)
        return max(elapsed + max(missing, 0) * self._window_s, self._window_s)

    def per_second(self, now: float) -> float:
        """Return the amount per second."""
        self._forget(now)
        return sum(amount for _, amount in self._samples) / self.seconds(now)

    def is_idle(self, now: float) -> bool:
        """Whether all windows are over, so that the rate is 0."""
        self._forget(now)
        return not self._samples

    def wait_ms(self, limit: float, now: float) -> int:
        """Return the time, without a new amount, until the rate is down to ``limit``; 0 if it is not above."""
        rate = self.per_second(now)
        if not rate > limit:
            return 0
        return round((rate - limit) / limit * self.seconds(now) * 1000)

    def _forget(self, now: float) -> None:
        samples = self._samples
        while samples and now - samples[0][0] >= self._windows * self._window_s:
            samples.popleft()


class TokenBucket:
    """A stock of tokens that grows by a limit per second, up to that of ``burst_s`` seconds; it may become a debt."""

    __slots__ = ("_burst_s", "_tokens", "_updated_at")

    def __init__(self, *, burst_s: float) -> None:
        self._burst_s = burst_s
        self._tokens: float | None = None
        """The tokens in stock; None means full, whatever the limit is."""
        self._updated_at = 0.0

    def tokens(self, limit: float, now: float) -> float:
        """Return the tokens in stock now, growing by ``limit`` a second; below 0 they are a debt."""
        burst = limit * self._burst_s
        if self._tokens is None:
            self._tokens = burst
        self._tokens = min(burst, self._tokens + limit * (now - self._updated_at))
        self._updated_at = now
        return self._tokens

    def take(self, amount: float, limit: float, now: float) -> None:
        """Take an amount, whether the stock holds it or not."""
        self._tokens = self.tokens(limit, now) - amount

    def is_full(self, limit: float, now: float) -> bool:
        """Whether the stock is full again."""
        return self.tokens(limit, now) >= limit * self._burst_s

    def wait_ms(self, limit: float, now: float) -> int:
        """Return the time until the debt is paid; 0 if there is none."""
        return round(max(0.0, -self.tokens(limit, now)) / limit * 1000)
