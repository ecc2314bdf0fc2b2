"""Reads the batches of a closed segment in chunks, off the loop's thread, for work that goes through all of them."""

from collections.abc import Iterator
from functools import partial

from crc32c import crc32c

from ottla.scheduling.steps import Steps
from ottla.storage.files.interface import SegmentFile
from ottla.storage.segments.scan import CorruptBatchError
from ottla.wire.batch import ATTRIBUTES_OFFSET, HEADER_SIZE, MAGIC, BatchHeader, read_header


class BatchReader:
    """Whole batches from ``position`` to ``end`` of a file, checked by their CRC."""

    def __init__(self, file: SegmentFile, position: int, end: int, chunk_bytes: int) -> None:
        self._file = file
        self._end = end
        self._chunk_bytes = max(chunk_bytes, HEADER_SIZE)
        self.position = position

    def next_chunk(self) -> Steps[memoryview | None]:
        """Read on; None at the end. A chunk begins with a whole batch. Raises OSError."""
        if self.position >= self._end:
            self._file.close()  # Work that goes through all segments must not keep them all open.
            return None
        data = yield from self._read(self._chunk_bytes)
        if len(data) < HEADER_SIZE:
            raise CorruptBatchError(self.position, "a batch header is cut off")
        header = read_header(data)
        if header.magic != MAGIC or header.size < HEADER_SIZE or self.position + header.size > self._end:
            raise CorruptBatchError(self.position, "there is no whole batch")
        if header.size > len(data):
            data = yield from self._read(header.size)
        return memoryview(data)

    def batches(self, chunk: memoryview) -> Iterator[tuple[BatchHeader, memoryview]]:
        """Yield the whole batches of a chunk with their headers; one that is cut off comes again in the next chunk."""
        start = 0
        while len(chunk) - start >= HEADER_SIZE:
            header = read_header(chunk, start)
            end = start + header.size
            if header.magic != MAGIC or header.size < HEADER_SIZE:
                raise CorruptBatchError(self.position, "there is no batch header")
            if end > len(chunk):
                return
            batch = chunk[start:end]
            if crc32c(batch[ATTRIBUTES_OFFSET:]) != header.crc:
                raise CorruptBatchError(self.position, "the CRC is not the one in the header")
            self.position += header.size
            yield header, batch
            start = end

    def _read(self, size: int) -> Steps[bytes]:
        # The file may be given up meanwhile, and its descriptor with it.
        self._file.pin()
        try:
            data: bytes = yield partial(self._file.pread, min(size, self._end - self.position), self.position)
        finally:
            self._file.unpin()
        return data
