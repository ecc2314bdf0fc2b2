"""Converts messages (``wire/message_sets``), which clients before Kafka 0.11 send and read, to batches and back.

Conversion goes in steps, because each record costs microseconds: other requests have their turn, and codecs run in
threads. The model is Apache 3.9, the last release that converted: ``LogValidator`` makes one batch of all messages for
a partition, ``RecordsUtil.downConvert`` one message, or one wrapper, of each batch.
"""

from functools import partial
from typing import NamedTuple

from ottla.broker.topics.compression import AT_ONCE_BYTES, Compression
from ottla.scheduling.steps import Steps
from ottla.storage.log_config import LogConfig
from ottla.wire.batch import HEADER_SIZE, LOG_APPEND_TIME, BatchHeader, read_header
from ottla.wire.building import BatchBuilder
from ottla.wire.codes import ErrorCode
from ottla.wire.compression import NONE, ZSTD, compress, decompress
from ottla.wire.errors import KafkaError
from ottla.wire.message_sets import (
    NO_TIMESTAMP,
    Message,
    MessageSetBuilder,
    decompressed,
    message_size,
    read_inner_messages,
    read_messages,
)
from ottla.wire.records import walk_records

RECORDS_PER_STEP = 100


def up_converted(records: bytes, config: LogConfig, compression: Compression | None) -> Steps[bytearray | None]:
    """Return one batch of the messages that a producer sent for a partition; None if there is no whole message.

    ``compression`` is the topic's codec; without it, the producer's is kept. Raises KafkaError as Apache refuses
    messages: CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_RECORD, INVALID_TIMESTAMP, and UNKNOWN_SERVER_ERROR for errors
    that have no code of their own.
    """
    messages = []
    for message in read_messages(records, config.max_message_bytes):
        if message.codec > ZSTD:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"Codec {message.codec} is unknown")  # as in Apache
        messages.append(message)
        if len(messages) % RECORDS_PER_STEP == 0:
            yield None
    if not messages:
        return None
    codec = next((message.codec for message in messages if message.codec != NONE), NONE)
    if codec != NONE and len(messages) > 1:
        raise KafkaError(ErrorCode.INVALID_RECORD, "The partition has more than one compressed message")
    if codec != NONE:
        data = yield partial(decompressed, messages[0])
        found = read_inner_messages(messages[0], data)
    else:
        found = iter(messages)
    builder = BatchBuilder()
    for number, message in enumerate(found, 1):
        _check_timestamp(messages[0] if codec != NONE else message, message, config)
        builder.add(message.timestamp, message.key, message.value)
        if number % RECORDS_PER_STEP == 0:
            yield None
    level = None
    if compression is not None:
        codec, level = compression
    payload = yield from _compressed(codec, builder.data, level)
    return builder.finish(codec, payload)


def _check_timestamp(outer: Message, message: Message, config: LogConfig) -> None:
    """Refuse LogAppendTime where Apache does: without a timestamp, or for a topic in which the broker sets it.

    Times before 1970 are refused as well: a batch has no place for them (``MemoryRecordsBuilder``).
    """
    if outer.timestamp_type == LOG_APPEND_TIME and (config.uses_log_append_time or message.timestamp == NO_TIMESTAMP):
        raise KafkaError(ErrorCode.INVALID_TIMESTAMP, "Only the broker may mark messages with LogAppendTime")
    if message.timestamp < NO_TIMESTAMP:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"A message has the timestamp {message.timestamp}")


class DownConverted(NamedTuple):
    """Converted messages, empty if no record was for clients, and the offset after the records looked at."""

    messages: bytearray
    next_offset: int


def down_converted(records: bytes, *, magic: int, fetch_offset: int, max_bytes: int) -> Steps[DownConverted]:
    """Return the messages of some batches, of which the last may be cut off, from ``fetch_offset`` on.

    They are not much more than ``max_bytes``, but at least one. Headers and transaction markers are left out. Raises
    KafkaError UNSUPPORTED_COMPRESSION_TYPE if the first batch is in zstd, which these clients have never heard of.
    """
    messages = bytearray()
    next_offset = fetch_offset
    position = 0
    while position + HEADER_SIZE <= len(records) and len(messages) < max_bytes:
        header = read_header(records, position)
        end = position + header.size
        if end > len(records):
            break
        if header.codec == ZSTD and not header.is_control:
            if messages:
                break
            raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "zstd needs version 10 of Fetch")
        if not header.is_control:
            room = max_bytes - len(messages)
            converted = yield from _down_converted_batch(
                records[position + HEADER_SIZE : end], header, magic=magic, fetch_offset=fetch_offset, room=room
            )
            if messages and len(converted) > room:
                break
            messages += converted
        position = end
        next_offset = header.next_offset
    return DownConverted(messages, next_offset)


def _down_converted_batch(
    payload: bytes, header: BatchHeader, *, magic: int, fetch_offset: int, room: int
) -> Steps[bytearray]:
    """Return a batch as messages, as many as there is room for but at least one; compressed, as one wrapper."""
    codec = header.codec
    data = payload if codec == NONE else (yield partial(decompress, codec, payload))
    builder = MessageSetBuilder(magic=magic, codec=codec, timestamp_type=header.timestamp_type)
    for number, record in enumerate(walk_records(data, header), 1):
        if number % RECORDS_PER_STEP == 0:
            yield None
        if codec == NONE:
            if record.offset < fetch_offset:
                continue
            if builder.data and len(builder.data) + message_size(record, magic) > room:
                break
        builder.add(record)
    if not builder.data:
        return builder.data
    payload = yield from _compressed(codec, builder.data, None)
    return builder.finish(payload)


def _compressed(codec: int, data: bytearray, level: int | None) -> Steps[bytes]:
    if codec == NONE:
        return bytes(data)
    work = partial(compress, codec, data, level)
    if len(data) <= AT_ONCE_BYTES:
        return work()
    compressed: bytes = yield work
    return compressed
