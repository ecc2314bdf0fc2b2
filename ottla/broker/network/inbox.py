"""Calls from outside the loop's passes, out of trio's tasks and out of threads: each is made in the next pass.

A byte in a socket pair, which the loop watches like any other socket, brings that pass.
"""

import logging
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress

log = logging.getLogger(__name__)

WAKE = b"\0"
MAXIMUM_WAKES = 64


class Inbox:
    """The calls of one loop. Calls come in the order in which they were given; a call that fails stops no other."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], None]] = deque()
        self._woken = False
        """Whether a byte is on its way; set before it is sent, taken back before the calls are taken out."""
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor that can be read when there are calls."""
        return self._ours.fileno()

    def call_soon(self, call: Callable[[], None]) -> None:
        """Call ``call`` in the loop's next pass. Any thread may ask for it; after ``close`` nothing comes of it."""
        self._calls.append(call)
        self.wake()

    def wake(self) -> None:
        """Bring a pass."""
        if not self._woken:
            self._woken = True
            with suppress(OSError):  # closed
                self._theirs.send(WAKE)

    def on_event(self, _mask: int) -> None:
        """Make the calls that are there by now."""
        with suppress(BlockingIOError):
            self._ours.recv(MAXIMUM_WAKES)
        self._woken = False
        calls = self._calls
        for _ in range(len(calls)):
            try:
                calls.popleft()()
            except Exception:
                log.exception("Call from outside the loop failed")

    def close(self) -> None:
        """Make no more calls."""
        self._ours.close()
        self._theirs.close()
