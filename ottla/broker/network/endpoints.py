"""Where nodes listen: opens their sockets, and opens them again on the same ports when a node comes back."""

import errno
import socket
from collections.abc import Callable, Sequence
from functools import partial

from ottla.broker.network.acceptor import Acceptor
from ottla.broker.network.loop import Loop
from ottla.broker.requests.context import Context
from ottla.broker.settings.addresses import Address, Listener, advertised
from ottla.broker.user_errors import StartError

BACKLOG = 1024


class Endpoints:
    """The sockets of one node. Which ports they are is settled when they are first opened."""

    def __init__(self, wanted: Sequence[Listener], advertise: Address | None) -> None:
        """Bind and listen. Raises StartError, with a sentence for a person."""
        self._sockets = _open_sockets(wanted)
        self.listening = tuple(Address(*sock.getsockname()[:2]) for sock in self._sockets)
        self.advertised = advertised(self.listening, advertise)
        self._acceptors: list[Acceptor] = []

    def open(self) -> None:
        """Bind again after ``close``. Raises StartError where somebody else has the port now."""
        if not self._sockets:
            self._sockets = _open_sockets([Listener(address) for address in self.listening])

    def listen(self, loop: Loop, make_context: Callable[[int, str], Context]) -> None:
        """Begin to accept; ``make_context`` gets the number of the listener and the client's address."""
        for index, sock in enumerate(self._sockets):
            acceptor = Acceptor(sock, loop, partial(make_context, index))
            self._acceptors.append(acceptor)
            acceptor.start()

    def close(self) -> None:
        """Refuse new connections; harmless if that was done."""
        for acceptor in self._acceptors:
            acceptor.stop()
        self._acceptors.clear()
        for sock in self._sockets:
            sock.close()
        self._sockets = []


def open_endpoints(listeners: Sequence[Listener], advertise: Address | None, *, nodes: int) -> list[Endpoints]:
    """Open the endpoints of that many nodes, or none. Raises StartError.

    ``listeners`` are the first node's. ``advertise`` is what the first node tells clients to connect to, if a person
    chose it; with a port, the second node tells the next port.
    """
    opened: list[Endpoints] = []
    for number in range(nodes):
        chosen = advertise
        if chosen is not None and chosen.port:
            chosen = Address(chosen.host, chosen.port + number)
        try:
            opened.append(Endpoints([listener.of_node(number) for listener in listeners], chosen))
        except StartError:
            for each in opened:
                each.close()
            raise
    return opened


def _open_sockets(listeners: Sequence[Listener]) -> list[socket.socket]:
    """Bind and listen. Listeners that ask for port 0 share the one that the first of them got."""
    sockets: list[socket.socket] = []
    shared_port = 0
    for wanted in listeners:
        address = wanted.address
        try:
            sock = _listen(address.host, address.port or shared_port)
        except OSError as error:
            if wanted.optional and error.errno != errno.EADDRINUSE:
                continue
            for opened in sockets:
                opened.close()
            raise StartError(_cannot_listen(address, error)) from error
        sockets.append(sock)
        if not address.port:
            shared_port = sock.getsockname()[1]
    return sockets


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _cannot_listen(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {address.port} of {address.host} is in use: another broker may be running; "
            f"choose another with --listen {address.host}:PORT (0 takes a free one)"
        )
    return f"cannot listen on {address}: {error.strerror or error}"
