"""Appends to a partition's log in segment files, reads it, and rolls it. The first kind of ``Log``.

State moves only after the one ``pwrite`` of an append has succeeded; a failed one is undone.
"""

import logging
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
from ottla.storage.segments.cold_reads import read_when_in_memory, take_read_steps
from ottla.storage.segments.flushing import Flusher, LogFlushing
from ottla.storage.segments.index import IndexMemory
from ottla.storage.segments.recovery.older_batches import FILE_NAME as OLDER_BATCHES
from ottla.storage.segments.recovery.older_batches import write_older_batches
from ottla.storage.segments.recovery.producer_snapshots import encode_snapshot
from ottla.storage.segments.retention import apply_retention, trim
from ottla.storage.segments.segment import (
    GREATEST_RELATIVE_OFFSET,
    SNAPSHOT_SUFFIX,
    Segment,
)
from ottla.storage.segments.segment_list import SegmentList
from ottla.storage.segments.time_lookup import find_max_timestamp, find_timestamp
from ottla.storage.segments.unlinking import Removals
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


class SegmentLog(SegmentList):
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
        trim_later: Callable[[SegmentList], None] = lambda _log: None,
    ) -> None:
        """``start_moved`` is called when ``delete_records`` has moved the log's start.

        ``trim_later`` is called with the log when more segments lie below its start than are removed at once.
        """
        super().__init__(files, folder, config, memory=memory, removals=removals)
        self.topic_id = topic_id
        self._background = background
        self._random = random
        self._start_moved = start_moved
        self._trim_later = trim_later
        self._active: Segment | None = None
        self._first_timestamp = -1
        self._roll_timestamp = MAX_INT64
        self._tail_is_torn = False
        self.offline_reason: str | None = None
        self.on_offline: Callable[[str], None] = lambda _reason: None
        """Called with the reason when the disk has failed this log; its owner must serve it no more."""
        self.flushing = LogFlushing(self, flusher, self.go_offline)
        self.snapshot_offset = 0
        self.sealed_offset = -1
        """The end offset at which all files were last brought up to date."""
        self.configure(config)

    @property
    def acknowledged_offset(self) -> int:
        """The end of the acknowledged batches; beyond it lie only appends that wait for their fsync."""
        waiting = self.flushing.waiting
        return waiting[0].appended.base_offset if waiting else self.log_end_offset

    def configure(self, config: LogConfig) -> None:
        """Use other settings from now on."""
        self.config = config
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
        config = self.config
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
        """Return the segment that the next batch goes to: a new one, if there is none or a limit is reached."""
        segment = self._active
        config = self.config
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
        if self.config.preallocate:
            segment.preallocate(self.config.segment_bytes)
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
            first_timestamp + self.config.longest_segment_ms - self._jitter_ms if first_timestamp >= 0 else MAX_INT64
        )

    # Reading.

    def read(
        self, offset: int, max_bytes: int, *, end_offset: int, minimum_one_batch: bool
    ) -> RecordSlice | Promise[RecordSlice]:
        """Return bytes from the batch that holds ``offset`` on, from the disk later; see ``Log.read``."""
        segment = self._active
        if segment is None or (segment.recent_offsets and offset >= segment.recent_offsets[0]):
            return self.read_now(offset, max_bytes, end_offset=end_offset, minimum_one_batch=minimum_one_batch)
        read = partial(self.read_now, offset, max_bytes, end_offset=end_offset, minimum_one_batch=minimum_one_batch)
        if not self.log_start_offset <= offset < self.log_end_offset or offset >= end_offset:
            return read()
        segment = self.segments[self.segment_number(offset)]
        return read_when_in_memory(segment, offset, read, self._background, self.folder.name)

    def read_now(self, offset: int, max_bytes: int, *, end_offset: int, minimum_one_batch: bool) -> RecordSlice:
        """Read at once, even where that waits for the disk."""
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
                segment, segment_end, found = self.locate(offset)
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

    def last_stable_offset(self, high_watermark: int) -> int:
        """Return where ``read_committed`` ends; see ``Log.last_stable_offset``."""
        transactions = self.producers.transactions
        if not (transactions.open or transactions.ended):
            return high_watermark
        undecided = transactions.first_undecided(high_watermark)
        return high_watermark if undecided is None else min(max(undecided, self.log_start_offset), high_watermark)

    def has_open_transaction(self, producer_id: int, producer_epoch: int) -> bool:
        """Return whether a transaction of this producer and epoch has no marker yet."""
        return self.producers.has_open_transaction(producer_id, producer_epoch)

    def aborted_transactions(self, offset: int, size: int) -> list[AbortedTransaction]:
        """Return the aborted transactions in what was read; as far beyond it as Apache's (``LocalLog``)."""
        if not self.aborted or not self.segments:
            return []
        try:
            segment, segment_end, found = self.locate(offset)
            upper_bound = None if found is None else segment.offset_beyond(found[0] + size)
            return self.aborted.find(segment.base_offset, offset, segment_end if upper_bound is None else upper_bound)
        except OSError as failure:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.folder.name}: {failure}") from failure

    # Looking up.

    def offset_for_timestamp(self, timestamp_ms: int) -> FoundOffset | Promise[FoundOffset | None] | None:
        """Return the first record whose timestamp is ``timestamp_ms`` or later; see ``Log.offset_for_timestamp``."""
        return take_read_steps(find_timestamp(self, timestamp_ms), self._background, self.folder.name)

    def max_timestamp(self) -> FoundOffset | Promise[FoundOffset | None] | None:
        """Return the first record with the greatest timestamp; see ``Log.max_timestamp``."""
        return take_read_steps(find_max_timestamp(self), self._background, self.folder.name)

    def begin_leader_epoch(self, leader_epoch: int) -> None:
        """Note that a leader epoch starts at the log's end."""
        self.epochs.assign(leader_epoch, self.log_end_offset)
        if self.segments:
            self.epochs.write(sync=False)

    def leader_epoch_at(self, offset: int) -> int:
        """Return the leader epoch of an offset, -1 if unknown."""
        return self.epochs.epoch_at(offset)

    def offset_for_leader_epoch(self, leader_epoch: int) -> EpochEnd:
        """Return where an epoch ended."""
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
                    self._trim_later(self)
            except OSError as failure:
                raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.folder.name}: {failure}") from failure
        return self.log_start_offset

    def apply_retention(self, now_ms: int, high_watermark: int) -> Steps[bool]:
        """Remove old records; see ``Log.apply_retention``."""
        return apply_retention(self, now_ms, high_watermark, roll=self.roll)

    def active_producers(self) -> Iterable[tuple[int, ProducerState]]:
        """Return each producer id that is remembered, with the state of that producer."""
        return self.producers.items()

    def expire_producers(self, now_ms: int, expiration_ms: int) -> None:
        """Forget producers whose last batch is that old."""
        self.producers.expire(now_ms, expiration_ms)

    # Opening and closing.

    def activate_last(self) -> None:
        """Append to the last segment from now on."""
        segment = self._active = self.segments[-1]
        segment.activate()
        self._count_roll_from(segment.first_timestamp())

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

    def flush(self) -> Promise[None] | None:
        """Sync everything appended so far."""
        return self.flushing.flush()

    def seal(self) -> None:
        """Bring every file up to date, so that opening needs no scan; they are not synced yet. Raises OSError.

        Indexes, snapshot and epochs that a power cut takes are made anew from the batches.
        """
        if self.segments and self.sealed_offset != self.log_end_offset:
            self._write_all()
            self.sealed_offset = self.log_end_offset

    def _write_all(self) -> None:
        """Write all that is known in memory only: of the last segment, the transactions, the producers, the epochs."""
        self.segments[-1].trim()
        self.segments[-1].seal()
        self.aborted.write()
        self.write_snapshot(sync=False)
        self.epochs.write(sync=False)

    def go_offline(self, reason: str) -> None:
        """Take the log out of service: its disk has failed, and reads may show what is not on it."""
        _log.error("%r goes offline: %s", self, reason)
        self.offline_reason = reason
        self.let_go()
        self.on_offline(reason)
        self.flushing.give_up(KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, reason))

    def abandon(self) -> None:
        """Give the descriptors back without writing anything: the log is being removed, or the process ends."""
        self.let_go()
        # A client that still waits for a sync looks where the partition is now.
        self.flushing.give_up(KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER))

    def let_go(self) -> None:
        """Give the descriptors back; nothing is appended any more."""
        super().let_go()
        self._active = None
