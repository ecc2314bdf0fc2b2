"""Waits for ready sockets, awake while the next one is near: adaptive busy polling.

A client that sends one request at a time has the next one here a moment after its answer. A loop that slept meanwhile
has to be woken, which costs both sides more than the request does, above all on a virtual machine. So where the last
wait was short, the loop asks again and again for a while before it sleeps. A loop that waited longer than that
sleeps at once the next time.
"""

import os
import time
from collections.abc import Callable

from ottla.broker.network.poll_set import Events

AWAKE_S = 0.0002
"""Longer than librdkafka takes from an answer to its next request, on a machine with two cores."""

Poll = Callable[[float, int], Events]


def new_waiter(poll: Poll, *, most: int, longest_s: float) -> Callable[[], Events]:
    """Return a wait of up to ``longest_s`` for at most ``most`` ready sockets; on a single core it always sleeps."""
    if _cores() > 1:
        return BusyPoll(poll, most=most, longest_s=longest_s)
    return lambda: poll(longest_s, most)


class BusyPoll:
    """Waits up to ``longest_s`` for at most ``most`` ready sockets, by the machine's clock."""

    __slots__ = ("_awake", "_longest_s", "_most", "_now", "_poll")

    def __init__(self, poll: Poll, *, most: int, longest_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._poll = poll
        self._most = most
        self._longest_s = longest_s
        self._now = now
        self._awake = False

    def __call__(self) -> Events:
        """Return those that are ready, or none after ``longest_s``."""
        now = self._now
        began = now()
        events: Events = []
        if self._awake:
            while not events and now() - began < AWAKE_S:
                events = self._poll(0, self._most)
        if not events:
            events = self._poll(self._longest_s, self._most)
        self._awake = now() - began < AWAKE_S
        return events


def _cores() -> int:
    """How many cores this process may use: on one, a loop that stays awake keeps the client from running."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
