"""A producer that sends again what the broker never answered is not refused, and nothing is written twice.

Covers ``recovery/producer_snapshots`` too.
"""

import pytest

from ottla.storage.log_config import LogConfig
from ottla.storage.producers import Producers
from ottla.storage.segments.recovery.older_batches import FILE_NAME
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from tests.stage.logs import append, append_records, batch_of
from tests.storage.conftest import Disk

IN_FLIGHT = 5


def send(log: SegmentLog, *sequences: int, epoch: int = 0) -> list[tuple[bool, int]]:
    """Append batches of one record; whether each was there already, and where."""
    found = [append(log, batch_of(producer=(7, epoch, sequence))) for sequence in sequences]
    return [(each.duplicate, each.base_offset) for each in found]


@pytest.mark.parametrize("clean", [True, False])
def test_all_that_was_on_its_way_may_come_again_after_a_restart(disk: Disk, clean: bool) -> None:
    log = disk.open()
    send(log, *range(20))
    log = disk.reopen(clean=clean)
    assert send(log, *range(15, 20)) == [(True, offset) for offset in range(15, 20)]
    assert send(log, 20) == [(False, 20)]
    with pytest.raises(KafkaError) as refusal:
        send(log, 15)
    assert refusal.value.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


@pytest.mark.parametrize("after_roll", range(IN_FLIGHT + 1))
def test_a_segment_may_begin_anywhere_among_them(disk: Disk, after_roll: int) -> None:
    log = disk.open()
    send(log, *range(10 - after_roll))
    log.roll()
    send(log, *range(10 - after_roll, 10))
    log = disk.reopen(clean=False)
    assert send(log, *range(5, 10)) == [(True, offset) for offset in range(5, 10)]


def test_several_restarts_in_a_row_lose_nothing(disk: Disk) -> None:
    log = disk.open()
    send(log, *range(9))
    for clean in (True, True, False, False, True):
        log = disk.reopen(clean=clean)
    assert send(log, *range(4, 9)) == [(True, offset) for offset in range(4, 9)]


def test_a_crash_between_the_file_and_its_snapshot_loses_nothing(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    log = disk.open(LogConfig())
    send(log, *range(3))
    log.roll()
    send(log, *range(3, 6))

    def crash(producers: Producers) -> bytes:
        raise OSError("the end")

    with monkeypatch.context() as context:
        context.setattr("ottla.storage.segments.segment_log.encode_snapshot", crash)
        with pytest.raises(OSError, match="the end"):
            log.roll()
    log = disk.reopen(clean=False)
    assert send(log, *range(1, 6)) == [(True, offset) for offset in range(1, 6)]


def test_batches_of_another_epoch_do_not_come_back(disk: Disk) -> None:
    log = disk.open()
    send(log, 0, 1, 2, epoch=0)
    log.roll()
    send(log, 0, epoch=1)
    log = disk.reopen(clean=False)
    state = log.producers.get(7)
    assert state is not None
    assert [batch.base_offset for batch in state.batches] == [3]


@pytest.mark.parametrize("damage", [b"", b"\0\1", b"\0\2\0\0\0\0", b"\0\1\0\0\0\0x"])
def test_a_damaged_file_is_gone_without(disk: Disk, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    log = disk.open()
    send(log, *range(5))
    disk.close()
    (disk.folder / FILE_NAME).write_bytes(damage)
    log = disk.open()
    assert "producers.batches is damaged" in caplog.text
    assert send(log, 4, 5) == [(True, 4), (False, 5)]


def test_there_is_no_file_where_nothing_is_left_out(disk: Disk) -> None:
    log = disk.open()
    append_records(log, 5)
    send(log, 0)
    disk.close()
    assert FILE_NAME not in disk.names()


def test_sequences_that_begin_anew_join_on(disk: Disk) -> None:
    log = disk.open()
    last = (1 << 31) - 1
    send(log, last - 1, last, 0, 1)
    log = disk.reopen(clean=True)
    assert send(log, last - 1, last, 0, 1) == [(True, offset) for offset in range(4)]
