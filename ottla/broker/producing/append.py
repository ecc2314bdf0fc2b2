"""Appends a producer's batch to one partition: checks its header and, where that is not enough, its records."""

from typing import Final

from ottla.broker.cluster.cluster import Cluster
from ottla.broker.old_clients.produced import up_converted
from ottla.broker.requests.context import Context
from ottla.broker.topics.partition import Partition
from ottla.broker.topics.topic import Topic
from ottla.scheduling.promise import Promise
from ottla.storage.appends import Appended
from ottla.wire.batch import (
    LENGTH_OVERHEAD,
    LOG_APPEND_TIME,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
    BatchHeader,
    check_produced,
    read_header,
    set_max_timestamp,
)
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

ACKS_NONE: Final = 0
ACKS_ALL: Final = -1
ZSTD: Final = 4
NOTHING_APPENDED = Appended(base_offset=-1, last_offset=-1, duplicate=False, log_start_offset=-1, log_append_time_ms=-1)
"""The answer to an empty set of messages."""
UNUSUAL: Final = ZSTD | TIMESTAMP_TYPE_BIT | TRANSACTIONAL_BIT
"""Attributes of a batch that need further checks."""


def append(  # noqa: PLR0917 - calls by position are the cheaper ones
    context: Context, topic: Topic, index: int, batch: memoryview | None, acks: int, takes_zstd: bool
) -> Appended | Promise[Appended]:
    """Check one batch, by its header where that is enough, and append it. Raises ``KafkaError``."""
    partition = _partition_for(context, topic, index, acks)
    config = topic.log_config
    if batch is None:
        raise KafkaError(ErrorCode.INVALID_RECORD, "The partition has no batch")
    header = check_produced(batch, config.max_message_bytes)
    attributes = header.attributes
    if attributes & UNUSUAL:
        if header.codec == ZSTD and not takes_zstd:
            raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "zstd needs version 7 of Produce")
        if header.is_transactional:
            raise KafkaError(ErrorCode.INVALID_TXN_STATE, "Transactions are not served yet")
        if header.timestamp_type == LOG_APPEND_TIME and config.uses_log_append_time:
            raise KafkaError(ErrorCode.INVALID_TIMESTAMP, "Only the broker may mark records with LogAppendTime")
    size = header.length + LENGTH_OVERHEAD
    if size != len(batch):
        batch = batch[:size]
    # Index access, because every batch comes by here: 8 is the greatest timestamp, 7 the first one. Older versions of
    # sarama leave the greatest one out (-1); Apache takes it from the records.
    if topic.looks_inside or header[8] < header[7]:
        return _append_looking_inside(context.cluster, topic, partition, batch, header)
    return partition.append(batch, header, context.cluster.clock.wall_ms())


def _partition_for(context: Context, topic: Topic, index: int, acks: int) -> Partition:
    """Return the partition to append to. Raises ``KafkaError`` if clients may not append to it at all."""
    partition = topic.partition(index)
    if not -1 <= acks <= 1:
        raise KafkaError(ErrorCode.INVALID_REQUIRED_ACKS)
    if topic.is_internal:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Clients may not write to {topic.name}")
    if partition.leader != context.node_id:
        partition.check_asked(context.node_id)
    if acks == ACKS_ALL and partition.lacks_replicas:
        raise KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS)
    return partition


def append_messages(
    context: Context, topic: Topic, index: int, records: memoryview, acks: int
) -> Appended | Promise[Appended]:
    """Append messages of a format from before batches, converted in steps. Raises ``KafkaError``."""
    cluster = context.cluster
    partition = _partition_for(context, topic, index, acks)

    def append_converted(batch: bytearray | None) -> Appended | Promise[Appended]:
        if partition.gone:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        partition.check_asked(context.node_id)  # Another node may lead by now.
        if batch is None:
            return NOTHING_APPENDED
        header = read_header(batch)
        if header.size > topic.log_config.max_message_bytes:
            raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE, f"The messages have {header.size} bytes as a batch")
        now_ms = cluster.clock.wall_ms()
        if topic.reads_records:
            topic.check_records(memoryview(batch), now_ms)
        return partition.append(memoryview(batch), header, now_ms)

    steps = up_converted(bytes(records), topic.log_config, topic.compression)
    return cluster.stepper.run(steps).then(append_converted).now_or_later()


def _append_looking_inside(
    cluster: Cluster, topic: Topic, partition: Partition, batch: memoryview, header: BatchHeader
) -> Appended | Promise[Appended]:
    """Check the records of a batch and compress it in the topic's codec, if settings or header call for that."""
    now_ms = cluster.clock.wall_ms()
    if topic.reads_records or header.max_timestamp < header.base_timestamp:
        greatest_timestamp = topic.check_records(batch, now_ms)
        if greatest_timestamp != header.max_timestamp:
            set_max_timestamp(batch, header.timestamp_type, greatest_timestamp)
            header = read_header(batch)
    if topic.compression is None or topic.compression.codec == header.codec:
        return partition.append(batch, header, now_ms)

    def append_compressed(compressed: bytearray) -> Appended | Promise[Appended]:
        if partition.gone:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        header = read_header(compressed)
        if header.size > topic.log_config.max_message_bytes:
            raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE, f"In the topic's codec the batch has {header.size} bytes")
        return partition.append(memoryview(compressed), header, now_ms)

    compressed = topic.compression.apply(batch, cluster.stepper.background)
    return compressed.then(append_compressed) if isinstance(compressed, Promise) else append_compressed(compressed)
