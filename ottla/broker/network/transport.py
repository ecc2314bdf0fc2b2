"""How a connection's bytes come and go: the interface of a transport, and plain TCP.

A plain transport is the socket itself, which can do two things more, so its bytes pass through no code of ours.
"""

import errno
import os
import socket
from typing import Protocol

from ottla.storage.slices import FileSlice

COPIED_BYTES = 256 << 10
"""Maximum bytes that are read from a file at once; the socket takes no more anyway."""
MORE = getattr(socket, "MSG_MORE", 0)
"""The flags that a plain transport's ``send`` takes where more follows at once."""

_NOT_FOR_THIS_FILE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


class Transport(Protocol):
    """The bytes of one client. A call that cannot go on yet raises BlockingIOError, and is made again later."""

    keeps_bytes: bool
    """Whether it keeps bytes of which the poll set does not know; ``has_received`` and ``wants_to_send`` tell."""

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        ...

    def recv_into(self, buffer: memoryview, /) -> int:
        """Put what has come into ``buffer`` and return how much that is; 0 is the end. Raises OSError."""
        ...

    def has_received(self) -> bool:
        """Whether ``recv_into`` has something without the socket being ready."""
        ...

    def wants_to_send(self) -> bool:
        """Whether ``recv_into`` cannot go on until something of the transport's own has been sent (a handshake)."""
        ...

    def send(self, data: bytes | memoryview, more: int = 0, /) -> int:
        """Send what can be sent of ``data`` and return how much that is. ``more``, if not 0, follows at once."""
        ...

    def send_file(self, piece: FileSlice, start: int) -> int:
        """Send what can be sent of ``piece`` from its byte ``start`` on, and return how much that is.

        0 means that the file is shorter than what was promised of it.
        """
        ...

    def has_gone(self) -> bool:
        """Whether the client has closed, as far as can be told without reading what it sent."""
        ...

    def close(self) -> None:
        """Close the socket."""
        ...


class CopyingTransport(socket.socket):
    """TCP without encryption, on a system that cannot send files: they go through memory."""

    __slots__ = ()

    keeps_bytes = False

    def has_received(self) -> bool:
        """Whether there are bytes of which the poll set does not know."""
        return False

    def wants_to_send(self) -> bool:
        """Whether something has to be sent before more can be received."""
        return False

    def send_file(self, piece: FileSlice, start: int) -> int:
        """Read from the file and send."""
        data = piece.read(start, COPIED_BYTES)
        return self.send(data) if data else 0

    def has_gone(self) -> bool:
        """Look at what has come, without taking it."""
        return not self.recv(1, socket.MSG_PEEK)


class PlainTransport(CopyingTransport):
    """TCP without encryption: files go out by ``sendfile`` where the system has it for that file."""

    __slots__ = ()

    def send_file(self, piece: FileSlice, start: int) -> int:
        """Let the kernel send from the file."""
        try:
            return os.sendfile(self.fileno(), piece.fileno(), piece.position + start, len(piece) - start)
        except OSError as error:
            if error.errno not in _NOT_FOR_THIS_FILE:
                raise
            return super().send_file(piece, start)


def plain_transport(sock: socket.socket) -> CopyingTransport:
    """Return the transport that ``sock`` becomes, which belongs to nobody else from now on. It never blocks."""
    kind = PlainTransport if hasattr(os, "sendfile") else CopyingTransport
    transport = kind(sock.family, sock.type, sock.proto, fileno=sock.detach())
    transport.setblocking(False)
    return transport
