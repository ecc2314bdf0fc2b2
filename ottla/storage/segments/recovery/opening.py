"""Makes a log from the files on disk. After a crash, batches above the recovery point are checked, and bad ones cut.

Follows Apache's ``LogLoader``: a torn tail is cut at the first bad batch, and everything behind it goes.
"""

import logging
from dataclasses import dataclass

from ottla.storage.log_config import MAX_INT64
from ottla.storage.segments.aborted_index import SUFFIX as TRANSACTION_INDEX_SUFFIX
from ottla.storage.segments.compaction.swap import finish_swaps
from ottla.storage.segments.leader_epochs import FILE_NAME as EPOCHS_FILE
from ottla.storage.segments.recovery.producer_state import load_producers
from ottla.storage.segments.scan import CorruptBatchError, read_headers
from ottla.storage.segments.segment import (
    INDEX_SUFFIX,
    LOG_SUFFIX,
    SNAPSHOT_SUFFIX,
    TIME_INDEX_SUFFIX,
    file_name,
)
from ottla.storage.segments.segment_log import SegmentLog
from ottla.storage.segments.unlinking import DELETED_SUFFIX
from ottla.wire.batch import BatchHeader

_OFFSET_DIGITS = 20
_LEFTOVERS = (".tmp",)
_BELONGS_TO_LOG = (INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX)

_log = logging.getLogger(__name__)


class DamagedLogError(OSError):
    """A log has lost records that were on disk already. The text tells a person which, where, and what to do."""

    def __init__(self, log: SegmentLog, problem: str) -> None:
        super().__init__(
            f"{log.folder.name} has lost what was safe on disk: {problem}. It is left as it is; stop the broker and "
            f"use `ottla log check` and `ottla log repair {log.folder.parent} {log.folder.name}`"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class LastShutdown:
    """The data directory's knowledge of a log from its last run."""

    clean: bool
    recovery_point: int = 0
    log_start_offset: int = 0


def open_log(log: SegmentLog, shutdown: LastShutdown) -> None:
    """Fill an empty ``log`` from its folder. Raises OSError; DamagedLogError if what is gone was synced before."""
    try:
        _open_log(log, shutdown)
    except CorruptBatchError as damage:
        raise DamagedLogError(log, str(damage)) from damage


def _open_log(log: SegmentLog, shutdown: LastShutdown) -> None:
    bases, snapshots = _take_stock(log)
    _load_segments(log, bases)
    log.log_start_offset = max(shutdown.log_start_offset, bases[0] if bases else 0)
    epochs_are_known = log.epochs.load()
    if not log.segments:
        _check_end(log, shutdown, log.log_start_offset)
        log.log_end_offset = log.recovery_point = log.log_start_offset
        return
    if shutdown.clean:
        checked_from = log.sealed_offset = _find_end(log, shutdown)
        log.recovery_point = min(shutdown.recovery_point, log.sealed_offset)
    else:
        checked_from = _recover(log, shutdown)
        # Batches that the last process did not sync may not be on disk, and later snapshots count them.
        snapshots = _drop_snapshots(log, snapshots, checked_from)
    if log.log_start_offset > log.log_end_offset:
        if shutdown.clean:
            raise DamagedLogError(
                log, f"it ends at offset {log.log_end_offset}, below its start {log.log_start_offset}"
            )
        checked_from = log.log_start_offset
        _start_again(log, checked_from)
        snapshots = _drop_snapshots(log, snapshots, -1)
    if not shutdown.clean and not 0 <= log.epochs.first_start <= log.log_start_offset:
        # The log's start has gone back to before a deletion whose trace was not synced. The epochs that were left may
        # all have been of batches that are lost.
        epochs_are_known = False
    if not epochs_are_known:
        log.epochs.forget()
        _scan_epochs(log)
    log.epochs.truncate_from_end(log.log_end_offset)
    log.epochs.truncate_from_start(log.log_start_offset)
    if not shutdown.clean:
        log.epochs.write(sync=False)
    load_producers(log, snapshots, clean=shutdown.clean, checked_from=checked_from)
    log.remove_first(log.segment_number(log.log_start_offset))  # Their batches were needed to know the producers.
    log.activate_last()
    log.segments[-1].file.close()  # Most logs lie idle after a start, and then they need no descriptor.


def _take_stock(log: SegmentLog) -> tuple[list[int], list[int]]:
    """Return base offsets of segments and offsets of snapshots, ascending; leftovers of a crash are removed."""
    bases: list[int] = []
    snapshots: list[int] = []
    others: list[tuple[int, str]] = []
    names = finish_swaps(log, log.files.names(log.folder))
    given_up = [log.folder / name for name in names if name.endswith(DELETED_SUFFIX)]
    if given_up:
        log.removals.clear_away(given_up)
    for name in names:
        stem, suffix = name[:_OFFSET_DIGITS], name[_OFFSET_DIGITS:]
        if name.endswith(_LEFTOVERS):
            log.files.remove(log.folder / name)
        elif not (stem.isascii() and stem.isdigit()):
            continue
        elif suffix == LOG_SUFFIX:
            bases.append(int(stem))
        elif suffix == SNAPSHOT_SUFFIX:
            snapshots.append(int(stem))
        elif suffix in _BELONGS_TO_LOG:
            others.append((int(stem), name))
    known = set(bases)
    for base_offset, name in others:
        if base_offset not in known:
            log.files.remove(log.folder / name)
        elif name.endswith(TRANSACTION_INDEX_SUFFIX):
            log.aborted.found(base_offset)
    return sorted(bases), sorted(snapshots)


def _load_segments(log: SegmentLog, bases: list[int]) -> None:
    for base_offset in bases:
        size = log.files.size(log.folder / file_name(base_offset, LOG_SUFFIX))
        log.add_segment(log.segment_file(base_offset, size=size))


def _check_end(log: SegmentLog, shutdown: LastShutdown, end_offset: int) -> None:
    """Refuse a log that ends below its recovery point, unless nothing of that is left to read anyway."""
    if end_offset < shutdown.recovery_point > shutdown.log_start_offset:
        raise DamagedLogError(
            log, f"it ends at offset {end_offset}, and everything up to {shutdown.recovery_point} was there"
        )


def _find_end(log: SegmentLog, shutdown: LastShutdown) -> int:
    """Set the log's end from its last segment, whose file is cut if it does not end with a whole batch."""
    last = log.segments[-1]
    end_offset, position = last.last_batch_end()
    _check_end(log, shutdown, end_offset)
    if position < last.size:
        _log.warning("%r: %d bytes after the last whole batch are cut", log, last.size - position)
        log.size_bytes -= last.size - position
        last.cut(position)
    log.log_end_offset = end_offset
    return end_offset


def _recover(log: SegmentLog, shutdown: LastShutdown) -> int:
    """Check the segments from the recovery point on; cut the log at the first bad batch.

    Returns the offset at which the first of them begins.
    """
    recovery_point = shutdown.recovery_point
    first = log.segment_number(recovery_point)
    log.epochs.truncate_from_end(log.segments[first].base_offset)  # These epochs may be of batches that were lost.
    for number in range(first, len(log.segments)):
        segment = log.segments[number]
        is_last = number + 1 == len(log.segments)
        found = segment.recover(MAX_INT64 if is_last else log.segments[number + 1].base_offset)
        for header in found.epoch_starts:
            _note_epoch(log, header)
        if found.damage is not None:
            if found.next_offset < recovery_point > log.log_start_offset:
                where = f"offset {found.next_offset}, below its recovery point {recovery_point}"
                raise DamagedLogError(
                    log, f"{file_name(segment.base_offset, LOG_SUFFIX)} is bad from {where}, {found.damage}"
                )
            _cut(log, number, found.damage)
        segment.seal()
        if found.damage is not None:
            break
    _find_end(log, shutdown)
    log.recovery_point = min(recovery_point, log.log_end_offset)
    # Files that the last process did not sync may not be on disk either.
    log.beside.replaced(log.folder / EPOCHS_FILE)
    log.beside.renamed(log.folder.parent)
    return log.segments[first].base_offset


def _cut(log: SegmentLog, number: int, damage: CorruptBatchError) -> None:
    """Drop everything from a bad batch on, in its segment and the later ones.

    The cut is synced at once: batches that were cut must not come back behind those that are appended next.
    """
    segment = log.segments[number]
    lost = segment.size - damage.position
    log.size_bytes -= lost
    lost += sum(each.size for each in log.segments[number + 1 :])
    _log.warning("%r: %d bytes are cut from %r on, %s", log, lost, segment, damage)
    segment.cut(damage.position)
    log.remove_from(number + 1)
    segment.file.sync()
    log.files.sync_folder(log.folder)


def _scan_epochs(log: SegmentLog) -> None:
    """Find the leader epochs in the batches, because their checkpoint is lost."""
    for segment in log.segments:
        for _, header in read_headers(segment.file, 0, segment.size):
            _note_epoch(log, header)
    log.epochs.write(sync=False)


def _note_epoch(log: SegmentLog, header: BatchHeader) -> None:
    if header.partition_leader_epoch > log.epochs.latest:
        log.epochs.assign(header.partition_leader_epoch, header.base_offset)


def _start_again(log: SegmentLog, offset: int) -> None:
    """Begin at ``offset``: the log has lost even the batches below its start, and the producers of these."""
    _log.warning("%r ends before it starts; it goes on empty from offset %d", log, offset)
    log.remove_from(0)
    log.log_end_offset = offset
    log.recovery_point = 0
    log.begin_segment(offset)


def _drop_snapshots(log: SegmentLog, snapshots: list[int], last: int) -> list[int]:
    """Remove the snapshots after offset ``last``; returns the others."""
    for offset in snapshots:
        if offset > last:
            log.files.remove(log.folder / file_name(offset, SNAPSHOT_SUFFIX))
    return [offset for offset in snapshots if offset <= last]
