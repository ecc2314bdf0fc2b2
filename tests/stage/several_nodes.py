"""A cluster of three nodes in one folder, and one client's connection to each of them."""

from pathlib import Path
from typing import Any

from ottla.broker.requests.dispatch import handle
from ottla.broker.settings.addresses import Address
from ottla.wire import frames
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.core import DescribeTopicPartitionsRequest
from ottla.wire.messages.fetch import FetchRequest
from ottla.wire.messages.produce import ProduceRequest
from ottla.wire.messages.topics import CreateTopicsRequest
from tests.stage.clients import batch_of
from tests.stage.single_broker import CORRELATION_ID, Answer, Broker, SlowBroker

ASSIGNED = -1
"""Partition count and replication factor of a topic whose replicas the client names."""
FetchPartition = FetchRequest.Topic.Partition


class ThreeNodes(Broker):
    """Nodes 1, 2 and 3 in racks a, b and c; ``ask`` asks node 1 if nothing else is said."""

    nodes = 3
    racks = ("a", "b", "c")

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder, **settings)
        self.contexts = {}
        for node in self.cluster.nodes.by_id.values():
            node.endpoints = [Address(f"broker-{node.id}.example", 9092)]
            self.contexts[node.id] = self.connect(node)

    def ask(self, request: Any, version: int, node: int = 1) -> Any:
        """The response of one node."""
        answer = self.begin(request, version, node)
        self.settle()
        return answer.response()

    def begin(self, request: Any, version: int, node: int = 1) -> Answer:
        """Send a request whose answer may come later."""
        frame = bytearray(frames.encode_request(request, version, correlation_id=CORRELATION_ID, client_id="test"))
        return Answer(request, version, handle(self.contexts[node], frame, frames.SIZE.size, len(frame)))

    def stop(self, *node_ids: int) -> None:
        for node_id in node_ids:
            self.cluster.elections.stop(self.cluster.nodes.by_id[node_id])

    def start(self, *node_ids: int) -> None:
        for node_id in node_ids:
            self.cluster.elections.start(self.cluster.nodes.by_id[node_id])

    def create(self, name: str, *assignments: list[int], **configs: str) -> ErrorCode:
        """Make a topic whose partitions have these replicas; how it went."""
        topic = CreateTopicsRequest.Topic(
            name=name,
            num_partitions=ASSIGNED,
            replication_factor=ASSIGNED,
            assignments=[
                CreateTopicsRequest.Topic.Assignment(partition_index=index, broker_ids=replicas)
                for index, replicas in enumerate(assignments)
            ],
            configs=[
                CreateTopicsRequest.Topic.Config(name=key.replace("_", "."), value=value)
                for key, value in configs.items()
            ],
        )
        response = self.ask(CreateTopicsRequest(topics=[topic], timeout_ms=1000), 7)
        return ErrorCode(response.topics[0].error_code)

    def describe(self, name: str, index: int = 0, node: int = 1) -> Any:
        """A partition with leader, epoch, replicas, ISR and ELR."""
        asked = DescribeTopicPartitionsRequest(topics=[DescribeTopicPartitionsRequest.Topic(name=name)])
        return self.ask(asked, 0, node).topics[0].partitions[index]

    def produce(self, name: str, node: int, *, acks: int = -1, count: int = 1, version: int = 9) -> Any:
        """Produce one batch to partition 0 at a node; the partition's answer."""
        answer = self.begin_to_produce(name, node, acks=acks, count=count, version=version)
        self.settle()
        return answer.response().responses[0].partition_responses[0]

    def begin_to_produce(self, name: str, node: int, *, acks: int = -1, count: int = 1, version: int = 9) -> Answer:
        data = ProduceRequest.Topic.Partition(index=0, records=batch_of([b"value"] * count))
        topic = ProduceRequest.Topic(name=name, topic_id=self.cluster.topics.by_name[name].id, partition_data=[data])
        return self.begin(ProduceRequest(acks=acks, timeout_ms=1000, topic_data=[topic]), version, node)

    def fetch(
        self, name: str, node: int, *, version: int = 12, rack: str = "", wait_ms: int = 0, **asked: int
    ) -> Answer:
        """Fetch partition 0 at a node."""
        partition = FetchPartition(partition=0, partition_max_bytes=1 << 20, **{"fetch_offset": 0, **asked})
        topic = FetchRequest.Topic(topic=name, topic_id=self.cluster.topics.by_name[name].id, partitions=[partition])
        request = FetchRequest(max_wait_ms=wait_ms, min_bytes=1, max_bytes=1 << 20, topics=[topic], rack_id=rack)
        return self.begin(request, version, node)

    def fetched(self, name: str, node: int, **asked: Any) -> Any:
        """The answer for partition 0."""
        answer = self.fetch(name, node, **asked)
        self.settle()
        return answer.response().responses[0].partitions[0]


class SlowNodes(ThreeNodes, SlowBroker):
    """The same over logs that answer only when they are let."""
