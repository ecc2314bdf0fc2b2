"""Compacts a log: of the records with one key the newest stays, in its place and with its offset. Apache's ``Cleaner``.

One round reads the dirty part to learn the newest offset of each key, then rewrites all segments up to there, group by
group, each group into one segment. A batch that loses nothing is copied as it is. The round leaves out:

- records that a newer one with the same key follows, and records without a key;
- tombstones, once their batch's delete horizon has passed (KIP-534): it is written into the batch when compaction
  first sees it, ``delete.retention.ms`` later than then;
- records of aborted transactions, and markers of transactions without records once their horizon has passed.

A batch without records stays, empty, if it is the last of a producer that is still known, whose sequence must be found
again after a restart, or the last batch of the round.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from ottla.scheduling.steps import Steps
from ottla.storage.segments.aborted_index import SUFFIX as TRANSACTION_INDEX_SUFFIX
from ottla.storage.segments.aborted_index import encode
from ottla.storage.segments.compaction.batch_reader import BatchReader
from ottla.storage.segments.compaction.cleaned_transactions import CleanedTransactions
from ottla.storage.segments.compaction.dirtiness import Cleanable
from ottla.storage.segments.compaction.offset_map import OffsetMap
from ottla.storage.segments.compaction.swap import CLEANED_SUFFIX, check_open, swap_in
from ottla.storage.segments.segment import GREATEST_RELATIVE_OFFSET, Segment, file_name
from ottla.storage.store import CompactionSettings
from ottla.wire.batch import HEADER_SIZE, BatchHeader, read_header
from ottla.wire.building import RebuiltBatch, emptied
from ottla.wire.compression import NONE, compress, decompress
from ottla.wire.primitives import Buffer
from ottla.wire.records import Record, walk_records

_RECORDS_PER_STEP = 128
_PRODUCERS_PER_STEP = 1000
_THREAD_BYTES = 16 << 10
"""Minimum bytes that a thread compresses or decompresses; for fewer it would cost more."""


class Compacted(NamedTuple):
    """The result of a round."""

    next_dirty_offset: int
    bytes_before: int
    bytes_after: int


def compact(part: Cleanable, settings: CompactionSettings, now_ms: int) -> Steps[Compacted]:
    """Take a round over a log, in steps. Raises OSError, KafkaError for records that cannot be read, LogClosedError.

    Whatever is raised, the log is whole: each group of segments is replaced when its successor is on the disk.
    """
    log = part.log
    log.is_being_cleaned = True
    try:
        return (yield from _Round(part, settings, now_ms).run())
    finally:
        log.is_being_cleaned = False


class _Round:
    def __init__(self, part: Cleanable, settings: CompactionSettings, now_ms: int) -> None:
        self._part = part
        self._log = part.log
        self._settings = settings
        self._now_ms = now_ms
        self._delete_retention_ms = part.log.config.delete_retention_ms
        self._map = OffsetMap(settings.dedupe_buffer_bytes, settings.load_factor)
        self._transactions = CleanedTransactions()
        self._last_of_producers: dict[int, tuple[int, int]] = {}

    def run(self) -> Steps[Compacted]:
        log = self._log
        yield from self._fill_map()
        check_open(log)
        end_offset = self._map.latest_offset + 1
        before = after = 0
        groups = self._groups([segment for segment in log.segments[:-1] if segment.base_offset < end_offset])
        for group in groups:
            before += sum(segment.size for segment in group)
            after += yield from self._rewrite(group)
        return Compacted(end_offset, before, after)

    # Learning the newest offset of each key.

    def _fill_map(self) -> Steps[None]:
        log, part = self._log, self._part
        self._map.latest_offset = part.first_dirty_offset - 1
        transactions = CleanedTransactions()
        number = log.segment_number(part.first_dirty_offset)
        base = log.segments[number].base_offset
        transactions.add_aborted(log.aborted.find(base, part.first_dirty_offset, part.first_uncleanable_offset))
        while number < len(log.segments) and log.segments[number].base_offset < part.first_uncleanable_offset:
            segment = log.segments[number]
            if (yield from self._map_segment(segment, transactions)):
                return
            # Behind the last batch there may be offsets that have no record any more.
            self._map.latest_offset = max(self._map.latest_offset, log.end_of_segment(number) - 1)
            number = log.segment_number(segment.base_offset) + 1

    def _map_segment(self, segment: Segment, transactions: CleanedTransactions) -> Steps[bool]:
        """Take in the records of a segment; returns whether the map is full."""
        start, offsets = self._part.first_dirty_offset, self._map
        reader = self._reader(segment, segment.position_of(start) if start > segment.base_offset else 0)
        while (chunk := (yield from reader.next_chunk())) is not None:
            check_open(self._log)
            for header, batch in reader.batches(chunk):
                if offsets.is_full:
                    return True
                if not transactions.is_superfluous(header, batch) and not header.is_control:
                    records = yield from _records(header, batch)
                    for count, record in enumerate(records, 1):
                        if record.key is not None and record.offset >= start:
                            offsets.put(record.key, record.offset)
                        if count % _RECORDS_PER_STEP == 0:
                            yield None
                offsets.latest_offset = max(offsets.latest_offset, header.last_offset)
                yield None
            yield from self._throttle(len(chunk))
        return False

    # Writing the records that stay.

    def _groups(self, segments: list[Segment]) -> Iterator[list[Segment]]:
        """Segments that become one: together not larger than one may be, and within the reach of its offsets."""
        config = self._log.config
        group: list[Segment] = []
        size = 0
        ends = [segment.base_offset for segment in segments[1:]] + [self._part.first_uncleanable_offset]
        for segment, end in zip(segments, ends, strict=True):
            size += segment.size
            if group and (size > config.segment_bytes or end - 1 - group[0].base_offset > GREATEST_RELATIVE_OFFSET):
                yield group
                group = []
                size = segment.size
            group.append(segment)
        if group:
            yield group

    def _rewrite(self, group: list[Segment]) -> Steps[int]:
        """Replace segments by one with the records that stay of them; returns its size."""
        log = self._log
        yield from self._note_producers()
        check_open(log)
        base_offset = group[0].base_offset
        cleaned = log.segment_file(base_offset, size=None, suffix=CLEANED_SUFFIX)
        cleaned.activate()
        try:
            for segment in group:
                end = log.end_of_segment(log.segment_number(segment.base_offset))
                self._transactions.add_aborted(log.aborted.find(segment.base_offset, segment.base_offset, end))
                yield from self._filter(segment, cleaned)
            cleaned.retire()
        except BaseException:
            cleaned.discard()
            raise
        kept, self._transactions.kept = self._transactions.kept, []
        if kept:
            path = log.folder / file_name(base_offset, TRANSACTION_INDEX_SUFFIX + CLEANED_SUFFIX)
            log.files.write(path, encode(kept), 0)
        size = cleaned.size
        yield from swap_in(log, group, cleaned)
        return size

    def _note_producers(self) -> Steps[None]:
        """Note each producer's epoch and the last offset of its last batch, -1 if it has only markers."""
        self._last_of_producers = {}
        for count, (producer_id, state) in enumerate(list(self._log.producers.items()), 1):
            self._last_of_producers[producer_id] = (state.epoch, state.batches[-1].last_offset if state.batches else -1)
            if count % _PRODUCERS_PER_STEP == 0:
                yield None

    def _filter(self, segment: Segment, cleaned: Segment) -> Steps[None]:
        """Write the records of a segment that stay behind those in ``cleaned``."""
        reader = self._reader(segment, 0)
        while (chunk := (yield from reader.next_chunk())) is not None:
            check_open(self._log)
            output = bytearray()
            written: list[tuple[BatchHeader, int]] = []
            for header, batch in reader.batches(chunk):
                kept = yield from self._keep(header, batch)
                if kept is not None:
                    written.append((read_header(kept), len(kept)))
                    output += kept
                yield None
            if output:
                yield from _write(cleaned, output, written)
            yield from self._throttle(len(chunk) + len(output))

    def _keep(self, header: BatchHeader, batch: memoryview) -> Steps[Buffer | None]:
        """Return what stays of a batch: all of it, verbatim, a part of it, an empty batch, or nothing."""
        superfluous = self._transactions.is_superfluous(header, batch)
        horizon = header.delete_horizon
        if header.is_control:
            discarded = superfluous and horizon is not None and horizon <= self._now_ms
            gets_horizon = superfluous and horizon is None and header.record_count > 0
        else:
            discarded, gets_horizon = superfluous, False
        kept: list[Record] = []
        count = 0
        if not discarded:
            for count, record in enumerate((yield from _records(header, batch)), 1):
                if header.is_control or self._stays(record, horizon):
                    kept.append(record)
                    if record.value is None and horizon is None:
                        gets_horizon = True
                if count % _RECORDS_PER_STEP == 0:
                    yield None
        if kept:
            if gets_horizon:
                horizon = self._now_ms + self._delete_retention_ms
            elif len(kept) == count:
                return batch
            return (yield from _rebuild(header, kept, horizon))
        if self._is_last_of_producer(header) or header.next_offset == self._part.first_uncleanable_offset:
            return batch if header.size == HEADER_SIZE else emptied(header)
        return None

    def _stays(self, record: Record, horizon: int | None) -> bool:
        offset = record.offset
        if offset > self._map.latest_offset:
            return True
        if record.key is None or offset < self._map.get(record.key):
            return False
        return record.value is not None or horizon is None or self._now_ms < horizon

    def _is_last_of_producer(self, header: BatchHeader) -> bool:
        last = self._last_of_producers.get(header.producer_id)
        if last is None:
            return False
        epoch, last_offset = last
        if last_offset >= 0:
            return header.last_offset == last_offset
        return header.is_control and header.producer_epoch == epoch

    # For both.

    def _reader(self, segment: Segment, position: int) -> BatchReader:
        # Half of the buffer is for reading, half for writing.
        return BatchReader(segment.file, position, segment.size, self._settings.io_buffer_bytes // 2)

    def _throttle(self, size: int) -> Steps[None]:
        pause_s = size / self._settings.io_bytes_per_second
        yield pause_s if pause_s > 0.001 else None


def _records(header: BatchHeader, batch: memoryview) -> Steps[Iterator[Record]]:
    data: bytes
    packed = batch[HEADER_SIZE : header.size]
    if header.codec == NONE or len(packed) < _THREAD_BYTES:
        data = decompress(header.codec, packed)
    else:
        data = yield partial(decompress, header.codec, packed)
    return walk_records(data, header)


def _rebuild(header: BatchHeader, kept: list[Record], horizon: int | None) -> Steps[bytearray]:
    rebuilt = RebuiltBatch(header, horizon)
    for count, record in enumerate(kept, 1):
        rebuilt.add(record)
        if count % _RECORDS_PER_STEP == 0:
            yield None
    payload: bytes | bytearray = rebuilt.data
    if header.codec != NONE:
        if len(payload) < _THREAD_BYTES:
            payload = compress(header.codec, payload)
        else:
            payload = yield partial(compress, header.codec, payload)
    return rebuilt.finish(payload)


def _write(cleaned: Segment, output: bytearray, written: list[tuple[BatchHeader, int]]) -> Steps[None]:
    position = cleaned.size
    cleaned.file.pin()
    try:
        done = yield partial(cleaned.file.pwrite, output, position)
    finally:
        cleaned.file.unpin()
    if done != len(output):
        raise OSError(f"only {done} of {len(output)} bytes were written")
    for header, size in written:
        cleaned.appended(header.base_offset, header.last_offset, header.max_timestamp, size)
    yield None
