"""Makes a damaged log of a stopped broker whole again: bad batches are left out, all good ones stay.

The damaged segment is kept beside the new one as ``.log.damaged``. The recovery point is put back to the first segment
that changed, so that the next start makes indexes, snapshots and leader epochs anew from there.
"""

from dataclasses import dataclass, field
from pathlib import Path

from ottla.storage.files.checkpoints import OffsetCheckpoint
from ottla.storage.files.interface import SegmentFiles
from ottla.storage.segments.data_directory import CLEAN_SHUTDOWN, RECOVERY_POINTS
from ottla.storage.segments.recovery.log_check import BadRange, LogReport, check_directory
from ottla.storage.segments.segment import LOG_SUFFIX, file_name

DAMAGED_SUFFIX = ".damaged"
_REPAIRED_SUFFIX = ".repaired"
_CHUNK = 1 << 20


@dataclass(slots=True)
class Repair:
    """The repair of one log."""

    report: LogReport
    """The damage that was found."""
    kept: list[Path] = field(default_factory=list)
    """Damaged segments as they were."""


def repair(files: SegmentFiles, root: Path, name: str) -> Repair:
    """Repair the log ``name`` (``topic-partition``), if it needs it. Raises OSError.

    A repair that was cut short may be done again: it comes to the same end.
    """
    (report,) = check_directory(files, root, [name])
    done = Repair(report)
    if not report.needs_repair:
        return done
    folder = root / name
    by_segment: dict[int, list[BadRange]] = {}
    for bad in report.bad:
        by_segment.setdefault(bad.segment, []).append(bad)
    # First of all the next start is told to look: it takes a repair that was cut short for a crash.
    _put_back_recovery_point(files, root, report, min(by_segment, default=report.end_offset))
    for base, ranges in by_segment.items():
        path = folder / file_name(base, LOG_SUFFIX)
        size = files.size(path)
        kept = path.with_name(_free_name(path.name + DAMAGED_SUFFIX, files.names(folder)))
        repaired = path.with_name(path.name + _REPAIRED_SUFFIX)
        _copy(files, path, kept, [(0, size)])
        _copy(files, path, repaired, _between(ranges, size))
        files.sync_folder(folder)
        files.rename(repaired, path)
        files.sync_folder(folder)
        done.kept.append(kept)
    return done


def _free_name(name: str, taken: list[str]) -> str:
    number = 1
    while name in taken:
        number += 1
        name = f"{name.rstrip('0123456789')}{number}"
    return name


def _put_back_recovery_point(files: SegmentFiles, root: Path, report: LogReport, offset: int) -> None:
    topic, _, number = report.name.rpartition("-")
    checkpoint = OffsetCheckpoint(files, root / RECOVERY_POINTS)
    points = checkpoint.read() or {}
    points[topic, int(number)] = min(offset, report.end_offset, report.recovery_point)
    checkpoint.writing(points, sync=True)()
    files.remove(root / CLEAN_SHUTDOWN)
    files.sync_folder(root)


def _copy(files: SegmentFiles, path: Path, target_path: Path, ranges: list[tuple[int, int]]) -> None:
    """Write ranges of a file, one behind the other, into a new one, and sync it."""
    source = files.file(path)
    target = files.create(target_path)
    try:
        written = 0
        for start, end in ranges:
            for position in range(start, end, _CHUNK):
                data = source.pread(min(_CHUNK, end - position), position)
                while data:
                    count = target.pwrite(data, written)
                    written += count
                    data = data[count:]
        target.sync()
    finally:
        source.close()
        target.close()


def _between(ranges: list[BadRange], size: int) -> list[tuple[int, int]]:
    edges = [0, *(edge for bad in ranges for edge in (bad.start, bad.end)), size]
    return [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]
