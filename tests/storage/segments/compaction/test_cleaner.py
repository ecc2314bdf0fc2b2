"""Which log is compacted next, how much of it (``compaction/dirtiness``), and what is remembered."""

import logging
from pathlib import Path
from typing import Any

import pytest

from ottla.storage.files.real import RealFiles
from ottla.storage.segments.compaction.cleaner import Cleaner
from ottla.storage.segments.compaction.dirtiness import Cleanable, assess
from ottla.storage.segments.data_directory import DataDirectory
from ottla.storage.segments.segment_log import SegmentLog
from tests.stage.logs import NOW_MS, TOPIC_ID
from tests.stage.stepping import take_all, take_measured, without_collections
from tests.storage.compacting import SMALL, compacted_config, contents, put, put_each
from tests.storage.conftest import Disk

HOUR_MS = 3_600_000


def look(log: SegmentLog, cleaned_to: int | None = None, now_ms: int = NOW_MS) -> Cleanable | None:
    return take_all(assess(log, cleaned_to, now_ms, log.log_end_offset))


def fill(log: SegmentLog, count: int = 60, *, keys: int = 5, time_ms: int = NOW_MS) -> None:
    put_each(log, [(b"k%d" % (number % keys), b"%d" % number) for number in range(count)], time_ms=time_ms)


class House:
    """A data directory with several logs."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        self.config = compacted_config(**settings)
        self.open()

    def open(self) -> None:
        self.directory = DataDirectory(self.root, node_id=1, files=RealFiles(durable=False))
        self.cleaner = Cleaner(self.directory)

    def log(self, topic: str) -> SegmentLog:
        return self.directory.open_log(topic, 0, topic_id=TOPIC_ID, config=self.config)

    def clean(self, now_ms: int = NOW_MS) -> bool:
        logs = self.directory.logs
        return take_all(self.cleaner.clean_filthiest(SMALL, now_ms, lambda key: logs[key].log_end_offset))

    def checkpoint(self) -> dict[str, int]:
        lines = (self.root / "cleaner-offset-checkpoint").read_text().splitlines()[2:]
        return {topic: int(offset) for topic, _, offset in map(str.split, lines)}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_log_of_one_segment_has_nothing_to_be_compacted(disk: Disk) -> None:
    log = disk.open(compacted_config(segment_bytes=1 << 20))
    fill(log)
    assert look(log) is None


def test_the_ratio_is_that_of_dirty_bytes_to_those_that_could_be_clean(disk: Disk) -> None:
    log = disk.open(compacted_config(min_cleanable_dirty_ratio=0.5))
    fill(log)
    closed = log.segments[:-1]
    part = look(log)
    assert part is not None
    assert (part.ratio, part.first_dirty_offset) == (1.0, 0)
    assert part.first_uncleanable_offset == log.segments[-1].base_offset
    third = look(log, closed[3].base_offset)
    assert third is not None
    assert third.clean_bytes == sum(segment.size for segment in closed[:3])
    assert third.dirty_bytes == sum(segment.size for segment in closed[3:])
    last = look(log, closed[-1].base_offset)
    assert last is not None
    assert last.ratio < 0.5
    assert [each.is_filthy for each in (part, last)] == [True, False]


def test_a_checkpoint_that_cannot_be_is_not_believed(disk: Disk) -> None:
    log = disk.open(compacted_config())
    fill(log)
    log.delete_records(30)
    for wrong in (10, 61):
        part = look(log, wrong)
        assert part is not None
        assert part.first_dirty_offset == 30


def test_what_is_younger_than_the_least_lag_waits(disk: Disk) -> None:
    log = disk.open(compacted_config(min_compaction_lag_ms=HOUR_MS))
    fill(log, 30, time_ms=NOW_MS - 2 * HOUR_MS)
    log.roll()
    fill(log, 30)
    part = look(log)
    assert part is not None
    assert part.first_uncleanable_offset == 30
    later = look(log, now_ms=NOW_MS + 2 * HOUR_MS)
    assert later is not None
    assert later.first_uncleanable_offset == log.segments[-1].base_offset


def test_what_is_older_than_the_greatest_lag_does_not_wait(disk: Disk) -> None:
    log = disk.open(compacted_config(min_cleanable_dirty_ratio=1.0, max_compaction_lag_ms=HOUR_MS))
    fill(log)
    cleaned_to = log.segments[2].base_offset
    part = look(log, cleaned_to)
    assert part is not None
    assert not part.is_filthy
    later = look(log, cleaned_to, NOW_MS + HOUR_MS + 1)
    assert later is not None
    assert later.is_filthy


def test_segments_of_a_log_with_a_greatest_lag_roll_in_time(disk: Disk) -> None:
    log = disk.open(compacted_config(segment_bytes=1 << 20, max_compaction_lag_ms=HOUR_MS))
    put(log, (b"a", b"1"), time_ms=NOW_MS - HOUR_MS)
    put(log, (b"a", b"2"))
    assert len(log.segments) == 1
    put(log, (b"a", b"3"), time_ms=NOW_MS + 1)
    assert len(log.segments) == 2


def test_the_filthiest_log_comes_first(house: House) -> None:
    for topic, count in (("less", 40), ("most", 40), ("other", 40)):
        fill(house.log(topic), count)
    cleaned = house.directory.cleaned_offsets
    cleaned["less", 0], cleaned["other", 0] = 20, 10
    order = []
    before = dict(cleaned)
    while house.clean():
        order += [topic for (topic, _), offset in cleaned.items() if before.get((topic, 0)) != offset]
        before = dict(cleaned)
    assert order == ["most", "other", "less"]


def test_how_far_a_log_is_clean_survives_a_restart(house: House) -> None:
    log = house.log("t")
    fill(log)
    end = log.segments[-1].base_offset
    assert house.clean()
    assert house.checkpoint() == {"t": end}
    house.directory.close()
    house.open()
    log = house.log("t")
    assert not house.clean()
    fill(log)
    assert house.clean()
    assert house.checkpoint()["t"] > end


def test_a_topics_successor_is_dirty_from_its_start(house: House) -> None:
    fill(house.log("t"))
    assert house.clean()
    house.directory.delete_log("t", 0)
    successor = house.log("t")
    assert house.checkpoint() == {}
    fill(successor)
    assert house.clean()


def test_logs_that_are_not_compacted_are_left_alone(tmp_path: Path) -> None:
    house = House(tmp_path, cleanup_policy=frozenset({"delete"}))
    log = house.log("t")
    fill(log)
    assert not house.clean()
    log.configure(compacted_config(cleanup_policy=frozenset({"compact", "delete"})))
    assert house.clean()


def test_a_damaged_log_is_left_alone_and_the_others_are_compacted(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = house.log("good"), house.log("bad")
    fill(good)
    fill(bad)
    path = house.root / "bad-0" / f"{0:020d}.log"
    data = bytearray(path.read_bytes())
    data[70] ^= 1
    path.write_bytes(data)
    with caplog.at_level(logging.ERROR):
        while house.clean():
            pass
    assert house.checkpoint() == {"good": good.segments[-1].base_offset}
    assert caplog.text.count("is not compacted any more") == 1
    assert bad.log_end_offset == 60
    assert path.read_bytes() == data


def test_a_full_disk_puts_compaction_off(house: House, caplog: pytest.LogCaptureFixture) -> None:
    log = house.log("t")
    fill(log)
    obstacle = house.root / "t-0" / f"{0:020d}.log.cleaned"
    obstacle.mkdir()
    assert not house.clean()
    assert "could not be compacted now" in caplog.text
    assert len(contents(log)) == 60
    obstacle.rmdir()
    assert house.clean()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_thousand_segments_are_compacted_without_a_long_step(tmp_path: Path) -> None:
    house = House(tmp_path, segment_bytes=200, file_delete_delay_ms=0)
    log = house.log("t")
    value = b"x" * 60
    put_each(log, [(b"%d" % (number % 997), value) for number in range(10_001)])
    assert len(log.segments) == 10_001
    log.configure(compacted_config(segment_bytes=20_000, file_delete_delay_ms=0))
    with without_collections():
        taken = take_measured(house.cleaner.clean_filthiest(SMALL, NOW_MS, lambda _: log.log_end_offset))
    assert taken.outcome is True
    assert len(contents(log)) == 998
    assert len(log.segments) < 200
    assert taken.longest_s < 0.05, f"one step took {1000 * taken.longest_s:.1f} ms"
    house.directory.removals.remove_due(NOW_MS)
    assert len(list((tmp_path / "t-0").iterdir())) < 1000
    house.directory.abandon()
