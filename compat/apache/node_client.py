"""Asks three nodes the questions of `compat/nodes`, in a few words. Answers come back as plain values to compare."""

from __future__ import annotations

import time
from typing import Any, Protocol

from compat.apache.side import Side
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.core import DescribeClusterRequest, DescribeTopicPartitionsRequest, MetadataRequest
from ottla.wire.messages.fetch import FetchRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest
from ottla.wire.messages.groups import FindCoordinatorRequest
from ottla.wire.messages.produce import ProduceRequest
from ottla.wire.messages.replicas import (
    AlterPartitionReassignmentsRequest,
    ElectLeadersRequest,
    ListPartitionReassignmentsRequest,
)
from ottla.wire.messages.topics import CreateTopicsRequest
from ottla.wire.records import Record, build_batch

STABLE_S = 1.5
PATIENCE_S = 20.0


class Cluster(Protocol):
    """Three brokers, of Apache's or of Ottla's."""

    name: str

    @property
    def bootstrap(self) -> str: ...
    def port(self, node_id: int) -> int: ...
    def stop(self, node_id: int) -> None: ...
    def start(self, node_id: int) -> None: ...


def name_of(code: int) -> str:
    """An error code's name."""
    return ErrorCode(code).name


class Nodes:
    """One connection to each node; `topics` are those that were made, to see when all is quiet."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.sides = {node: Side(cluster.name, cluster.port(node)) for node in (1, 2, 3)}
        self.topics: list[str] = []

    def stop(self, node: int) -> None:
        self.sides[node].close()
        self.cluster.stop(node)
        self.quiet()

    def start(self, node: int) -> None:
        self.cluster.start(node)
        self.quiet()

    def quiet(self) -> None:
        """Wait until leaders and replicas stay as they are."""
        deadline = time.monotonic() + PATIENCE_S
        before, since = None, time.monotonic()
        while time.monotonic() - since < STABLE_S and time.monotonic() < deadline:
            now = [self.states(name) for name in self.topics]
            if now != before:
                before, since = now, time.monotonic()
            time.sleep(0.1)

    def create(self, name: str, *replicas: list[int], **configs: str) -> str:
        topic = CreateTopicsRequest.Topic(
            name=name,
            num_partitions=-1,
            replication_factor=-1,
            assignments=[
                CreateTopicsRequest.Topic.Assignment(partition_index=index, broker_ids=each)
                for index, each in enumerate(replicas)
            ],
            configs=[
                CreateTopicsRequest.Topic.Config(name=key.replace("_", "."), value=value)
                for key, value in configs.items()
            ],
        )
        code: int = self.sides[1].ask(CreateTopicsRequest(topics=[topic], timeout_ms=10_000), 7).topics[0].error_code
        if not code:
            self.topics.append(name)
            self.quiet()
        return name_of(code)

    def states(self, name: str) -> list[Any]:
        """Leader, epoch, replicas, ISR, eligible replicas, last known ones, offline ones of each partition."""
        asked = DescribeTopicPartitionsRequest(topics=[DescribeTopicPartitionsRequest.Topic(name=name)])
        return [
            (
                name_of(each.error_code),
                (each.leader_id, each.leader_epoch),
                each.replica_nodes,
                sorted(each.isr_nodes),
                sorted(each.eligible_leader_replicas or []),
                each.last_known_elr,
                each.offline_replicas,
            )
            for each in self.sides[1].ask(asked, 0).topics[0].partitions
        ]

    def metadata(self, name: str, version: int) -> Any:
        asked = MetadataRequest(topics=[MetadataRequest.Topic(name=name)], allow_auto_topic_creation=False)
        answer = self.sides[1].ask(asked, version)
        return sorted((each.node_id, each.rack) for each in answer.brokers), [
            (
                name_of(each.error_code),
                (each.leader_id, each.leader_epoch),
                each.replica_nodes,
                sorted(each.isr_nodes),
                each.offline_replicas,
            )
            for each in answer.topics[0].partitions
        ]

    def brokers(self) -> Any:
        asked = DescribeClusterRequest(include_cluster_authorized_operations=False, include_fenced_brokers=True)
        return sorted((each.broker_id, each.rack, each.is_fenced) for each in self.sides[1].ask(asked, 2).brokers)

    def produce(self, name: str, node: int, acks: int = -1, version: int = 10) -> Any:
        data = ProduceRequest.Topic.Partition(
            index=0, records=build_batch([Record(0, int(time.time() * 1000), b"key", b"value")])
        )
        topic = ProduceRequest.Topic(name=name, partition_data=[data])
        answer = self.sides[node].ask(ProduceRequest(acks=acks, timeout_ms=2000, topic_data=[topic]), version)
        (found,) = answer.responses[0].partition_responses
        leader = found.current_leader
        named = [(each.node_id, each.rack) for each in answer.node_endpoints]
        return name_of(found.error_code), found.base_offset, (leader.leader_id, leader.leader_epoch), named

    def fetch(self, name: str, node: int, version: int = 12, rack: str = "", **asked: int) -> Any:
        partition = FetchRequest.Topic.Partition(
            partition=0, partition_max_bytes=1 << 20, **{"fetch_offset": 0, **asked}
        )
        topic = FetchRequest.Topic(topic=name, partitions=[partition])
        request = FetchRequest(max_wait_ms=0, min_bytes=1, max_bytes=1 << 20, rack_id=rack, topics=[topic])
        (found,) = self.sides[node].ask(request, version).responses[0].partitions
        return (
            name_of(found.error_code),
            (found.high_watermark, found.last_stable_offset, found.log_start_offset),
            found.preferred_read_replica,
            len(found.records or b""),
        )

    def caught_up(self, name: str, *followers: int, leader: int) -> None:
        """Wait until followers let be read what their leader does."""
        deadline = time.monotonic() + PATIENCE_S
        wanted = self.fetch(name, leader)
        while any(self.fetch(name, each) != wanted for each in followers) and time.monotonic() < deadline:
            time.sleep(0.05)

    def offsets(self, name: str, node: int, replica_id: int = -1) -> Any:
        asked = ListOffsetsRequest.Topic.Partition(partition_index=0, timestamp=-1)
        topic = ListOffsetsRequest.Topic(name=name, partitions=[asked])
        answer = self.sides[node].ask(ListOffsetsRequest(replica_id=replica_id, topics=[topic]), 7)
        (found,) = answer.topics[0].partitions
        return name_of(found.error_code), found.offset, found.leader_epoch

    def epoch_end(self, name: str, node: int, epoch: int) -> Any:
        asked = OffsetForLeaderEpochRequest.Topic.Partition(partition=0, leader_epoch=epoch)
        topic = OffsetForLeaderEpochRequest.Topic(topic=name, partitions=[asked])
        (found,) = self.sides[node].ask(OffsetForLeaderEpochRequest(topics=[topic]), 4).topics[0].partitions
        return name_of(found.error_code), found.leader_epoch, found.end_offset

    def elect(self, election_type: int, *names: str) -> Any:
        asked = [ElectLeadersRequest.Topic(topic=name, partitions=[0]) for name in names]
        answer = self.sides[1].ask(ElectLeadersRequest(election_type=election_type, topic_partitions=asked), 2)
        found = {
            topic.topic: name_of(each.error_code)
            for topic in answer.replica_election_results
            for each in topic.partition_result
        }
        self.quiet()
        return sorted(found.items())

    def reassign(self, name: str, replicas: list[int] | None, **options: Any) -> str:
        asked = AlterPartitionReassignmentsRequest.Topic.Partition(partition_index=0, replicas=replicas)
        topic = AlterPartitionReassignmentsRequest.Topic(name=name, partitions=[asked])
        answer = self.sides[1].ask(AlterPartitionReassignmentsRequest(topics=[topic], **options), 1)
        self.quiet()
        return name_of(answer.responses[0].partitions[0].error_code)

    def reassignments(self) -> Any:
        answer = self.sides[2].ask(ListPartitionReassignmentsRequest(topics=None), 0)
        return sorted(
            (topic.name, each.replicas, each.adding_replicas, each.removing_replicas)
            for topic in answer.topics
            for each in topic.partitions
        )

    def coordinator(self, group: str) -> int:
        """The node that coordinates a group, once there is one."""
        asked = FindCoordinatorRequest(key_type=0, coordinator_keys=[group])
        answer = self.sides[1].ask_until(asked, lambda answer: not answer.coordinators[0].error_code)
        found: int = answer.coordinators[0].node_id
        return found
