"""The 61-byte header of a record batch (format v2): read, check, patch in place. Never looks at records.

::

     0 base offset            int64      not covered by the CRC: patched on append
     8 length                 int32      bytes that follow this field
    12 partition leader epoch int32      not covered by the CRC: patched on append
    16 magic                  int8       2
    17 crc                    uint32     CRC-32C of everything from byte 21 on
    21 attributes             int16      bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon
    23 last offset delta      int32
    27 base timestamp         int64      ms; the delete horizon if bit 6 is set
    35 max timestamp          int64      ms
    43 producer id            int64      -1: none
    51 producer epoch         int16
    53 base sequence          int32
    57 record count           int32
"""

from struct import Struct
from typing import NamedTuple

from crc32c import crc32c

from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

HEADER = Struct(">qiibIhiqqqhii")
HEADER_SIZE = HEADER.size
LENGTH_OFFSET = 8
LENGTH_OVERHEAD = 12
"""Bytes before those that the length field counts."""

MAGIC = 2
MAGIC_OFFSET = 16
CRC_OFFSET = 17
ATTRIBUTES_OFFSET = 21
MAX_TIMESTAMP_OFFSET = 35

CODEC_MASK = 0x07
TIMESTAMP_TYPE_BIT = 0x08
TRANSACTIONAL_BIT = 0x10
CONTROL_BIT = 0x20
DELETE_HORIZON_BIT = 0x40
KNOWN_ATTRIBUTES = 0x7F

CREATE_TIME = 0
LOG_APPEND_TIME = 1

_BASE_OFFSET = Struct(">q")
_LEADER_EPOCH = Struct(">i")
LENGTH = Struct(">i")
_CRC = Struct(">I")
ATTRIBUTES = Struct(">h")
_TIMESTAMP = Struct(">q")
_LENGTH_AT_START = Struct(">8xi")
_SMALLEST_LENGTH = 14  # Apache's reader takes anything down to a v0 record's overhead for a batch.
_GREATEST_LENGTH = 0x7FFFFFFF - LENGTH_OVERHEAD
_LAST_CODEC = 4
_SEQUENCE_SPAN = 1 << 31

_unpack = HEADER.unpack_from
_new_tuple = tuple.__new__


class BatchHeader(NamedTuple):
    """A batch's header as it was read: a snapshot, so patching the bytes afterwards does not change it."""

    base_offset: int
    length: int
    partition_leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def size(self) -> int:
        """Bytes of the whole batch."""
        return LENGTH_OVERHEAD + self.length

    @property
    def last_offset(self) -> int:
        """Inclusive."""
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        """The offset after this batch's last."""
        return self.base_offset + self.last_offset_delta + 1

    @property
    def codec(self) -> int:
        """0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd."""
        return self.attributes & CODEC_MASK

    @property
    def timestamp_type(self) -> int:
        """0 create time, 1 log append time."""
        return LOG_APPEND_TIME if self.attributes & TIMESTAMP_TYPE_BIT else CREATE_TIME

    @property
    def is_transactional(self) -> bool:
        """Whether these records wait for their transaction's marker."""
        return bool(self.attributes & TRANSACTIONAL_BIT)

    @property
    def is_control(self) -> bool:
        """Whether the one record here is a transaction marker."""
        return bool(self.attributes & CONTROL_BIT)

    @property
    def delete_horizon(self) -> int | None:
        """When tombstones and markers here may go (ms), or None. Compaction sets it in place of the base timestamp."""
        return self.base_timestamp if self.attributes & DELETE_HORIZON_BIT else None

    @property
    def last_sequence(self) -> int:
        """The last record's sequence number: after 2^31 - 1 comes 0. -1 without a producer's sequence."""
        if self.base_sequence < 0:
            return -1
        return (self.base_sequence + self.last_offset_delta) % _SEQUENCE_SPAN


def read_header(buffer: bytes | bytearray | memoryview, position: int = 0) -> BatchHeader:
    """The header at ``position``. Checks nothing but that 61 bytes are there (else ``struct.error``)."""
    return _new_tuple(BatchHeader, _unpack(buffer, position))


def check_produced(records: memoryview, max_bytes: int = 0x7FFFFFFF) -> BatchHeader:
    """The header of the one batch that a producer sent for a partition, checked without reading its records.

    ``max_bytes`` is the topic's ``max.message.bytes``; it is checked before the CRC, as Apache does. Bytes after the
    batch that are no whole batch are allowed and not part of it: append ``records[:header.size]``.

    Raises KafkaError with the code that Apache gives (``ProduceRequest.validateRecords``,
    ``UnifiedLog.analyzeAndValidateRecords``, ``LogValidator.validateBatch``, in that order). The rules that depend on
    versions or topics (zstd before Produce v7, LogAppendTime) are the caller's.
    """
    available = len(records)
    if available < HEADER_SIZE:
        raise _short(records)
    header = _new_tuple(BatchHeader, _unpack(records))
    (
        base_offset,
        length,
        _,
        magic,
        crc,
        attributes,
        last_offset_delta,
        _,
        _,
        producer_id,
        _,
        base_sequence,
        record_count,
    ) = header
    size = length + LENGTH_OVERHEAD
    if size != available or magic != MAGIC:
        _check_framing(records)
    if base_offset != 0:
        raise KafkaError(ErrorCode.INVALID_RECORD, f"Base offset is {base_offset}; producers number from 0")
    if size > max_bytes:
        raise KafkaError(
            ErrorCode.MESSAGE_TOO_LARGE, f"The batch has {size} bytes; max.message.bytes of the topic is {max_bytes}"
        )
    if size < HEADER_SIZE:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"A batch of {size} bytes is shorter than its header")
    if crc32c(records[ATTRIBUTES_OFFSET:size]) != crc:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"The batch's CRC is not the one in its header ({crc:#010x})")
    if (
        record_count != last_offset_delta + 1
        or record_count <= 0
        or attributes & (CONTROL_BIT | CODEC_MASK) > _LAST_CODEC
        or (base_sequence < 0 <= producer_id)
    ):
        raise _refusal(header)
    return header


def set_offsets(batch: bytearray | memoryview, base_offset: int, leader_epoch: int) -> None:
    """Number the batch's records from ``base_offset`` and mark who took them, in place. The CRC does not cover it."""
    _BASE_OFFSET.pack_into(batch, 0, base_offset)
    _LEADER_EPOCH.pack_into(batch, LENGTH_OVERHEAD, leader_epoch)


def set_log_append_time(batch: bytearray | memoryview, timestamp_ms: int) -> None:
    """Make ``timestamp_ms`` the timestamp of every record, in place. ``batch`` is exactly one batch."""
    set_max_timestamp(batch, LOG_APPEND_TIME, timestamp_ms)


def set_max_timestamp(batch: bytearray | memoryview, timestamp_type: int, timestamp_ms: int) -> None:
    """Set the timestamp type and the greatest timestamp, in place, with the CRC. ``batch`` is exactly one batch.

    Nothing changes if both are so already; else attribute bits without a meaning are cleared, as Apache does.
    """
    (attributes,) = ATTRIBUTES.unpack_from(batch, ATTRIBUTES_OFFSET)
    wanted = attributes & KNOWN_ATTRIBUTES & ~TIMESTAMP_TYPE_BIT
    if timestamp_type == LOG_APPEND_TIME:
        wanted |= TIMESTAMP_TYPE_BIT
    if (attributes ^ wanted) & TIMESTAMP_TYPE_BIT == 0 and (timestamp_ms,) == _TIMESTAMP.unpack_from(
        batch, MAX_TIMESTAMP_OFFSET
    ):
        return
    ATTRIBUTES.pack_into(batch, ATTRIBUTES_OFFSET, wanted)
    _TIMESTAMP.pack_into(batch, MAX_TIMESTAMP_OFFSET, timestamp_ms)
    write_crc(batch)


def write_crc(batch: bytearray | memoryview) -> None:
    """Compute the CRC anew, in place. ``batch`` is exactly one batch."""
    with memoryview(batch) as view:
        _CRC.pack_into(batch, CRC_OFFSET, crc32c(view[ATTRIBUTES_OFFSET:]))


def _short(records: memoryview) -> KafkaError:
    """Why fewer bytes than a header are no batch."""
    try:
        _check_framing(records)
    except KafkaError as error:
        return error
    return KafkaError(ErrorCode.CORRUPT_MESSAGE, f"A batch of {len(records)} bytes is shorter than its header")


def _check_framing(records: memoryview) -> None:
    """Refuse anything but one whole batch of format 2, with or without a part of another behind it."""
    size = _batch_size(records)
    if size is None:
        raise KafkaError(ErrorCode.INVALID_RECORD, "There is no whole batch for the partition")
    magic = records[MAGIC_OFFSET]
    if magic != MAGIC:
        raise KafkaError(ErrorCode.INVALID_RECORD, f"The batch has format {magic}; this version takes format {MAGIC}")
    if _batch_size(records[size:]) is not None:
        raise KafkaError(ErrorCode.INVALID_RECORD, "There is more than one batch for the partition")


def _batch_size(buffer: memoryview) -> int | None:
    """The size of the batch of any format at the start; None unless it is all there (``ByteBufferLogInputStream``)."""
    if len(buffer) < LENGTH_OVERHEAD:
        return None
    (length,) = _LENGTH_AT_START.unpack_from(buffer)
    if length < _SMALLEST_LENGTH:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"A batch cannot have length {length}")
    if len(buffer) <= MAGIC_OFFSET:
        return None
    if buffer[MAGIC_OFFSET] > MAGIC:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"There is no batch format {buffer[MAGIC_OFFSET]}")
    if length > _GREATEST_LENGTH:
        # Apache's int overflows here, and it fails instead of refusing; the client sees this code.
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"A batch cannot have length {length}")
    return length + LENGTH_OVERHEAD if len(buffer) >= length + LENGTH_OVERHEAD else None


def _refusal(header: BatchHeader) -> KafkaError:
    """Which rule a whole, uncorrupted batch breaks."""
    if header.codec > _LAST_CODEC:
        # Apache fails on the unknown codec instead of refusing it; the client sees this code.
        return KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"There is no codec {header.codec}")
    if header.is_control:
        return KafkaError(ErrorCode.INVALID_RECORD, "Clients may not write control batches")
    if header.base_sequence < 0 <= header.producer_id:
        return KafkaError(ErrorCode.INVALID_RECORD, f"Base sequence {header.base_sequence} with a producer id")
    return KafkaError(
        ErrorCode.INVALID_RECORD,
        f"Record count {header.record_count} with last offset delta {header.last_offset_delta}",
    )
