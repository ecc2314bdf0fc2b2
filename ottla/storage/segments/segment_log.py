"""A partition's log in segment files: what is appended, where it is read, when it rolls. The first kind of ``Log``.

State moves only after the one ``pwrite`` of an append has succeeded; a failed one is undone.
"""

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from random import Random

from ottla.scheduling.background import Background
from ottla.scheduling.promise import Promise
from ottla.scheduling.steps import Steps
from ottla.storage.appends import UNVERIFIED, Appended, AppendOrigin
from ottla.storage.files.identity import write_partition_metadata
from ottla.storage.files.interface import SegmentFiles
from ottla.storage.log import EpochEnd, FoundOffset
from ottla.storage.log_config import MAX_INT64, LogConfig
from ottla.storage.open_transactions import AbortedTransaction
from ottla.storage.producers import Producers, ProducerState
from ottla.storage.segments.aborted_index import AbortedTransactions
from ottla.storage.segments.cold_reads import read_when_in_memory, take_read_steps
from ottla.storage.segments.flushing import Flusher, LogFlushing
from ottla.storage.segments.index import IndexMemory
from ottla.storage.segments.leader_epochs import FILE_NAME as EPOCHS_FILE
from ottla.storage.segments.leader_epochs import LeaderEpochs
from ottla.storage.segments.recovery.older_batches import FILE_NAME as OLDER_BATCHES
from ottla.storage.segments.recovery.older_batches import write_older_batches
from ottla.storage.segments.recovery.producer_snapshots import encode_snapshot
from ottla.storage.segments.retention import apply_retention, trim
from ottla.storage.segments.segment import (
    GREATEST_RELATIVE_OFFSET,
    SEGMENT_SUFFIXES,
    SNAPSHOT_SUFFIX,
    Segment,
    file_name,
)
from ottla.storage.segments.time_lookup import find_max_timestamp, find_timestamp
from ottla.storage.segments.unlinking import Removals
from ottla.storage.segments.unsynced import Unsynced
from ottla.storage.slices import RecordSlice
from ottla.wire.batch import (
    CONTROL_BIT,
    CREATE_TIME,
    LENGTH_OVERHEAD,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
    BatchHeader,
    set_log_append_time,
    set_max_timestamp,
    set_offsets,
)
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

_log = logging.getLogger(__name__)
_new_tuple = tuple.__new__
_CLIENT = AppendOrigin.CLIENT
_TRANSACTIONAL = TRANSACTIONAL_BIT | CONTROL_BIT


class SegmentLog:
    """One partition's batches. Made empty, without files: ``recovery.open_log`` makes one from what is on disk."""

    def __init__(
        self,
        files: SegmentFiles,
        folder: Path,
        config: LogConfig,
        *,
        topic_id: bytes,
        memory: IndexMemory,
        removals: Removals,
        flusher: Flusher,
        background: Background,
        random: Random,
        start_moved: Callable[[], None] = lambda: None,
    ) -> None:
        self.files = files
        self.folder = folder
        self.topic_id = topic_id
        self.memory = memory
        self.removals = removals
        self._background = background
        self._random = random
        self._start_moved = start_moved
        self.log_start_offset = 0
        self.log_end_offset = 0
        self.recovery_point = 0
        """Everything below has been synced to disk."""
        self.size_bytes = 0
        self.producers = Producers()
        self.beside = Unsynced(files)
        self.aborted = AbortedTransactions(files, folder, written=self.beside.replaced)
        self.epochs = LeaderEpochs(files, folder / EPOCHS_FILE, written=self.beside.replaced)
        self.segments: list[Segment] = []
        self._base_offsets: list[int] = []
        self._active: Segment | None = None
        self._first_timestamp = -1
        self._roll_timestamp = MAX_INT64
        self._tail_is_torn = False
        self.is_abandoned = False
        self.is_being_cleaned = False
        """Compaction reads the closed segments and will replace them: nobody else takes them out meanwhile."""
        self.is_uncleanable = False
        """Compaction has found batches that cannot be read, and leaves this log alone from then on."""
        self.offline_reason: str | None = None
        self.on_offline: Callable[[str], None] = lambda _reason: None
        """Called with the reason when the disk has failed this log; whoever serves it must serve it no more."""
        self.flushing = LogFlushing(self, flusher)
        self.snapshot_offset = 0
        self.sealed_offset = -1
        """The end offset at which all files were last brought up to date."""
        self.configure(config)

    def __repr__(self) -> str:
        return f"<SegmentLog {self.folder.name}: {self.log_start_offset} to {self.log_end_offset}>"

    @property
    def acknowledged_offset(self) -> int:
        """The end of what was acknowledged; beyond it lie only appends that wait for their fsync."""
        waiting = self.flushing.waiting
        return waiting[0].appended.base_offset if waiting else self.log_end_offset

    @property
    def config(self) -> LogConfig:
        """The topic's settings."""
        return self._config

    def configure(self, config: LogConfig) -> None:
        """Use other settings from now on."""
        self._config = config
        self._jitter_ms = 0
        if config.segment_jitter_ms > 0 and config.segment_ms > 0:
            self._jitter_ms = self._random.randrange(min(config.segment_jitter_ms, config.segment_ms))
        self._index_entries = config.segment_index_bytes // 8
        self._time_index_entries = config.segment_index_bytes // 12 - 1  # The last is kept for the closing entry.
        self._syncs_appends = self.flushing.configure(config)
        self._count_roll_from(self._first_timestamp)
        for segment in self.segments:
            segment.index_interval_bytes = config.index_interval_bytes

    # Appending.

    def append(
        self,
        batch: memoryview,
        header: BatchHeader,
        leader_epoch: int,
        now_ms: int,
        origin: AppendOrigin = AppendOrigin.CLIENT,
        *,
        transaction_version: int = UNVERIFIED,
    ) -> Appended | Promise[Appended]:
        """Append one checked batch; see ``Log.append``."""
        _, length, _, _, _, attributes, last_offset_delta, base_timestamp, max_timestamp, producer_id, _, _, _ = header
        size = length + LENGTH_OVERHEAD
        config = self._config
        if size > config.segment_bytes:
            raise KafkaError(
                ErrorCode.RECORD_LIST_TOO_LARGE, f"The batch has {size} bytes; a segment {config.segment_bytes}"
            )
        log_append_time_ms = -1
        if config.uses_log_append_time:
            log_append_time_ms = max_timestamp = now_ms
        elif origin is _CLIENT and (
            max_timestamp - now_ms > config.message_timestamp_after_max_ms
            or (now_ms - base_timestamp > config.message_timestamp_before_max_ms and base_timestamp >= 0)
        ):
            raise KafkaError(
                ErrorCode.INVALID_TIMESTAMP, f"Timestamps {base_timestamp} to {max_timestamp} are too far from {now_ms}"
            )
        if producer_id >= 0:
            if attributes & _TRANSACTIONAL:
                repeated = self.producers.check_transactional(header, batch, origin, transaction_version)
            else:
                repeated = self.producers.check(header, origin)
            if repeated is not None:
                return self.flushing.repeated(
                    Appended(
                        repeated.base_offset, repeated.last_offset, True, self.log_start_offset, repeated.timestamp
                    )
                )
        if len(batch) != size:
            batch = batch[:size]

        base_offset = self.log_end_offset
        last_offset = base_offset + last_offset_delta
        segment = self._active
        if (
            segment is None
            or segment.size + size > config.segment_bytes
            or max_timestamp > self._roll_timestamp
            or last_offset - segment.base_offset > GREATEST_RELATIVE_OFFSET
            or segment.index.entries >= self._index_entries
            or segment.time_index.entries >= self._time_index_entries
            or self._tail_is_torn
        ):
            segment = self._segment_for_append(size, max_timestamp, last_offset)
        if log_append_time_ms >= 0:
            set_log_append_time(batch, log_append_time_ms)
        elif attributes & TIMESTAMP_TYPE_BIT and origin is _CLIENT:
            set_max_timestamp(batch, CREATE_TIME, max_timestamp)
        set_offsets(batch, base_offset, leader_epoch)
        if leader_epoch != self.epochs.latest:
            self._assign_epoch(leader_epoch, base_offset)
        position = segment.size
        try:
            written = segment.file.pwrite(batch, position)
        except OSError as failure:
            raise self._undo_write(segment, str(failure)) from failure
        if written != size:
            raise self._undo_write(segment, f"only {written} of {size} bytes were written")

        if not position:
            self._count_roll_from(max_timestamp)
        segment.appended(base_offset, last_offset, max_timestamp, size)
        self.log_end_offset = last_offset + 1
        self.size_bytes += size
        if producer_id >= 0:
            if attributes & _TRANSACTIONAL:
                aborted = self.producers.record_transactional(header, batch, base_offset, last_offset, max_timestamp)
                if aborted is not None:
                    self.aborted.add(segment.base_offset, aborted)
            else:
                self.producers.record(header, base_offset, last_offset, max_timestamp)
        appended = _new_tuple(Appended, (base_offset, last_offset, False, self.log_start_offset, log_append_time_ms))
        return self.flushing.appended(appended) if self._syncs_appends else appended

    def _segment_for_append(self, size: int, max_timestamp: int, last_offset: int) -> Segment:
        """The segment that the next batch goes to: a new one, if there is none or a limit is reached."""
        segment = self._active
        config = self._config
        try:
            if segment is None:
                if self.is_abandoned:
                    raise self.closed_error()
                return self.begin_segment(self.log_end_offset)
            if self._tail_is_torn:
                segment.file.truncate(segment.size)
                self._tail_is_torn = False
            if segment.size and (
                segment.size + size > config.segment_bytes
                or max_timestamp > self._roll_timestamp
                or last_offset - segment.base_offset > GREATEST_RELATIVE_OFFSET
                or segment.index.entries >= self._index_entries
                or segment.time_index.entries >= self._time_index_entries
            ):
                segment = self.roll()
                if self.is_abandoned:  # Syncing the closed one has failed at once.
                    raise self.closed_error()
        except OSError as failure:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.folder.name}: {failure}") from failure
        return segment

    def begin_segment(self, base_offset: int) -> Segment:
        """Make the files of a segment, and of the partition if it has none, and append there from now on."""
        if not self.segments:
            self.files.make_folder(self.folder)
            write_partition_metadata(self.files, self.folder, self.topic_id)
            self.beside.renamed(self.folder.parent)
        self.beside.renamed(self.folder)
        segment = self.segment_file(base_offset, size=None)
        if self._config.preallocate:
            segment.preallocate(self._config.segment_bytes)
        self.add_segment(segment)
        self.activate_last()
        return segment

    def roll(self) -> Segment:
        """Close the last segment and begin another. The closed one is synced in the background. Raises OSError."""
        closed = self.segments[-1]
        self._write_all()
        segment = self.begin_segment(self.log_end_offset)
        closed.forget_recent()
        self.flushing.rolled()
        return segment

    def _assign_epoch(self, leader_epoch: int, start_offset: int) -> None:
        self.epochs.assign(leader_epoch, start_offset)
        try:
            self.epochs.write(sync=False)
        except OSError as failure:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.folder.name}: {failure}") from failure

    def _undo_write(self, segment: Segment, reason: str) -> KafkaError:
        try:
            segment.file.truncate(segment.size)
        except OSError:
            self._tail_is_torn = True
        _log.error("%r: an append failed: %s", self, reason)
        return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.folder.name}: {reason}")

    def _count_roll_from(self, first_timestamp: int) -> None:
        """Let the active segment roll by ``segment.ms``, counted from the first batch's timestamp."""
        self._first_timestamp = first_timestamp
        self._roll_timestamp = (
            first_timestamp + self._config.longest_segment_ms - self._jitter_ms if first_timestamp >= 0 else MAX_INT64
        )

    # Reading.

    def read(
        self, offset: int, max_bytes: int, *, end_offset: int, minimum_one_batch: bool
    ) -> RecordSlice | Promise[RecordSlice]:
        """Bytes from the batch that holds ``offset`` on, from the disk later; see ``Log.read``."""
        segment = self._active
        if segment is None or (segment.recent_offsets and offset >= segment.recent_offsets[0]):
            return self.read_now(offset, max_bytes, end_offset=end_offset, minimum_one_batch=minimum_one_batch)
        read = partial(self.read_now, offset, max_bytes, end_offset=end_offset, minimum_one_batch=minimum_one_batch)
        if not self.log_start_offset <= offset < self.log_end_offset or offset >= end_offset:
            return read()
        segment = self.segments[self.segment_number(offset)]
        return read_when_in_memory(segment, offset, read, self._background, self.folder.name)

    def read_now(self, offset: int, max_bytes: int, *, end_offset: int, minimum_one_batch: bool) -> RecordSlice:
        """The same at once, even if it means to wait for the disk."""
        log_end_offset = self.log_end_offset
        if offset > log_end_offset or offset < self.log_start_offset:
            raise KafkaError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"Offset {offset} is not between {self.log_start_offset} and {log_end_offset}",
            )
        segment = self._active
        if offset >= end_offset or offset == log_end_offset or segment is None:
            if self.is_abandoned:
                raise self.closed_error()
            return b""
        segment_end = log_end_offset
        try:
            if offset >= segment.base_offset:
                found = segment.locate(offset)
            else:
                segment, segment_end, found = self._locate_closed(offset)
            if found is None:
                return b""
            position, first_size = found
            available = (segment.size if end_offset >= segment_end else segment.position_of(end_offset)) - position
            if available > max_bytes:
                if first_size > max_bytes and not minimum_one_batch:
                    return b""
                available = min(available, max(first_size, max_bytes))
            return segment.file.slice(position, available) if available > 0 else b""
        except OSError as failure:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.folder.name}: {failure}") from failure

    def _locate_closed(self, offset: int) -> tuple[Segment, int, tuple[int, int] | None]:
        """The segment, its exclusive end, and position and size of the first batch that is not below ``offset``."""
        for number in range(self.segment_number(offset), len(self.segments)):
            segment = self.segments[number]
            last = number + 1 == len(self.segments)
            segment_end = self.log_end_offset if last else self._base_offsets[number + 1]
            found = segment.locate(offset)
            if found is not None or last:
                return segment, segment_end, found
        raise IndexError(offset)

    def segment_number(self, offset: int) -> int:
        """Which segment's range holds ``offset``, counted from the first."""
        return max(bisect_right(self._base_offsets, offset) - 1, 0)

    def last_stable_offset(self, high_watermark: int) -> int:
        """Where ``read_committed`` ends; see ``Log.last_stable_offset``."""
        transactions = self.producers.transactions
        if not (transactions.open or transactions.ended):
            return high_watermark
        undecided = transactions.first_undecided(high_watermark)
        return high_watermark if undecided is None else min(max(undecided, self.log_start_offset), high_watermark)

    def has_open_transaction(self, producer_id: int, producer_epoch: int) -> bool:
        """Whether a transaction of this producer and epoch has no marker yet."""
        return self.producers.has_open_transaction(producer_id, producer_epoch)

    def aborted_transactions(self, offset: int, size: int) -> list[AbortedTransaction]:
        """The aborted transactions in what was read; as far beyond it as Apache's (``LocalLog``)."""
        if not self.aborted or not self.segments:
            return []
        try:
            segment, segment_end, found = self._locate_closed(offset)
            upper_bound = None if found is None else segment.offset_beyond(found[0] + size)
            return self.aborted.find(segment.base_offset, offset, segment_end if upper_bound is None else upper_bound)
        except OSError as failure:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.folder.name}: {failure}") from failure

    # Looking up.

    def offset_for_timestamp(self, timestamp_ms: int) -> FoundOffset | Promise[FoundOffset | None] | None:
        """The first record whose timestamp is ``timestamp_ms`` or later; see ``Log.offset_for_timestamp``."""
        return take_read_steps(find_timestamp(self, timestamp_ms), self._background, self.folder.name)

    def max_timestamp(self) -> FoundOffset | Promise[FoundOffset | None] | None:
        """The first record with the greatest timestamp; see ``Log.max_timestamp``."""
        return take_read_steps(find_max_timestamp(self), self._background, self.folder.name)

    def begin_leader_epoch(self, leader_epoch: int) -> None:
        """Note that a leader epoch starts at the log's end."""
        self.epochs.assign(leader_epoch, self.log_end_offset)
        if self.segments:
            self.epochs.write(sync=False)

    def leader_epoch_at(self, offset: int) -> int:
        """The leader epoch of an offset, -1 if unknown."""
        return self.epochs.epoch_at(offset)

    def offset_for_leader_epoch(self, leader_epoch: int) -> EpochEnd:
        """Where an epoch ended."""
        return self.epochs.end_offset_for(leader_epoch, self.log_end_offset)

    # Forgetting.

    def delete_records(self, before_offset: int) -> int:
        """Move the log's start; segments that lie wholly below it go."""
        if before_offset > self.log_end_offset:
            raise KafkaError(
                ErrorCode.OFFSET_OUT_OF_RANGE, f"Offset {before_offset} is beyond the log's end, {self.log_end_offset}"
            )
        if before_offset > self.log_start_offset:
            try:
                self.move_start(before_offset)
                self._start_moved()
                if not trim(self):
                    self.removals.logs_to_trim[self] = None
            except OSError as failure:
                raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.folder.name}: {failure}") from failure
        return self.log_start_offset

    def apply_retention(self, now_ms: int, high_watermark: int) -> Steps[bool]:
        """Let old records go; see ``Log.apply_retention``."""
        return apply_retention(self, now_ms, high_watermark)

    def move_start(self, offset: int) -> None:
        """Begin the log at ``offset``; segments below it are to be trimmed."""
        self.log_start_offset = offset
        self.epochs.truncate_from_start(offset)
        if self.segments:
            self.epochs.write(sync=False)

    def end_of_segment(self, number: int) -> int:
        """The offset at which a segment's range ends (exclusive)."""
        return self._base_offsets[number + 1] if number + 1 < len(self._base_offsets) else self.log_end_offset

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
        """Put ``segment`` in place of ``count`` closed ones; returns by which offsets their files are named."""
        gone = self._take_out(number, number + count)
        self.put_segment(number, segment)
        return gone

    def put_segment(self, number: int, segment: Segment) -> None:
        """Put a segment in its place between the others."""
        self.segments.insert(number, segment)
        self._base_offsets.insert(number, segment.base_offset)
        self.size_bytes += segment.size

    def give_up(self, base_offset: int, suffixes: Iterable[str] = SEGMENT_SUFFIXES) -> None:
        """Rename files of a segment that was taken out; they are unlinked later."""
        paths = [self.path(base_offset, suffix) for suffix in suffixes]
        self.removals.give_up(paths, self._config.file_delete_delay_ms)

    def _take_out(self, first: int, end: int) -> list[int]:
        """Forget segments; returns the offsets that their files are named by."""
        for segment in self.segments[first:end]:
            segment.discard()
            self.size_bytes -= segment.size
        gone = self._base_offsets[first:end]
        del self.segments[first:end], self._base_offsets[first:end]
        self.aborted.forget(gone)
        return gone

    def active_producers(self) -> Iterable[tuple[int, ProducerState]]:
        """Each producer id that is remembered, with what is known of it."""
        return self.producers.items()

    def expire_producers(self, now_ms: int, expiration_ms: int) -> None:
        """Forget producers whose last batch is that old."""
        self.producers.expire(now_ms, expiration_ms)

    # Opening and closing.

    def segment_file(self, base_offset: int, *, size: int | None, suffix: str = "") -> Segment:
        """A segment of this log, to be added: with ``size`` the one on disk, with None a new one.

        ``suffix`` stands behind the names of its files while it is not the log's yet.
        """
        return Segment(
            self.files,
            self.folder,
            base_offset,
            size=size,
            memory=self.memory,
            index_interval_bytes=self._config.index_interval_bytes,
            suffix=suffix,
        )

    def add_segment(self, segment: Segment) -> None:
        """Put a segment behind the others."""
        self.put_segment(len(self.segments), segment)

    def activate_last(self) -> None:
        """Append to the last segment from now on."""
        segment = self._active = self.segments[-1]
        segment.activate()
        self._count_roll_from(segment.first_timestamp())

    def path(self, offset: int, suffix: str) -> Path:
        """Where the file of that kind is that belongs to an offset."""
        return self.folder / file_name(offset, suffix)

    def write_snapshot(self, *, sync: bool) -> None:
        """Write the producers as they are at the log's end, unless that has been done."""
        if self.log_end_offset > self.snapshot_offset:
            self.write_snapshot_at(self.log_end_offset, self.producers, sync=sync)

    def write_snapshot_at(self, offset: int, producers: Producers, *, sync: bool) -> None:
        """Write the producers as they were at an offset."""
        write_older_batches(self.files, self.folder, producers)
        self.beside.replaced(self.folder / OLDER_BATCHES)
        path = self.path(offset, SNAPSHOT_SUFFIX)
        self.files.replace(path, encode_snapshot(producers), sync=sync)
        self.beside.replaced(path)
        self.snapshot_offset = max(self.snapshot_offset, offset)

    def unsynced(self, end_offset: int | None = None) -> list[Segment]:
        """The segments with batches below ``end_offset`` (all, without it) that have not been synced."""
        end_offset = self.log_end_offset if end_offset is None else end_offset
        if self.recovery_point >= end_offset or not self.segments:
            return []
        first = self.segment_number(self.recovery_point)
        return self.segments[first : bisect_left(self._base_offsets, end_offset)]

    def flush(self) -> Promise[None] | None:
        """Sync everything appended so far."""
        return self.flushing.flush()

    def seal(self) -> None:
        """Bring every file up to date, so that opening needs no scan; they are not synced yet. Raises OSError.

        What a power cut could take of indexes, snapshot and epochs is made anew from the batches.
        """
        if self.segments and self.sealed_offset != self.log_end_offset:
            self._write_all()
            self.sealed_offset = self.log_end_offset

    def _write_all(self) -> None:
        """Write what is known in memory only: of the last segment, the transactions, the producers, the epochs."""
        self.segments[-1].trim()
        self.segments[-1].seal()
        self.aborted.write()
        self.write_snapshot(sync=False)
        self.epochs.write(sync=False)

    def go_offline(self, reason: str) -> None:
        """Take the log out of service: its disk has failed, and what can be read of it need not be what is on it."""
        _log.error("%r goes offline: %s", self, reason)
        self.offline_reason = reason
        self._give_back()
        self.on_offline(reason)
        self.flushing.give_up(KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, reason))

    def abandon(self) -> None:
        """Give the descriptors back without writing anything: the log is being removed, or the process ends."""
        self._give_back()
        # Who still waits for a sync looks where the partition is now.
        self.flushing.give_up(KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER))

    def closed_error(self) -> KafkaError:
        """What a log answers once it ``is_abandoned``."""
        return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.folder.name} is closed")

    def _give_back(self) -> None:
        for segment in self.segments:
            segment.discard()
        self.segments, self._base_offsets, self._active = [], [], None
        self.is_abandoned = True
