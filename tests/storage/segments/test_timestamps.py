"""Which record a timestamp leads to."""

import random

import pytest

from ottla.storage.log_config import LogConfig
from ottla.wire.records import read_records
from tests.stage.logs import NOW_MS, append, append_records, batch_of, read_all
from tests.storage.conftest import Disk


def test_the_record_is_found_not_its_batch(disk: Disk) -> None:
    log = disk.open()
    append(log, batch_of([b"a", b"b", b"c"], timestamps=[10, 20, 30]), leader_epoch=4)
    assert log.offset_for_timestamp(11) == (20, 1, 4)
    assert log.offset_for_timestamp(20) == (20, 1, 4)
    assert log.offset_for_timestamp(0) == (10, 0, 4)
    assert log.offset_for_timestamp(31) is None


def test_a_compressed_record_is_found(disk: Disk) -> None:
    log = disk.open()
    append(log, batch_of([b"a"] * 100, timestamps=range(100), codec=4))
    assert log.offset_for_timestamp(57) == (57, 57, 0)


def test_of_records_out_of_order_the_first_by_offset_is_found(disk: Disk) -> None:
    log = disk.open()
    append(log, batch_of([b"a", b"b", b"c", b"d"], timestamps=[50, 10, 40, 50]))
    assert log.offset_for_timestamp(20) == (50, 0, 0)
    assert log.max_timestamp() == (50, 0, 0)


def test_an_empty_log_has_no_timestamps(disk: Disk) -> None:
    log = disk.open()
    assert log.offset_for_timestamp(0) is None
    assert log.max_timestamp() is None


def test_deleted_records_are_not_found(disk: Disk) -> None:
    log = disk.open()
    append(log, batch_of([b"a", b"b", b"c"], timestamps=[10, 20, 30]))
    log.delete_records(2)
    assert log.offset_for_timestamp(0) == (30, 2, 0)


def test_the_first_of_several_greatest_timestamps_is_the_maximum(disk: Disk) -> None:
    log = disk.open(LogConfig(segment_bytes=200))
    for time in (5, 9, 7, 9, 1):
        append(log, batch_of(timestamps=[time]))
    assert len(log.segments) > 2
    assert log.max_timestamp() == (9, 1, 0)


def test_the_maximum_of_records_without_timestamps_is_the_first(disk: Disk) -> None:
    log = disk.open()
    append(log, batch_of(timestamps=[-1]))
    append(log, batch_of(timestamps=[-1]))
    assert log.max_timestamp() == (-1, 0, 0)


@pytest.mark.parametrize("restart", ["none", "clean", "crash"])
def test_lookups_agree_with_a_look_at_every_record(disk: Disk, restart: str) -> None:
    config = LogConfig(segment_bytes=4000, index_interval_bytes=150)
    log = disk.open(config)
    generator = random.Random(3)
    for number in range(150):
        times = [NOW_MS + number * 10 + generator.randrange(-60, 60) for _ in range(generator.randrange(1, 5))]
        append(log, batch_of([b"v" * generator.randrange(80)] * len(times), timestamps=times))
    if restart != "none":
        log = disk.reopen(config, clean=restart == "clean")
    segments = [segment.base_offset for segment in log.segments]
    records = [record for batch in read_all(log) for record in read_records(batch)]
    for target in range(NOW_MS - 100, NOW_MS + 1600, 7):
        expected = next(((each.timestamp, each.offset, 0) for each in records if each.timestamp >= target), None)
        assert log.offset_for_timestamp(target) == expected
    assert len(segments) > 3
    greatest = max(records, key=lambda each: each.timestamp)
    assert log.max_timestamp() == (greatest.timestamp, greatest.offset, 0)


def test_timestamps_are_right_after_appending_to_a_reopened_log(disk: Disk) -> None:
    config = LogConfig(index_interval_bytes=100)
    append_records(disk.open(config), 5)
    log = disk.reopen(config, clean=True)
    append(log, batch_of(timestamps=[NOW_MS + 5]))
    append_records(log, 5)
    log = disk.reopen(config, clean=True)
    assert log.max_timestamp() == (NOW_MS + 5, 5, 0)
    assert log.offset_for_timestamp(NOW_MS + 1) == (NOW_MS + 5, 5, 0)
