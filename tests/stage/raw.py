"""A client of bytes over a real socket, for what no well-behaved client would do."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from ottla.testing import Ottla
from ottla.wire import frames
from ottla.wire.messages.core import MetadataRequest
from tests.stage.single_broker import response_class

TIMEOUT_S = 30.0


class RawClient:
    """One connection to a running broker."""

    def __init__(self, broker: Ottla, name: str = "raw") -> None:
        self.name = name
        self.socket = socket.create_connection((broker.host, broker.port), timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._correlation_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Vanish as a killed process on another machine does: without a farewell."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, request: Any, version: int) -> None:
        """Ask without reading the answer."""
        self._correlation_id += 1
        self.send(frames.encode_request(request, version, correlation_id=self._correlation_id, client_id=self.name))

    def ask(self, request: Any, version: int) -> Any:
        """Ask and answer; raises ConnectionError when the broker closes."""
        self.request(request, version)
        correlation_id, response = frames.decode_response(response_class(request), self.answer(), version)
        assert correlation_id == self._correlation_id
        return response

    def answer(self) -> bytes:
        """The next frame without its size."""
        return self._read(struct.unpack(">i", self._read(4))[0])

    def wait_until_closed(self) -> None:
        """Read until the broker ends the connection, one way or the other."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionError:
            pass

    def make_topic(self, name: str) -> None:
        response = self.ask(MetadataRequest(topics=[MetadataRequest.Topic(name=name)]), 9)
        assert response.topics[0].error_code == 0

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("the broker closed the connection")
            data += more
        return bytes(data)


@contextmanager
def talking(broker: Ottla, count: int) -> Iterator[list[RawClient]]:
    """Open that many connections at a time."""
    clients = [RawClient(broker) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()
