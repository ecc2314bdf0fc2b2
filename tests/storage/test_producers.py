"""Idempotent producers: the batches they may append, and the state kept of them."""

import pytest

from ottla.storage.appends import AppendOrigin
from ottla.storage.log_config import LogConfig
from ottla.storage.producers import LAST_SEQUENCE
from ottla.storage.segments.recovery.producer_snapshots import CorruptSnapshotError, decode_snapshot, encode_snapshot
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from tests.stage.logs import NOW_MS, append, batch_of
from tests.storage.conftest import Disk

A, B, C = b"a", b"b", b"c"


def produce(log: SegmentLog, sequence: int, count: int = 1, *, producer_id: int = 1, epoch: int = 0) -> int:
    """Append records from ``sequence`` on; returns their first offset."""
    return append(log, batch_of([A] * count, producer=(producer_id, epoch, sequence))).base_offset


def refusal(log: SegmentLog, sequence: int, count: int = 1, *, epoch: int = 0) -> ErrorCode:
    """The code with which the batch is refused; nothing may change."""
    end_offset = log.log_end_offset
    with pytest.raises(KafkaError) as error:
        produce(log, sequence, count, epoch=epoch)
    assert log.log_end_offset == end_offset
    return error.value.code


def test_sequences_that_follow_are_accepted(disk: Disk) -> None:
    log = disk.open()
    assert [produce(log, 0, 3), produce(log, 3), produce(log, 4, 2)] == [0, 3, 4]


def test_each_of_the_last_five_batches_may_come_again(disk: Disk) -> None:
    log = disk.open()
    for number in range(7):
        produce(log, 2 * number, 2)
    for number in range(2, 7):
        again = append(log, batch_of([A, A], producer=(1, 0, 2 * number)))
        assert (again.duplicate, again.base_offset, again.last_offset) == (True, 2 * number, 2 * number + 1)
        assert again.log_append_time_ms == NOW_MS
    assert log.log_end_offset == 14
    assert refusal(log, 2, 2) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_repeated_sequence_with_another_count_is_no_duplicate(disk: Disk) -> None:
    log = disk.open()
    produce(log, 0, 2)
    assert refusal(log, 0, 3) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_gap_is_refused(disk: Disk) -> None:
    log = disk.open()
    produce(log, 0)
    assert refusal(log, 2) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    produce(log, 1)


def test_an_unknown_producer_may_start_anywhere(disk: Disk) -> None:
    log = disk.open()
    assert produce(log, 1000) == 0
    assert refusal(log, 1002) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_new_epoch_starts_at_zero(disk: Disk) -> None:
    log = disk.open()
    produce(log, 0)
    assert refusal(log, 1, epoch=1) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert produce(log, 0, epoch=1) == 1
    assert produce(log, 1, epoch=1) == 2


def test_an_older_epoch_is_fenced(disk: Disk) -> None:
    log = disk.open()
    produce(log, 0, epoch=3)
    assert refusal(log, 1, epoch=2) is ErrorCode.INVALID_PRODUCER_EPOCH


def test_batches_of_an_older_epoch_are_no_duplicates(disk: Disk) -> None:
    log = disk.open()
    produce(log, 0, epoch=0)
    produce(log, 0, epoch=1)
    assert refusal(log, 0, epoch=0) is ErrorCode.INVALID_PRODUCER_EPOCH


def test_after_the_last_sequence_comes_zero(disk: Disk) -> None:
    log = disk.open()
    produce(log, LAST_SEQUENCE)
    assert produce(log, 0) == 1
    assert refusal(log, 2) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_batch_may_span_the_wrap_of_sequences(disk: Disk) -> None:
    log = disk.open()
    produce(log, LAST_SEQUENCE - 1, 4)
    assert append(log, batch_of([A] * 4, producer=(1, 0, LAST_SEQUENCE - 1))).duplicate
    assert produce(log, 2) == 4


def test_producers_do_not_disturb_each_other(disk: Disk) -> None:
    log = disk.open()
    produce(log, 0, producer_id=1)
    produce(log, 0, producer_id=2)
    append(log)
    produce(log, 1, producer_id=1)
    produce(log, 1, producer_id=2)
    assert len(log.producers) == 2


def test_coordinators_sequences_are_not_checked(disk: Disk) -> None:
    log = disk.open()
    for _ in range(2):
        append(log, batch_of(producer=(1, 0, 7)), origin=AppendOrigin.COORDINATOR)
    assert log.log_end_offset == 2


def test_idle_producers_expire(disk: Disk) -> None:
    log = disk.open()
    produce(log, 0)
    log.expire_producers(NOW_MS + 999, 1000)
    assert refusal(log, 5) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    log.expire_producers(NOW_MS + 1000, 1000)
    assert produce(log, 5) == 1


@pytest.mark.parametrize("clean", [True, False])
def test_five_batches_are_known_after_a_restart(disk: Disk, clean: bool) -> None:
    log = disk.open()
    for number in range(7):
        produce(log, number)
    log = disk.reopen(clean=clean)
    for number in range(2, 7):
        assert append(log, batch_of(producer=(1, 0, number))).base_offset == number
    assert produce(log, 7) == 7


@pytest.mark.parametrize("clean", [True, False])
def test_producers_of_closed_segments_are_known_from_the_snapshot(disk: Disk, clean: bool) -> None:
    config = LogConfig(segment_bytes=500)
    log = disk.open(config)
    produce(log, 0, producer_id=7)
    for number in range(30):
        produce(log, number)
    assert len(log.segments) > 3
    log = disk.reopen(config, clean=clean)
    assert append(log, batch_of(producer=(7, 0, 0))).duplicate
    assert produce(log, 30) == 31


def test_a_damaged_snapshot_is_replaced_by_an_older_one_and_the_batches(disk: Disk) -> None:
    config = LogConfig(segment_bytes=500)
    log = disk.open(config)
    for number in range(30):
        produce(log, number)
    disk.close()
    newest = max(disk.folder.glob("*.snapshot"))
    newest.write_bytes(newest.read_bytes()[:-1])
    log = disk.open(config)
    assert not newest.exists()
    assert append(log, batch_of(producer=(1, 0, 29))).duplicate
    assert produce(log, 30) == 30


def test_a_snapshot_of_lost_batches_is_not_believed(disk: Disk) -> None:
    log = disk.open()
    produce(log, 0)
    size = log.size_bytes
    produce(log, 1)
    disk.close()
    (disk.root / ".kafka_cleanshutdown").unlink()
    (disk.root / "recovery-point-offset-checkpoint").unlink()
    with (disk.folder / "00000000000000000000.log").open("r+b") as file:
        file.truncate(size)
    log = disk.open()
    assert log.log_end_offset == 1
    assert produce(log, 1) == 1


def test_one_snapshot_per_segment_and_the_newest_are_kept(disk: Disk) -> None:
    config = LogConfig(segment_bytes=500)
    for _ in range(3):
        log = disk.open(config)
        for _ in range(10):
            append(log)
        disk.close()
    bases = [int(path.name[:20]) for path in disk.folder.glob("*.log")]
    disk.open(config)
    snapshots = sorted(int(path.name[:20]) for path in disk.folder.glob("*.snapshot"))
    assert snapshots == sorted({*bases, 30} - {0})


# Written by Apache 4.3.1 at a clean shutdown, after an idempotent producer's 30,000 records.
APACHE_SNAPSHOT = bytes.fromhex(
    "00011387e06800000001000000000000000000000000752f000000000000752f0000000f000001a1fbdf8178ffffffffffffffffffffffff"
)


def test_apaches_snapshot_is_read_and_written_byte_for_byte() -> None:
    producers = decode_snapshot(APACHE_SNAPSHOT)
    state = producers.get(0)
    assert state is not None
    assert (state.epoch, state.coordinator_epoch, state.transaction_offset) == (0, -1, -1)
    assert list(state.batches) == [(29984, 29999, 29984, 29999, 1795227091320)]
    assert encode_snapshot(producers) == APACHE_SNAPSHOT


@pytest.mark.parametrize("size", range(len(APACHE_SNAPSHOT)))
def test_a_cut_snapshot_is_refused(size: int) -> None:
    with pytest.raises(CorruptSnapshotError):
        decode_snapshot(APACHE_SNAPSHOT[:size])


@pytest.mark.parametrize("position", range(len(APACHE_SNAPSHOT)))
def test_a_damaged_snapshot_is_refused(position: int) -> None:
    damaged = bytearray(APACHE_SNAPSHOT)
    damaged[position] ^= 1
    with pytest.raises(CorruptSnapshotError):
        decode_snapshot(bytes(damaged))
