"""Retention lets old segments go, and their files are unlinked later."""

from pathlib import Path

import pytest

from ottla.storage.files.real import RealFiles
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.data_directory import DataDirectory
from ottla.storage.segments.segment_log import SegmentLog
from ottla.storage.slices import FileSlice
from tests.stage.logs import NOW_MS, TOPIC_ID, append, append_records, batch_of, offsets, read, read_all
from tests.stage.stepping import take_all, take_measured, without_collections
from tests.storage.conftest import Disk

HOUR_MS = 3_600_000
ONE_RECORD = len(batch_of())
FOREVER = 1 << 62


def config(**settings: object) -> LogConfig:
    """Segments of two records each."""
    return LogConfig(**{"segment_bytes": 2 * ONE_RECORD, "retention_ms": -1, **settings})  # type: ignore[arg-type]


def append_at(log: SegmentLog, *times: int) -> None:
    for time in times:
        append(log, batch_of(timestamps=[time]), now_ms=max(time, NOW_MS))


def retain(log: SegmentLog, now_ms: int = NOW_MS, high_watermark: int | None = None) -> bool:
    return take_all(log.apply_retention(now_ms, log.log_end_offset if high_watermark is None else high_watermark))


def bases(disk: Disk) -> list[int]:
    return sorted(int(path.name[:20]) for path in disk.folder.glob("*.log"))


def test_segments_whose_newest_record_is_too_old_go(disk: Disk) -> None:
    log = disk.open(config(retention_ms=HOUR_MS))
    append_at(log, NOW_MS - 9 * HOUR_MS, NOW_MS - 3 * HOUR_MS, NOW_MS - 9 * HOUR_MS, NOW_MS, NOW_MS - 9 * HOUR_MS)
    assert retain(log)
    assert log.log_start_offset == 2
    assert offsets(b"".join(read_all(log))) == [2, 3, 4]
    assert bases(disk) == [2, 4]


def test_a_record_that_is_exactly_as_old_as_allowed_stays(disk: Disk) -> None:
    log = disk.open(config(retention_ms=HOUR_MS))
    append_at(log, NOW_MS - HOUR_MS, NOW_MS - HOUR_MS, NOW_MS)
    assert not retain(log)
    assert retain(log, NOW_MS + 1)
    assert log.log_start_offset == 2


def test_an_idle_log_empties_itself_and_goes_on_at_its_end(disk: Disk) -> None:
    log = disk.open(config(retention_ms=HOUR_MS))
    append_at(log, NOW_MS, NOW_MS, NOW_MS)
    assert retain(log, NOW_MS + 2 * HOUR_MS)
    assert (log.log_start_offset, log.log_end_offset, log.size_bytes) == (3, 3, 0)
    assert bases(disk) == [3]
    assert not retain(log, NOW_MS + 2 * HOUR_MS)
    assert append(log).base_offset == 3
    log = disk.reopen(clean=True)
    assert (log.log_start_offset, log.log_end_offset) == (3, 4)


def test_records_without_a_time_are_never_too_old(disk: Disk) -> None:
    log = disk.open(config(retention_ms=HOUR_MS))
    append_at(log, -1, -1, -1)
    assert not retain(log, FOREVER)


def test_a_log_shrinks_as_long_as_it_keeps_as_many_bytes_as_it_may(disk: Disk) -> None:
    log = disk.open(config(retention_bytes=5 * ONE_RECORD))
    append_records(log, 8)
    assert retain(log)
    assert log.log_start_offset == 2
    assert log.size_bytes == 6 * ONE_RECORD
    assert not retain(log)
    append_records(log, 1)
    assert retain(log)
    assert log.log_start_offset == 4


def test_a_log_of_no_bytes_at_all_keeps_nothing(disk: Disk) -> None:
    log = disk.open(config(retention_bytes=0))
    append_records(log, 5)
    assert retain(log)
    assert (log.log_start_offset, log.size_bytes) == (5, 0)


def test_nothing_goes_that_others_have_not_got_yet(disk: Disk) -> None:
    log = disk.open(config(retention_bytes=0))
    append_records(log, 6)
    assert not retain(log, high_watermark=1)
    assert retain(log, high_watermark=5)
    assert log.log_start_offset == 4


def test_a_compacted_log_keeps_all_but_what_lies_below_its_start(disk: Disk) -> None:
    log = disk.open(config(retention_bytes=0, retention_ms=1, cleanup_policy=frozenset({"compact"})))
    append_records(log, 6)
    assert not retain(log, FOREVER)
    log.delete_records(3)
    assert bases(disk) == [2, 4]
    log.configure(config(retention_bytes=0, cleanup_policy=frozenset({"compact", "delete"})))
    assert retain(log)
    assert log.log_start_offset == 6


def test_changed_settings_count_from_the_next_time_on(disk: Disk) -> None:
    log = disk.open(config())
    append_records(log, 6)
    assert not retain(log)
    log.configure(config(retention_bytes=ONE_RECORD))
    assert retain(log)
    assert log.log_start_offset == 4


def test_files_are_unlinked_after_their_delay_and_the_space_is_free(disk: Disk) -> None:
    log = disk.open(config(retention_bytes=0, file_delete_delay_ms=60_000))
    append_records(log, 4)
    used = sum(path.stat().st_size for path in disk.folder.iterdir())
    retain(log)
    given_up = {name for name in disk.names() if name.endswith(".deleted")}
    assert given_up >= {f"{base:020d}.{kind}.deleted" for base in (0, 2) for kind in ("log", "index", "timeindex")}
    disk.remove_due(NOW_MS)
    disk.remove_due(NOW_MS + 59_999)
    assert {name for name in disk.names() if name.endswith(".deleted")} == given_up
    disk.remove_due(NOW_MS + 60_000)
    assert not [name for name in disk.names() if name.endswith(".deleted")]
    assert sum(path.stat().st_size for path in disk.folder.iterdir()) < used - 4 * ONE_RECORD
    assert disk.directory is not None
    assert len(disk.directory.removals) == 0


def test_who_reads_a_segment_that_goes_reads_on(disk: Disk) -> None:
    log = disk.open(config(retention_bytes=0, file_delete_delay_ms=0))
    append(log, batch_of([b"still here"]))
    found = log.read(0, 1 << 20, end_offset=1, minimum_one_batch=True)
    assert isinstance(found, FileSlice)
    retain(log)
    disk.remove_due()
    assert bases(disk) == [1]
    assert b"still here" in found.read()
    found.release()


def test_what_a_broker_did_not_get_to_unlink_goes_after_the_next_start(disk: Disk) -> None:
    log = disk.open(config(retention_bytes=0))
    append_records(log, 4)
    retain(log)
    disk.reopen(clean=False)
    assert [name for name in disk.names() if name.endswith(".deleted")]
    disk.remove_due()
    assert not [name for name in disk.names() if name.endswith(".deleted")]


def test_the_snapshot_of_the_last_segment_stays(disk: Disk) -> None:
    log = disk.open(config(retention_bytes=0))
    for sequence in range(5):
        append(log, batch_of(producer=(7, 0, sequence)))
    retain(log, high_watermark=4)
    assert [name for name in disk.names() if name.endswith(".snapshot")] == [f"{4:020d}.snapshot"]
    log = disk.reopen(clean=True)
    assert append(log, batch_of(producer=(7, 0, 5))).base_offset == 5


def test_deleting_much_at_once_is_finished_later(disk: Disk) -> None:
    log = disk.open(config())
    append_records(log, 100)
    log.delete_records(99)
    assert len(bases(disk)) > 1
    assert read(log, 98 + 1)
    assert disk.directory is not None
    assert list(disk.directory.logs_to_trim) == [log]
    retain(log)
    assert bases(disk) == [98]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_thousand_segments_go_without_a_long_step(tmp_path: Path) -> None:
    files = RealFiles(durable=False)
    directory = DataDirectory(tmp_path, node_id=1, files=files)
    settings = config(retention_ms=HOUR_MS, segment_bytes=ONE_RECORD)
    append_records(directory.open_log("t", 0, topic_id=TOPIC_ID, config=settings), 10_000)
    directory.close()

    directory = DataDirectory(tmp_path, node_id=1, files=files)
    log = directory.open_log("t", 0, topic_id=TOPIC_ID, config=settings)
    with without_collections():
        taken = take_measured(log.apply_retention(NOW_MS + 2 * HOUR_MS, 10_000))
    assert taken.outcome is True
    assert taken.steps > 10_000
    assert taken.longest_s < 0.05, f"one step took {1000 * taken.longest_s:.1f} ms"
    assert len(log.segments) == 1
    directory.removals.remove_due(NOW_MS)
    directory.removals.remove_due(NOW_MS + 60_000)
    assert len(list((tmp_path / "t-0").iterdir())) < 10
    directory.abandon()
