"""Converts what clients from before Kafka 0.11 send and understand (``wire/message_sets``) into batches and back.

In steps, because each record costs microseconds: others have their turn, and codecs run in threads. Apache 3.9 is the
model, the last release that did it: ``LogValidator`` makes one batch of all that a producer sent for a partition,
``RecordsUtil.downConvert`` one message, or one wrapper, of what a batch holds.
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
    """One batch of the messages that a producer sent for a partition; None if no whole one is there.

    ``compression`` is the topic's codec; without, the producer's is kept. Raises KafkaError as Apache refuses messages:
    CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_RECORD, INVALID_TIMESTAMP, and UNKNOWN_SERVER_ERROR for what it has no
    name for.
    """
    messages = []
    for message in read_messages(records, config.max_message_bytes):
        if message.codec > ZSTD:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"There is no codec {message.codec}")  # so does Apache
        messages.append(message)
        if len(messages) % RECORDS_PER_STEP == 0:
            yield None
    if not messages:
        return None
    codec = next((message.codec for message in messages if message.codec != NONE), NONE)
    if codec != NONE and len(messages) > 1:
        raise KafkaError(ErrorCode.INVALID_RECORD, "There is more than one compressed message for the partition")
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
    """Refuse times that only a broker may give; without a time, or where it is the broker's anyway (as Apache does).

    Times before 1970 have no place in a batch (``MemoryRecordsBuilder``).
    """
    if outer.timestamp_type == LOG_APPEND_TIME and (config.uses_log_append_time or message.timestamp == NO_TIMESTAMP):
        raise KafkaError(ErrorCode.INVALID_TIMESTAMP, "Only the broker may mark messages with LogAppendTime")
    if message.timestamp < NO_TIMESTAMP:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"A message has the time {message.timestamp}")


class DownConverted(NamedTuple):
    """Messages, and the offset after what was looked at: where nothing of that is for clients, there are none."""

    messages: bytearray
    next_offset: int


def down_converted(records: bytes, *, magic: int, fetch_offset: int, max_bytes: int) -> Steps[DownConverted]:
    """The messages of some batches, of which the last may be cut off, from ``fetch_offset`` on.

    Not much more than ``max_bytes``, but at least the first. Headers are left out, transaction markers too. Raises
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
            raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "zstd needs Fetch version 10")
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
    """A batch as messages, as far as there is room for more than one; in a codec it is one wrapper of all."""
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
