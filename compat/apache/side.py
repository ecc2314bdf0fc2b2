"""One of the two brokers under comparison: a connection, and the names of what it numbered by itself."""

from __future__ import annotations

import importlib
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ottla.broker.apis import BY_KEY
from ottla.wire import frames
from ottla.wire.messages.core import MetadataRequest, MetadataResponse
from ottla.wire.messages.fetch import ListOffsetsRequest, ListOffsetsResponse
from ottla.wire.schema import Request, Response

CLIENT_ID = "compare"
ANSWER_S = 3.0
SETTLED_S = 10.0
CLOSED = "the connection was closed"
SILENT = "no answer"


@dataclass
class Side:
    """A broker, one connection to it, and what the case under way remembers (member ids, epochs)."""

    name: str
    port: int
    topic_names: dict[bytes, str] = field(default_factory=dict)
    """By topic id: the ids differ from broker to broker, the names do not."""
    memory: dict[str, Any] = field(default_factory=dict)
    case: int = 0
    _socket: socket.socket | None = None
    _correlation_id: int = 0

    @property
    def topic(self) -> str:
        """A name that only this case uses."""
        return f"topic-{self.case}"

    @property
    def group(self) -> str:
        """A group that only this case uses."""
        return f"group-{self.case}"

    def topic_id(self, name: str) -> bytes:
        """The id that this broker gave to a topic."""
        return next(topic_id for topic_id, known in self.topic_names.items() if known == name)

    def send(self, request: Request, version: int) -> None:
        """Send a request whose answer `receive` returns."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._correlation_id += 1
        frame = frames.encode_request(request, version, correlation_id=self._correlation_id, client_id=CLIENT_ID)
        try:
            self._socket.sendall(frame)
        except OSError:
            self.close()

    def receive(self, request: Request, version: int) -> Response | str:
        """The answer, or CLOSED, or SILENT; after either the next request has a new connection."""
        try:
            (size,) = struct.unpack(">i", self._read(4))
            frame = self._read(size)
        except TimeoutError:
            self.close()
            return SILENT
        except OSError:
            self.close()
            return CLOSED
        _, response = frames.decode_response(response_class(request), frame, version)
        return response

    def ask(self, request: Request, version: int | None = None) -> Any:
        """Send and receive. For the steps before a case: raises RuntimeError where there is no answer."""
        version = BY_KEY[request.api_key].served[1] if version is None else version
        self.send(request, version)
        answer = self.receive(request, version)
        if isinstance(answer, str):
            raise RuntimeError(  # noqa: TRY004 - no wrong type, but no answer
                f"{self.name}: {type(request).__name__}: {answer}"
            )
        return answer

    def ask_until(self, request: Request, good: Callable[[Any], bool]) -> Any:
        """Ask until the answer is good. Raises RuntimeError if that takes too long."""
        deadline = time.monotonic() + SETTLED_S
        while not good(answer := self.ask(request)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: {request} still gives {answer}")
            time.sleep(0.005)
        return answer

    def settle(self, *topics: str) -> None:
        """Wait until the broker serves these topics, and learn their ids."""
        asked = MetadataRequest(
            topics=[MetadataRequest.Topic(name=name) for name in topics], allow_auto_topic_creation=False
        )
        answer: MetadataResponse = self.ask_until(asked, lambda answer: all(map(self._leads, answer.topics)))
        self.topic_names.update((topic.topic_id, str(topic.name)) for topic in answer.topics)

    def _leads(self, topic: MetadataResponse.Topic) -> bool:
        """Ask the partitions themselves: metadata may name a leader that does not know of it yet."""
        if topic.error_code or not topic.partitions:
            return False
        partitions = [
            ListOffsetsRequest.Topic.Partition(partition_index=each.partition_index, timestamp=-1)
            for each in topic.partitions
        ]
        asked = ListOffsetsRequest.Topic(name=str(topic.name), partitions=partitions)
        answer: ListOffsetsResponse = self.ask(ListOffsetsRequest(replica_id=-1, topics=[asked]))
        return not any(each.error_code for each in answer.topics[0].partitions)

    def close(self) -> None:
        """Give the connection up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self, size: int) -> bytes:
        if self._socket is None:
            raise ConnectionError
        data = bytearray()
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise ConnectionError
            data += piece
        return bytes(data)


def response_class(request: Request) -> type[Response]:
    """The class of a request's answer."""
    module = importlib.import_module(type(request).__module__)
    found: type[Response] = getattr(module, type(request).__name__.removesuffix("Request") + "Response")
    return found
