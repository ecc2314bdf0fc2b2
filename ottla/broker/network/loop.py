"""The fast loop: one pass over all that has come, each request answered synchronously, one of a client's per pass.

A pass reads from all ready sockets, then answers all requests, then sends: like work done together runs faster than the
same work in turns, and a client that gets several replies at once wakes once for them. Calls from outside (``inbox``)
and the timers that were due when the pass began have their place in it, so nothing else runs a broker's code.

While there is nothing to do trio sleeps (``poll_set``). Once awake, the loop stays for as long as there is work: it
waits for more for up to a millisecond, which costs less than going through trio (``busy_polling``), and lets trio's
other tasks run every ten milliseconds.

There are two clocks (``scheduling.clock``). The cluster's is for what clients can see; it may stand still or jump. The
machine's measures passes, turns, pauses and idleness, and the slices of long work.
"""

import logging
from collections.abc import Callable
from typing import Protocol

import trio

from ottla.broker.network.busy_polling import new_waiter
from ottla.broker.network.connection import Connection
from ottla.broker.network.inbox import Inbox
from ottla.broker.network.poll_set import READ, PollSet, new_poll_set
from ottla.broker.network.turn import PASS_BYTES, RECEIVE_BYTES, Turn
from ottla.scheduling.clock import Clock, Stopwatch
from ottla.scheduling.timers import Timers

log = logging.getLogger(__name__)

LINGER_S = 0.001
SOCKETS_PER_PASS = 24
"""Maximum sockets that are answered before their replies are sent: enough to do like work together, few enough that
clients have something to do meanwhile. Measured with 16 and 64 connections in closed loops."""
TURN_S = 0.010
"""Under load, trio's tasks and the machine's timers have their turn that often."""
STALL_S = 0.050


class Watched(Protocol):
    """A target for the events of a file descriptor."""

    def on_event(self, mask: int) -> None:
        """Do what ``mask`` (the bits of ``poll_set``) says that the descriptor is ready for."""
        ...


class Loop:
    """Owns the poll set, the connections and the passes."""

    def __init__(
        self,
        *,
        clock: Clock,
        timers: Timers,
        stopwatch: Stopwatch,
        machine_timers: Timers,
        max_request_bytes: int,
        max_idle_s: float,
        max_connections: int,
        poll_set: PollSet | None = None,
    ) -> None:
        """``timers`` are those of the cluster's ``clock``, ``machine_timers`` those of ``stopwatch``."""
        self.clock = clock
        self.timers = timers
        self.stopwatch = stopwatch
        self.machine_timers = machine_timers
        self.max_idle_s = max_idle_s
        self.max_connections = max_connections
        self.connections: dict[int, Connection] = {}
        self._watched: dict[int, Watched] = {}
        self._poll_set = new_poll_set() if poll_set is None else poll_set
        self._inbox = Inbox()
        self.turn: Turn[Connection] = Turn(
            now=stopwatch(),
            max_request_bytes=max_request_bytes,
            watch=self._poll_set.modify,
            on_closed=self._forget,
            wake=self._inbox.wake,
        )
        self._all_closed: trio.Event | None = None
        self.attend(self._inbox.fileno(), self._inbox)
        timers.on_earlier = machine_timers.on_earlier = self._on_earlier

    # --- what others ask for

    def call_soon(self, call: Callable[[], None]) -> None:
        """Call ``call`` in the next pass. Any thread may ask for it."""
        self._inbox.call_soon(call)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call ``call`` in a pass after so many seconds of the machine."""
        self.machine_timers.schedule(self.stopwatch() + seconds, call)

    def at_end_of_pass(self, call: Callable[[], None]) -> None:
        """Call ``call`` when the requests of this pass, or of the next, are answered, before the replies go out."""
        self.turn.at_end_of_pass(call)

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

    def _on_earlier(self) -> None:
        if not self.turn.in_pass:
            self._inbox.wake()

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
        """Close connections that asked and took nothing for ``max_idle_s``, unless they wait for an answer."""
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

    def close(self) -> None:
        """Take no more calls from outside; ``run`` has ended."""
        self._inbox.close()

    # --- passes

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            await self._run()
        finally:
            self.turn.call_ending()

    async def _run(self) -> None:
        turn = self.turn
        poll = self._poll_set.poll
        wait = new_waiter(poll, most=SOCKETS_PER_PASS, longest_s=LINGER_S)
        stopwatch, cluster_time = self.stopwatch, self.clock.monotonic
        while True:
            timers = await self._sleep()
            since = stopwatch()
            machine_turn = True
            while True:
                # A timer that was called may have set another that is due by now.
                events = poll(0, SOCKETS_PER_PASS) if timers or turn.run_queue else wait()
                idle = not events and not turn.run_queue
                if idle and not timers:
                    break
                turn.now = started = stopwatch()
                timers = self._pass(events, cluster_time(), machine_turn or idle)
                machine_turn = False
                now = stopwatch()
                if now - started > STALL_S:
                    took_ms = 1000 * (now - started)
                    log.warning("one pass over %d sockets and %d timers took %.0f ms", len(events), timers, took_ms)
                if now - since > TURN_S:
                    await trio.lowlevel.checkpoint()
                    since = stopwatch()
                    machine_turn = True

    async def _sleep(self) -> int:
        """Sleep until a socket is ready or a timer is due; return how many timers are due, as far as is known."""
        seconds = self._until_deadline()
        if seconds is None:
            await self._poll_set.wait()
            return 0
        if seconds <= 0:
            await trio.lowlevel.checkpoint()
            return 1
        # A clock that stands still just before a deadline keeps nobody awake.
        with trio.move_on_after(max(seconds, LINGER_S)) as sleep:
            await self._poll_set.wait()
        return int(sleep.cancelled_caught)

    def _until_deadline(self) -> float | None:
        """Return the seconds until the next timer of either clock is due, by that clock."""
        deadline, machine_deadline = self.timers.next_deadline(), self.machine_timers.next_deadline()
        seconds = None if deadline is None else deadline - self.clock.monotonic()
        machine_seconds = None if machine_deadline is None else machine_deadline - self.stopwatch()
        if seconds is None or machine_seconds is None:
            return machine_seconds if seconds is None else seconds
        return min(seconds, machine_seconds)

    def _pass(self, events: list[tuple[int, int]], cluster_now: float, machine_turn: bool) -> int:
        """Serve ``events``, then what was due of the timers, the machine's only in their turn; return how many were."""
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
            self._send_answers()
            timers = 0
            if self.timers.is_due(cluster_now):
                timers = self.timers.run_due(cluster_now)
            if machine_turn and self.machine_timers.is_due(turn.now):
                timers += self.machine_timers.run_due(turn.now)
            self._send_answers()
            return timers
        finally:
            turn.in_pass = False

    def _answer_received(self) -> None:
        turn = self.turn
        received, turn.received = turn.received, []
        turn.filled = 0
        for connection, stop in received:
            connection.on_received(turn.receive_buffer, stop)

    def _send_answers(self) -> None:
        """Send the answers that pending requests have got, after the calls that may give some more."""
        turn = self.turn
        while turn.ending or turn.answered:
            turn.call_ending()
            answered, turn.answered = turn.answered, []
            for connection in answered:
                connection.on_answer()
