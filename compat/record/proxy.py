"""A TCP proxy that passes bytes on unchanged and hands out each request with its response."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

PREFIX = 4  # bytes of a frame's length


@dataclass(frozen=True)
class Exchange:
    """One request and its response, each a whole frame with its length."""

    api_key: int
    version: int
    request: bytes
    response: bytes


class Frames:
    """Cuts a stream into whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._buffer += data
        while len(self._buffer) >= PREFIX:
            end = PREFIX + int(struct.unpack_from(">i", self._buffer)[0])
            if len(self._buffer) < end:
                return
            frame = bytes(self._buffer[:end])
            del self._buffer[:end]
            yield frame


class Connection:
    """One client's connection and its twin to the broker."""

    def __init__(self, client: socket.socket, broker: socket.socket, keep: Callable[[Exchange], None]) -> None:
        self._client = client
        self._broker = broker
        self._keep = keep
        self._waiting: list[bytes] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        for source, target, seen in (
            (self._client, self._broker, self._request),
            (self._broker, self._client, self._response),
        ):
            threading.Thread(target=self._pass_on, args=(source, target, seen), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, seen: Callable[[bytes], None]) -> None:
        frames = Frames()
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                # Seen first: the response must not be there before its request.
                for frame in frames.feed(data):
                    seen(frame)
                target.sendall(data)
        self.close()

    def _request(self, frame: bytes) -> None:
        with self._lock:
            self._waiting.append(frame)

    def _response(self, frame: bytes) -> None:
        correlation_id = frame[PREFIX : PREFIX + 4]
        with self._lock:
            # A request before it in line that was never answered is a Produce with acks=0.
            while self._waiting:
                request = self._waiting.pop(0)
                if request[PREFIX + 4 : PREFIX + 8] == correlation_id:
                    api_key, version = struct.unpack_from(">hh", request, PREFIX)
                    self._keep(Exchange(api_key=api_key, version=version, request=request, response=frame))
                    return

    def close(self) -> None:
        for end in (self._client, self._broker):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Proxy:
    """Listens on `port` of 127.0.0.1 and connects each client to `broker_port`; `keep` gets every exchange."""

    def __init__(self, port: int, broker_port: int, keep: Callable[[Exchange], None]) -> None:
        self._port = port
        self._broker_port = broker_port
        self._keep = keep
        self._connections: list[Connection] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self._port))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    broker = socket.create_connection(("127.0.0.1", self._broker_port))
                except OSError:
                    client.close()
                    continue
                connection = Connection(client, broker, self._keep)
                self._connections.append(connection)
                connection.start()

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for connection in self._connections:
            connection.close()
