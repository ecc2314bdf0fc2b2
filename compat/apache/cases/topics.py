"""Topics made, grown, shortened and deleted. Each case has a topic of its own."""

from __future__ import annotations

from compat.apache.base import Base, own_topic
from compat.apache.cases.produce import batch, produce
from compat.apache.side import Side
from ottla.wire.messages.topics import (
    CreatePartitionsRequest,
    CreateTopicsRequest,
    DeleteRecordsRequest,
    DeleteTopicsRequest,
)

Created = CreateTopicsRequest.Topic
Grown = CreatePartitionsRequest.Topic
Shortened = DeleteRecordsRequest.Topic


def _create(side: Side, *, node: int | None = None, **configs: str) -> CreateTopicsRequest:
    return CreateTopicsRequest(
        topics=[
            Created(
                name=side.topic,
                num_partitions=2 if node is None else -1,
                replication_factor=1 if node is None else -1,
                assignments=[]
                if node is None
                else [Created.Assignment(partition_index=index, broker_ids=[node]) for index in range(2)],
                configs=[Created.Config(name=name.replace("_", "."), value=value) for name, value in configs.items()],
            )
        ],
        timeout_ms=10_000,
    )


def _delete(side: Side) -> DeleteTopicsRequest:
    return DeleteTopicsRequest(
        topics=[DeleteTopicsRequest.Topic(name=side.topic, topic_id=bytes(16))],
        topic_names=[side.topic],
        timeout_ms=10_000,
    )


def _delete_by_id(side: Side) -> DeleteTopicsRequest:
    topic = DeleteTopicsRequest.Topic(name=None, topic_id=side.topic_id(side.topic))
    return DeleteTopicsRequest(topics=[topic], timeout_ms=10_000)


def _grow(side: Side, nodes: list[int] | None = None) -> CreatePartitionsRequest:
    assignments = None if nodes is None else [Grown.Assignment(broker_ids=[node]) for node in nodes]
    return CreatePartitionsRequest(
        topics=[Grown(name=side.topic, count=4, assignments=assignments)], timeout_ms=10_000, validate_only=False
    )


def _written(side: Side) -> None:
    own_topic(side)
    for _ in range(3):
        side.ask(produce(side, side.topic, batch()))


def _shorten(side: Side) -> DeleteRecordsRequest:
    partitions = [Shortened.Partition(partition_index=0, offset=3)]
    return DeleteRecordsRequest(topics=[Shortened(name=side.topic, partitions=partitions)], timeout_ms=10_000)


SETTINGS = (
    ("cleanup.policy", ("compact", "delete", "compact,delete", "nonsense", "", None)),
    ("retention.ms", ("-1", "0", "1000", "-2", "x", "9223372036854775808", " 7 ")),
    ("retention.bytes", ("-1", "0", "x")),
    ("segment.bytes", ("1048576", "14", "0", "-1", "1.5")),
    ("max.message.bytes", ("0", "100", "-1", "2147483648")),
    ("min.insync.replicas", ("1", "2", "0")),
    ("compression.type", ("producer", "lz4", "zstd", "none", "uncompressed", "LZ4")),
    ("message.timestamp.type", ("LogAppendTime", "CreateTime", "now")),
    ("min.cleanable.dirty.ratio", ("0", "0.5", "1.01", "x")),
    ("unclean.leader.election.enable", ("true", "TRUE", "yes")),
    ("flush.messages", ("1", "0")),
    ("no.such.setting", ("1",)),
    ("", ("1",)),
)


def _with_setting(name: str, value: str | None) -> Base:
    def make(side: Side) -> CreateTopicsRequest:
        request = _create(side)
        request.topics[0].configs = [Created.Config(name=name, value=value)]
        return request

    return Base(f"CreateTopics, {name}={value!r}", make, first_version=7, mutate=False)


BASES = (
    Base("CreateTopics", lambda side: _create(side, retention_ms="1000"), keep="timeout_ms"),
    Base("CreateTopics, assigned", lambda side: _create(side, node=1), keep="timeout_ms"),
    Base("CreateTopics that is there", _create, before=own_topic, mutate=False),
    *(_with_setting(name, value) for name, values in SETTINGS for value in values),
    Base("DeleteTopics", _delete, before=own_topic, keep="timeout_ms"),
    Base("DeleteTopics by id", _delete_by_id, before=own_topic, first_version=6, keep="timeout_ms"),
    Base("CreatePartitions", _grow, before=own_topic, keep="timeout_ms"),
    Base("CreatePartitions, assigned", lambda side: _grow(side, [1, 1]), before=own_topic, keep="timeout_ms"),
    Base("DeleteRecords", _shorten, before=_written, keep="timeout_ms"),
)
