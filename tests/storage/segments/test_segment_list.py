"""The segments of a log: which of them holds an offset, and what adding, removing and replacing makes of the list."""

import pytest

from ottla.storage.log_config import LogConfig
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.codes import ErrorCode
from tests.stage.logs import append, append_records, batch_of
from tests.storage.conftest import Disk

BATCH = len(batch_of())
CONFIG = LogConfig(segment_bytes=2 * BATCH, file_delete_delay_ms=0)


@pytest.fixture
def log(disk: Disk) -> SegmentLog:
    """Seven records, two in a segment: segments at 0, 2, 4 and 6."""
    log = disk.open(CONFIG)
    append_records(log, 7)
    return log


def bases(log: SegmentLog) -> list[int]:
    assert log.size_bytes == sum(segment.size for segment in log.segments)
    return [segment.base_offset for segment in log.segments]


def test_every_offset_has_its_segment(log: SegmentLog) -> None:
    assert bases(log) == [0, 2, 4, 6]
    assert [log.segment_number(offset) for offset in range(9)] == [0, 0, 1, 1, 2, 2, 3, 3, 3]
    assert [log.end_of_segment(number) for number in range(4)] == [2, 4, 6, 7]


def test_a_batch_is_located_with_its_segment_and_where_that_ends(log: SegmentLog) -> None:
    segment, end, found = log.locate(3)
    assert (segment.base_offset, end, found) == (2, 4, (BATCH, BATCH))
    segment, end, found = log.locate(6)
    assert (segment.base_offset, end, found) == (6, 7, (0, BATCH))


def test_the_first_segments_are_given_up_and_their_files_go_later(log: SegmentLog, disk: Disk) -> None:
    first = log.segments[0]
    log.remove_first(2)
    assert bases(log) == [4, 6]
    assert first.is_discarded
    assert len([name for name in disk.names() if name.endswith(".log.deleted")]) == 2
    disk.remove_due()
    assert not [name for name in disk.names() if name.endswith(".deleted")]


def test_segments_from_one_on_go_at_once(log: SegmentLog, disk: Disk) -> None:
    log.remove_from(2)
    assert bases(log) == [0, 2]
    assert [name for name in disk.names() if ".log" in name] == [f"{base:020d}.log" for base in (0, 2)]


def test_a_segment_takes_the_place_of_several(log: SegmentLog) -> None:
    size = log.segments[1].size
    replacement = log.segment_file(2, size=size)
    assert log.replace_segments(1, 2, replacement) == [2, 4]
    assert bases(log) == [0, 2, 6]
    assert log.segments[1] is replacement
    assert log.end_of_segment(1) == 6


def test_only_segments_above_the_recovery_point_are_unsynced(log: SegmentLog) -> None:
    log.recovery_point = 0
    assert [segment.base_offset for segment in log.unsynced()] == [0, 2, 4, 6]
    log.recovery_point = 3
    assert [segment.base_offset for segment in log.unsynced()] == [2, 4, 6]
    assert [segment.base_offset for segment in log.unsynced(4)] == [2]
    log.recovery_point = 7
    assert log.unsynced() == []


def test_the_start_takes_the_leader_epochs_with_it(log: SegmentLog) -> None:
    append(log, leader_epoch=5)
    assert log.epochs.entries == [(0, 0), (5, 7)]
    log.move_start(3)
    assert (log.log_start_offset, log.epochs.entries) == (3, [(0, 3), (5, 7)])
    log.move_start(7)
    assert (log.log_start_offset, log.epochs.entries) == (7, [(5, 7)])


def test_a_list_that_is_let_go_is_empty_and_says_why(log: SegmentLog) -> None:
    log.let_go()
    assert (log.segments, log.is_abandoned) == ([], True)
    error = log.closed_error()
    assert (error.code, error.message) == (ErrorCode.KAFKA_STORAGE_ERROR, "topic-0 is closed")
