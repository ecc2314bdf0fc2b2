"""The fast loop: one pass over the ready sockets, each answered synchronously, one request at most per pass.

A pass reads from everybody, then answers everybody, then sends: like work done together runs faster than the same work
in turns, and a client that gets several replies at once wakes once for them.

While nobody is ready trio sleeps (``poll_set``). Once awake, the loop stays for as long as there is work: it waits for
more for up to a millisecond, which costs less than going through trio (``busy_polling``), and lets trio's other tasks
run every ten milliseconds.
"""

import errno
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol

import trio

from ottla.broker.network.busy_polling import new_waiter
from ottla.broker.network.connection import RECEIVE_BYTES, Connection
from ottla.broker.network.poll_set import READ, PollSet, new_poll_set
from ottla.broker.requests.context import Context
from ottla.scheduling.clock import Clock
from ottla.scheduling.timers import Timers

log = logging.getLogger(__name__)

PASS_BYTES = 16 * RECEIVE_BYTES
"""The shared buffer: what one pass reads from all connections, before it answers them."""
LINGER_S = 0.001
SOCKETS_PER_PASS = 24
"""So many are answered before their replies are sent: enough to do like work together, few enough that clients have
something to do meanwhile. Measured with 16 and 64 connections in closed loops."""
TURN_S = 0.010
STALL_S = 0.050
ACCEPTS_PER_PASS = 64
ACCEPT_PAUSE_S = 0.1
PAUSE_LOG_INTERVAL_S = 10.0
SEND_BUFFER_BYTES = 400_000
"""Left to itself, Linux lets megabytes lie in a socket, which leave the processor's caches before the client reads
them: consuming costs the broker a third more time then."""
BIG_BUFFER_BYTES = 1 << 20
MOST_BIG_BUFFERS = 8
"""So many large requests at a time are received without moving them; a flood of them begins with small buffers."""


class Watched(Protocol):
    """What the loop calls when a file descriptor is ready."""

    def on_event(self, mask: int) -> None:
        """Do what ``mask`` (the bits of ``poll_set``) says that the descriptor is ready for."""
        ...


class Listener:
    """Accepts connections. Where no more can be had it pauses, and the waiting clients stay in the backlog."""

    def __init__(self, sock: socket.socket, loop: "Loop", make_context: Callable[[str], Context]) -> None:
        self.sock = sock
        self.loop = loop
        self._make_context = make_context
        self._silent_until = 0.0
        self._held: set[socket.socket] = set()
        """Connections beyond the quota of their address: nothing is read from them, and they are closed soon."""

    def on_event(self, _mask: int) -> None:
        """Accept whoever waits."""
        for _ in range(ACCEPTS_PER_PASS):
            if len(self.loop.connections) + len(self._held) >= self.loop.max_connections:
                self._pause(f"{self.loop.max_connections} connections are open, as many as may be")
                return
            try:
                sock, address = self.sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    self._pause(error.strerror or str(error))
                    return
                continue
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            except OSError:
                sock.close()
                continue
            context = self._make_context(str(address[0]))
            context.client.port = address[1]
            hold_s = context.cluster.throttling.hold_newcomer_s(context.client.host, context.node_id)
            if hold_s:
                self._hold(sock, hold_s)
            else:
                self.loop.add(Connection(sock, self.loop, context))

    def _hold(self, sock: socket.socket, seconds: float) -> None:
        """Let who comes too often wait until it learns that it may not stay: it should not come again at once."""
        self._held.add(sock)

        def end() -> None:
            self._held.discard(sock)
            sock.close()

        self.loop.timers.schedule(self.loop.clock.monotonic() + seconds, end)

    def close(self) -> None:
        """Refuse new connections, and close those that are held."""
        self.sock.close()
        for held in self._held:
            held.close()

    def _pause(self, reason: str) -> None:
        if self.loop.now >= self._silent_until:
            self._silent_until = self.loop.now + PAUSE_LOG_INTERVAL_S
            log.warning("no more connections are accepted for now: %s", reason)
        self.loop.pause_listener(self)


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
        self.max_request_bytes = max_request_bytes
        self.max_idle_s = max_idle_s
        self.max_connections = max_connections
        self.now = clock.monotonic()
        self.receive_buffer = bytearray(PASS_BYTES)
        self.receive_view = memoryview(self.receive_buffer)
        self.filled = 0
        self.connections: dict[int, Connection] = {}
        self._watched: dict[int, Watched] = {}
        self._poll_set = new_poll_set() if poll_set is None else poll_set
        self._run_queue: deque[Connection] = deque()
        self._answered: list[Connection] = []
        self.received: list[tuple[Connection, int]] = []
        """Who has read something in this pass, and up to where it lies in the shared buffer."""
        self.replied: list[Connection] = []
        """Who has a reply. All are sent together: a client on another core then wakes once for several."""
        self._in_pass = False
        self._ending: list[Callable[[], None]] = []
        self._spare: list[bytearray] = []
        self._big_buffers = 0
        self._all_closed: trio.Event | None = None
        self.draining = False

    # --- what connections ask for

    def queue(self, connection: Connection) -> None:
        """Give ``connection``, which holds a whole frame, a turn in the next pass."""
        self._run_queue.append(connection)

    def answered(self, connection: Connection) -> None:
        """Note that the pending answer of ``connection`` is there: it is sent at the end of this pass, or now."""
        self._answered.append(connection)
        if not self._in_pass:
            self._drain()

    def watch(self, fd: int, interest: int) -> None:
        """Change what is waited for on ``fd``."""
        self._poll_set.modify(fd, interest)

    def forget(self, connection: Connection) -> None:
        """Stop watching a connection that closes."""
        if self.connections.pop(connection.fd, None) is not None:
            self._watched.pop(connection.fd, None)
            self._poll_set.unregister(connection.fd)
            if self._all_closed is not None and not self.connections:
                self._all_closed.set()

    def take_buffer(self) -> bytearray:
        """Lend a buffer for the beginning of a frame that is larger than the shared one: a big one while there are."""
        if self._spare:
            return self._spare.pop()
        if self._big_buffers < MOST_BIG_BUFFERS:
            self._big_buffers += 1
            return bytearray(BIG_BUFFER_BYTES)
        return bytearray(2 * RECEIVE_BYTES)

    def give_back(self, buffer: bytearray) -> None:
        """Take a lent buffer back, whatever has become of it; nobody may hold a view of it."""
        if len(buffer) == BIG_BUFFER_BYTES and len(self._spare) < MOST_BIG_BUFFERS:
            self._spare.append(buffer)

    def at_end_of_pass(self, call: Callable[[], None]) -> None:
        """Call ``call`` when the requests of this pass are answered, before the replies go out; now between passes."""
        if self._in_pass:
            self._ending.append(call)
        else:
            call()

    def attend(self, fd: int, target: Watched) -> None:
        """Tell ``target`` in a pass when ``fd`` can be read, for as long as the loop runs."""
        self._watched[fd] = target
        self._poll_set.register(fd, READ)

    # --- listeners and connections

    def listen(self, listener: Listener) -> None:
        """Begin to accept."""
        self._watched[listener.sock.fileno()] = listener
        self._poll_set.register(listener.sock.fileno(), READ)

    def pause_listener(self, listener: Listener) -> None:
        """Stop accepting for a moment."""
        self._poll_set.modify(listener.sock.fileno(), 0)

        def resume() -> None:
            if listener.sock.fileno() in self._watched:
                self._poll_set.modify(listener.sock.fileno(), READ)

        self.timers.schedule(self.clock.monotonic() + ACCEPT_PAUSE_S, resume)

    def stop_listening(self, listener: Listener) -> None:
        """Refuse new connections."""
        self._watched.pop(listener.sock.fileno(), None)
        self._poll_set.unregister(listener.sock.fileno())
        listener.close()

    def add(self, connection: Connection) -> None:
        """Serve a new connection."""
        try:
            self._poll_set.register(connection.fd, READ)
        except OSError as error:  # the kernel bounds how many descriptors a user may watch
            connection.close(f"it cannot be watched: {error.strerror}", level=logging.WARNING)
            return
        self.connections[connection.fd] = connection
        self._watched[connection.fd] = connection

    def close_idle(self) -> None:
        """Close connections that asked and took nothing for ``max_idle_s``; who waits for an answer is not idle."""
        for connection in list(self.connections.values()):
            if not connection.waiting and self.now - connection.active_at > self.max_idle_s:
                connection.close(f"idle for {self.max_idle_s:.0f} s", level=logging.INFO)

    def close_all(self) -> None:
        """Close every connection."""
        for connection in list(self.connections.values()):
            connection.close("the broker stops")

    async def drain(self) -> None:
        """Close every connection, those to which an answer is on its way once they have it; return when all are closed.

        Requests that wait for something are given up.
        """
        self.draining = True
        for connection in list(self.connections.values()):
            if not connection.sending:
                connection.close("the broker stops")
        if self.connections:
            self._all_closed = trio.Event()
            await self._all_closed.wait()

    # --- passes

    async def run(self) -> None:
        """Serve until cancelled."""
        poll = self._poll_set.poll
        wait = new_waiter(poll, most=SOCKETS_PER_PASS, longest_s=LINGER_S)
        monotonic = self.clock.monotonic
        while True:
            await self._poll_set.wait()
            since = monotonic()
            while True:
                events = poll(0, SOCKETS_PER_PASS) if self._run_queue else wait()
                if not events and not self._run_queue:
                    break
                self.now = started = monotonic()
                self._pass(events)
                now = monotonic()
                if now - started > STALL_S:
                    log.warning("one pass over %d sockets took %.0f ms", len(events), 1000 * (now - started))
                if now - since > TURN_S:
                    await trio.lowlevel.checkpoint()
                    since = monotonic()

    def _pass(self, events: list[tuple[int, int]]) -> None:
        self._in_pass = True
        try:
            queue = self._run_queue
            for _ in range(len(queue)):
                queue.popleft().on_turn()
            watched = self._watched
            for fd, mask in events:
                target = watched.get(fd)
                if target is not None:
                    target.on_event(mask)
                    if self.filled > PASS_BYTES - RECEIVE_BYTES:
                        self._answer_received()
            self._answer_received()
            if self._ending:
                self._end()
            replied, self.replied = self.replied, []
            for connection in replied:
                connection.on_reply()
            while self._answered:
                answered, self._answered = self._answered, []
                for connection in answered:
                    connection.on_answer()
        finally:
            self._in_pass = False
            if self._ending:
                self._end()

    def _end(self) -> None:
        ending, self._ending = self._ending, []
        for call in ending:
            try:
                call()
            except Exception:
                log.exception("Call at the end of a pass failed")

    def _answer_received(self) -> None:
        received, self.received = self.received, []
        self.filled = 0
        for connection, stop in received:
            connection.on_received(self.receive_buffer, stop)

    def _drain(self) -> None:
        """Send answers that came from outside a pass, and go on with what those connections hold."""
        self.now = self.clock.monotonic()
        while self._answered or self._run_queue:
            self._pass([])
