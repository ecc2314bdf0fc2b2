"""A second transport for connections: it changes every byte, keeps bytes of its own, and speaks before it listens."""

import socket
from contextlib import suppress

from ottla.broker.network.transport import CopyingTransport

KEY = 0x5A
GREETING = b"\x16"
"""What the broker's side says before it takes anything in."""
READ_BYTES = 5000
GIVEN_BYTES = 3000
"""Less than is read at once, so that some is kept of which the poll set does not know."""
SENT_BYTES = 100_000

_SCRAMBLED = bytes(byte ^ KEY for byte in range(256))


def scramble(data: bytes) -> bytes:
    """Change every byte; done twice, it changes nothing."""
    return data.translate(_SCRAMBLED)


class ScrambledTransport:
    """As TLS does: a handshake that has to be sent, bytes in lumps, and no file that the kernel could send."""

    keeps_bytes = True

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._greeted = False
        self._tried = False
        self._received = b""
        self._ended = False

    def fileno(self) -> int:
        return self._sock.fileno()

    def recv_into(self, buffer: memoryview) -> int:
        self._greet()
        if not self._received and not self._ended:
            data = self._sock.recv(READ_BYTES)
            self._ended = not data
            self._received = scramble(data)
        size = min(len(buffer), len(self._received), GIVEN_BYTES)
        buffer[:size] = self._received[:size]
        self._received = self._received[size:]
        return size

    def _greet(self) -> None:
        """Refuse the first time, as if the socket could not be written."""
        if not self._tried:
            self._tried = True
            raise BlockingIOError
        if not self._greeted:
            with suppress(BrokenPipeError):
                self._sock.send(GREETING)
            self._greeted = True

    def has_received(self) -> bool:
        return bool(self._received)

    def wants_to_send(self) -> bool:
        return self._tried and not self._greeted

    def send(self, data: bytes | memoryview, _more: int = 0) -> int:
        return self._sock.send(scramble(bytes(data[:SENT_BYTES])))

    def send_file(self, piece, start: int) -> int:
        data = piece.read(start, SENT_BYTES)
        return self.send(data) if data else 0

    def has_gone(self) -> bool:
        return not self._received and not self._sock.recv(1, socket.MSG_PEEK)

    def close(self) -> None:
        self._sock.close()


def copying_transport(sock: socket.socket) -> CopyingTransport:
    """The plain transport of a system without ``sendfile``."""
    transport = CopyingTransport(sock.family, sock.type, sock.proto, fileno=sock.detach())
    transport.setblocking(False)
    return transport
