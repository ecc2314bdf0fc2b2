"""Accepts connections at one listening socket; where no more can be had it pauses, and clients wait in the backlog."""

import errno
import logging
import socket
from collections.abc import Callable

from ottla.broker.network.connection import Connection
from ottla.broker.network.loop import Loop
from ottla.broker.network.poll_set import READ
from ottla.broker.network.transport import Transport, plain_transport
from ottla.broker.requests.context import Context

log = logging.getLogger(__name__)

ACCEPTS_PER_PASS = 64
"""Maximum connections that one pass accepts at one socket."""
ACCEPT_PAUSE_S = 0.1
PAUSE_LOG_INTERVAL_S = 10.0
SEND_BUFFER_BYTES = 400_000
"""Left to itself, Linux lets megabytes lie in a socket, which leave the processor's caches before the client reads
them: consuming costs the broker a third more time then."""

_NO_MORE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Acceptor:
    """One listening socket, served by the loop from ``start`` to ``stop``."""

    def __init__(
        self,
        sock: socket.socket,
        loop: Loop,
        make_context: Callable[[str], Context],
        make_transport: Callable[[socket.socket], Transport] = plain_transport,
    ) -> None:
        """``make_context`` gets the client's address, ``make_transport`` a socket that never blocks."""
        self.sock = sock
        self.loop = loop
        self._make_context = make_context
        self._make_transport = make_transport
        self._silent_until = 0.0
        self._held: set[socket.socket] = set()
        """Connections beyond the quota of their address: nothing is read from them, and they are closed soon."""

    def start(self) -> None:
        """Begin to accept."""
        self.loop.attend(self.sock.fileno(), self)

    def stop(self) -> None:
        """Refuse new connections, and close those that are held."""
        self.loop.ignore(self.sock.fileno())
        self.sock.close()
        for held in self._held:
            held.close()

    def on_event(self, _mask: int) -> None:
        """Accept the clients that wait."""
        for _ in range(ACCEPTS_PER_PASS):
            if len(self.loop.connections) + len(self._held) >= self.loop.max_connections:
                self._pause(f"{self.loop.max_connections} connections are open, as many as may be")
                return
            try:
                sock, address = self.sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_MORE:
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
                self.loop.add(Connection(self._make_transport(sock), self.loop.turn, context))

    def _hold(self, sock: socket.socket, seconds: float) -> None:
        """Let a client that comes too often wait until it learns that it may not stay: it is not to come at once."""
        self._held.add(sock)

        def end() -> None:
            self._held.discard(sock)
            sock.close()

        self.loop.after(seconds, end)

    def _pause(self, reason: str) -> None:
        loop = self.loop
        if loop.turn.now >= self._silent_until:
            self._silent_until = loop.turn.now + PAUSE_LOG_INTERVAL_S
            log.warning("no more connections are accepted for now: %s", reason)
        loop.watch(self.sock.fileno(), 0)
        loop.after(ACCEPT_PAUSE_S, self._resume)

    def _resume(self) -> None:
        if self.sock.fileno() >= 0:
            self.loop.watch(self.sock.fileno(), READ)
