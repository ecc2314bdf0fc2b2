"""Lists the segments of one log with the offsets that bound them: finds, adds, removes and replaces segments.

It also has what is kept beside the segments and goes with them: leader epochs, aborted transactions, producers.
Retention, flushing, lookups and compaction work with this; ``segment_log``, which is one, appends and reads.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from pathlib import Path

from ottla.storage.files.interface import SegmentFiles
from ottla.storage.log_config import LogConfig
from ottla.storage.producers import Producers
from ottla.storage.segments.aborted_index import AbortedTransactions
from ottla.storage.segments.index import IndexMemory
from ottla.storage.segments.leader_epochs import FILE_NAME as EPOCHS_FILE
from ottla.storage.segments.leader_epochs import LeaderEpochs
from ottla.storage.segments.segment import SEGMENT_SUFFIXES, Segment, file_name
from ottla.storage.segments.unlinking import Removals
from ottla.storage.segments.unsynced import Unsynced
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError


class SegmentList:
    """The segments of one log, in the order of their offsets; the last is the one that is appended to."""

    def __init__(
        self, files: SegmentFiles, folder: Path, config: LogConfig, *, memory: IndexMemory, removals: Removals
    ) -> None:
        self.files = files
        self.folder = folder
        self.config = config
        """The topic's settings."""
        self.memory = memory
        self.removals = removals
        self.log_start_offset = 0
        self.log_end_offset = 0
        self.recovery_point = 0
        """Everything below has been synced to disk."""
        self.size_bytes = 0
        self.segments: list[Segment] = []
        self._base_offsets: list[int] = []
        self.producers = Producers()
        self.beside = Unsynced(files)
        self.aborted = AbortedTransactions(files, folder, written=self.beside.replaced)
        self.epochs = LeaderEpochs(files, folder / EPOCHS_FILE, written=self.beside.replaced)
        self.is_abandoned = False
        self.is_being_cleaned = False
        """Compaction reads the closed segments and will replace them: nobody else takes them out meanwhile."""
        self.is_uncleanable = False
        """Compaction has found batches that cannot be read, and leaves this log alone from then on."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.folder.name}: {self.log_start_offset} to {self.log_end_offset}>"

    # Finding.

    def segment_number(self, offset: int) -> int:
        """Return the number of the segment whose range holds ``offset``, counted from 0."""
        return max(bisect_right(self._base_offsets, offset) - 1, 0)

    def end_of_segment(self, number: int) -> int:
        """Return the offset at which a segment's range ends (exclusive)."""
        return self._base_offsets[number + 1] if number + 1 < len(self._base_offsets) else self.log_end_offset

    def locate(self, offset: int) -> tuple[Segment, int, tuple[int, int] | None]:
        """Return the segment of ``offset``, its end (exclusive), position and size of the first batch from it on."""
        for number in range(self.segment_number(offset), len(self.segments)):
            segment = self.segments[number]
            last = number + 1 == len(self.segments)
            segment_end = self.log_end_offset if last else self._base_offsets[number + 1]
            found = segment.locate(offset)
            if found is not None or last:
                return segment, segment_end, found
        raise IndexError(offset)

    def unsynced(self, end_offset: int | None = None) -> list[Segment]:
        """Return the segments with batches below ``end_offset`` (all, without it) that have not been synced."""
        end_offset = self.log_end_offset if end_offset is None else end_offset
        if self.recovery_point >= end_offset or not self.segments:
            return []
        first = self.segment_number(self.recovery_point)
        return self.segments[first : bisect_left(self._base_offsets, end_offset)]

    def path(self, offset: int, suffix: str) -> Path:
        """Return the path of the file of a kind that belongs to an offset."""
        return self.folder / file_name(offset, suffix)

    # Changing.

    def segment_file(self, base_offset: int, *, size: int | None, suffix: str = "") -> Segment:
        """Return a segment of this log, to be added: with ``size`` the one on disk, with None a new one.

        ``suffix`` stands behind the names of its files while it is not the log's yet.
        """
        return Segment(
            self.files,
            self.folder,
            base_offset,
            size=size,
            memory=self.memory,
            index_interval_bytes=self.config.index_interval_bytes,
            suffix=suffix,
        )

    def add_segment(self, segment: Segment) -> None:
        """Put a segment behind the others."""
        self.put_segment(len(self.segments), segment)

    def put_segment(self, number: int, segment: Segment) -> None:
        """Put a segment in its place between the others."""
        self.segments.insert(number, segment)
        self._base_offsets.insert(number, segment.base_offset)
        self.size_bytes += segment.size

    def move_start(self, offset: int) -> None:
        """Begin the log at ``offset``; segments below it are to be trimmed."""
        self.log_start_offset = offset
        self.epochs.truncate_from_start(offset)
        if self.segments:
            self.epochs.write(sync=False)

    def remove_first(self, count: int) -> None:
        """Give up the first segments. Their files are renamed at once and unlinked later."""
        for base_offset in self._take_out(0, count):
            self.give_up(base_offset)

    def remove_from(self, number: int) -> None:
        """Remove the segments from ``number`` on; at once, because their names may be needed again."""
        for base_offset in self._take_out(number, len(self.segments)):
            for suffix in SEGMENT_SUFFIXES:
                self.files.remove(self.path(base_offset, suffix))

    def replace_segments(self, number: int, count: int, segment: Segment) -> list[int]:
        """Put ``segment`` in place of ``count`` closed ones; returns the offsets that their files are named by."""
        gone = self._take_out(number, number + count)
        self.put_segment(number, segment)
        return gone

    def give_up(self, base_offset: int, suffixes: Iterable[str] = SEGMENT_SUFFIXES) -> None:
        """Rename files of a segment that was taken out; they are unlinked later."""
        paths = [self.path(base_offset, suffix) for suffix in suffixes]
        self.removals.give_up(paths, self.config.file_delete_delay_ms)

    def _take_out(self, first: int, end: int) -> list[int]:
        """Forget segments; returns the offsets that their files are named by."""
        for segment in self.segments[first:end]:
            segment.discard()
            self.size_bytes -= segment.size
        gone = self._base_offsets[first:end]
        del self.segments[first:end], self._base_offsets[first:end]
        self.aborted.forget(gone)
        return gone

    def let_go(self) -> None:
        """Give the descriptors back and forget the segments: the log is not to be used any more."""
        for segment in self.segments:
            segment.discard()
        self.segments, self._base_offsets = [], []
        self.is_abandoned = True

    def closed_error(self) -> KafkaError:
        """Return the error that a log answers with once it ``is_abandoned``."""
        return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.folder.name} is closed")
