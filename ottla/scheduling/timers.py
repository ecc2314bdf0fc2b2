"""Keeps the deadlines of one clock's timers in a heap. Never sleeps: the loop says when it is time."""

import heapq
import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

LEAST_CANCELLED = 64
"""Maximum number of cancelled timers for which the heap is not searched."""


class Timer:
    """A callback that will be called once at ``deadline`` unless cancelled."""

    __slots__ = ("_timers", "callback", "deadline")

    def __init__(self, deadline: float, callback: Callable[[], None], timers: "Timers") -> None:
        self.deadline = deadline
        self.callback: Callable[[], None] | None = callback
        self._timers: Timers | None = timers

    def cancel(self) -> None:
        """Forget the callback; harmless when it was called already."""
        if self.callback is not None:
            self.callback = None
            if self._timers is not None:
                self._timers.note_cancelled()

    def leave_heap(self) -> None:
        """Belong to the run that is about to call this."""
        self._timers = None

    def __lt__(self, other: "Timer") -> bool:
        return self.deadline < other.deadline


class Timers:
    """Deadlines in monotonic seconds of one clock. ``run_due`` is called by the loop; nothing here sleeps.

    A cancelled timer stays in the heap until it is due or until most timers there are cancelled ones: a client that
    waits up to 30 s and is answered at once, thousands of times a second, must not fill the memory.
    """

    def __init__(self, on_earlier: Callable[[], None] | None = None) -> None:
        self._heap: list[Timer] = []
        self._cancelled = 0
        self.on_earlier = on_earlier
        """Called when a new deadline is earlier than all others, so that the loop's sleeper can be woken."""

    def __len__(self) -> int:
        """Return how many are kept, cancelled ones included."""
        return len(self._heap)

    def schedule(self, deadline: float, callback: Callable[[], None]) -> Timer:
        """Arrange for ``callback`` to be called when the clock reaches ``deadline``."""
        timer = Timer(deadline, callback, self)
        heapq.heappush(self._heap, timer)
        if self._heap[0] is timer and self.on_earlier is not None:
            self.on_earlier()
        return timer

    def next_deadline(self) -> float | None:
        """Return the earliest deadline that was not cancelled."""
        heap = self._heap
        while heap and heap[0].callback is None:
            heapq.heappop(heap)
            self._cancelled -= 1
        return heap[0].deadline if heap else None

    def is_due(self, now: float) -> bool:
        """Whether ``run_due`` has something to do."""
        return bool(self._heap) and self._heap[0].deadline <= now

    def run_due(self, now: float) -> int:
        """Call all callbacks whose deadline has come, earliest first; return how many. A failing one stops none.

        A timer that a callback sets is called by the next run at the earliest, even if its deadline has passed.
        """
        due: list[Timer] = []
        while self._heap and (self._heap[0].callback is None or self._heap[0].deadline <= now):
            timer = heapq.heappop(self._heap)
            if timer.callback is None:
                self._cancelled -= 1
            else:
                timer.leave_heap()
                due.append(timer)
        count = 0
        for timer in due:
            callback, timer.callback = timer.callback, None
            if callback is None:  # cancelled by one that was called before it
                continue
            count += 1
            try:
                callback()
            except Exception:
                log.exception("Timer callback failed")
        return count

    def note_cancelled(self) -> None:
        """Count a cancelled timer, and drop them all when they are the most."""
        self._cancelled += 1
        if self._cancelled > LEAST_CANCELLED and 2 * self._cancelled > len(self._heap):
            self._heap = [timer for timer in self._heap if timer.callback is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0
