"""Runs work that blocks on the disk in a few threads of its own, and brings the outcomes back in a pass of the loop.

Not in trio's threads: their outcomes wait until the loop lets trio have its turn, up to ten milliseconds under load,
and an append that waits for its fsync would wait for that as well.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

from ottla.scheduling.background import Background

log = logging.getLogger(__name__)

THREADS = 8

Work = Callable[[], None]
Then = Callable[[Exception | None], None]


class Passes(Protocol):
    """The loop, as far as this needs it."""

    def call_soon(self, call: Callable[[], None]) -> None:
        """Call ``call`` in the next pass. Any thread may ask for it."""
        ...

    def at_end_of_pass(self, call: Callable[[], None]) -> None:
        """Call ``call`` when the requests of this pass, or of the next, are answered."""
        ...


class DiskThreads(Background):
    """Threads that start when they are needed. Outcomes come once ``serve_in`` has named the loop, or at ``close``."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Work, Then] | None] = SimpleQueue()
        self._outcomes: deque[tuple[Then, Exception | None]] = deque()
        self._under_way = 0
        self._threads: list[threading.Thread] = []
        self._passes: Passes | None = None
        self._closed = False

    def serve_in(self, passes: Passes) -> None:
        """Bring the outcomes back in the passes of this loop from now on."""
        self._passes = passes
        passes.call_soon(self._bring_back)

    def run(self, work: Work, then: Then) -> None:
        """Do ``work`` in a thread; after ``close``, at once."""
        if self._closed:
            then(_outcome_of(work))
            return
        self._under_way += 1
        if self._under_way > len(self._threads) < THREADS:
            thread = threading.Thread(target=self._work, name=f"disk {len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._jobs.put((work, then))

    def soon(self, call: Callable[[], None]) -> None:
        """Call ``call`` when the requests of this pass, or of the next, are answered."""
        if self._passes is None or self._closed:
            call()
        else:
            self._passes.at_end_of_pass(call)

    def close(self) -> None:
        """Wait for all that is under way and bring it back. The loop passes no more. Doing it twice does nothing."""
        if self._closed:
            return
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._bring_back()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            work, then = job
            self._outcomes.append((then, _outcome_of(work)))
            if self._passes is not None:
                self._passes.call_soon(self._bring_back)

    def _bring_back(self) -> None:
        while self._outcomes:
            then, error = self._outcomes.popleft()
            self._under_way -= 1
            try:
                then(error)
            except Exception:
                log.exception("Callback after disk work failed")


def _outcome_of(work: Work) -> Exception | None:
    try:
        work()
    except Exception as error:
        return error
    return None
