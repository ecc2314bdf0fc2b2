"""Message sets: how records were sent and kept before batches (Kafka 0.11), in the formats v0 and v1.

A message::

     0 offset     int64
     8 size       int32      bytes that follow this field
    12 crc        uint32     CRC-32 (zlib's) of everything from byte 16 on
    16 magic      int8       0 or 1
    17 attributes int8       bits 0-2 codec, 3 timestamp type (v1)
    18 timestamp  int64      ms; v1 only
       key size   int32      -1: null
       key
       value size int32      -1: null
       value

A set is one message after the other; the last one may be cut off. With a codec, a message is a wrapper: its value is a
compressed set, and its offset that of the last message in there. Offsets within are absolute in v0; in v1 they count
from 0, and the wrapper's says where they are. Sources: ``LegacyRecord``, ``AbstractLegacyRecordBatch``.
"""

import zlib
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from ottla.wire.batch import CODEC_MASK, CREATE_TIME, LENGTH_OVERHEAD, LOG_APPEND_TIME, MAGIC, TIMESTAMP_TYPE_BIT
from ottla.wire.codes import ErrorCode
from ottla.wire.compression import DECOMPRESSED_LIMIT, LZ4, NONE, ZSTD, decompress
from ottla.wire.errors import KafkaError
from ottla.wire.lz4_header import with_checksum_of_v0, with_right_checksum
from ottla.wire.primitives import Buffer
from ottla.wire.records import Record

NO_TIMESTAMP = -1

_HEAD = Struct(">qi")
_CHECKED = Struct(">Ibb")
_TIMESTAMP = Struct(">q")
_SIZE = Struct(">i")
_CRC = Struct(">I")
_CRC_POSITION = 12
_MAGIC_POSITION = 16
_AFTER_ATTRIBUTES = 18
_INT_MAX = 0x7FFFFFFF
_LEAST_SIZE = 14
"""Size that a message of v0 with neither key nor value counts."""


def message_size(record: Record, magic: int) -> int:
    """Return the number of bytes that a record takes as a message."""
    return LENGTH_OVERHEAD + _LEAST_SIZE + _TIMESTAMP.size * magic + len(record.key or b"") + len(record.value or b"")


class Message(NamedTuple):
    """One message of a set. ``timestamp`` is -1 in v0; with a codec, ``value`` is another set."""

    offset: int
    magic: int
    attributes: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    size: int
    """Bytes of the whole message."""

    @property
    def codec(self) -> int:
        """0 none, 1 gzip, 2 snappy, 3 lz4."""
        return self.attributes & CODEC_MASK

    @property
    def timestamp_type(self) -> int:
        """0 create time, 1 log append time."""
        return LOG_APPEND_TIME if self.magic and self.attributes & TIMESTAMP_TYPE_BIT else CREATE_TIME


def magic_of(records: Buffer) -> int | None:
    """The format of what was sent for a partition, by its first message or batch; None where there is no such byte."""
    if len(records) <= _MAGIC_POSITION:
        return None
    return records[_MAGIC_POSITION]


def read_messages(records: Buffer, max_bytes: int = _INT_MAX) -> Iterator[Message]:
    """The messages of a set, wrappers as they are, up to one that is cut off.

    ``max_bytes`` is the topic's ``max.message.bytes``. Raises KafkaError, at the message where it shows:
    CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_RECORD for another format than the first one's, and
    UNKNOWN_SERVER_ERROR, as Apache does, for a key or value that goes beyond a message whose CRC is right
    (``UnifiedLog.analyzeAndValidateRecords``, ``LogValidator.validateBatch``).
    """
    first_magic = None
    with memoryview(records) as view:
        position = 0
        while True:
            size = _size_at(view, position)
            if size is None:
                return
            if size > max_bytes:
                raise KafkaError(
                    ErrorCode.MESSAGE_TOO_LARGE,
                    f"A message has {size} bytes; max.message.bytes of the topic is {max_bytes}",
                )
            message = _read_message(view[position : position + size])
            if first_magic is None:
                first_magic = message.magic
            elif message.magic != first_magic:
                raise KafkaError(
                    ErrorCode.INVALID_RECORD, f"A message of format {message.magic} follows one of {first_magic}"
                )
            yield message
            position += size


def decompressed(wrapper: Message, limit: int = DECOMPRESSED_LIMIT) -> bytes:
    """The set that a wrapper holds. Raises KafkaError INVALID_RECORD where there is none, and as ``decompress``."""
    if wrapper.codec == ZSTD:
        raise KafkaError(ErrorCode.INVALID_RECORD, "zstd came after this format")
    if wrapper.value is None:
        raise KafkaError(ErrorCode.INVALID_RECORD, "A compressed message has no value")
    value: Buffer = wrapper.value
    if wrapper.codec == LZ4 and wrapper.magic == 0:
        value = with_right_checksum(value)
    return decompress(wrapper.codec, value, limit)


def read_inner_messages(wrapper: Message, data: Buffer) -> Iterator[Message]:
    """The messages in a wrapper, of which ``data`` is the set; their offsets are as they stand there.

    Raises KafkaError: INVALID_RECORD for wrappers in wrappers, of nothing, of another format or of later offsets than
    their own, CORRUPT_MESSAGE for a message inside whose CRC is wrong (``DeepRecordsIterator``).
    """
    append_time = wrapper.timestamp if wrapper.timestamp_type == LOG_APPEND_TIME else None
    last_offset = None
    for message in read_messages(data):
        if message.magic != wrapper.magic:
            raise KafkaError(ErrorCode.INVALID_RECORD, f"A message of format {message.magic} in {wrapper.magic}")
        if message.codec != NONE:
            raise KafkaError(ErrorCode.INVALID_RECORD, "A compressed message inside a compressed message")
        last_offset = message.offset
        yield message if append_time is None else message._replace(timestamp=append_time)
    if last_offset is None:
        raise KafkaError(ErrorCode.INVALID_RECORD, "A compressed message holds no messages")
    # Some versions of librdkafka leave the wrapper's offset at 0.
    if wrapper.magic and 0 != wrapper.offset < last_offset:
        raise KafkaError(ErrorCode.INVALID_RECORD, f"Offset {wrapper.offset} is before one inside, {last_offset}")


def _size_at(view: memoryview, position: int) -> int | None:
    """The size of the message at ``position``; None unless it is all there (``ByteBufferLogInputStream``)."""
    left = len(view) - position
    if left < LENGTH_OVERHEAD:
        return None
    size: int = _HEAD.unpack_from(view, position)[1]
    if size < _LEAST_SIZE:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"A message cannot have size {size}")
    if left <= _MAGIC_POSITION:
        return None
    magic = view[position + _MAGIC_POSITION]
    if magic > MAGIC:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"There is no message format {magic}")
    if magic == MAGIC:
        raise KafkaError(ErrorCode.INVALID_RECORD, "A batch follows messages")
    size += LENGTH_OVERHEAD
    if size > _INT_MAX:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"A message cannot have {size} bytes")  # so does Apache
    return size if left >= size else None


def _read_message(view: memoryview) -> Message:
    """The message that ``view`` is, with its CRC checked."""
    offset, _ = _HEAD.unpack_from(view)
    crc, magic, attributes = _CHECKED.unpack_from(view, _CRC_POSITION)
    if zlib.crc32(view[_MAGIC_POSITION:]) != crc:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"A message's CRC is not the one that it names ({crc:#010x})")
    position = _AFTER_ATTRIBUTES
    timestamp = NO_TIMESTAMP
    if magic:
        if len(view) < _AFTER_ATTRIBUTES + 2 * _SIZE.size + _TIMESTAMP.size:
            raise _cut_short(f"A message of {len(view)} bytes is too short for format 1")
        (timestamp,) = _TIMESTAMP.unpack_from(view, position)
        position += _TIMESTAMP.size
    key, position = _read_bytes(view, position)
    value, _ = _read_bytes(view, position)
    return Message(offset, magic, attributes, timestamp, key, value, len(view))


def _read_bytes(view: memoryview, position: int) -> tuple[bytes | None, int]:
    start = position + _SIZE.size
    if start > len(view):
        raise _cut_short("A message's key goes beyond it")
    (size,) = _SIZE.unpack_from(view, position)
    if size < 0:
        return None, start
    if start + size > len(view):
        raise _cut_short("A message's key or value goes beyond it")
    return bytes(view[start : start + size]), start + size


def _cut_short(message: str) -> KafkaError:
    # Apache runs into the end of its buffer, for which it has no better name.
    return KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, message)


class MessageSetBuilder:
    """Makes a set of the records that are added, in the order of their offsets: at least one.

    With a codec it is one wrapper. Headers have no place in these formats (``MemoryRecordsBuilder``).
    """

    def __init__(self, *, magic: int, codec: int, timestamp_type: int) -> None:
        self.data = bytearray()
        """The messages, uncompressed."""
        self._magic = magic
        self._codec = codec
        self._timestamp_bit = TIMESTAMP_TYPE_BIT if magic and timestamp_type == LOG_APPEND_TIME else 0
        self._first_offset: int | None = None
        self._last_offset = 0
        self._max_timestamp = NO_TIMESTAMP

    def add(self, record: Record) -> None:
        """Add a record under its offset."""
        if self._first_offset is None:
            self._first_offset = record.offset
        self._last_offset = record.offset
        self._max_timestamp = max(self._max_timestamp, record.timestamp)
        counts_from_0 = self._magic and self._codec != NONE
        self._write(
            self.data,
            record.offset - self._first_offset if counts_from_0 else record.offset,
            attributes=self._timestamp_bit,
            timestamp=record.timestamp,
            key=record.key,
            value=record.value,
        )

    def finish(self, payload: Buffer) -> bytearray:
        """The whole set; ``payload`` is ``data`` in the codec."""
        if self._codec == NONE:
            return bytearray(payload)
        wrapper = bytearray()
        self._write(
            wrapper,
            self._last_offset,
            attributes=self._timestamp_bit | self._codec,
            timestamp=self._max_timestamp,
            key=None,
            value=with_checksum_of_v0(payload) if self._codec == LZ4 and not self._magic else payload,
        )
        return wrapper

    def _write(
        self,
        data: bytearray,
        offset: int,
        *,
        attributes: int,
        timestamp: int,
        key: Buffer | None,
        value: Buffer | None,
    ) -> None:
        checked = bytearray((self._magic, attributes))
        if self._magic:
            checked += _TIMESTAMP.pack(timestamp)
        for each in (key, value):
            checked += _SIZE.pack(-1 if each is None else len(each))
            checked += each or b""
        data += _HEAD.pack(offset, _CRC.size + len(checked))
        data += _CRC.pack(zlib.crc32(checked))
        data += checked
