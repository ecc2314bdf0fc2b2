"""A log after a restart, a crash, or damage to its files.

Covers ``recovery/producer_state`` too.
"""

import logging
from pathlib import Path

import pytest

from ottla.storage.log_config import LogConfig
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from tests.stage.logs import NOW_MS, append, append_records, batch_of, offsets, read, read_all
from tests.storage.conftest import Disk

SEGMENTS = LogConfig(segment_bytes=2000, index_interval_bytes=200)
FIRST = "00000000000000000000"


def flip_byte(path: Path, position: int) -> None:
    """Damage one byte of a file; negative positions count from its end."""
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("clean", [True, False])
def test_everything_is_there_after_a_restart(disk: Disk, clean: bool) -> None:
    log = disk.open(SEGMENTS)
    for number in range(100):
        append(log, batch_of([b"%d" % number] * 3, codec=number % 5), leader_epoch=number // 40)
    before = read_all(log)
    epochs = log.epochs.entries
    sizes = log.size_bytes
    log = disk.reopen(SEGMENTS, clean=clean)
    assert read_all(log) == before
    assert log.log_end_offset == 300
    assert log.epochs.entries == epochs == [(0, 0), (1, 120), (2, 240)]
    assert log.size_bytes == sizes
    assert append(log).base_offset == 300


def test_a_clean_start_reads_no_old_batches(disk: Disk) -> None:
    append_records(disk.open(SEGMENTS), 100)
    disk.close()
    for path in sorted(disk.folder.glob("*.log"))[:-1]:
        path.write_bytes(bytes(path.stat().st_size))
    assert disk.open(SEGMENTS).log_end_offset == 100


@pytest.mark.parametrize("clean", [True, False])
def test_the_marker_of_a_clean_shutdown_is_there_only_while_nobody_runs(disk: Disk, clean: bool) -> None:
    append(disk.open())
    marker = disk.root / ".kafka_cleanshutdown"
    assert not marker.exists()
    disk.close() if clean else disk.crash()
    assert marker.exists() == clean
    disk.open()
    assert not marker.exists()
    assert disk.directory is not None
    assert disk.directory.was_clean == clean


def test_a_torn_last_batch_is_cut_wherever_it_was_torn(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    log = disk.open()
    append_records(log, 3)
    kept = read(log, 0)
    append(log, batch_of([b"torn"]))
    disk.crash()
    path = disk.folder / f"{FIRST}.log"
    whole = path.read_bytes()
    for size in range(len(kept) + 1, len(whole)):
        path.write_bytes(whole[:size])
        caplog.clear()
        log = disk.open()
        assert log.log_end_offset == 3
        assert read(log, 0) == kept == path.read_bytes()
        assert f"{size - len(kept)} bytes are cut" in caplog.text
        assert append(log, batch_of([b"next"])).base_offset == 3
        disk.crash()


def test_a_damaged_byte_anywhere_in_the_last_batch_cuts_it(disk: Disk) -> None:
    log = disk.open()
    append_records(log, 3)
    kept = read(log, 0)
    append(log, batch_of([b"torn"]))
    disk.crash()
    path = disk.folder / f"{FIRST}.log"
    whole = path.read_bytes()
    for position in range(len(kept), len(whole)):
        if 12 <= position - len(kept) < 16:
            continue  # The leader epoch lies outside the CRC.
        path.write_bytes(whole)
        flip_byte(path, position)
        log = disk.open()
        # A base offset that has grown cannot be told from one after compaction.
        assert log.log_end_offset == 3 or position - len(kept) < 8
        assert read(log, 0)[: len(kept)] == kept
        disk.crash()


def test_what_lies_behind_a_bad_batch_goes_with_it(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    log = disk.open(SEGMENTS)
    append_records(log, 100)
    log.recovery_point = 0
    bases = [segment.base_offset for segment in log.segments]
    disk.crash()
    flip_byte(disk.folder / f"{bases[1]:020d}.log", -1)
    log = disk.open(SEGMENTS)
    assert log.log_end_offset == bases[2] - 1
    assert [segment.base_offset for segment in log.segments] == bases[:2]
    assert disk.names().count(f"{bases[2]:020d}.log") == 0
    assert "bytes are cut" in caplog.text


def test_batches_below_the_recovery_point_are_not_checked_again(disk: Disk) -> None:
    log = disk.open(SEGMENTS)
    append_records(log, 100)
    bases = [segment.base_offset for segment in log.segments]
    assert log.recovery_point == bases[-1]
    assert disk.directory is not None
    disk.directory.checkpoint()
    disk.crash()
    flip_byte(disk.folder / f"{FIRST}.log", -1)
    assert disk.open(SEGMENTS).log_end_offset == 100


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
@pytest.mark.parametrize("damage", ["missing", "cut", "garbage", "empty", "zeros behind"])
def test_a_wrong_index_is_built_anew(disk: Disk, clean: bool, suffix: str, damage: str) -> None:
    log = disk.open(SEGMENTS)
    for number in range(100):
        append(log, batch_of(timestamps=[NOW_MS + number]))
    disk.close()
    if not clean:
        (disk.root / ".kafka_cleanshutdown").unlink()
    right = {}
    for path in disk.folder.glob(f"*{suffix}"):
        right[path] = path.read_bytes()
        if damage == "missing":
            path.unlink()
        else:
            path.write_bytes(
                {
                    "cut": right[path][:-3],
                    "garbage": bytes(reversed(right[path])),
                    "empty": b"",
                    "zeros behind": right[path] + bytes(240),
                }[damage]
            )
    log = disk.open(SEGMENTS)
    for offset in range(100):
        assert offsets(read(log, offset, 1)) == [offset]
        assert log.offset_for_timestamp(NOW_MS + offset) == (NOW_MS + offset, offset, 0)
    assert log.max_timestamp() == (NOW_MS + 99, 99, 0)
    disk.close()
    if damage != "empty":  # An empty index says nothing wrong: finding batches takes longer, that is all.
        assert {path: path.read_bytes() for path in right} == right


def test_an_index_that_points_into_a_batch_does_not_cut_the_log(disk: Disk) -> None:
    append_records(disk.open(), 200, b"v" * 100)
    disk.close()
    path = disk.folder / f"{FIRST}.index"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    log = disk.open()
    assert log.log_end_offset == 200
    assert [offsets(read(log, offset, 1)) for offset in (0, 100, 199)] == [[0], [100], [199]]


def test_indexes_without_a_log_are_removed(disk: Disk) -> None:
    append_records(disk.open(), 3)
    disk.close()
    for suffix in (".index", ".timeindex", ".txnindex"):
        (disk.folder / f"{5:020d}{suffix}").write_bytes(b"")
    (disk.folder / f"{5:020d}.log.deleted").write_bytes(b"gone")
    disk.open()
    disk.remove_due()
    assert not [name for name in disk.names() if name.startswith(f"{5:020d}")]


def test_files_of_others_are_left_alone(disk: Disk) -> None:
    append_records(disk.open(), 3)
    disk.close()
    (disk.folder / "notes.txt").write_text("mine")
    assert disk.open().log_end_offset == 3
    assert "notes.txt" in disk.names()


def test_lost_leader_epochs_are_found_in_the_batches(disk: Disk) -> None:
    log = disk.open(SEGMENTS)
    for number in range(60):
        append(log, leader_epoch=number // 25)
    disk.close()
    (disk.folder / "leader-epoch-checkpoint").write_text("0\n7\nnonsense")
    log = disk.open(SEGMENTS)
    assert log.epochs.entries == [(0, 0), (1, 25), (2, 50)]


def test_epochs_of_lost_batches_are_forgotten(disk: Disk) -> None:
    log = disk.open()
    append(log, leader_epoch=1)
    size = log.size_bytes
    append(log, leader_epoch=2)
    disk.crash()
    with (disk.folder / f"{FIRST}.log").open("r+b") as file:
        file.truncate(size + 10)
    assert disk.open().epochs.entries == [(1, 0)]


def test_epochs_are_found_again_when_all_that_is_left_of_them_is_of_lost_batches(disk: Disk) -> None:
    log = disk.open(SEGMENTS)
    append_records(log, 30)
    base = log.segments[-1].base_offset
    disk.crash()
    (disk.root / "recovery-point-offset-checkpoint").write_text(f"0\n1\ntopic 0 {base}\n")
    (disk.folder / "leader-epoch-checkpoint").write_text(f"0\n1\n0 {base}\n")
    (disk.folder / f"{base:020d}.log").write_bytes(b"")
    log = disk.open(SEGMENTS)
    assert log.log_end_offset == base
    assert log.epochs.entries == [(0, 0)]


def test_a_log_that_ends_before_its_start_goes_on_from_there(disk: Disk) -> None:
    log = disk.open(SEGMENTS)
    append_records(log, 10)
    log.delete_records(9)
    disk.crash()
    for path in disk.folder.glob("*.log"):
        path.write_bytes(b"")
    log = disk.open(SEGMENTS)
    assert (log.log_start_offset, log.log_end_offset) == (9, 9)
    assert append(log).base_offset == 9
    assert offsets(read(log, 9)) == [9]


def test_bytes_behind_the_last_batch_are_cut_after_a_clean_shutdown_too(disk: Disk) -> None:
    append_records(disk.open(), 3)
    disk.close()
    with (disk.folder / f"{FIRST}.log").open("ab") as file:
        file.write(b"\0" * 100)
    log = disk.open()
    assert log.log_end_offset == 3
    append(log)
    assert offsets(read(log, 0)) == [0, 1, 2, 3]


def test_a_folder_of_another_topic_with_the_same_name_is_put_aside(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    append_records(disk.open(), 3)
    disk.close()
    disk.open()
    assert disk.directory is not None
    disk.directory.abandon()
    (disk.folder / "partition.metadata").write_text("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ")
    with caplog.at_level(logging.WARNING):
        log = disk.open()
    assert log.log_end_offset == 0
    assert "put aside" in caplog.text
    assert len(list(disk.root.glob("topic-0.*-stray"))) == 1


def test_a_damaged_old_batch_is_a_storage_error_for_who_reads_it(disk: Disk) -> None:
    log = disk.open(SEGMENTS)
    append_records(log, 100)
    disk.close()
    path = disk.folder / f"{FIRST}.log"
    path.write_bytes(bytes(path.stat().st_size))
    log = disk.open(SEGMENTS)
    second = log.segments[1].base_offset
    with pytest.raises(KafkaError) as failure:
        read(log, 0, 1)
    assert failure.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    assert offsets(read(log, second, 1)) == [second]
