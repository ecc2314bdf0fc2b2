"""Keeps one segment of a log: a ``.log`` file of batches and two indexes, named by the first offset it may hold."""

import logging
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ottla.storage.appends import NO_TIMESTAMP
from ottla.storage.files.interface import SegmentFile, SegmentFiles
from ottla.storage.log import FoundOffset
from ottla.storage.log_config import MAX_INT64
from ottla.storage.segments.aborted_index import SUFFIX as TRANSACTION_INDEX_SUFFIX
from ottla.storage.segments.index import CorruptIndexError, IndexMemory, OffsetIndex, TimeIndex
from ottla.storage.segments.scan import FIRST_CHUNK, CorruptBatchError, check_batches, find_batch, read_headers
from ottla.storage.slices import RecordSlice
from ottla.wire.batch import HEADER_SIZE, MAGIC, MAGIC_OFFSET, BatchHeader, read_header
from ottla.wire.errors import KafkaError
from ottla.wire.records import Record, read_records

LOG_SUFFIX = ".log"
INDEX_SUFFIX = ".index"
TIME_INDEX_SUFFIX = ".timeindex"
SNAPSHOT_SUFFIX = ".snapshot"
SEGMENT_SUFFIXES = (LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX, SNAPSHOT_SUFFIX)
"""All files that are named by a segment's base offset."""

GREATEST_RELATIVE_OFFSET = (1 << 31) - 1
_RECENT_BATCHES = 64
_NO_BATCHES = array("q")

_log = logging.getLogger(__name__)


def file_name(offset: int, suffix: str) -> str:
    """Apache's name for a file that belongs to an offset."""
    return f"{offset:020d}{suffix}"


class Recovered(NamedTuple):
    """The result of a check of all batches: the end of the good ones, the starts of epochs, the damage after them."""

    next_offset: int
    epoch_starts: list[BatchHeader]
    damage: CorruptBatchError | None


class Segment:
    """Batches from ``base_offset`` on, in ``size`` bytes. ``SegmentLog`` writes to the last one only."""

    __slots__ = (
        "_folder",
        "_is_preallocated",
        "_max_timestamp",
        "base_offset",
        "bytes_since_index_entry",
        "file",
        "index",
        "index_interval_bytes",
        "is_discarded",
        "offset_of_max_timestamp",
        "recent_offsets",
        "recent_positions",
        "size",
        "time_index",
    )

    def __init__(
        self,
        files: SegmentFiles,
        folder: Path,
        base_offset: int,
        *,
        size: int | None,
        memory: IndexMemory,
        index_interval_bytes: int,
        suffix: str = "",
    ) -> None:
        """Use the files of a segment of ``size`` bytes; with None, make a new empty one.

        ``suffix`` stands behind the files' names while they are not part of the log.
        """
        new = size is None
        path = folder / file_name(base_offset, LOG_SUFFIX + suffix)
        self._folder = folder
        self.base_offset = base_offset
        self.file: SegmentFile = files.create(path) if size is None else files.file(path)
        self.size = size or 0
        self._is_preallocated = False
        self.index = OffsetIndex(
            files,
            folder / file_name(base_offset, INDEX_SUFFIX + suffix),
            base_offset=base_offset,
            memory=memory,
            new=new,
        )
        self.time_index = TimeIndex(
            files, folder / file_name(base_offset, TIME_INDEX_SUFFIX + suffix), base_offset=base_offset, new=new
        )
        self.index_interval_bytes = index_interval_bytes
        self.bytes_since_index_entry = 0
        self._max_timestamp: int | None = NO_TIMESTAMP if new else None
        self.offset_of_max_timestamp = base_offset
        """The last offset of the first batch that has ``max_timestamp``."""
        self.is_discarded = False
        self.recent_offsets = self.recent_positions = _NO_BATCHES

    def __repr__(self) -> str:
        return f"<Segment {self._folder.name}/{file_name(self.base_offset, LOG_SUFFIX)}: {self.size} bytes>"

    # The path of every append.

    def appended(self, base_offset: int, last_offset: int, max_timestamp: int, size: int) -> None:
        """Take note of a batch written at the end, and index it if the last entry is far enough away."""
        position = self.size
        self.size = position + size
        known = self._max_timestamp
        if known is not None and max_timestamp > known:
            self._max_timestamp = max_timestamp
            self.offset_of_max_timestamp = last_offset
        if self.bytes_since_index_entry > self.index_interval_bytes:
            self._index_appended(last_offset, position)
        self.bytes_since_index_entry += size
        recent = self.recent_offsets
        recent.append(base_offset)
        self.recent_positions.append(position)
        if len(recent) >= 2 * _RECENT_BATCHES:
            del recent[:_RECENT_BATCHES], self.recent_positions[:_RECENT_BATCHES]

    def _index_appended(self, last_offset: int, position: int) -> None:
        """Add an index entry for the batch just written. If that fails, the index is sparser and still right."""
        try:
            try:
                self._add_index_entry(last_offset, position)
            except CorruptIndexError as corruption:
                self._rebuild_indexes(corruption)
        except OSError as failure:
            _log.warning("%r: the index entry at %d could not be added: %s", self, position, failure)
        self.bytes_since_index_entry = 0

    def _add_index_entry(self, last_offset: int, position: int) -> None:
        self.index.append(last_offset, position)
        self.time_index.maybe_append(self.max_timestamp, self.offset_of_max_timestamp)

    # Finding.

    def locate(self, offset: int) -> tuple[int, int] | None:
        """Return position and size of the batch that holds ``offset``, or of the first after it; None without one."""
        recent = self.recent_offsets
        entry = bisect_right(recent, offset) - 1
        if entry >= 0:
            positions = self.recent_positions
            position = positions[entry]
            following = positions[entry + 1] if entry + 1 < len(positions) else self.size
            return position, following - position
        try:
            return self._find(offset)
        except (CorruptIndexError, CorruptBatchError) as corruption:
            self._rebuild_indexes(corruption)
            return self._find(offset)

    def _find(self, offset: int) -> tuple[int, int] | None:
        position, indexed_offset = self.index.lookup(offset)
        return find_batch(self.file, position, self.size, offset, indexed_offset=indexed_offset)

    def beginning_of_search(self, offset: int) -> RecordSlice:
        """Return the bytes that ``locate`` reads first to find ``offset``."""
        try:
            position, _ = self.index.lookup(offset)
        except CorruptIndexError:  # ``locate`` mends it
            return b""
        size = min(FIRST_CHUNK, self.size - position)
        return self.file.slice(position, size) if size > 0 else b""

    def position_of(self, offset: int) -> int:
        """Return where the batch that holds ``offset`` starts; the segment's size if all batches are below it."""
        found = self.locate(offset)
        return self.size if found is None else found[0]

    def offset_beyond(self, position: int) -> int | None:
        """Return the last offset of the first indexed batch at or behind ``position``; None if there is none."""
        try:
            return self.index.offset_beyond(position)
        except CorruptIndexError as corruption:
            self._rebuild_indexes(corruption)
            return self.index.offset_beyond(position)

    def beginning_of_time_search(self, timestamp: int) -> RecordSlice:
        """Return the bytes that ``find_timestamp`` reads first to find ``timestamp``."""
        try:
            entry = self.time_index.lookup(timestamp)
        except CorruptIndexError:  # ``find_timestamp`` mends it
            return b""
        return self.beginning_of_search(self.base_offset if entry is None else entry[1])

    def end_of_file(self) -> RecordSlice:
        """Return the bytes that ``load_max_timestamp`` reads, as a rule."""
        size = min(FIRST_CHUNK, self.size)
        return self.file.slice(self.size - size, size) if size > 0 else b""

    def read_indexes_ahead(self) -> None:
        """Bring the indexes' files into the system's memory. For a thread: this waits for the disk."""
        self.index.read_ahead()
        self.time_index.read_ahead()

    @property
    def times_are_known(self) -> bool:
        """Whether ``max_timestamp`` needs no file."""
        return self._max_timestamp is not None

    @property
    def max_timestamp(self) -> int:
        """The greatest timestamp of a record, -1 if there is none."""
        known = self._max_timestamp
        return self.load_max_timestamp() if known is None else known

    def find_timestamp(self, timestamp: int, start_offset: int) -> FoundOffset | None:
        """Return the first record at or after ``start_offset`` whose timestamp is ``timestamp`` or later."""
        try:
            position = self._position_for_time(timestamp)
        except CorruptIndexError as corruption:
            self._rebuild_indexes(corruption)
            position = self._position_for_time(timestamp)
        position = max(position, self.position_of(start_offset))
        for batch_position, header in read_headers(self.file, position, self.size):
            if header.max_timestamp >= timestamp:
                for record in self._records(batch_position, header):
                    if record.timestamp >= timestamp and record.offset >= start_offset:
                        return FoundOffset(record.timestamp, record.offset, header.partition_leader_epoch)
        return None

    def _position_for_time(self, timestamp: int) -> int:
        """Return where to begin to look for a timestamp: every batch before it is older. Raises CorruptIndexError."""
        entry = self.time_index.lookup(timestamp)
        if entry is None:
            return 0
        indexed_timestamp, offset = entry
        position = self.position_of(offset)
        self._check_time_entry(position, indexed_timestamp, offset)
        return position

    def _check_time_entry(self, position: int, timestamp: int, offset: int) -> None:
        """See that the batch at ``position`` is the one that a time index entry is about. Raises CorruptIndexError."""
        for _, header in read_headers(self.file, position, self.size):
            if header.max_timestamp == timestamp and header.base_offset <= offset <= header.last_offset:
                return
            break
        raise CorruptIndexError(f"No batch at offset {offset} has {timestamp} as its greatest timestamp")

    def find_max_timestamp(self) -> FoundOffset | None:
        """Return the first record with the greatest timestamp, in the first batch that has it."""
        timestamp = self.max_timestamp
        for position, header in read_headers(self.file, self.position_of(self.offset_of_max_timestamp), self.size):
            if header.max_timestamp == timestamp:
                for record in self._records(position, header):
                    if record.timestamp == timestamp:
                        return FoundOffset(timestamp, record.offset, header.partition_leader_epoch)
                return None
        return None

    def _records(self, position: int, header: BatchHeader) -> Iterator[Record]:
        try:
            yield from read_records(self.file.pread(header.size, position))
        except KafkaError as damage:
            raise CorruptBatchError(position, str(damage)) from None

    # Opening and closing.

    def load_max_timestamp(self) -> int:
        """Find the greatest timestamp: the time index's last entry, or a batch after it."""
        try:
            position = self._position_of_last_time()
        except CorruptIndexError as corruption:
            self._rebuild_indexes(corruption)
            position = self._position_of_last_time()
        known = self._max_timestamp = self.time_index.last_timestamp
        self.offset_of_max_timestamp = self.time_index.last_offset
        for _, header in read_headers(self.file, position, self.size):
            if header.max_timestamp > known:
                known = self._max_timestamp = header.max_timestamp
                self.offset_of_max_timestamp = header.last_offset
        return known

    def _position_of_last_time(self) -> int:
        index = self.time_index
        index.load()
        if index.last_timestamp < 0:
            return 0
        position = self.position_of(index.last_offset)
        self._check_time_entry(position, index.last_timestamp, index.last_offset)
        return position

    def first_timestamp(self) -> int:
        """Return the greatest timestamp in the first batch, from which ``segment.ms`` counts; -1 if there is none."""
        if self.size >= HEADER_SIZE:
            data = self.file.pread(HEADER_SIZE, 0)
            if len(data) == HEADER_SIZE and data[MAGIC_OFFSET] == MAGIC:
                return read_header(data).max_timestamp
            _log.warning("%r: there is no batch header at its start", self)
        return NO_TIMESTAMP

    def last_batch_end(self) -> tuple[int, int]:
        """Return offset and position after the last whole batch, by the headers from the last index entry on."""
        try:
            position, last_offset = self.index.last_entry()
            self.bytes_since_index_entry = self.size - position
            end = self._end_from(position, last_offset)
            if end is not None:
                return end
            reason: Exception = CorruptIndexError("The last index entry is wrong")
        except CorruptIndexError as corruption:
            reason = corruption
        _log.warning("%r: %s; the indexes are rebuilt", self, reason)
        end = self.base_offset, 0
        try:
            for header in self._index_batches(checked=False):
                end = header.next_offset, end[1] + header.size
        except CorruptBatchError as damage:
            _log.debug("%r: %s", self, damage)
        self.seal()
        return end

    def _end_from(self, start: int, last_offset: int | None) -> tuple[int, int] | None:
        """Return the end found from an index entry; None if the entry does not name a batch by its last offset."""
        end = None if start else (self.base_offset, 0)
        try:
            for position, header in read_headers(self.file, start, self.size):
                if position == start and start and header.last_offset != last_offset:
                    return None
                end = header.next_offset, position + header.size
        except CorruptBatchError as damage:
            _log.debug("%r: %s", self, damage)
        return end

    def recover(self, end_offset: int) -> "Recovered":
        """Check every batch and rebuild the indexes up to the first bad one; nothing is cut yet.

        ``end_offset`` is where the next segment begins; an offset there or beyond it is wrong.
        """
        epoch_starts: list[BatchHeader] = []
        epoch = -1
        next_offset = self.base_offset
        try:
            for header in self._index_batches(checked=True, end_offset=end_offset):
                next_offset = header.next_offset
                if header.partition_leader_epoch > epoch:
                    epoch = header.partition_leader_epoch
                    epoch_starts.append(header)
        except CorruptBatchError as damage:
            return Recovered(next_offset, epoch_starts, damage)
        return Recovered(next_offset, epoch_starts, None)

    def _index_batches(self, *, checked: bool, end_offset: int = MAX_INT64) -> Iterator[BatchHeader]:
        """Fill both indexes anew, batch by batch."""
        self.index.reset()
        self.time_index.reset()
        self._max_timestamp = NO_TIMESTAMP
        self.offset_of_max_timestamp = self.base_offset
        self.bytes_since_index_entry = 0
        walk = check_batches if checked else read_headers
        end_offset = min(end_offset, self.base_offset + GREATEST_RELATIVE_OFFSET + 1)
        for position, header in walk(self.file, 0, self.size):
            last_offset = header.last_offset
            if header.base_offset < self.base_offset or last_offset >= end_offset:
                raise CorruptBatchError(position, f"offset {header.base_offset} is not of this segment")
            if header.max_timestamp > self._max_timestamp:
                self._max_timestamp = header.max_timestamp
                self.offset_of_max_timestamp = last_offset
            if self.bytes_since_index_entry > self.index_interval_bytes:
                self._add_index_entry(last_offset, position)
                self.bytes_since_index_entry = 0
            self.bytes_since_index_entry += header.size
            yield header

    def _rebuild_indexes(self, corruption: Exception) -> None:
        _log.warning("%r: %s; the indexes are rebuilt", self, corruption)
        for _ in self._index_batches(checked=False):
            pass
        self.seal()

    def seal(self) -> None:
        """Write the indexes to their files, with the closing entry of the time index."""
        if self.size:
            self.time_index.maybe_append(self.max_timestamp, self.offset_of_max_timestamp)
        self.index.seal()
        self.time_index.seal()

    def cut(self, size: int) -> None:
        """Drop everything from a position on that no index entry is beyond."""
        self.file.truncate(size)
        self.size = size

    def activate(self) -> None:
        """Make ready to be appended to."""
        if self.recent_offsets is _NO_BATCHES:
            self.recent_offsets, self.recent_positions = array("q"), array("q")

    def preallocate(self, size: int) -> None:
        """Give the file its full size before it is written, as Apache does: it ends with zeros until ``trim``."""
        self.file.truncate(size)
        self._is_preallocated = True

    def trim(self) -> None:
        """Give back the space that was allocated and not written."""
        if self._is_preallocated:
            self.file.truncate(self.size)
            self._is_preallocated = False

    def retire(self) -> None:
        """Write the indexes for good: nothing is appended any more."""
        self.trim()
        self.seal()
        self.forget_recent()

    def forget_recent(self) -> None:
        """Find batches by the index alone from now on: nothing is appended any more."""
        self.recent_offsets = self.recent_positions = _NO_BATCHES

    def discard(self) -> None:
        """Close the files, which are being removed."""
        self.is_discarded = True
        self.index.forget()
        self.file.close()
