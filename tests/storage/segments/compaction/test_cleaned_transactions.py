"""Compaction of transactions: aborted records go at once, markers when nobody can need them."""

from ottla.storage.appends import AppendOrigin
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import HEADER_SIZE, read_header
from ottla.wire.markers import Marker, build_marker
from tests.stage.logs import NOW_MS, read_all
from tests.storage.compacting import clean, compacted_config, contents, put
from tests.storage.conftest import Disk

CONFIG = compacted_config(delete_retention_ms=1000, segment_bytes=1 << 20)


def put_in_transaction(log: SegmentLog, key: bytes, value: bytes, *, producer: int, sequence: int = 0) -> None:
    put(log, (key, value), producer_id=producer, producer_epoch=0, base_sequence=sequence, is_transactional=True)


def end(log: SegmentLog, *, producer: int, commits: bool) -> None:
    batch = build_marker(Marker(commits, 0), producer_id=producer, producer_epoch=0, timestamp_ms=NOW_MS)
    log.append(memoryview(batch), read_header(batch), 0, NOW_MS, AppendOrigin.COORDINATOR, transaction_version=1)


def kinds(log: SegmentLog) -> list[str]:
    """The kind of each batch, with its base offset."""
    found = []
    for batch in read_all(log):
        header = read_header(batch)
        kind = "marker" if header.is_control else "data"
        found.append(f"{header.base_offset} {kind}{'' if header.record_count else ' empty'}")
    return found


def forget_producers(log: SegmentLog) -> None:
    log.producers.expire(1 << 60, 1)


def test_records_of_an_aborted_transaction_go_and_its_marker_later(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put(log, (b"a", b"before"))
    put_in_transaction(log, b"a", b"aborted", producer=1)
    put_in_transaction(log, b"b", b"aborted", producer=1, sequence=1)
    end(log, producer=1, commits=False)
    forget_producers(log)
    put(log, (b"c", b"after"))
    clean(log)
    assert kinds(log) == ["0 data", "3 marker", "4 data"]
    assert log.aborted.find(0, 0, 10) == [(1, 1, 3, 4)]
    # From the next round on nothing is left that the marker is about, and its time begins to run.
    clean(log, NOW_MS)
    assert kinds(log) == ["0 data", "3 marker", "4 data"]
    assert read_header(read_all(log)[1]).delete_horizon == NOW_MS + 1000
    assert not log.aborted.find(0, 0, 10)
    clean(log, NOW_MS + 999)
    assert kinds(log) == ["0 data", "3 marker", "4 data"]
    clean(log, NOW_MS + 1000)
    assert kinds(log) == ["0 data", "4 data"]
    assert [value for _, _, value in contents(log)] == [b"before", b"after"]


def test_a_committed_transactions_marker_stays_as_long_as_its_records(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put_in_transaction(log, b"a", b"1", producer=1)
    end(log, producer=1, commits=True)
    forget_producers(log)
    put(log, (b"b", b"1"))
    for later in range(3):
        clean(log, NOW_MS + 5000 * later)
        assert kinds(log) == ["0 data", "1 marker", "2 data"]
    put(log, (b"a", b"2"))
    clean(log, NOW_MS)
    assert kinds(log) == ["1 marker", "2 data", "3 data"]
    clean(log, NOW_MS)
    clean(log, NOW_MS + 1000)
    assert kinds(log) == ["2 data", "3 data"]


def test_nothing_from_an_open_transaction_on_is_compacted(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put(log, (b"a", b"1"))
    put(log, (b"a", b"2"))
    log.roll()
    put_in_transaction(log, b"a", b"open", producer=1)
    put(log, (b"a", b"3"))
    done = clean(log)
    assert done is not None
    assert done.next_dirty_offset == 2
    assert kinds(log) == ["1 data", "2 data", "3 data"]
    end(log, producer=1, commits=False)
    clean(log, cleaned_to=2)
    assert kinds(log) == ["2 data empty", "3 data", "4 marker"] or kinds(log) == ["3 data", "4 marker"]


def test_an_aborted_record_does_not_hide_an_older_one_with_its_key(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put(log, (b"a", b"kept"))
    put_in_transaction(log, b"a", b"aborted", producer=1)
    put_in_transaction(log, b"b", b"committed", producer=2)
    end(log, producer=2, commits=True)
    end(log, producer=1, commits=False)
    clean(log)
    values = [value for _, key, value in contents(log) if key in {b"a", b"b"}]
    assert values == [b"kept", b"committed"]


def test_the_last_marker_of_a_producer_that_is_known_stays_empty(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put(log, (b"a", b"1"))
    end(log, producer=1, commits=True)
    put(log, (b"b", b"1"))
    for later in range(4):
        clean(log, NOW_MS + 5000 * later)
    assert kinds(log) == ["0 data", "1 marker empty", "2 data"]
    assert len(read_all(log)[1]) == HEADER_SIZE


def test_aborted_transactions_that_are_kept_survive_restarts(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put_in_transaction(log, b"a", b"1", producer=1)
    end(log, producer=1, commits=False)
    put(log, (b"b", b"1"))
    clean(log)
    assert (disk.folder / f"{0:020d}.txnindex").exists()
    log = disk.reopen(CONFIG, clean=True)
    assert log.aborted.find(0, 0, 10) == [(1, 0, 1, 2)]
