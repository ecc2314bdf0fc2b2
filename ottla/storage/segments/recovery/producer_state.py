"""Finds out, when a log is opened, which producers wrote to it, which transactions are open and which were aborted.

The newest good snapshot says it up to its offset, the batches after it the rest. Where batches had to be checked after
a crash, the transaction indexes are made anew, too, and so are the snapshots of those segments.
"""

import logging
from collections.abc import Container
from itertools import pairwise
from pathlib import Path

from ottla.storage.producers import Producers
from ottla.storage.segments.index import CorruptIndexError
from ottla.storage.segments.recovery.older_batches import add_older_batches
from ottla.storage.segments.recovery.producer_snapshots import CorruptSnapshotError, decode_snapshot
from ottla.storage.segments.scan import CorruptBatchError, read_headers
from ottla.storage.segments.segment import LOG_SUFFIX, SNAPSHOT_SUFFIX, Segment, file_name
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import CONTROL_BIT, TRANSACTIONAL_BIT
from ottla.wire.errors import KafkaError

_log = logging.getLogger(__name__)


def load_producers(log: SegmentLog, snapshots: list[int], *, clean: bool, checked_from: int) -> None:
    """Fill ``log.producers``. ``snapshots``: the offsets of those on disk, ascending.

    ``checked_from`` is the base offset of the first segment whose batches were checked; the log's end for none.
    Raises OSError.
    """
    end_offset = log.log_end_offset
    bases = [segment.base_offset for segment in log.segments]
    good = _remove_strays(log, snapshots, keep=set(bases))
    rebuilt = _damaged_indexes(log, checked_from) if clean else {base for base in bases if base >= checked_from}
    for base in rebuilt:
        log.aborted.reset(base)
    if clean and not snapshots and not rebuilt:
        return  # As Apache: without any snapshot, a log that was closed well is taken to have no producers.
    start, producers = _newest_snapshot(log, good, min(rebuilt, default=end_offset))
    log.snapshot_offset = good[-1] if good else 0
    for segment in log.segments[log.segment_number(start) :]:
        base = segment.base_offset
        if base in rebuilt and not clean and base > start:
            log.write_snapshot_at(base, producers, sync=False)
        _take_in(log, producers, segment, start, rebuilt)
    log.producers = producers


def _remove_strays(log: SegmentLog, snapshots: list[int], *, keep: Container[int]) -> list[int]:
    """Remove snapshots beyond the log's end, and all others that belong to no segment but the newest good one.

    One from before the first segment is of no use: the batches after it are gone, and may have ended transactions.
    """
    good: list[int] = []
    first = log.segments[0].base_offset
    for offset in reversed(snapshots):
        path = log.folder / file_name(offset, SNAPSHOT_SUFFIX)
        if first <= offset <= log.log_end_offset and (
            offset in keep if good else _read_snapshot(log, path) is not None
        ):
            good.append(offset)
        else:
            log.files.remove(path)
    return good[::-1]


def _read_snapshot(log: SegmentLog, path: Path) -> Producers | None:
    try:
        return decode_snapshot(log.files.read(path) or b"")
    except CorruptSnapshotError as problem:
        _log.warning("%s is removed: %s", path, problem)
        return None


def _newest_snapshot(log: SegmentLog, snapshots: list[int], at_most: int) -> tuple[int, Producers]:
    """Return the newest good snapshot that is not beyond an offset, and that offset; without one, nothing from 0 on."""
    for offset in reversed(snapshots):
        if offset <= at_most:
            producers = _read_snapshot(log, log.folder / file_name(offset, SNAPSHOT_SUFFIX))
            if producers is not None:
                add_older_batches(log.files, log.folder, producers)
                return offset, producers
    return 0, Producers()


def _damaged_indexes(log: SegmentLog, end_offset: int) -> set[int]:
    """Return the base offsets of the segments whose transaction index has to be made anew."""
    damaged = set()
    ends = dict(pairwise([*(segment.base_offset for segment in log.segments), end_offset]))
    for base in log.aborted.bases:
        try:
            log.aborted.check(base, ends[base])
        except CorruptIndexError as corruption:
            _log.warning("%r: %s; rebuilding the transaction index", log, corruption)
            damaged.add(base)
    return damaged


def _take_in(log: SegmentLog, producers: Producers, segment: Segment, start: int, rebuilt: Container[int]) -> None:
    """Take in a segment's batches from a snapshot on, those below the log's start too.

    Apache leaves those out. Then a snapshot older than they are refuses a producer whose last batch was deleted.
    """
    base_offset = segment.base_offset
    try:
        for position, header in read_headers(segment.file, segment.position_of(start), segment.size):
            if header.producer_id < 0:
                continue
            first, last, timestamp = header.base_offset, header.last_offset, header.max_timestamp
            if not header.attributes & (TRANSACTIONAL_BIT | CONTROL_BIT):
                producers.record(header, first, last, timestamp)
                continue
            batch = segment.file.pread(header.size, position) if header.is_control else b""
            aborted = producers.record_transactional(header, batch, first, last, timestamp)
            if aborted is not None and base_offset in rebuilt:
                log.aborted.add(base_offset, aborted)
    except CorruptBatchError as damage:
        raise CorruptBatchError(damage.position, f"{damage} in {file_name(base_offset, LOG_SUFFIX)}") from damage
    except KafkaError as damage:
        _log.error("%r: producers are not known from %r on, %s", log, segment, damage)
