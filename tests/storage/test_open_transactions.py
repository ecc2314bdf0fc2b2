"""Transactions in a log: which are open, which were aborted, where ``read_committed`` ends, and what restarts keep.

Covers ``segments/aborted_index`` too.
"""

from collections.abc import Callable

import pytest

from ottla.storage.appends import UNVERIFIED, Appended, AppendOrigin
from ottla.storage.log_config import LogConfig
from ottla.storage.open_transactions import AbortedTransaction
from ottla.storage.segments.aborted_index import ENTRY_SIZE
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.markers import Marker, build_marker
from tests.stage.logs import DEFAULTS, NOW_MS, append, batch_of, read
from tests.storage.conftest import Disk

SMALL = LogConfig(segment_bytes=1000, index_interval_bytes=0)


class Producer:
    """A transactional producer of the second transaction version: each marker comes with the next epoch."""

    def __init__(self, log: Callable[[], SegmentLog], producer_id: int) -> None:
        self._log = log
        self.id = producer_id
        self.epoch = 0
        self.sequence = 0

    def write(self, count: int = 1, *, version: int = 2) -> int:
        """Append a batch; returns its first offset."""
        batch = batch_of([b"value"] * count, producer=(self.id, self.epoch, self.sequence), transactional=True)
        appended = append_transactional(self._log(), batch, version=version)
        self.sequence += count
        return appended.base_offset

    def end(self, *, commits: bool) -> int:
        """Have the transaction ended; returns the marker's offset."""
        self.epoch += 1
        self.sequence = 0
        return mark(self._log(), self.id, self.epoch, commits=commits)

    def commit(self) -> int:
        return self.end(commits=True)

    def abort(self) -> int:
        return self.end(commits=False)


class Writers:
    """Producers that follow a log over its restarts."""

    def __init__(self, disk: Disk, config: LogConfig = DEFAULTS) -> None:
        self.disk = disk
        self.config = config
        self.log = disk.open(config)

    def producer(self, producer_id: int) -> Producer:
        return Producer(lambda: self.log, producer_id)

    def restart(self, *, clean: bool) -> None:
        self.log = self.disk.reopen(self.config, clean=clean)

    def stable(self, high_watermark: int | None = None) -> int:
        return self.log.last_stable_offset(self.log.log_end_offset if high_watermark is None else high_watermark)

    def aborted(self, offset: int, end_offset: int | None = None) -> list[tuple[int, int]]:
        """Return the batches that a consumer has to leave out of a range."""
        end_offset = self.log.log_end_offset if end_offset is None else end_offset
        size = len(read(self.log, offset, end_offset=end_offset))
        return [(each.producer_id, each.first_offset) for each in self.log.aborted_transactions(offset, size)]

    def index(self) -> list[AbortedTransaction]:
        """The entries of all transaction indexes."""
        return [entry for base in self.log.aborted.bases for entry in self.log.aborted.entries(base)]


def append_transactional(log: SegmentLog, batch: bytearray, *, version: int = UNVERIFIED) -> Appended:
    return log.append(memoryview(batch), read_header(batch), 0, NOW_MS, transaction_version=version)


def mark(
    log: SegmentLog,
    producer_id: int,
    epoch: int,
    *,
    commits: bool = True,
    coordinator_epoch: int = 0,
    version: int = 2,
) -> int:
    """Append a marker; returns its offset."""
    marker = Marker(commits, coordinator_epoch)
    batch = build_marker(marker, producer_id=producer_id, producer_epoch=epoch, timestamp_ms=NOW_MS)
    appended = log.append(
        memoryview(batch), read_header(batch), 0, NOW_MS, AppendOrigin.COORDINATOR, transaction_version=version
    )
    return appended.base_offset


def code_of(call: Callable[[], object]) -> ErrorCode:
    with pytest.raises(KafkaError) as refused:
        call()
    return refused.value.code


# Where read_committed ends.


def test_nothing_is_unstable_without_transactions(disk: Disk) -> None:
    writers = Writers(disk)
    append(writers.log)
    assert (writers.stable(), writers.stable(0)) == (1, 0)


def test_the_first_open_transaction_is_where_committed_reading_ends(disk: Disk) -> None:
    writers = Writers(disk)
    one, two = writers.producer(1), writers.producer(2)
    append(writers.log)
    assert one.write(2) == 1
    assert two.write() == 3
    append(writers.log)
    assert writers.stable() == 1
    one.commit()
    assert writers.stable() == 3
    two.abort()
    assert writers.stable() == writers.log.log_end_offset == 7


def test_a_transaction_is_undecided_until_its_marker_is_below_the_high_watermark(disk: Disk) -> None:
    writers = Writers(disk)
    one = writers.producer(1)
    append(writers.log)
    one.write()
    marker = one.commit()
    assert marker == 2
    assert [writers.stable(high_watermark) for high_watermark in (1, 2, 3)] == [1, 1, 3]


def test_an_earlier_transaction_whose_marker_is_not_replicated_counts_before_a_later_open_one(disk: Disk) -> None:
    writers = Writers(disk)
    one, two = writers.producer(1), writers.producer(2)
    one.write()
    two.write()
    assert one.commit() == 2
    assert writers.stable(2) == 0
    assert writers.stable(3) == 1


def test_the_stable_offset_is_not_below_the_logs_start(disk: Disk) -> None:
    writers = Writers(disk)
    one = writers.producer(1)
    for _ in range(4):
        one.write()
    writers.log.delete_records(3)
    assert writers.stable() == 3
    one.abort()
    assert writers.index() == [(1, 0, 4, 5)]


def test_a_marker_without_records_decides_nothing(disk: Disk) -> None:
    writers = Writers(disk)
    append(writers.log)
    writers.producer(1).abort()
    assert (writers.stable(), writers.index()) == (2, [])
    assert not writers.log.has_open_transaction(1, 1)


# Writing.


def test_a_transaction_that_nobody_verified_is_refused(disk: Disk) -> None:
    writers = Writers(disk)
    one = writers.producer(1)
    assert code_of(lambda: one.write(version=UNVERIFIED)) is ErrorCode.INVALID_TXN_STATE
    assert writers.log.log_end_offset == 0
    assert not writers.log.has_open_transaction(1, 0)
    one.write()
    assert writers.log.has_open_transaction(1, 0)
    one.write(version=UNVERIFIED)  # The transaction is known to be open.
    one.commit()
    assert code_of(lambda: one.write(version=UNVERIFIED)) is ErrorCode.INVALID_TXN_STATE


def test_coordinators_need_no_verification(disk: Disk) -> None:
    log = disk.open()
    batch = batch_of(producer=(1, 0, -1), transactional=True)
    log.append(memoryview(batch), read_header(batch), 0, NOW_MS, AppendOrigin.COORDINATOR)
    assert log.has_open_transaction(1, 0)
    assert log.last_stable_offset(1) == 0


def test_a_batch_that_comes_again_after_its_transaction_is_a_duplicate(disk: Disk) -> None:
    writers = Writers(disk)
    batch = batch_of(producer=(1, 0, 0), transactional=True)
    append_transactional(writers.log, bytearray(batch), version=1)
    mark(writers.log, 1, 0, version=1)
    again = append_transactional(writers.log, bytearray(batch))
    assert (again.duplicate, again.base_offset) == (True, 0)


def test_a_batch_outside_its_producers_open_transaction_is_refused(disk: Disk) -> None:
    writers = Writers(disk)
    one = writers.producer(1)
    one.write()
    plain = batch_of(producer=(1, 0, 1))
    assert code_of(lambda: append(writers.log, plain)) is ErrorCode.INVALID_TXN_STATE


def test_an_epoch_from_before_the_marker_is_fenced(disk: Disk) -> None:
    writers = Writers(disk)
    one = writers.producer(1)
    one.write()
    one.commit()
    late = batch_of(producer=(1, 0, 1), transactional=True)
    assert code_of(lambda: append_transactional(writers.log, late)) is ErrorCode.INVALID_PRODUCER_EPOCH
    assert code_of(lambda: append_transactional(writers.log, late, version=2)) is ErrorCode.INVALID_PRODUCER_EPOCH


def test_sequences_go_on_after_a_marker_of_the_same_epoch(disk: Disk) -> None:
    writers = Writers(disk)
    one = writers.producer(1)
    one.write(2, version=1)
    mark(writers.log, 1, 0, version=1)
    skipping = batch_of(producer=(1, 0, 3), transactional=True)
    refused = code_of(lambda: append_transactional(writers.log, skipping, version=1))
    assert refused is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert one.write(version=1) == 3


def test_under_the_second_version_an_unknown_producer_starts_at_zero(disk: Disk) -> None:
    log = disk.open()
    batch = batch_of(producer=(1, 0, 5), transactional=True)
    refused = code_of(lambda: append_transactional(log, batch, version=2))
    assert refused is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    append_transactional(log, batch, version=1)


@pytest.mark.parametrize(
    ("version", "epoch", "refusal"),
    [
        (1, 3, None),
        (1, 4, None),
        (1, 2, ErrorCode.INVALID_PRODUCER_EPOCH),
        (2, 4, None),
        (2, 3, ErrorCode.INVALID_PRODUCER_EPOCH),
        (2, 2, ErrorCode.INVALID_PRODUCER_EPOCH),
    ],
)
def test_a_markers_epoch_fits_the_transactions(disk: Disk, version: int, epoch: int, refusal: ErrorCode | None) -> None:
    log = disk.open()
    append_transactional(log, batch_of(producer=(1, 3, 0), transactional=True), version=version)
    if refusal is None:
        mark(log, 1, epoch, version=version)
        assert not log.has_open_transaction(1, 3)
    else:
        assert code_of(lambda: mark(log, 1, epoch, version=version)) is refusal
        assert log.has_open_transaction(1, 3)


def test_a_marker_may_come_again_under_the_second_version(disk: Disk) -> None:
    writers = Writers(disk)
    one = writers.producer(1)
    one.write()
    one.abort()
    mark(writers.log, 1, one.epoch, commits=False)
    assert len(writers.index()) == 1


def test_a_producers_last_epoch_ends_with_itself(disk: Disk) -> None:
    log = disk.open()
    last = (1 << 15) - 1
    append_transactional(log, batch_of(producer=(1, last, 0), transactional=True), version=2)
    mark(log, 1, last)
    assert log.last_stable_offset(2) == 2


def test_a_marker_of_an_older_coordinator_is_fenced(disk: Disk) -> None:
    log = disk.open()
    mark(log, 1, 0, coordinator_epoch=5)
    refused = code_of(lambda: mark(log, 1, 1, coordinator_epoch=4))
    assert refused is ErrorCode.TRANSACTION_COORDINATOR_FENCED
    mark(log, 1, 1, coordinator_epoch=5)


def test_open_transactions_do_not_expire(disk: Disk) -> None:
    writers = Writers(disk)
    one, two = writers.producer(1), writers.producer(2)
    one.write()
    two.write()
    two.commit()
    writers.log.expire_producers(NOW_MS + 10_000, 1000)
    assert [producer_id for producer_id, _ in writers.log.producers.items()] == [1]
    assert one.write() == 3


# Aborted transactions.


def test_the_index_has_an_entry_for_each_abort(disk: Disk) -> None:
    writers = Writers(disk)
    one, two = writers.producer(1), writers.producer(2)
    append(writers.log)
    one.write(2)
    two.write()
    assert two.abort() == 4
    assert one.abort() == 5
    one.write()
    one.commit()
    assert writers.index() == [(2, 3, 4, 1), (1, 1, 5, 6)]
    path = disk.folder / "00000000000000000000.txnindex"
    assert path.read_bytes()[:ENTRY_SIZE].hex() == "0000" + "".join(f"{each:016x}" for each in (2, 3, 4, 1))
    assert path.stat().st_size == 2 * ENTRY_SIZE


def test_there_is_no_index_without_an_abort(disk: Disk) -> None:
    writers = Writers(disk)
    one = writers.producer(1)
    one.write()
    one.commit()
    disk.close()
    assert not list(disk.folder.glob("*.txnindex"))


def test_readers_are_told_what_is_aborted_in_what_they_read(disk: Disk) -> None:
    writers = Writers(disk, LogConfig(index_interval_bytes=0))
    one, two = writers.producer(1), writers.producer(2)
    one.write()  # 0
    one.abort()  # 1
    append(writers.log)  # 2
    two.write()  # 3
    append(writers.log)  # 4
    one.write()  # 5
    two.abort()  # 6
    one.abort()  # 7
    assert writers.aborted(0) == [(1, 0), (2, 3), (1, 5)]
    assert writers.aborted(2) == [(2, 3), (1, 5)]
    assert writers.aborted(7) == [(1, 5)]
    assert writers.aborted(0, 3) == [(1, 0)]
    assert writers.aborted(4, 5) == [(2, 3)]


def test_an_abort_in_a_later_segment_is_found(disk: Disk) -> None:
    writers = Writers(disk, SMALL)
    one, two = writers.producer(1), writers.producer(2)
    one.write()
    for _ in range(20):
        two.write()
        two.commit()
    assert writers.aborted(0) == []
    one.abort()
    two.write()
    two.abort()
    assert len(writers.log.segments) > 3
    assert writers.aborted(0) == [(1, 0)]
    assert [base for base in writers.log.aborted.bases if base < writers.log.segments[2].base_offset] == []


def test_deleted_segments_take_their_index_along(disk: Disk) -> None:
    writers = Writers(disk, SMALL)
    one = writers.producer(1)
    for _ in range(20):
        one.write()
        one.abort()
    assert len(writers.log.aborted.bases) > 3
    start = writers.log.delete_records(writers.log.segments[-1].base_offset)
    assert [path.name for path in disk.folder.glob("*.txnindex")] == [f"{start:020d}.txnindex"]
    assert writers.log.aborted.bases == [start]


def test_an_index_that_cannot_be_written_now_is_written_later(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    writers = Writers(disk)
    one = writers.producer(1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    one.write()
    one.abort()
    with monkeypatch.context() as patch:
        patch.setattr(disk.files, "write", full)
        one.write()
        one.abort()
        assert writers.aborted(0) == [(1, 0), (1, 2)]
        writers.log.flush()
    writers.restart(clean=True)
    assert writers.aborted(0) == [(1, 0), (1, 2)]


def test_an_index_that_could_not_even_be_written_at_the_end_is_made_anew(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    writers = Writers(disk)
    one = writers.producer(1)
    one.write()
    with monkeypatch.context() as patch:
        patch.setattr(disk.files, "write", full)
        one.abort()
        writers.log.flush()
        disk.close()
    assert not list(disk.folder.glob("*.txnindex"))
    writers.log = disk.open()
    assert writers.index() == [(1, 0, 1, 2)]


# Restarts.


@pytest.mark.parametrize("clean", [True, False])
def test_restarts_keep_what_is_open_and_what_was_aborted(disk: Disk, clean: bool) -> None:
    writers = Writers(disk, SMALL)
    one, two, three = (writers.producer(number) for number in (1, 2, 3))
    three.write()
    for number in range(12):
        one.write(2)
        two.write()
        two.end(commits=number % 2 == 0)
        one.end(commits=number % 3 == 0)
    two.write()
    index, snapshots = writers.index(), contents(disk, "snapshot")
    expected = writers.aborted(0), writers.stable()
    writers.restart(clean=clean)
    assert (writers.aborted(0), writers.stable()) == expected
    assert writers.index() == index
    assert contents(disk, "snapshot").items() >= snapshots.items()
    assert writers.log.has_open_transaction(3, 0)
    assert writers.log.has_open_transaction(2, two.epoch)
    three.abort()
    assert writers.index()[-1][:2] == (3, 0)
    assert writers.index()[-1].last_stable_offset == writers.stable()


def test_after_a_crash_indexes_and_snapshots_are_made_anew_byte_for_byte(disk: Disk) -> None:
    writers = Writers(disk, SMALL)
    one, two = writers.producer(1), writers.producer(2)
    for number in range(20):
        one.write()
        two.write(2)
        one.end(commits=number % 3 == 0)
        two.end(commits=number % 2 == 0)
    before = contents(disk, "txnindex") | contents(disk, "snapshot")
    disk.crash()
    for name in before:
        (disk.folder / name).unlink()
    writers.log = disk.open(SMALL)
    after = contents(disk, "txnindex") | contents(disk, "snapshot")
    assert after == before


def test_entries_of_lost_markers_are_gone_after_a_crash(disk: Disk) -> None:
    writers = Writers(disk)
    one = writers.producer(1)
    one.write()
    one.abort()
    one.write()
    size = writers.log.size_bytes
    one.abort()
    disk.crash()
    with (disk.folder / "00000000000000000000.log").open("r+b") as file:
        file.truncate(size + 10)
    writers.log = disk.open()
    assert writers.index() == [(1, 0, 1, 2)]
    assert (writers.log.log_end_offset, writers.stable()) == (3, 2)
    assert one.epoch == 2
    assert mark(writers.log, 1, 2, commits=False) == 3
    assert writers.index() == [(1, 0, 1, 2), (1, 2, 3, 4)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: b"\0\1" + raw[2:],
        lambda raw: raw[ENTRY_SIZE:] + raw[:ENTRY_SIZE],
        lambda raw: raw + raw[-ENTRY_SIZE:],
        lambda raw: raw[:18] + b"\x7f" + raw[19:],
    ],
    ids=["cut", "a byte more", "version", "order", "twice", "beyond the end"],
)
def test_a_damaged_index_is_made_anew_even_after_a_clean_shutdown(disk: Disk, damage: Callable[[bytes], bytes]) -> None:
    writers = Writers(disk, SMALL)
    one, two = writers.producer(1), writers.producer(2)
    for _ in range(20):
        one.write()
        two.write()
        two.abort()
        one.abort()
    disk.close()
    before = contents(disk, "txnindex")
    assert len(before) > 3
    name = sorted(name for name, raw in before.items() if len(raw) > ENTRY_SIZE)[1]
    (disk.folder / name).write_bytes(damage(before[name]))
    disk.open(SMALL)
    assert contents(disk, "txnindex") == before


def test_a_snapshot_from_before_the_first_segment_says_nothing_of_what_is_open(disk: Disk) -> None:
    writers = Writers(disk, SMALL)
    one = writers.producer(1)
    one.write()
    writers.log.roll()
    one.commit()
    writers.log.roll()
    append(writers.log)
    writers.log.roll()
    append(writers.log)
    old = disk.folder / "00000000000000000001.snapshot"
    kept = old.read_bytes()
    writers.log.delete_records(writers.log.segments[-1].base_offset)
    disk.crash()
    for path in disk.folder.glob("*.snapshot"):
        path.unlink()
    old.write_bytes(kept)
    writers.log = disk.open(SMALL)
    assert (writers.log.log_start_offset, writers.stable()) == (3, 4)
    assert not old.exists()


def test_an_index_without_its_segment_is_removed(disk: Disk) -> None:
    writers = Writers(disk)
    append(writers.log)
    disk.close()
    stray = disk.folder / "00000000000000000077.txnindex"
    stray.write_bytes(bytes(ENTRY_SIZE))
    log = disk.open()
    assert not stray.exists()
    assert not log.aborted


def contents(disk: Disk, suffix: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in disk.folder.glob(f"*.{suffix}")}
