"""A connection to a broker on which one request at a time is asked, and whose answer may be waited for in turns."""

from __future__ import annotations

import importlib
import socket
import struct
import time
from functools import cache

from ottla.wire import frames
from ottla.wire.schema import Request, Response

CONNECT_S = 30.0
CLOSED = "the connection was closed"
SILENT = "no answer"


class Connection:
    """One connection. What has come of an answer is kept from one look to the next."""

    def __init__(self, port: int, client_id: str) -> None:
        self._client_id = client_id
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=CONNECT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._correlation_id = 0
        self._asked: tuple[Request, int] | None = None
        self._broken = False

    @property
    def usable(self) -> bool:
        """Whether another request may be sent: nothing is owed, and nobody has closed it."""
        return self._asked is None and not self._broken

    def send(self, request: Request, version: int) -> None:
        """Send a request; `receive` gives its answer."""
        self._asked = (request, version)
        self._correlation_id += 1
        frame = frames.encode_request(request, version, correlation_id=self._correlation_id, client_id=self._client_id)
        try:
            self._socket.settimeout(CONNECT_S)
            self._socket.sendall(frame)
        except OSError:  # the broker's last words may still be there to be read
            self._broken = True

    def receive(self, timeout_s: float) -> Response | str:
        """The answer, or CLOSED, or SILENT if there is none within `timeout_s`: then this may be called again."""
        if self._asked is None:
            raise RuntimeError("nothing was asked")
        deadline = time.monotonic() + timeout_s
        try:
            while (frame := self._frame()) is None:
                # Zero would make the socket raise where nothing is there yet.
                self._socket.settimeout(max(deadline - time.monotonic(), 1e-6))
                piece = self._socket.recv(1 << 20)
                if not piece:
                    raise ConnectionError
                self._received += piece
        except TimeoutError:
            return SILENT
        except OSError:
            self._broken = True
            self._asked = None
            return CLOSED
        (request, version), self._asked = self._asked, None
        _, response = frames.decode_response(response_class(type(request)), frame, version)
        return response

    def close(self) -> None:
        """Give it up."""
        self._broken = True
        self._socket.close()

    def _frame(self) -> bytes | None:
        """The whole answer, taken out of what was received."""
        if len(self._received) < 4:
            return None
        (size,) = struct.unpack_from(">i", self._received)
        if len(self._received) < 4 + size:
            return None
        frame = bytes(self._received[4 : 4 + size])
        del self._received[: 4 + size]
        return frame


@cache
def response_class(kind: type[Request]) -> type[Response]:
    """The class of the answers to a kind of request."""
    module = importlib.import_module(kind.__module__)
    found: type[Response] = getattr(module, kind.__name__.removesuffix("Request") + "Response")
    return found
