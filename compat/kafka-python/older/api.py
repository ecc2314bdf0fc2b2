"""Names of kafka-python's public interface that differ between versions; here as in 2.x."""

from __future__ import annotations

import inspect

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

ASSIGNORS = {"eager": RangePartitionAssignor, "sticky": StickyPartitionAssignor}
# 2.0 has neither.
IDEMPOTENT = {"enable_idempotence": True} if "enable_idempotence" in KafkaProducer.DEFAULT_CONFIG else {}
NO_AUTO_CREATION = (
    {"allow_auto_create_topics": False} if "allow_auto_create_topics" in KafkaConsumer.DEFAULT_CONFIG else {}
)


class ReversedPartitioner:
    """The number that is the key, counted from the last partition."""

    def __call__(self, key: bytes, partitions: list[int], available: list[int]) -> int:
        return sorted(partitions)[-1 - int(key) % len(partitions)]


def create_topic(admin: KafkaAdminClient, name: str, partitions: int, configs: dict[str, str]) -> None:
    admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs)])


def leaders(admin: KafkaAdminClient, topic: str) -> list[int]:
    """The leader of each partition."""
    return [partition["leader"] for partition in admin.describe_topics([topic])[0]["partitions"]]


def topic_config(admin: KafkaAdminClient, topic: str, name: str) -> str:
    answers = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    for answer in answers if isinstance(answers, list) else [answers]:
        for _code, _message, _type, _name, entries in answer.resources:
            for entry in entries:
                if entry[0] == name:
                    return str(entry[1])
    raise AssertionError(f"{name} is not among the topic's settings")


def grow(admin: KafkaAdminClient, topic: str, partitions: int) -> None:
    admin.create_partitions({topic: NewPartitions(partitions)})


def groups(admin: KafkaAdminClient, state: str = "") -> set[str]:
    """The names of all groups, or of those in a state (which this version finds out for each)."""
    names = {name for name, _type in admin.list_consumer_groups()}
    return {name for name in names if not state or described(admin, name)[0] == state}


def described(admin: KafkaAdminClient, group: str) -> tuple[str, int]:
    """The group's state and how many members it has."""
    found = admin.describe_consumer_groups([group])[0]
    return found.state, len(found.members)


def delete_group(admin: KafkaAdminClient, group: str) -> None:
    for _name, error in admin.delete_consumer_groups([group]):
        if error.errno:
            raise error(f"deleting {group}")


def committed(admin: KafkaAdminClient, group: str, partition: TopicPartition) -> int:
    return int(admin.list_consumer_group_offsets(group, partitions=[partition])[partition].offset)


def _consumer(admin: KafkaAdminClient, group: str | None = None) -> KafkaConsumer:
    return KafkaConsumer(bootstrap_servers=admin.config["bootstrap_servers"], group_id=group, enable_auto_commit=False)


def end(admin: KafkaAdminClient, partition: TopicPartition) -> int:
    return int(_consumer(admin).end_offsets([partition])[partition])


def set_offsets(admin: KafkaAdminClient, group: str, offsets: dict[TopicPartition, int]) -> None:
    """For a group that has no members."""
    consumer = _consumer(admin, group)
    consumer.assign(list(offsets))
    consumer.commit({partition: commit(offset) for partition, offset in offsets.items()})
    consumer.close()


def commit(offset: int, metadata: str = "") -> OffsetAndMetadata:
    if "leader_epoch" in inspect.signature(OffsetAndMetadata).parameters:
        return OffsetAndMetadata(offset, metadata, -1)
    return OffsetAndMetadata(offset, metadata)
