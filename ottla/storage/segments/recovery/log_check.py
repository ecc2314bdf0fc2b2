"""Reads a stopped broker's logs from end to end and says what is wrong with them. Changes nothing.

A start looks only at what it has to, so that damage to old batches shows when somebody reads them, or here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct

from crc32c import crc32c

from ottla.storage.files.checkpoints import OffsetCheckpoint
from ottla.storage.files.identity import PARTITION_METADATA, read_partition_metadata
from ottla.storage.files.interface import SegmentFile, SegmentFiles
from ottla.storage.log_config import MAX_INT64
from ottla.storage.segments.aborted_index import SUFFIX as TRANSACTION_INDEX_SUFFIX
from ottla.storage.segments.aborted_index import AbortedTransactions
from ottla.storage.segments.data_directory import CLEAN_SHUTDOWN, LOG_START_OFFSETS, RECOVERY_POINTS
from ottla.storage.segments.index import CorruptIndexError
from ottla.storage.segments.leader_epochs import FILE_NAME as EPOCHS_FILE
from ottla.storage.segments.leader_epochs import LeaderEpochs
from ottla.storage.segments.recovery.producer_snapshots import CorruptSnapshotError, decode_snapshot
from ottla.storage.segments.scan import CorruptBatchError, check_batches
from ottla.storage.segments.segment import INDEX_SUFFIX, LOG_SUFFIX, SNAPSHOT_SUFFIX, TIME_INDEX_SUFFIX, file_name
from ottla.wire.batch import ATTRIBUTES_OFFSET, HEADER_SIZE, MAGIC, MAGIC_OFFSET, BatchHeader, read_header

_OFFSET_DIGITS = 20
_CHUNK = 1 << 20
_MAGIC = bytes((MAGIC,))
_OFFSET_ENTRY = Struct(">ii")
_TIME_ENTRY = Struct(">qi")
_START = Struct(">qi")
_CHECKPOINTS = (RECOVERY_POINTS, LOG_START_OFFSETS)


@dataclass(frozen=True, slots=True)
class BadRange:
    """Bytes of a segment that are no batches, between the offsets of the good ones around them."""

    segment: int
    """The base offset of the segment."""
    start: int
    end: int
    """File positions; the end is exclusive."""
    reason: str
    next_offset: int
    """The offset after the last good batch before them."""
    resumes_at: int | None
    """The first good offset behind them in the segment; None if there is none."""


@dataclass(kw_only=True, slots=True)
class LogReport:
    """The damage of one log."""

    name: str
    recovery_point: int = 0
    was_clean: bool = False
    checked_from: int = 0
    """The base offset of the first segment that the next start checks, unless it was closed well."""
    batches: int = 0
    size_bytes: int = 0
    log_start_offset: int = 0
    end_offset: int = 0
    bad: list[BadRange] = field(default_factory=list)
    rebuilt: list[str] = field(default_factory=list)
    """The files that the next start makes anew by itself: sentences for a person."""

    @property
    def lacks_the_end(self) -> bool:
        """Whether the log ends below its recovery point: a segment, or all of them, are missing."""
        return self.end_offset < self.recovery_point > self.log_start_offset

    @property
    def needs_repair(self) -> bool:
        """Whether something is lost that was safe on disk. A tail that a crash tore is cut by the next start."""
        return self.lacks_the_end or any(not self.is_torn(bad) for bad in self.bad)

    def is_torn(self, bad: BadRange) -> bool:
        """Return whether a crash leaves such bytes: the next start looks there, and cuts."""
        return not self.was_clean and bad.segment >= self.checked_from and bad.next_offset >= self.recovery_point


def check_directory(files: SegmentFiles, root: Path, names: list[str] | None = None) -> Iterator[LogReport]:
    """Check the logs of a data directory, or those of these names (``topic-partition``). Raises OSError."""
    was_clean = files.read(root / CLEAN_SHUTDOWN) is not None
    recovery_points, starts = (OffsetCheckpoint(files, root / name).read() or {} for name in _CHECKPOINTS)
    known = {f"{topic}-{partition}" for topic, partition in recovery_points}
    for name in sorted(names if names is not None else known | set(logs_in(files, root))):
        topic, _, number = name.rpartition("-")
        key = (topic, int(number))
        yield check_log(
            files,
            root / name,
            LogReport(
                name=name,
                was_clean=was_clean,
                recovery_point=recovery_points.get(key, 0),
                log_start_offset=starts.get(key, 0),
            ),
        )


def logs_in(files: SegmentFiles, root: Path) -> list[str]:
    """Return the names of the logs that have a folder."""
    parted = ((name, name.rpartition("-")) for name in files.names(root))
    return [name for name, (topic, _, number) in parted if topic and number.isascii() and number.isdigit()]


def check_log(files: SegmentFiles, folder: Path, report: LogReport) -> LogReport:
    """Fill in the damage of the log in ``folder``. Raises OSError."""
    names = set(files.names(folder))
    bases = segments_of(names)
    report.checked_from = max((base for base in bases if base <= report.recovery_point), default=0)
    report.end_offset = report.log_start_offset = max(report.log_start_offset, bases[0] if bases else 0)
    for base, end_offset in zip(bases, [*bases[1:], MAX_INT64], strict=False):
        _check_segment(files, folder, base, end_offset=end_offset, names=names, report=report)
    for name in sorted(names):
        if name.endswith(SNAPSHOT_SUFFIX):
            try:
                decode_snapshot(files.read(folder / name) or b"")
            except CorruptSnapshotError as problem:
                report.rebuilt.append(f"{name}: {problem}")
    if bases and not LeaderEpochs(files, folder / EPOCHS_FILE).load():
        report.rebuilt.append(f"{EPOCHS_FILE}: missing or damaged")
    if bases and read_partition_metadata(files, folder) is None:
        report.rebuilt.append(f"{PARTITION_METADATA}: missing or damaged")
    return report


def segments_of(names: set[str]) -> list[int]:
    """Return the base offsets of the segments among a folder's files, ascending."""
    stems = (name[:_OFFSET_DIGITS] for name in names if name[_OFFSET_DIGITS:] == LOG_SUFFIX)
    return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdigit())


def walk(
    file: SegmentFile, size: int, base_offset: int, end_offset: int
) -> Iterator[tuple[int, BatchHeader] | BadRange]:
    """Yield position and header of each good batch, and the ranges between them that are none, in order."""
    position, next_offset = 0, base_offset
    while position < size:
        try:
            for start, header in check_batches(file, position, size):
                if not next_offset <= header.base_offset <= header.last_offset < end_offset:
                    raise CorruptBatchError(start, f"offset {header.base_offset} does not follow {next_offset - 1}")
                yield start, header
                next_offset = header.next_offset
                position = start + header.size
        except CorruptBatchError as damage:
            end, resumes_at = _next_good(file, position + 1, size, next_offset, end_offset)
            yield BadRange(base_offset, position, end, damage.reason, next_offset, resumes_at)
            position = end


def _next_good(
    file: SegmentFile, position: int, size: int, next_offset: int, end_offset: int
) -> tuple[int, int | None]:
    """Return where the next good batch is, and its offset; ``size`` and None if there is none."""
    while (position := _next_candidate(file, position, size, next_offset, end_offset)) < size:
        header = read_header(file.pread(HEADER_SIZE, position))
        if header.size <= size - position and header.base_offset <= header.last_offset < end_offset:
            body = file.pread(header.size - ATTRIBUTES_OFFSET, position + ATTRIBUTES_OFFSET)
            if crc32c(body) == header.crc:
                return position, header.base_offset
        position += 1
    return size, None


def _next_candidate(file: SegmentFile, position: int, size: int, next_offset: int, end_offset: int) -> int:
    """Return the next position that could be a batch's by its offset, length and magic byte; ``size`` without one."""
    while position + HEADER_SIZE <= size:
        chunk = file.pread(_CHUNK, position)
        found = chunk.find(_MAGIC, MAGIC_OFFSET)
        while found >= 0:
            start = found - MAGIC_OFFSET
            base_offset, length = _START.unpack_from(chunk, start)
            if next_offset <= base_offset < end_offset and length >= HEADER_SIZE - _START.size:
                return position + start
            found = chunk.find(_MAGIC, found + 1)
        position += max(len(chunk) - MAGIC_OFFSET, 1)
    return size


def _check_segment(
    files: SegmentFiles, folder: Path, base: int, *, end_offset: int, names: set[str], report: LogReport
) -> None:
    path = folder / file_name(base, LOG_SUFFIX)
    size = files.size(path)
    file = files.file(path)
    positions: dict[int, BatchHeader] = {}
    try:
        for found in walk(file, size, base, end_offset):
            if isinstance(found, BadRange):
                report.bad.append(found)
            else:
                position, header = found
                positions[position] = header
                report.end_offset = header.next_offset
    finally:
        file.close()
    report.end_offset = max(report.end_offset, base)
    report.batches += len(positions)
    report.size_bytes += size
    try:
        _check_offset_index(files, folder, base, positions)
        _check_time_index(files, folder, base, positions)
        name = file_name(base, TRANSACTION_INDEX_SUFFIX)
        if name in names:
            AbortedTransactions(files, folder).check(base, report.end_offset)
    except CorruptIndexError as problem:
        report.rebuilt.append(str(problem))


def _check_offset_index(files: SegmentFiles, folder: Path, base: int, positions: dict[int, BatchHeader]) -> None:
    name = file_name(base, INDEX_SUFFIX)
    for relative, position in _entries(files, folder / name, _OFFSET_ENTRY):
        header = positions.get(position)
        if header is None or header.last_offset > base + relative:
            raise CorruptIndexError(f"{name}: no batch up to offset {base + relative} lies at {position}")


def _check_time_index(files: SegmentFiles, folder: Path, base: int, positions: dict[int, BatchHeader]) -> None:
    name = file_name(base, TIME_INDEX_SUFFIX)
    headers = iter(positions.values())
    greatest, last_offset = -1, -1
    for timestamp, relative in _entries(files, folder / name, _TIME_ENTRY):
        while last_offset < base + relative and (header := next(headers, None)) is not None:
            greatest, last_offset = max(greatest, header.max_timestamp), header.last_offset
        if greatest != timestamp:
            raise CorruptIndexError(f"{name}: {timestamp} is not the greatest timestamp up to {base + relative}")


def _entries(files: SegmentFiles, path: Path, entry: Struct) -> list[tuple[int, int]]:
    """Return the entries of an index; Apache allots the file in advance, filled with zeros."""
    raw = files.read(path)
    if raw is None:
        raise CorruptIndexError(f"{path.name} is missing")
    if len(raw) % entry.size:
        raise CorruptIndexError(f"{path.name} does not end with a whole entry")
    entries: list[tuple[int, int]] = list(entry.iter_unpack(raw))
    while entries and entries[-1] == (0, 0):
        entries.pop()
    return entries
