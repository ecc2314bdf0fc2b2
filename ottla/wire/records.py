"""Reads the records of a batch, and builds batches. Nothing between a producer and a log needs it in the common case.

A record (format v2), inside the batch's decompressed bytes::

    size varint of what follows, attributes int8 (unused), timestamp delta varlong, offset delta varint,
    key size varint (-1: null), key, value size varint (-1: null), value,
    header count varint, and for each header: name size varint, name, value size varint (-1: null), value
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ottla.wire.batch import (
    CONTROL_BIT,
    CREATE_TIME,
    HEADER,
    HEADER_SIZE,
    LENGTH_OVERHEAD,
    LOG_APPEND_TIME,
    MAGIC,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
    BatchHeader,
    read_header,
    write_crc,
)
from ottla.wire.codes import ErrorCode
from ottla.wire.compression import DECOMPRESSED_LIMIT, NONE, compress, decompress
from ottla.wire.errors import KafkaError, ProtocolError, RecordsRefusedError
from ottla.wire.primitives import Buffer, read_varint, read_varlong, write_varint

Headers = tuple[tuple[str, bytes | None], ...]

_new_tuple = tuple.__new__
_INT64_MIN = -(1 << 63)
_INT64_MAX = (1 << 63) - 1
_INT64_SPAN = 1 << 64


class Record(NamedTuple):
    """One record. ``offset`` is ignored when a batch is built: its records are numbered in order."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    """Names are UTF-8; other bytes in them survive reading and building (``surrogateescape``)."""


def read_records(batch: Buffer, limit: int = DECOMPRESSED_LIMIT) -> Iterator[Record]:
    """The records of the batch at the start of ``batch``, copied out of it.

    ``limit`` bounds the decompressed size, in bytes. Raises KafkaError, at the record where it shows: INVALID_RECORD
    for records that contradict their sizes or the header's count, and whatever ``decompress`` raises.
    """
    header = read_header(batch)
    with memoryview(batch) as view:
        data = decompress(header.codec, view[HEADER_SIZE : header.size], limit)
    return walk_records(data, header)


def walk_records(data: bytes, header: BatchHeader) -> Iterator[Record]:
    """The records in the decompressed bytes of a batch; raises KafkaError INVALID_RECORD as ``read_records`` does.

    With one-byte varints inline. Slices may run short: the end of each record shows it.
    """
    base_offset = header.base_offset
    base_timestamp = header.base_timestamp
    append_time = header.max_timestamp if header.timestamp_type == LOG_APPEND_TIME else None
    total = len(data)
    position = 0
    try:
        for _ in range(header.record_count):
            size = data[position]
            if size > 0x7F:
                size, position = read_varint(data, position)
            else:
                size = (size >> 1) ^ -(size & 1)
                position += 1
            end = position + size
            position += 1  # attributes

            timestamp = data[position]
            if timestamp > 0x7F:
                timestamp, position = read_varlong(data, position)
            else:
                timestamp = (timestamp >> 1) ^ -(timestamp & 1)
                position += 1
            if append_time is not None:
                timestamp = append_time
            else:
                timestamp += base_timestamp
                if not _INT64_MIN <= timestamp <= _INT64_MAX:
                    timestamp = (timestamp - _INT64_MIN) % _INT64_SPAN + _INT64_MIN

            offset = data[position]
            if offset > 0x7F:
                offset, position = read_varint(data, position)
            else:
                offset = (offset >> 1) ^ -(offset & 1)
                position += 1

            size = data[position]
            if size > 0x7F:
                size, position = read_varint(data, position)
            else:
                size = (size >> 1) ^ -(size & 1)
                position += 1
            if size < 0:
                key = None
            else:
                start = position
                position += size
                key = data[start:position]

            size = data[position]
            if size > 0x7F:
                size, position = read_varint(data, position)
            else:
                size = (size >> 1) ^ -(size & 1)
                position += 1
            if size < 0:
                value = None
            else:
                start = position
                position += size
                value = data[start:position]

            if data[position]:
                headers, position = _read_headers(data, position)
            else:
                headers = ()
                position += 1
            if position != end or end > total:
                raise KafkaError(ErrorCode.INVALID_RECORD, "A record's parts do not add up to its size")
            yield _new_tuple(Record, (base_offset + offset, timestamp, key, value, headers))
        if position != total:
            raise KafkaError(ErrorCode.INVALID_RECORD, "There are more bytes than the header's count of records")
    except (IndexError, ProtocolError) as error:
        raise KafkaError(ErrorCode.INVALID_RECORD, f"A record is cut off or has a bad size ({error})") from None


def _read_headers(data: bytes, position: int) -> tuple[Headers, int]:
    count, position = read_varint(data, position)
    if count < 0:
        raise KafkaError(ErrorCode.INVALID_RECORD, f"A record has {count} headers")
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        size, position = read_varint(data, position)
        if size < 0:
            raise KafkaError(ErrorCode.INVALID_RECORD, "A header has no name")
        name = data[position : position + size].decode("utf-8", "surrogateescape")
        size, position = read_varint(data, position + size)
        if size < 0:
            headers.append((name, None))
        else:
            headers.append((name, data[position : position + size]))
            position += size
    return tuple(headers), position


def validate_records(
    batch: Buffer,
    *,
    timestamp_type: int = CREATE_TIME,
    earliest_timestamp: int = _INT64_MIN,
    latest_timestamp: int = _INT64_MAX,
    keys_required: bool = False,
    limit: int = DECOMPRESSED_LIMIT,
) -> int:
    """Check the records of one produced batch as Apache does, and return their greatest timestamp, at least -1.

    ``timestamp_type`` is the topic's; the bounds (inclusive) hold for create times other than -1. Apache stores the
    timestamp returned here, and the topic's timestamp type, when the header has others: ``set_max_timestamp``.

    Raises RecordsRefusedError (INVALID_TIMESTAMP, else INVALID_RECORD) with an entry per refused record, and what
    ``read_records`` raises. Source: ``LogValidator``.
    """
    header = read_header(batch)
    consecutive = header.codec != NONE  # Apache does not look at the offsets of records that are not compressed.
    marked_append_time = header.timestamp_type == LOG_APPEND_TIME
    refused: list[tuple[int, str]] = []
    code = ErrorCode.INVALID_RECORD
    greatest = -1
    for index, (offset, timestamp, key, _, _) in enumerate(read_records(batch, limit)):
        if consecutive and offset != header.base_offset + index:
            # Apache 4.3.1 then tries to write the batch anew, and fails in doing so.
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"Record {index} has offset {offset}")
        if keys_required and key is None:
            refused.append((index, "A record of a compacted topic needs a key"))
        elif timestamp_type == CREATE_TIME and timestamp != -1:
            if not earliest_timestamp <= timestamp <= latest_timestamp:
                code = ErrorCode.INVALID_TIMESTAMP
                refused.append(
                    (index, f"Timestamp {timestamp} is not within {earliest_timestamp} to {latest_timestamp}")
                )
        elif marked_append_time:
            code = ErrorCode.INVALID_TIMESTAMP
            refused.append((index, "Only the broker may mark records with LogAppendTime"))
        greatest = max(greatest, timestamp)
    if refused:
        raise RecordsRefusedError(code, refused)
    return greatest


def build_batch(
    records: Iterable[Record],
    *,
    codec: int = NONE,
    base_offset: int = 0,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    is_transactional: bool = False,
    is_control: bool = False,
    timestamp_type: int = 0,
    leader_epoch: int = -1,
) -> bytearray:
    """A batch of at least one record, numbered from ``base_offset``."""
    records = list(records)
    base_timestamp = records[0].timestamp
    data = bytearray()
    for delta, record in enumerate(records):
        write_record(data, record, offset_delta=delta, timestamp_delta=record.timestamp - base_timestamp)
    payload = data if codec == NONE else compress(codec, data)
    batch = bytearray(HEADER_SIZE)
    attributes = codec
    if timestamp_type == LOG_APPEND_TIME:
        attributes |= TIMESTAMP_TYPE_BIT
    if is_transactional:
        attributes |= TRANSACTIONAL_BIT
    if is_control:
        attributes |= CONTROL_BIT
    HEADER.pack_into(
        batch,
        0,
        base_offset,
        HEADER_SIZE - LENGTH_OVERHEAD + len(payload),
        leader_epoch,
        MAGIC,
        0,
        attributes,
        len(records) - 1,
        base_timestamp,
        max(record.timestamp for record in records),
        producer_id,
        producer_epoch,
        base_sequence,
        len(records),
    )
    batch += payload
    write_crc(batch)
    return batch


def write_record(data: bytearray, record: Record, *, offset_delta: int, timestamp_delta: int) -> None:
    """Append a record to a batch's uncompressed bytes."""
    body = bytearray(1)  # attributes
    write_varint(body, timestamp_delta)
    write_varint(body, offset_delta)
    _write_bytes(body, record.key)
    _write_bytes(body, record.value)
    write_varint(body, len(record.headers))
    for name, value in record.headers:
        _write_bytes(body, name.encode("utf-8", "surrogateescape"))
        _write_bytes(body, value)
    write_varint(data, len(body))
    data += body


def _write_bytes(body: bytearray, value: bytes | None) -> None:
    if value is None:
        write_varint(body, -1)
    else:
        write_varint(body, len(value))
        body += value
