"""Walks the batches of a segment file by their headers. Never reads more of a batch than its caller needs."""

from collections.abc import Iterator
from struct import Struct

from crc32c import crc32c

from ottla.storage.files.interface import SegmentFile
from ottla.storage.log_config import MAX_INT64
from ottla.wire.batch import ATTRIBUTES_OFFSET, HEADER_SIZE, LENGTH_OVERHEAD, MAGIC, BatchHeader, read_header

_LOCATION = Struct(">qi4xb6xi")
"""Base offset, length, magic, last offset delta: the fields that finding a batch takes."""

FIRST_CHUNK = 4096 + 2 * HEADER_SIZE
"""Bytes that cover the way from one index entry to the next, with small batches and Kafka's default interval."""

_CHUNK = 256 << 10


class CorruptBatchError(OSError):
    """The bytes at ``position`` are not a whole batch with a right CRC. To a caller, the file cannot be read."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"at byte {position}: {reason}")
        self.position = position
        self.reason = reason


def find_batch(
    file: SegmentFile, position: int, end: int, offset: int, *, indexed_offset: int = MAX_INT64
) -> tuple[int, int] | None:
    """Return position and size of the first batch at or after ``position`` whose last offset is not below ``offset``.

    None if there is none before ``end``. Raises CorruptBatchError if the bytes on the way are no batches, or if the
    batch at ``position`` goes beyond ``indexed_offset``: then an index leads too far, past batches that were wanted.
    """
    size_to_read = FIRST_CHUNK
    while position + HEADER_SIZE <= end:
        chunk = file.pread(min(size_to_read, end - position), position)
        size_to_read = min(2 * size_to_read, _CHUNK)  # One large batch is as likely as many small ones.
        start = 0
        limit = len(chunk) - HEADER_SIZE
        if limit < 0:
            raise CorruptBatchError(position, "the file is shorter than it should be")
        while start <= limit:
            base_offset, length, magic, last_offset_delta = _LOCATION.unpack_from(chunk, start)
            size = length + LENGTH_OVERHEAD
            if magic != MAGIC or size < HEADER_SIZE or position + start + size > end:
                raise CorruptBatchError(position + start, "there is no batch header")
            if base_offset + last_offset_delta >= offset:
                if base_offset + last_offset_delta > indexed_offset:
                    raise CorruptBatchError(position, f"it ends beyond {indexed_offset}, where the index has it")
                return position + start, size
            indexed_offset = MAX_INT64
            start += size
        position += start
    return None


def read_headers(file: SegmentFile, position: int, end: int) -> Iterator[tuple[int, BatchHeader]]:
    """Yield position and header of each whole batch from ``position`` to ``end``, records unread and unchecked.

    Raises CorruptBatchError where the bytes are no batch, a batch is cut off, or offsets do not grow.
    """
    next_offset = 0
    chunk = b""
    chunk_position = position
    while position < end:
        start = position - chunk_position
        if start + HEADER_SIZE > len(chunk):
            chunk = file.pread(min(_CHUNK, end - position), position)
            chunk_position, start = position, 0
        header = _checked_header(chunk, start, position, end, next_offset)
        next_offset = header.next_offset
        yield position, header
        position += header.size


def check_batches(file: SegmentFile, position: int, end: int) -> Iterator[tuple[int, BatchHeader]]:
    """Like ``read_headers``, with each batch's CRC checked: for files that a crash may have torn."""
    chunk = b""
    chunk_position = position
    for batch_position, header in read_headers(file, position, end):
        start = batch_position - chunk_position
        if start + header.size > len(chunk):
            chunk = file.pread(min(max(_CHUNK, header.size), end - batch_position), batch_position)
            chunk_position, start = batch_position, 0
        with memoryview(chunk) as view:
            crc = crc32c(view[start + ATTRIBUTES_OFFSET : start + header.size])
        if crc != header.crc:
            raise CorruptBatchError(batch_position, "the CRC is not the one in the header")
        yield batch_position, header


def _checked_header(chunk: bytes, start: int, position: int, end: int, next_offset: int) -> BatchHeader:
    if start + HEADER_SIZE > len(chunk):
        raise CorruptBatchError(position, "a batch header is cut off")
    header = read_header(chunk, start)
    if header.magic != MAGIC:
        raise CorruptBatchError(position, f"the batch has format {header.magic}, not {MAGIC}")
    if header.size < HEADER_SIZE or header.last_offset_delta < 0:
        raise CorruptBatchError(position, "there is no batch header")
    if position + header.size > end:
        raise CorruptBatchError(position, "the batch is cut off")
    if header.base_offset < next_offset:
        raise CorruptBatchError(position, f"offset {header.base_offset} comes after {next_offset - 1}")
    return header
