"""A lookup by time after a start: a thread reads what is on the disk, segment by segment, while the log may change."""

import pytest

from ottla.scheduling.promise import Promise
from ottla.storage.files.real import RealFiles
from ottla.storage.log import FoundOffset
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from tests.stage.held import Held
from tests.stage.logs import append, batch_of
from tests.storage.conftest import Disk

OF_A_SEGMENT = 5
SEGMENTS = 8
CONFIG = LogConfig(segment_bytes=OF_A_SEGMENT * len(batch_of()))


class Started:
    """A log just opened: the record at offset n has the timestamp 10 n, but for the greatest one in the middle."""

    def __init__(self, disk: Disk) -> None:
        log = disk.open(CONFIG)
        for offset in range(OF_A_SEGMENT * SEGMENTS):
            append(log, batch_of(timestamps=[9_999 if offset == 17 else 10 * offset]))
        disk.close()
        self.disk = disk
        self.thread = disk.background = Held()
        self.files = disk.files = RealFiles(durable=False)
        self.log: SegmentLog = disk.open(CONFIG)
        assert len(self.log.segments) == SEGMENTS

    @property
    def known(self) -> int:
        return sum(segment.times_are_known for segment in self.log.segments)


@pytest.fixture
def started(disk: Disk) -> Started:
    return Started(disk)


def later(found: FoundOffset | Promise[FoundOffset | None] | None) -> Promise[FoundOffset | None]:
    assert isinstance(found, Promise)
    return found


def assert_refused(*lookups: Promise[FoundOffset | None]) -> None:
    for lookup in lookups:
        with pytest.raises(KafkaError) as refusal:
            lookup.result()
        assert refusal.value.code is ErrorCode.KAFKA_STORAGE_ERROR


def test_segments_are_read_by_a_thread_one_after_the_other(started: Started) -> None:
    found = later(started.log.offset_for_timestamp(120))
    for known in range(3):
        assert (len(started.thread.jobs), started.known) == (1, known)
        started.thread.work()
    started.thread.work_to_the_end()
    assert found.result() == (120, 12, 0)
    assert started.known == 3  # Nothing beyond what was found is looked at.
    assert started.files.open_files.pinned == 0


def test_what_a_closed_segment_holds_comes_after_its_indexes_were_read(started: Started) -> None:
    later(started.log.offset_for_timestamp(10_000))
    started.thread.work_to_the_end()
    again = later(started.log.offset_for_timestamp(120))
    started.thread.work_to_the_end()
    assert again.result() == (120, 12, 0)


def test_what_the_last_segment_holds_comes_at_once_when_all_times_are_known(started: Started) -> None:
    greatest = later(started.log.max_timestamp())
    started.thread.work_to_the_end()
    assert greatest.result() == (9_999, 17, 0)
    append(started.log, batch_of(timestamps=[20_000]))
    assert started.log.offset_for_timestamp(10_000) == (20_000, OF_A_SEGMENT * SEGMENTS, 0)
    assert started.log.max_timestamp() == (20_000, OF_A_SEGMENT * SEGMENTS, 0)
    assert started.log.offset_for_timestamp(20_001) is None


@pytest.mark.parametrize("jobs", range(8))
def test_segments_may_go_at_any_time(started: Started, jobs: int) -> None:
    found = later(started.log.offset_for_timestamp(60))
    greatest = later(started.log.max_timestamp())
    for _ in range(jobs):
        started.thread.work()
    answered = found.done
    started.log.delete_records(24)
    started.thread.work_to_the_end()
    assert found.result() == ((60, 6, 0) if answered else (240, 24, 0))
    assert greatest.result() == (10 * (OF_A_SEGMENT * SEGMENTS - 1), OF_A_SEGMENT * SEGMENTS - 1, 0)
    assert started.files.open_files.pinned == 0


@pytest.mark.parametrize("jobs", range(4))
def test_a_log_that_is_closed_meanwhile_answers_with_an_error(started: Started, jobs: int) -> None:
    lookups = [later(started.log.offset_for_timestamp(10_000)), later(started.log.max_timestamp())]
    for _ in range(jobs):
        started.thread.work()
    started.log.abandon()
    started.thread.work_to_the_end()
    assert_refused(*lookups)
    assert started.files.open_files.pinned == 0


def test_a_disk_that_cannot_be_read_fails_the_lookup(started: Started) -> None:
    lookups = [later(started.log.offset_for_timestamp(0)), later(started.log.max_timestamp())]
    for _, then in started.thread.jobs:
        then(OSError("the disk is gone"))
    assert_refused(*lookups)
    assert started.files.open_files.pinned == 0


def test_segments_that_were_emptied_under_the_broker_are_an_error_too(started: Started) -> None:
    found = later(started.log.offset_for_timestamp(0))
    for path in started.disk.folder.glob("*.log"):
        path.write_bytes(b"")
    started.thread.work_to_the_end()
    assert_refused(found)


@pytest.mark.slow
def test_a_great_many_segments_are_no_deep_recursion(disk: Disk) -> None:
    config = LogConfig(segment_bytes=len(batch_of()))
    log = disk.open(config)
    for _ in range(500):
        append(log)
    log = disk.reopen(config, clean=True)
    assert log.offset_for_timestamp(1 << 60) is None
