"""The fast loop: one pass over the ready sockets, each answered synchronously, one request at most per pass.

A pass reads from everybody, then answers everybody, then sends: like work done together runs faster than the same work
in turns, and a client that gets several replies at once wakes once for them.

While nobody is ready trio sleeps (``poll_set``). Once awake, the loop stays for as long as there is work: it waits for
more for up to a millisecond, which costs less than going through trio (``busy_polling``), and lets trio's other tasks
run every ten milliseconds.
"""

import logging
from collections.abc import Callable
from typing import Protocol

import trio

from ottla.broker.network.busy_polling import new_waiter
from ottla.broker.network.connection import Connection
from ottla.broker.network.poll_set import READ, PollSet, new_poll_set
from ottla.broker.network.turn import PASS_BYTES, RECEIVE_BYTES, Turn
from ottla.scheduling.clock import Clock
from ottla.scheduling.timers import Timers

log = logging.getLogger(__name__)

LINGER_S = 0.001
SOCKETS_PER_PASS = 24
"""So many are answered before their replies are sent: enough to do like work together, few enough that clients have
something to do meanwhile. Measured with 16 and 64 connections in closed loops."""
TURN_S = 0.010
STALL_S = 0.050


class Watched(Protocol):
    """What the loop calls when a file descriptor is ready."""

    def on_event(self, mask: int) -> None:
        """Do what ``mask`` (the bits of ``poll_set``) says that the descriptor is ready for."""
        ...


class Loop:
    """Owns the poll set, the connections and the buffer that they share for reading."""

    def __init__(
        self,
        *,
        timers: Timers,
        clock: Clock,
        max_request_bytes: int,
        max_idle_s: float,
        max_connections: int,
        poll_set: PollSet | None = None,
    ) -> None:
        self.timers = timers
        self.clock = clock
        self.max_idle_s = max_idle_s
        self.max_connections = max_connections
        self.connections: dict[int, Connection] = {}
        self._watched: dict[int, Watched] = {}
        self._poll_set = new_poll_set() if poll_set is None else poll_set
        self.turn: Turn[Connection] = Turn(
            now=clock.monotonic(),
            max_request_bytes=max_request_bytes,
            watch=self._poll_set.modify,
            on_closed=self._forget,
            wake=self._drain,
        )
        self._all_closed: trio.Event | None = None

    # --- what others ask for

    def attend(self, fd: int, target: Watched) -> None:
        """Tell ``target`` in a pass when ``fd`` can be read, until ``ignore``."""
        self._watched[fd] = target
        self._poll_set.register(fd, READ)

    def watch(self, fd: int, interest: int) -> None:
        """Change what is awaited of ``fd``."""
        self._poll_set.modify(fd, interest)

    def ignore(self, fd: int) -> None:
        """Watch ``fd`` no more; it is still open."""
        self._watched.pop(fd, None)
        self._poll_set.unregister(fd)

    def at_end_of_pass(self, call: Callable[[], None]) -> None:
        """Call ``call`` when the requests of this pass, or of the next, are answered, before the replies go out."""
        self.turn.at_end_of_pass(call)

    # --- connections

    def add(self, connection: Connection) -> None:
        """Serve a new connection."""
        try:
            self._poll_set.register(connection.fd, READ)
        except OSError as error:  # the kernel bounds how many descriptors a user may watch
            connection.close(f"it cannot be watched: {error.strerror}", level=logging.WARNING)
            return
        self.connections[connection.fd] = connection
        self._watched[connection.fd] = connection

    def _forget(self, connection: Connection) -> None:
        """Stop watching a connection that closes."""
        if self.connections.pop(connection.fd, None) is not None:
            self._watched.pop(connection.fd, None)
            self._poll_set.unregister(connection.fd)
            if self._all_closed is not None and not self.connections:
                self._all_closed.set()

    def close_idle(self) -> None:
        """Close connections that asked and took nothing for ``max_idle_s``; who waits for an answer is not idle."""
        for connection in list(self.connections.values()):
            if not connection.waiting and self.turn.now - connection.active_at > self.max_idle_s:
                connection.close(f"idle for {self.max_idle_s:.0f} s", level=logging.INFO)

    def close_all(self) -> None:
        """Close every connection."""
        for connection in list(self.connections.values()):
            connection.close("the broker stops")

    async def drain(self) -> None:
        """Close every connection, those to which an answer is on its way once they have it; return when all are closed.

        Requests that wait for something are given up.
        """
        self.turn.draining = True
        for connection in list(self.connections.values()):
            if not connection.sending:
                connection.close("the broker stops")
        if self.connections:
            self._all_closed = trio.Event()
            await self._all_closed.wait()

    # --- passes

    async def run(self) -> None:
        """Serve until cancelled."""
        turn = self.turn
        poll = self._poll_set.poll
        wait = new_waiter(poll, most=SOCKETS_PER_PASS, longest_s=LINGER_S)
        monotonic = self.clock.monotonic
        while True:
            await self._poll_set.wait()
            since = monotonic()
            while True:
                events = poll(0, SOCKETS_PER_PASS) if turn.run_queue else wait()
                if not events and not turn.run_queue:
                    break
                turn.now = started = monotonic()
                self._pass(events)
                now = monotonic()
                if now - started > STALL_S:
                    log.warning("one pass over %d sockets took %.0f ms", len(events), 1000 * (now - started))
                if now - since > TURN_S:
                    await trio.lowlevel.checkpoint()
                    since = monotonic()

    def _pass(self, events: list[tuple[int, int]]) -> None:
        turn = self.turn
        turn.in_pass = True
        try:
            queue = turn.run_queue
            for _ in range(len(queue)):
                queue.popleft().on_turn()
            watched = self._watched
            for fd, mask in events:
                target = watched.get(fd)
                if target is not None:
                    target.on_event(mask)
                    if turn.filled > PASS_BYTES - RECEIVE_BYTES:
                        self._answer_received()
            self._answer_received()
            if turn.ending:
                turn.call_ending()
            replied, turn.replied = turn.replied, []
            for connection in replied:
                connection.on_reply()
            while turn.answered or turn.ending:
                turn.call_ending()
                answered, turn.answered = turn.answered, []
                for connection in answered:
                    connection.on_answer()
        finally:
            turn.in_pass = False

    def _answer_received(self) -> None:
        turn = self.turn
        received, turn.received = turn.received, []
        turn.filled = 0
        for connection, stop in received:
            connection.on_received(turn.receive_buffer, stop)

    def _drain(self) -> None:
        """Send answers that came from outside a pass, and go on with what those connections hold."""
        turn = self.turn
        turn.now = self.clock.monotonic()
        while turn.answered or turn.run_queue or turn.ending:
            self._pass([])
