"""The state that a pass of the loop shares with the connections it serves: the buffer, the queues, the time.

Knows neither the loop nor a connection: the loop makes one, connections get it, and both read and write its fields.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

C = TypeVar("C")

log = logging.getLogger(__name__)

RECEIVE_BYTES = 1 << 16
"""Maximum bytes that are read at once; a larger frame gets a buffer of its own."""
PASS_BYTES = 16 * RECEIVE_BYTES
"""The shared buffer: what one pass reads from all connections, before it answers them."""
BIG_BUFFER_BYTES = 1 << 20
"""A large request begins in a buffer of this size."""
MAXIMUM_BIG_BUFFERS = 8
"""Maximum big buffers at a time; a flood of large requests begins in small ones, and their bytes are moved later."""


class Turn(Generic[C]):
    """The state of the current pass, and what is kept from one to the next."""

    def __init__(
        self,
        *,
        now: float,
        max_request_bytes: int,
        watch: Callable[[int, int], None],
        on_closed: Callable[[C], None],
        wake: Callable[[], None],
    ) -> None:
        """``watch`` changes what is awaited of a descriptor; ``wake`` brings a pass where none would come by itself."""
        self.now = now
        """When this pass began, by the machine's stopwatch."""
        self.max_request_bytes = max_request_bytes
        self.watch = watch
        self.on_closed = on_closed
        self.draining = False
        """Whether a connection closes once its answer is sent."""
        self.in_pass = False
        self.receive_buffer = bytearray(PASS_BYTES)
        self.receive_view = memoryview(self.receive_buffer)
        self.filled = 0
        """How much of the buffer holds what this pass has read."""
        self.received: list[tuple[C, int]] = []
        """The connections that have read something in this pass, and up to where it lies in the shared buffer."""
        self.replied: list[C] = []
        """The connections that have a reply. All are sent together: a client on another core wakes once for several."""
        self.answered: list[C] = []
        """The connections whose pending request has got its answer."""
        self.run_queue: deque[C] = deque()
        """The connections that hold a whole frame, for which no socket is ready; the next pass answers them."""
        self.ending: list[Callable[[], None]] = []
        self.spare_buffers: list[bytearray] = []
        self._wake = wake
        self._big_buffers = 0

    def note_answer(self, connection: C) -> None:
        """Note that the pending answer of ``connection`` is there: this pass sends it, or the next."""
        self.answered.append(connection)
        if not self.in_pass:
            self._wake()

    def at_end_of_pass(self, call: Callable[[], None]) -> None:
        """Call ``call`` when the requests of this pass, or of the next, are answered, before the replies go out."""
        self.ending.append(call)
        if not self.in_pass:
            self._wake()

    def call_ending(self) -> None:
        """Call what was to be called at the end of this pass. A call that fails stops no other."""
        ending, self.ending = self.ending, []
        for call in ending:
            try:
                call()
            except Exception:
                log.exception("Call at the end of a pass failed")

    def take_buffer(self) -> bytearray:
        """Lend a buffer for the beginning of a frame that is larger than the shared one: a big one while there are."""
        if self.spare_buffers:
            return self.spare_buffers.pop()
        if self._big_buffers < MAXIMUM_BIG_BUFFERS:
            self._big_buffers += 1
            return bytearray(BIG_BUFFER_BYTES)
        return bytearray(2 * RECEIVE_BYTES)

    def give_back(self, buffer: bytearray) -> None:
        """Take a lent buffer back, whatever has become of it; nobody may hold a view of it."""
        if len(buffer) == BIG_BUFFER_BYTES and len(self.spare_buffers) < MAXIMUM_BIG_BUFFERS:
            self.spare_buffers.append(buffer)
