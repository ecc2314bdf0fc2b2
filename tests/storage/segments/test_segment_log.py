"""A log's work with batches: append, read, roll, undo.

Covers ``segments/segment`` too.
"""

import errno
from pathlib import Path

import pytest

from ottla.storage.appends import AppendOrigin
from ottla.storage.files.real import RealFile, RealFiles
from ottla.storage.log_config import LogConfig
from ottla.storage.slices import FileSlice
from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.records import Record, build_batch, read_records
from tests.stage.logs import (
    NOW_MS,
    TOPIC_ID,
    append,
    append_records,
    batch_of,
    headers,
    offsets,
    read,
    read_all,
    split,
)
from tests.storage.conftest import Disk

SMALL_SEGMENTS = LogConfig(segment_bytes=500)
ONE_RECORD = len(batch_of())


def test_offsets_follow_on_from_batch_to_batch(disk: Disk) -> None:
    log = disk.open()
    first = append(log, batch_of([b"a", b"b", b"c"]))
    second = append(log, batch_of([b"d"]))
    assert (first.base_offset, first.last_offset) == (0, 2)
    assert (second.base_offset, second.last_offset) == (3, 3)
    assert log.log_end_offset == 4
    assert not first.duplicate


def test_bytes_are_stored_verbatim_but_for_offset_and_leader_epoch(disk: Disk) -> None:
    log = disk.open()
    append(log)
    sent = batch_of([b"x" * 1000, b"y"], codec=4)
    original = bytes(sent)
    append(log, sent, leader_epoch=7)
    stored = read(log, 1)
    assert stored[:8] == (1).to_bytes(8, "big")
    assert stored[12:16] == (7).to_bytes(4, "big")
    assert stored[8:12] == original[8:12]
    assert stored[16:] == original[16:]


def test_a_partition_has_no_files_before_its_first_append(disk: Disk) -> None:
    log = disk.open()
    assert read(log, 0) == b""
    assert not disk.folder.exists()
    append(log)
    assert disk.names() == ["00000000000000000000.log", "leader-epoch-checkpoint", "partition.metadata"]


def test_a_slice_names_a_range_of_the_log_file(disk: Disk) -> None:
    log = disk.open()
    append_records(log, 3)
    found = log.read(1, 1 << 20, end_offset=3, minimum_one_batch=True)
    assert isinstance(found, FileSlice)
    assert found.position == ONE_RECORD
    assert len(found) == 2 * ONE_RECORD
    assert found.fileno() >= 0
    found.release()
    with pytest.raises(ValueError, match="released"):
        found.read()


def test_a_slice_outlives_the_removal_of_its_log(disk: Disk) -> None:
    log = disk.open()
    append(log, batch_of([b"still here"]))
    found = log.read(0, 1 << 20, end_offset=1, minimum_one_batch=True)
    assert isinstance(found, FileSlice)
    assert disk.directory is not None
    disk.directory.delete_log("topic", 0)
    assert not disk.folder.exists()
    assert b"still here" in found.read()
    found.release()


def test_reading_starts_with_the_batch_that_holds_the_offset(disk: Disk) -> None:
    log = disk.open()
    for _ in range(10):
        append(log, batch_of([b"1", b"2", b"3"]))
    for offset in range(30):
        assert offsets(read(log, offset))[0] == offset // 3 * 3


def test_reading_finds_old_offsets_through_the_index(disk: Disk) -> None:
    log = disk.open()
    append_records(log, 1000, b"v" * 100)
    assert log.segments[0].index.entries > 20
    for offset in range(0, 1000, 7):
        assert offsets(read(log, offset, 1)) == [offset]


def test_the_last_batch_may_be_cut_at_max_bytes(disk: Disk) -> None:
    log = disk.open()
    append_records(log, 3)
    data = read(log, 0, 2 * ONE_RECORD + 10)
    assert len(data) == 2 * ONE_RECORD + 10
    assert offsets(data) == [0, 1]


def test_one_whole_batch_comes_when_it_must_whatever_max_bytes_is(disk: Disk) -> None:
    log = disk.open()
    append(log, batch_of([b"x" * 5000]))
    append(log)
    assert offsets(read(log, 0, 10, whole=True)) == [0]
    assert len(read(log, 0, 10, whole=True)) == len(batch_of([b"x" * 5000]))


@pytest.mark.parametrize("max_bytes", [0, 10, ONE_RECORD - 1])
def test_nothing_comes_when_the_first_batch_is_too_large_and_need_not_come(disk: Disk, max_bytes: int) -> None:
    log = disk.open()
    append_records(log, 3)
    assert read(log, 1, max_bytes, whole=False) == b""


def test_nothing_at_or_beyond_the_end_offset_is_read(disk: Disk) -> None:
    log = disk.open(SMALL_SEGMENTS)
    append_records(log, 30)
    for end_offset in range(31):
        for offset in range(0, 30, 3):
            found = offsets(read(log, offset, end_offset=end_offset))
            assert all(offset <= each < end_offset for each in found)
            assert bool(found) == (offset < end_offset)


def test_a_read_stops_at_the_end_of_its_segment(disk: Disk) -> None:
    log = disk.open(SMALL_SEGMENTS)
    append_records(log, 20)
    assert len(log.segments) > 2
    second = log.segments[1].base_offset
    assert offsets(read(log, 0)) == list(range(second))
    assert [read_header(batch).base_offset for batch in read_all(log)] == list(range(20))


@pytest.mark.parametrize("offset", [-1, 4, 100])
def test_offsets_outside_the_log_are_refused(disk: Disk, offset: int) -> None:
    log = disk.open()
    append_records(log, 3)
    with pytest.raises(KafkaError) as refusal:
        log.read(offset, 100, end_offset=3, minimum_one_batch=True)
    assert refusal.value.code is ErrorCode.OFFSET_OUT_OF_RANGE


def test_reading_at_the_end_gives_nothing(disk: Disk) -> None:
    log = disk.open()
    append_records(log, 3)
    assert read(log, 3) == b""


def test_a_segment_rolls_before_it_exceeds_its_size(disk: Disk) -> None:
    log = disk.open(LogConfig(segment_bytes=3 * ONE_RECORD))
    append_records(log, 7)
    assert [segment.base_offset for segment in log.segments] == [0, 3, 6]
    assert "00000000000000000003.log" in disk.names()


def test_a_segment_rolls_when_timestamps_are_too_far_apart(disk: Disk) -> None:
    log = disk.open(LogConfig(segment_ms=1000))
    for time in (NOW_MS, NOW_MS + 1000, NOW_MS + 1001, NOW_MS - 50_000, NOW_MS + 2002):
        append(log, batch_of(timestamps=[time]))
    assert [segment.base_offset for segment in log.segments] == [0, 2, 4]


def test_the_time_to_roll_survives_a_restart(disk: Disk) -> None:
    config = LogConfig(segment_ms=1000)
    append(disk.open(config), batch_of(timestamps=[NOW_MS]))
    log = disk.reopen(config, clean=True)
    append(log, batch_of(timestamps=[NOW_MS + 1001]))
    assert [segment.base_offset for segment in log.segments] == [0, 1]


def test_a_segment_rolls_when_an_index_is_full(disk: Disk) -> None:
    log = disk.open(LogConfig(index_interval_bytes=0, segment_index_bytes=48))
    for number in range(10):
        append(log, batch_of(timestamps=[NOW_MS + number]))
    # The time index holds four entries; one place is kept for the closing entry.
    assert [segment.base_offset for segment in log.segments] == [0, 4, 8]


def test_a_segment_rolls_before_a_relative_offset_overflows(disk: Disk) -> None:
    log = disk.open()
    append(log)
    log.log_end_offset = (1 << 31) - 1
    append(log)
    append(log)
    assert [segment.base_offset for segment in log.segments] == [0, 1 << 31]
    assert offsets(read(log, 1 << 31)) == [1 << 31]


def test_a_new_configuration_takes_effect_at_once(disk: Disk) -> None:
    log = disk.open()
    append_records(log, 5)
    log.configure(LogConfig(segment_bytes=2 * ONE_RECORD))
    append_records(log, 3)
    assert [segment.base_offset for segment in log.segments] == [0, 5, 7]


def test_a_batch_larger_than_a_segment_is_refused(disk: Disk) -> None:
    log = disk.open(SMALL_SEGMENTS)
    with pytest.raises(KafkaError) as refusal:
        append(log, batch_of([b"x" * 500]))
    assert refusal.value.code is ErrorCode.RECORD_LIST_TOO_LARGE
    assert log.log_end_offset == 0


def test_log_append_time_replaces_the_producers_time(disk: Disk) -> None:
    log = disk.open(LogConfig(message_timestamp_type="LogAppendTime"))
    appended = append(log, batch_of([b"a", b"b"], timestamps=[1, 2]), now_ms=NOW_MS)
    assert appended.log_append_time_ms == NOW_MS
    stored = read(log, 0)
    assert {record.timestamp for record in read_records(stored)} == {NOW_MS}
    assert log.max_timestamp() == (NOW_MS, 0, 0)


def test_create_time_is_kept_and_not_reported(disk: Disk) -> None:
    log = disk.open()
    assert append(log, batch_of(timestamps=[5])).log_append_time_ms == -1
    assert headers(read(log, 0))[0].max_timestamp == 5


def test_a_timestamp_too_far_in_the_future_is_refused(disk: Disk) -> None:
    log = disk.open(LogConfig(message_timestamp_after_max_ms=1000))
    append(log, batch_of(timestamps=[NOW_MS + 1000]))
    with pytest.raises(KafkaError) as refusal:
        append(log, batch_of(timestamps=[NOW_MS + 1001]))
    assert refusal.value.code is ErrorCode.INVALID_TIMESTAMP


def test_a_timestamp_too_far_in_the_past_is_refused(disk: Disk) -> None:
    log = disk.open(LogConfig(message_timestamp_before_max_ms=1000))
    append(log, batch_of(timestamps=[NOW_MS - 1000]))
    append(log, batch_of(timestamps=[-1]))
    with pytest.raises(KafkaError) as refusal:
        append(log, batch_of(timestamps=[NOW_MS - 1001]))
    assert refusal.value.code is ErrorCode.INVALID_TIMESTAMP


def test_a_coordinators_timestamps_are_its_own_business(disk: Disk) -> None:
    log = disk.open(LogConfig(message_timestamp_after_max_ms=1000))
    append(log, batch_of(timestamps=[NOW_MS * 2]), origin=AppendOrigin.COORDINATOR)
    assert log.log_end_offset == 1


class FullDisk(RealFiles):
    """A disk on which the next writes to log files fail or fall short."""

    def __init__(self) -> None:
        super().__init__(durable=False)
        self._file_type = _FileOnFullDisk
        _FileOnFullDisk.room = None


class _FileOnFullDisk(RealFile):
    __slots__ = ()
    room: int | None = None

    def pwrite(self, data: bytes | bytearray | memoryview, position: int) -> int:
        if self.room is None:
            return super().pwrite(data, position)
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().pwrite(bytes(data)[: self.room], position)


@pytest.mark.parametrize("room", [0, 1, 40])
def test_a_failed_or_short_write_leaves_nothing_behind(disk: Disk, room: int) -> None:
    disk.files = FullDisk()
    log = disk.open()
    append(log)
    before = read(log, 0)
    _FileOnFullDisk.room = room
    with pytest.raises(KafkaError) as failure:
        append(log, batch_of([b"lost"], producer=(1, 0, 0)))
    assert failure.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    assert log.log_end_offset == 1
    assert log.producers.get(1) is None
    assert (disk.folder / "00000000000000000000.log").read_bytes() == before
    _FileOnFullDisk.room = None
    assert append(log, batch_of([b"later"])).base_offset == 1
    assert b"later" in read(log, 1)


def test_no_space_for_a_new_segment_is_a_storage_error_until_there_is_some(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> RealFile:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    log = disk.open()
    with monkeypatch.context() as context:
        context.setattr(disk.files, "create", full)
        with pytest.raises(KafkaError) as failure:
            append(log)
    assert failure.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    assert append(log).base_offset == 0


def test_no_space_for_the_index_does_not_fail_the_append(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes, position: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    log = disk.open(LogConfig(index_interval_bytes=0))
    append_records(log, 1)
    with monkeypatch.context() as context:
        context.setattr(disk.files, "write", full)
        append_records(log, 699)
    assert log.log_end_offset == 700
    append_records(log, 1)
    log = disk.reopen(clean=True)
    assert [offsets(read(log, offset, 1)) for offset in (0, 350, 700)] == [[0], [350], [700]]


def test_delete_records_moves_the_start_and_removes_whole_segments(disk: Disk) -> None:
    log = disk.open(SMALL_SEGMENTS)
    append_records(log, 20)
    third = log.segments[2].base_offset
    size = log.size_bytes
    assert log.delete_records(third + 1) == third + 1
    assert log.log_start_offset == third + 1
    assert log.segments[0].base_offset == third
    assert log.size_bytes == size - third * ONE_RECORD
    first = [name for name in disk.names() if name.startswith("00000000000000000000.")]
    assert {Path(name).suffix for name in first} == {".deleted"}
    with pytest.raises(KafkaError):
        read(log, third)
    assert offsets(read(log, third + 1))[0] == third + 1


def test_delete_records_never_moves_the_start_back(disk: Disk) -> None:
    log = disk.open()
    append_records(log, 5)
    log.delete_records(3)
    assert log.delete_records(1) == 3


def test_delete_records_beyond_the_end_is_refused(disk: Disk) -> None:
    log = disk.open()
    append_records(log, 5)
    with pytest.raises(KafkaError) as refusal:
        log.delete_records(6)
    assert refusal.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
    assert log.delete_records(5) == 5
    assert read(log, 5) == b""
    assert append(log).base_offset == 5


@pytest.mark.parametrize("clean", [True, False])
def test_the_log_start_survives_even_a_crash(disk: Disk, clean: bool) -> None:
    log = disk.open()
    append_records(log, 5)
    log.delete_records(3)
    log = disk.reopen(clean=clean)
    assert (log.log_start_offset, log.log_end_offset) == (3, 5)


def test_memory_of_a_batch_may_be_larger_than_the_batch(disk: Disk) -> None:
    log = disk.open()
    sent = batch_of()
    header = read_header(sent)
    log.append(memoryview(sent + b"tail"), header, leader_epoch=0, now_ms=NOW_MS)
    assert len(split(read(log, 0))) == 1
    assert log.size_bytes == ONE_RECORD


def test_many_partitions_fit_in_few_descriptors(disk: Disk) -> None:
    files = RealFiles(open_limit=16, durable=False)
    disk.files = files
    disk.open()
    assert disk.directory is not None
    logs = [disk.directory.open_log("many", number, topic_id=TOPIC_ID, config=LogConfig()) for number in range(300)]
    for number, log in enumerate(logs):
        append(log, batch_of([b"%d" % number]))
    assert len(files.open_files) <= 16
    found = [log.read(0, 1 << 20, end_offset=1, minimum_one_batch=True) for log in logs]
    assert len(files.open_files) <= 16
    for number, piece in enumerate(found):
        data = piece if isinstance(piece, bytes) else piece.read()
        assert next(read_records(data)).value == b"%d" % number
        if not isinstance(piece, bytes):
            piece.release()
    assert files.open_files.pinned == 0


def test_transaction_markers_end_a_producers_transaction(disk: Disk) -> None:
    log = disk.open()
    data = build_batch(
        [Record(0, NOW_MS, None, b"v")], producer_id=9, producer_epoch=3, base_sequence=0, is_transactional=True
    )
    append(log, data, origin=AppendOrigin.COORDINATOR)
    state = log.producers.get(9)
    assert state is not None
    assert state.transaction_offset == 0
    with pytest.raises(KafkaError) as refusal:
        append(log, batch_of(producer=(9, 3, 1)))
    assert refusal.value.code is ErrorCode.INVALID_TXN_STATE
    marker = build_batch(
        [Record(0, NOW_MS, b"\0\0\0\1", b"\0\0\0\0\0\5")],
        producer_id=9,
        producer_epoch=3,
        is_transactional=True,
        is_control=True,
    )
    log.append(memoryview(marker), read_header(marker), leader_epoch=0, now_ms=NOW_MS, origin=AppendOrigin.COORDINATOR)
    assert (state.transaction_offset, state.coordinator_epoch) == (-1, 5)
    append(log, batch_of(producer=(9, 3, 1)))


def test_a_tail_that_cannot_be_cut_at_once_is_cut_before_the_next_append(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(file: RealFile, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    disk.files = FullDisk()
    log = disk.open()
    append(log)
    _FileOnFullDisk.room = 40
    with monkeypatch.context() as context:
        context.setattr(RealFile, "truncate", broken)
        for _ in range(2):
            with pytest.raises(KafkaError) as failure:
                append(log)
            assert failure.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    _FileOnFullDisk.room = None
    assert append(log, batch_of([b""])).base_offset == 1
    assert (disk.folder / f"{0:020d}.log").read_bytes() == read(log, 0)


def test_flush_moves_the_recovery_point_to_the_end(disk: Disk) -> None:
    log = disk.open(SMALL_SEGMENTS)
    append_records(log, 20)
    assert log.recovery_point == log.segments[-1].base_offset
    log.flush()
    assert log.recovery_point == 20
    assert log.unsynced() == []


def test_jitter_brings_the_roll_forward(disk: Disk) -> None:
    log = disk.open(LogConfig(segment_ms=1000, segment_jitter_ms=500))
    rolls_after = log._roll_timestamp
    append(log, batch_of(timestamps=[NOW_MS]))
    assert rolls_after > NOW_MS * 2
    assert NOW_MS + 500 < log._roll_timestamp <= NOW_MS + 1000


def test_a_log_that_is_gone_takes_no_batch_and_makes_no_folder(disk: Disk) -> None:
    log = disk.open()
    assert disk.directory is not None
    disk.directory.delete_log("topic", 0)
    with pytest.raises(KafkaError) as failure:
        append(log)
    assert failure.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    assert not disk.folder.exists()


@pytest.mark.parametrize("clean", [True, False])
def test_open_transactions_and_markers_are_known_after_a_restart(disk: Disk, clean: bool) -> None:
    log = disk.open()
    for producer_id in (8, 9):
        data = build_batch(
            [Record(0, NOW_MS, None, b"v")],
            producer_id=producer_id,
            producer_epoch=0,
            base_sequence=0,
            is_transactional=True,
        )
        append(log, data, origin=AppendOrigin.COORDINATOR)
    marker = build_batch(
        [Record(0, NOW_MS, b"\0\0\0\0", b"\0\0\0\0\0\7")],
        producer_id=9,
        producer_epoch=1,
        is_transactional=True,
        is_control=True,
    )
    log.append(memoryview(marker), read_header(marker), leader_epoch=0, now_ms=NOW_MS, origin=AppendOrigin.COORDINATOR)
    log = disk.reopen(clean=clean)
    states = dict(log.producers.items())
    assert states[8].transaction_offset == 0
    assert (states[9].transaction_offset, states[9].epoch, states[9].coordinator_epoch) == (-1, 1, 7)
    assert append(log, batch_of(producer=(9, 1, 0))).base_offset == 3
