"""One of the two brokers under comparison: its clients, and the names of what it numbered by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from compat.apache.connection import Connection
from ottla.broker.apis import BY_KEY
from ottla.wire.messages.core import MetadataRequest, MetadataResponse
from ottla.wire.messages.fetch import ListOffsetsRequest, ListOffsetsResponse
from ottla.wire.schema import Request

STEP_S = 30.0
"""How long the steps before a case may take, each: much, since only a broken broker needs so long."""
FIRST = "compare"
"""The client (its id) that asks where a case does not say which."""


class StepError(Exception):
    """A step that must come before a compared answer failed."""


@dataclass
class Side:
    """A broker, the connections to it by client, and what the case under way remembers (member ids, epochs)."""

    name: str
    port: int
    restart: Callable[[], None] = lambda: None
    """Stops the broker and starts it again, at the same port."""
    topic_names: dict[bytes, str] = field(default_factory=dict)
    """By topic id: the ids differ from broker to broker, the names do not."""
    memory: dict[str, Any] = field(default_factory=dict)
    case: int = 0
    spare_topics: list[str] = field(default_factory=list)
    """Topics that are there and that no case has used yet."""
    marks: int = 0
    """Number of changes made to see when a change has arrived."""
    _own_topic: str | None = None
    _topic_ids: dict[str, bytes] = field(default_factory=dict)
    _connections: dict[str, Connection] = field(default_factory=dict)

    def begin(self, case: int) -> None:
        """Begin with a case."""
        self.case = case
        self.memory = {}
        self._own_topic = None

    @property
    def topic(self) -> str:
        """The case's topic, or a name for one: only this case uses it."""
        return self._own_topic or f"topic-{self.case}"

    def use_topic(self, name: str) -> None:
        """Let a topic that is there be the case's own."""
        self._own_topic = name

    @property
    def group(self) -> str:
        """A group that only this case uses."""
        return f"group-{self.case}"

    def topic_id(self, name: str) -> bytes:
        """The id that this broker gave to a topic; of several in turn the last."""
        return self._topic_ids[name]

    def name_of(self, topic_id: bytes) -> str | None:
        """Return the name that stands for a topic id when answers are compared; None if it is no topic's."""
        name = self.topic_names.get(topic_id)
        if name is None:
            return None
        return f"{'the' if self._topic_ids.get(name, topic_id) == topic_id else 'an earlier'} id of {name}"

    def connection(self, client: str = FIRST) -> Connection:
        """The connection of a client; a new one if it has none that may be used."""
        found = self._connections.get(client)
        if found is None or not found.usable:
            if found is not None:
                found.close()
            found = self._connections[client] = Connection(self.port, client)
        return found

    def asked(self, client: str = FIRST) -> Connection:
        """The connection on which a client was asked something."""
        return self._connections[client]

    def take_connection(self, client: str = FIRST) -> Connection:
        """The connection of a client, which is the caller's from now on."""
        return self._connections.pop(client)

    def ask(self, request: Request, version: int | None = None, client: str = FIRST) -> Any:
        """Send and receive, in the newest version if none is named. Raises StepError where there is no answer."""
        version = BY_KEY[request.api_key].served[1] if version is None else version
        connection = self.connection(client)
        connection.send(request, version)
        answer = connection.receive(STEP_S)
        if isinstance(answer, str):
            raise StepError(f"{self.name}: {type(request).__name__}: {answer}")
        return answer

    def ask_until(self, request: Request, good: Callable[[Any], bool], version: int | None = None) -> Any:
        """Ask until the answer is good. Raises StepError if that takes too long."""
        deadline = time.monotonic() + STEP_S
        while not good(answer := self.ask(request, version)):
            if time.monotonic() > deadline:
                raise StepError(f"{self.name}: {request} still gives {answer}")
            time.sleep(0.002)
        return answer

    def settle(self, *topics: str) -> None:
        """Wait until the broker serves these topics, and learn their ids."""
        asked = MetadataRequest(
            topics=[MetadataRequest.Topic(name=name) for name in topics], allow_auto_topic_creation=False
        )
        answer: MetadataResponse = self.ask_until(asked, lambda answer: all(map(self._leads, answer.topics)))
        for topic in answer.topics:
            self.topic_names[topic.topic_id] = str(topic.name)
            self._topic_ids[str(topic.name)] = topic.topic_id

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
        """Give all connections up."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
