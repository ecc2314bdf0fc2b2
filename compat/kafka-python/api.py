"""Names of kafka-python's public interface that differ between versions; here as in 3.0."""

from __future__ import annotations

from typing import Any

from kafka import KafkaAdminClient, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.partitioner import Partitioner

ASSIGNORS = {
    "eager": RangePartitionAssignor,
    "sticky": StickyPartitionAssignor,
    "cooperative": CooperativeStickyAssignor,
}
IDEMPOTENT = {"enable_idempotence": True}


class ReversedPartitioner(Partitioner):  # type: ignore[misc]
    """The number that is the key, counted from the last partition."""

    def partition(self, topic: str, key: Any, serialized_key: bytes, *values_and_cluster: Any) -> int:
        partitions = sorted(values_and_cluster[-1].partitions_for_topic(topic))
        return int(partitions[-1 - int(serialized_key) % len(partitions)])


def create_topic(admin: KafkaAdminClient, name: str, partitions: int, configs: dict[str, str]) -> None:
    with_options = {"num_partitions": partitions, "replication_factor": 1, "configs": configs}
    admin.create_topics({name: with_options})


def leaders(admin: KafkaAdminClient, topic: str) -> list[int]:
    """The leader of each partition."""
    return [partition["leader_id"] for partition in admin.describe_topics([topic])[0]["partitions"]]


def topic_config(admin: KafkaAdminClient, topic: str, name: str) -> str:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    return str(admin.describe_configs([resource], config_filter="all")["topic"][topic][name]["value"])


def grow(admin: KafkaAdminClient, topic: str, partitions: int) -> None:
    admin.create_partitions({topic: partitions})


def groups(admin: KafkaAdminClient, state: str = "") -> set[str]:
    """The names of all groups, or of those in a state."""
    found = admin.list_groups(states_filter=[state]) if state else admin.list_groups()
    return {group["group_id"] for group in found}


def described(admin: KafkaAdminClient, group: str) -> tuple[str, int]:
    """The group's state and how many members it has."""
    found = admin.describe_groups([group])[group]
    return found["group_state"], len(found["members"])


def delete_group(admin: KafkaAdminClient, group: str) -> None:
    admin.delete_groups([group])


def committed(admin: KafkaAdminClient, group: str, partition: TopicPartition) -> int:
    return int(admin.list_group_offsets({group: [partition]})[group][partition].offset)


def end(admin: KafkaAdminClient, partition: TopicPartition) -> int:
    return int(admin.list_partition_offsets({partition: -1})[partition].offset)


def set_offsets(admin: KafkaAdminClient, group: str, offsets: dict[TopicPartition, int]) -> None:
    """For a group that has no members."""
    admin.alter_group_offsets(group, {partition: commit(offset) for partition, offset in offsets.items()})


def commit(offset: int, metadata: str = "") -> OffsetAndMetadata:
    return OffsetAndMetadata(offset, metadata, -1)
