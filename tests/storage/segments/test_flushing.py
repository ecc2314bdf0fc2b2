"""Appends that wait for an fsync, share one, or lie in a log whose fsync failed."""

import errno
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from ottla.scheduling.promise import Promise
from ottla.storage.appends import Appended, AppendOrigin
from ottla.storage.files.real import RealFile, RealFiles
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.data_directory import CLEAN_SHUTDOWN, DataDirectory
from ottla.storage.segments.flushing import JOBS_AT_ONCE, SEGMENTS_AT_ONCE
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import check_produced, read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.markers import Marker, build_marker
from tests.stage.held import Held
from tests.stage.logs import NOW_MS, TOPIC_ID, batch_of, read_all

EACH = LogConfig(flush_messages=1)
SMALL_SEGMENTS = LogConfig(segment_bytes=500)


class WatchedFiles(RealFiles):
    """Counts what is synced. ``broken`` names the files whose fsync fails."""

    def __init__(self) -> None:
        super().__init__(durable=False)
        self.synced: list[str] = []
        self.synced_beside: list[str] = []
        self.broken: set[str] = set()
        watched = self

        class Watched(RealFile):
            __slots__ = ()

            def sync(self) -> None:
                watched.note(self._path)

        self._file_type = Watched

    def note(self, path: Path) -> None:
        self.synced.append(str(path.name))
        if path.parent.name in self.broken:
            raise OSError(errno.EIO, "Input/output error")

    def sync_file(self, path: Path) -> None:
        if path.suffix == ".log":
            self.note(path)
        else:
            self.synced_beside.append(path.name)

    def sync_folder(self, path: Path) -> None:
        self.synced.append(f"{path.name}/")


class Store:
    """A data directory whose syncs are counted and done when the test says so."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = WatchedFiles()
        self.background = Held()
        self.timers: list[tuple[int, Callable[[], None]]] = []
        self.open()

    def open(self) -> None:
        self.directory = DataDirectory(self.root, node_id=1, files=self.files, background=self.background)
        self.directory.flusher.later = lambda delay_ms, call: self.timers.append((delay_ms, call))
        self.files.synced.clear()

    def log(self, config: LogConfig, topic: str = "topic") -> SegmentLog:
        return self.directory.open_log(topic, 0, topic_id=TOPIC_ID, config=config)

    def let_time_pass(self) -> list[int]:
        """Call all timers; returns what they had waited for."""
        timers, self.timers = self.timers, []
        for _, call in timers:
            call()
        return [delay for delay, _ in timers]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.directory.abandon()


def append(log: SegmentLog, batch: bytearray | None = None) -> Appended | Promise[Appended]:
    view = memoryview(batch if batch is not None else batch_of())
    return log.append(view, check_produced(view), 0, NOW_MS)


def begin(log: SegmentLog, batch: bytearray | None = None) -> Promise[Appended]:
    """Append where the answer has to come later."""
    appending = append(log, batch)
    assert isinstance(appending, Promise)
    return appending


def error_of(appending: Promise[Appended]) -> ErrorCode:
    with pytest.raises(KafkaError) as failure:
        appending.result()
    return failure.value.code


def test_the_page_cache_is_enough_by_default(store: Store) -> None:
    log = store.log(LogConfig())
    assert append(log) == Appended(0, 0, False, 0, -1)
    store.background.work_to_the_end()
    assert store.files.synced == []
    assert log.acknowledged_offset == 1


def test_an_append_is_answered_when_it_is_synced_and_not_before(store: Store) -> None:
    log = store.log(EACH)
    appending = begin(log)
    store.background.end_pass()
    assert not appending.done
    assert (log.log_end_offset, log.acknowledged_offset, log.recovery_point) == (1, 0, 0)
    store.background.work()
    assert appending.result() == Appended(0, 0, False, 0, -1)
    assert "00000000000000000000.log" in store.files.synced
    assert (log.log_end_offset, log.acknowledged_offset, log.recovery_point) == (1, 1, 1)


def test_the_appends_of_one_pass_share_one_fsync(store: Store) -> None:
    log = store.log(EACH)
    appending = [begin(log) for _ in range(100)]
    store.background.work()
    assert [each.result().base_offset for each in appending] == list(range(100))
    assert store.files.synced.count("00000000000000000000.log") == 1


def test_what_comes_during_an_fsync_shares_the_next(store: Store) -> None:
    log = store.log(EACH)
    first = begin(log)
    store.background.end_pass()
    later = [begin(log) for _ in range(10)]
    store.background.end_pass()
    assert len(store.background.jobs) == 1, "one log is synced by one thread at a time"
    store.background.work()
    assert first.done
    assert not any(each.done for each in later)
    assert log.acknowledged_offset == 1
    store.background.work()
    assert all(each.done for each in later)
    assert log.acknowledged_offset == 11
    assert store.files.synced.count("00000000000000000000.log") == 2


def test_answers_come_in_the_order_of_offsets_and_see_all_of_their_group(store: Store) -> None:
    log = store.log(EACH)
    seen: list[tuple[int, int]] = []
    for _ in range(3):
        begin(log).add_done_callback(lambda done: seen.append((done.result().base_offset, log.acknowledged_offset)))
    store.background.work()
    assert seen == [(0, 3), (1, 3), (2, 3)]


def test_every_so_many_records_means_so_many(store: Store) -> None:
    log = store.log(LogConfig(flush_messages=3))
    assert isinstance(append(log), Appended)
    assert isinstance(append(log), Appended)
    assert log.acknowledged_offset == 2
    third, fourth = begin(log), begin(log)
    assert log.acknowledged_offset == 2
    store.background.work_to_the_end()
    assert third.done
    assert fourth.done
    assert log.acknowledged_offset == log.recovery_point == 4
    assert isinstance(append(log), Appended)


def test_a_batch_of_so_many_records_is_enough(store: Store) -> None:
    log = store.log(LogConfig(flush_messages=3))
    appending = begin(log, batch_of([b"a", b"b", b"c"]))
    store.background.work()
    assert appending.done


def test_a_duplicate_is_not_acknowledged_before_its_original(store: Store) -> None:
    log = store.log(EACH)
    begin(log, batch_of(producer=(1, 0, 0)))
    again = begin(log, batch_of(producer=(1, 0, 0)))
    other = begin(log, batch_of(producer=(1, 0, 1)))
    assert not again.done
    store.background.work()
    assert again.result()[:3] == (0, 0, True)
    assert other.result().base_offset == 1
    assert cast("Appended", append(log, batch_of(producer=(1, 0, 0))))[:3] == (0, 0, True)


def test_a_duplicate_fails_as_its_original_does(store: Store) -> None:
    log = store.log(EACH)
    store.files.broken.add("topic-0")
    original, again = (begin(log, batch_of(producer=(1, 0, 0))) for _ in range(2))
    store.background.work()
    assert error_of(original) is error_of(again) is ErrorCode.KAFKA_STORAGE_ERROR


def test_after_some_time_means_that_nobody_waits(store: Store) -> None:
    log = store.log(LogConfig(flush_ms=250))
    for _ in range(10):
        assert isinstance(append(log), Appended)
    assert log.acknowledged_offset == 10
    assert store.let_time_pass() == [250], "one timer for all of them"
    store.background.work()
    assert store.files.synced.count("00000000000000000000.log") == 1
    assert log.recovery_point == 10
    append(log)
    assert store.let_time_pass() == [250]


def test_time_that_passed_without_appends_syncs_nothing(store: Store) -> None:
    log = store.log(LogConfig(flush_ms=250, flush_messages=1))
    begin(log)
    store.background.work()
    store.files.synced.clear()
    store.let_time_pass()
    store.background.work_to_the_end()
    assert store.files.synced == []


def test_a_policy_is_changed_while_the_log_is_open(store: Store) -> None:
    log = store.log(LogConfig())
    append(log)
    log.configure(EACH)
    waiting = begin(log)
    log.configure(LogConfig())
    assert isinstance(append(log), Appended)
    assert log.acknowledged_offset == 1, "an answer does not overtake those before it"
    store.background.work()
    assert waiting.done
    assert log.acknowledged_offset == 3


def test_names_are_synced_with_the_files_that_are_made(store: Store) -> None:
    log = store.log(LogConfig(flush_messages=1, segment_bytes=500))
    begin(log)
    store.background.work()
    assert store.files.synced == ["00000000000000000000.log", "topic-0/", f"{store.root.name}/"]
    store.files.synced.clear()
    begin(log)
    store.background.work()
    assert store.files.synced == ["00000000000000000000.log"]
    while len(log.segments) == 1:
        store.files.synced.clear()
        begin(log)
        store.background.work()
    second = log.segments[1].base_offset
    assert store.files.synced == [f"{second:020d}.log", "topic-0/"]


def test_a_closed_segment_and_its_name_are_synced_before_the_recovery_point_moves(store: Store) -> None:
    log = store.log(SMALL_SEGMENTS)
    while len(log.segments) < 4:
        append(log)
    append(log)
    assert log.recovery_point == 0
    store.background.work()
    assert log.recovery_point == log.segments[-1].base_offset
    assert store.files.synced == [
        *(f"{segment.base_offset:020d}.log" for segment in log.segments[:-1]),
        "topic-0/",
        f"{store.root.name}/",
    ]


def test_a_transaction_index_and_its_name_are_synced_before_the_recovery_point_moves(store: Store) -> None:
    log = store.log(SMALL_SEGMENTS)
    data = batch_of(producer=(1, 0, 0), transactional=True)
    marker = build_marker(Marker(False, 0), producer_id=1, producer_epoch=0, timestamp_ms=NOW_MS)
    for batch in (data, marker):
        log.append(memoryview(batch), read_header(batch), 0, NOW_MS, AppendOrigin.COORDINATOR)
    while len(log.segments) < 2:
        append(log)
    assert (store.files.synced, log.recovery_point) == ([], 0)
    store.background.work_to_the_end()
    assert "00000000000000000000.txnindex" in store.files.synced_beside
    assert "topic-0/" in store.files.synced
    assert log.recovery_point == log.segments[-1].base_offset


def test_segments_closed_during_a_sync_are_not_forgotten(store: Store) -> None:
    log = store.log(SMALL_SEGMENTS)
    while len(log.segments) < 2:
        append(log)
    store.background.end_pass()
    while len(log.segments) < 4:
        append(log)
    store.background.work_to_the_end()
    assert log.recovery_point == log.segments[-1].base_offset


def test_many_logs_share_a_few_threads(store: Store) -> None:
    logs = [store.log(EACH, f"topic{number}") for number in range(30)]
    appending = [begin(log) for log in logs]
    store.background.end_pass()
    assert len(store.background.jobs) == JOBS_AT_ONCE
    store.background.work()
    assert all(each.done for each in appending)


def test_a_failed_fsync_takes_the_log_offline(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    broken, good = store.log(EACH), store.log(EACH, "other")
    reasons: list[str] = []
    broken.on_offline = reasons.append
    store.files.broken.add("topic-0")
    appending, other = begin(broken), begin(good)
    with caplog.at_level(logging.ERROR):
        store.background.work()
    assert error_of(appending) is ErrorCode.KAFKA_STORAGE_ERROR
    assert reasons == ["topic-0 could not be synced to disk: [Errno 5] Input/output error"]
    assert "goes offline" in caplog.text
    assert other.result().base_offset == 0
    assert broken.recovery_point == 0


def test_a_failed_fsync_is_never_tried_again(store: Store) -> None:
    log = store.log(LogConfig(flush_ms=250, flush_messages=1))
    store.files.broken.add("topic-0")
    begin(log)
    store.background.work()
    store.files.broken.clear()
    store.files.synced.clear()
    for refused in (append, lambda log: log.read(0, 100, end_offset=1, minimum_one_batch=True)):
        with pytest.raises(KafkaError) as failure:
            refused(log)
        assert failure.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    store.let_time_pass()
    store.background.work_to_the_end()
    store.directory.close()
    assert "00000000000000000000.log" not in store.files.synced
    assert not (store.root / CLEAN_SHUTDOWN).exists(), "the next start has to look at what is there"


def test_a_segment_that_cannot_be_synced_when_it_is_closed_takes_the_log_offline(store: Store) -> None:
    log = store.log(SMALL_SEGMENTS)
    store.files.broken.add("topic-0")
    while len(log.segments) < 2:
        append(log)
    kept = log.log_end_offset
    store.background.work()
    assert log.offline_reason is not None
    assert log.recovery_point == 0
    store.directory.abandon()
    store.files.broken.clear()
    store.open()
    assert len(read_all(store.log(SMALL_SEGMENTS))) == kept


def test_a_backlog_of_closed_segments_is_synced_in_parts(store: Store) -> None:
    log = store.log(SMALL_SEGMENTS)
    while len(log.segments) < 2 * SEGMENTS_AT_ONCE + 8:
        append(log)
    bases = [segment.base_offset for segment in log.segments]
    assert log.recovery_point == 0
    store.background.end_pass()
    parts = []
    while store.background.jobs:
        before = len(store.files.synced), len(store.files.synced_beside)
        store.background.work()
        synced, beside = store.files.synced[before[0] :], store.files.synced_beside[before[1] :]
        parts.append(bases.index(log.recovery_point))
        assert sum(name.endswith(".log") for name in synced) <= SEGMENTS_AT_ONCE
        assert f"{log.recovery_point:020d}.snapshot" in beside, "what a recovery from there begins with"
        assert all(int(name[:20]) <= log.recovery_point for name in beside if name.endswith(".snapshot"))
    assert parts == [SEGMENTS_AT_ONCE, 2 * SEGMENTS_AT_ONCE, len(bases) - 1]
    assert log.recovery_point == bases[-1]
    assert not log.beside


def test_who_waits_behind_a_backlog_is_answered_when_all_of_it_is_synced(store: Store) -> None:
    log = store.log(SMALL_SEGMENTS)
    while len(log.segments) < SEGMENTS_AT_ONCE + 8:
        append(log)
    flushing = log.flush()
    assert flushing is not None
    store.background.work_to_the_end()
    assert flushing.done
    assert log.recovery_point == log.log_end_offset
    assert log.unsynced() == []


def test_who_waits_for_a_log_that_is_removed_looks_elsewhere(store: Store) -> None:
    log = store.log(EACH)
    early = begin(log)
    store.background.end_pass()
    late = begin(log)
    store.directory.delete_log("topic", 0)
    assert error_of(early) is error_of(late) is ErrorCode.NOT_LEADER_OR_FOLLOWER
    store.background.work_to_the_end()
    assert log.offline_reason is None


def crash(store: Store) -> None:
    """End the process: what the disk was asked for is never done."""
    store.directory.abandon()
    store.background.jobs.clear()
    store.background.calls.clear()
    store.open()


def test_what_a_crash_left_unsynced_is_synced_before_anybody_sees_it(store: Store) -> None:
    begin(store.log(EACH))
    store.background.end_pass()
    crash(store)
    log = store.log(EACH)
    assert (log.log_end_offset, log.acknowledged_offset) == (1, 0)
    later = begin(log)
    assert log.acknowledged_offset == 0
    store.background.work_to_the_end()
    assert later.result().base_offset == 1
    assert (log.acknowledged_offset, log.recovery_point) == (2, 2)


def test_what_a_crash_left_unsynced_is_no_duplicate_before_it_is_synced(store: Store) -> None:
    begin(store.log(EACH), batch_of(producer=(1, 0, 0)))
    crash(store)
    log = store.log(EACH)
    again = begin(log, batch_of(producer=(1, 0, 0)))
    assert not again.done
    store.background.work_to_the_end()
    assert again.result()[:3] == (0, 0, True)


def test_a_duplicate_of_what_was_never_synced_waits_under_a_new_policy(store: Store) -> None:
    log = store.log(LogConfig())
    append(log, batch_of(producer=(1, 0, 0)))
    log.configure(EACH)
    again = begin(log, batch_of(producer=(1, 0, 0)))
    store.background.work_to_the_end()
    assert again.result()[:3] == (0, 0, True)


def test_after_a_crash_the_time_runs_too(store: Store) -> None:
    settings = LogConfig(flush_ms=250)
    append(store.log(settings))
    crash(store)
    store.timers.clear()
    log = store.log(settings)
    assert log.acknowledged_offset == 1
    assert store.let_time_pass() == [250]
    store.background.work_to_the_end()
    assert log.recovery_point == 1


def test_after_a_clean_stop_nothing_is_left_to_sync(store: Store) -> None:
    begin(store.log(EACH))
    store.background.work_to_the_end()
    store.directory.close()
    store.open()
    log = store.log(EACH)
    store.background.work_to_the_end()
    assert log.acknowledged_offset == 1
    assert store.files.synced == []


def test_flush_is_done_when_everything_before_it_is_synced(store: Store) -> None:
    log = store.log(LogConfig())
    assert log.flush() is None
    append(log)
    flushing = log.flush()
    append(log)
    assert log.acknowledged_offset == 2, "a flush holds nobody up"
    assert flushing is not None
    assert not flushing.done
    store.background.work()
    assert flushing.done
    assert log.recovery_point == 2


def test_a_waiter_that_fails_does_not_harm_the_others(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    log = store.log(EACH)
    first, second = begin(log), begin(log)
    first.add_done_callback(lambda _: 1 / 0)  # type: ignore[arg-type]
    store.background.work()
    assert second.done
    assert "division by zero" in caplog.text
