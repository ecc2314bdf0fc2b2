"""``preallocate``: a segment's file has its full size from the start, and what nobody wrote is given back."""

from ottla.storage.log_config import LogConfig
from tests.stage.logs import append, append_records, batch_of, offsets, read, read_all
from tests.storage.conftest import Disk

PREALLOCATED = LogConfig(preallocate=True, segment_bytes=10_000)
ONE_RECORD = len(batch_of())


def sizes(disk: Disk) -> list[int]:
    return [path.stat().st_size for path in sorted(disk.folder.glob("*.log"))]


def test_a_new_segment_has_its_full_size_on_disk_and_counts_what_was_written(disk: Disk) -> None:
    log = disk.open(PREALLOCATED)
    append_records(log, 3)
    assert sizes(disk) == [10_000]
    assert log.size_bytes == 3 * ONE_RECORD
    assert offsets(read(log, 0)) == [0, 1, 2]


def test_a_full_segment_is_cut_to_what_was_written(disk: Disk) -> None:
    log = disk.open(PREALLOCATED)
    append_records(log, 200)
    written = [segment.size for segment in log.segments]
    assert len(written) > 1
    assert sizes(disk) == [*written[:-1], 10_000]


def test_a_shutdown_leaves_no_zeros(disk: Disk) -> None:
    append_records(disk.open(PREALLOCATED), 3)
    log = disk.reopen(PREALLOCATED, clean=True)
    assert sizes(disk) == [3 * ONE_RECORD]
    append(log)
    assert offsets(read(log, 0)) == [0, 1, 2, 3]


def test_a_crash_leaves_zeros_that_the_next_start_cuts(disk: Disk) -> None:
    append_records(disk.open(PREALLOCATED), 3)
    log = disk.reopen(PREALLOCATED, clean=False)
    assert sizes(disk) == [3 * ONE_RECORD]
    append(log)
    assert len(read_all(log)) == 4


def test_it_is_in_force_from_the_next_segment_on(disk: Disk) -> None:
    log = disk.open(LogConfig(segment_bytes=10_000))
    append(log)
    log.configure(PREALLOCATED)
    append(log)
    assert sizes(disk) == [2 * ONE_RECORD]
    log.roll()
    assert sizes(disk) == [2 * ONE_RECORD, 10_000]
