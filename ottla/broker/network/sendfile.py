"""Sends ranges of files over sockets: with ``sendfile`` where the system has it for this file, else through memory."""

import errno
import os
import socket

from ottla.storage.slices import FileSlice

COPIED_BYTES = 256 << 10
"""At most this is read at once; the socket takes no more anyway."""

_NOT_FOR_THIS_FILE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


def send_from_file(sock: socket.socket, piece: FileSlice, start: int) -> int:
    """Send what the socket takes of ``piece`` from its byte ``start`` on, and return how much that was.

    0 means that the file is shorter than what was promised of it. Raises BlockingIOError and other OSErrors.
    """
    try:
        return os.sendfile(sock.fileno(), piece.fileno(), piece.position + start, len(piece) - start)
    except OSError as error:
        if error.errno not in _NOT_FOR_THIS_FILE:
            raise
        return send_copied(sock, piece, start)


def send_copied(sock: socket.socket, piece: FileSlice, start: int) -> int:
    """The same through memory."""
    data = piece.read(start, COPIED_BYTES)
    return sock.send(data) if data else 0


if not hasattr(os, "sendfile"):  # Windows
    send_from_file = send_copied
