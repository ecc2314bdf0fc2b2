"""The promises of ``Log``, for every kind. A new kind gets a class beside ``Segments`` and an entry in ``KINDS``.

The promises are those of ``storage/log`` and ``storage/appends``.

The tests know the interface only, no file; each of them holds for a log that answers at once and for one that does not.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar, cast

import pytest

from ottla.scheduling.promise import Promise
from ottla.storage.appends import NO_EPOCH, NO_OFFSET, UNVERIFIED, Appended, AppendOrigin
from ottla.storage.log import EpochEnd, FoundOffset, Log
from ottla.storage.log_config import LogConfig
from ottla.storage.slices import RecordSlice
from ottla.wire.batch import HEADER_SIZE, check_produced, read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.markers import Marker, build_marker
from tests.stage.held import Held
from tests.stage.logs import DEFAULTS, NOW_MS, batch_of, offsets, split
from tests.stage.slow_log import SlowLog, Slowness
from tests.storage.conftest import Disk

T = TypeVar("T")

ONE_RECORD = len(batch_of())


class Kind(Protocol):
    """How the tests get one log of a kind."""

    def open(self, config: LogConfig = DEFAULTS) -> Log:
        """The log, empty at the first call; later ones close it well and open it again."""
        ...

    def settle(self) -> None:
        """Let everything happen that is under way."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class Segments:
    """Logs in segment files, which answer at once."""

    def __init__(self, folder: Path) -> None:
        self._disk = Disk(folder)

    def open(self, config: LogConfig = DEFAULTS) -> Log:
        return self._disk.reopen(config, clean=True)

    def settle(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        self._disk.crash()


class SlowSegments(Segments):
    """The same, answering by ``Promise`` only."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.slowness = Slowness()

    def open(self, config: LogConfig = DEFAULTS) -> Log:
        self.slowness.settle()
        return SlowLog(super().open(config), self.slowness)

    def settle(self) -> None:
        self.slowness.settle()


class SyncedSegments(Segments):
    """Logs in segment files, each append of which waits for an fsync that others may share."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._held = self._disk.background = Held()

    def open(self, config: LogConfig = DEFAULTS) -> Log:
        self.settle()
        return super().open(replace(config, flush_messages=1))

    def settle(self) -> None:
        self._held.work_to_the_end()


KINDS: list[Callable[[Path], Kind]] = [Segments, SlowSegments, SyncedSegments]


class Tried:
    """A log of one kind, with every answer waited for."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.log = kind.open()

    def __call__(self, answer: T | Promise[T]) -> T:
        """The answer, whenever it comes."""
        if isinstance(answer, Promise):
            self.kind.settle()
            return answer.result()
        return answer

    def begin(
        self, batch: bytearray | None = None, *, origin: AppendOrigin = AppendOrigin.CLIENT, leader_epoch: int = 0
    ) -> Appended | Promise[Appended]:
        view = memoryview(batch if batch is not None else batch_of())
        return self.log.append(view, read_header(view), leader_epoch=leader_epoch, now_ms=NOW_MS, origin=origin)

    def write(self, producer_id: int, epoch: int = 0, sequence: int = 0, *, version: int = 2) -> int:
        """Append a record of a transaction; returns its offset."""
        view = memoryview(batch_of(producer=(producer_id, epoch, sequence), transactional=True))
        return self(self.log.append(view, read_header(view), 0, NOW_MS, transaction_version=version)).base_offset

    def end(self, producer_id: int, epoch: int = 1, *, commits: bool, coordinator_epoch: int = 0) -> int:
        """Append a marker; returns its offset."""
        marker = Marker(commits, coordinator_epoch)
        view = memoryview(build_marker(marker, producer_id=producer_id, producer_epoch=epoch, timestamp_ms=NOW_MS))
        appending = self.log.append(view, read_header(view), 0, NOW_MS, AppendOrigin.COORDINATOR, transaction_version=2)
        return self(appending).base_offset

    def aborted(self, offset: int) -> list[tuple[int, int, int]]:
        """The aborted transactions from an offset on: producer, first and last offset."""
        return [each[:3] for each in self(self.log.aborted_transactions(offset, len(self.read(offset))))]

    def append(
        self, batch: bytearray | None = None, *, origin: AppendOrigin = AppendOrigin.CLIENT, leader_epoch: int = 0
    ) -> Appended:
        return self(self.begin(batch, origin=origin, leader_epoch=leader_epoch))

    def read(
        self, offset: int, max_bytes: int = 1 << 30, *, end_offset: int | None = None, whole: bool = True
    ) -> bytes:
        end_offset = self.log.log_end_offset if end_offset is None else end_offset
        reading = self.log.read(offset, max_bytes, end_offset=end_offset, minimum_one_batch=whole)
        found = cast("RecordSlice", self(reading))
        if isinstance(found, bytes):
            return found
        data = found.read()
        assert len(found) == len(data)
        found.release()
        found.release()
        return data

    def read_all(self) -> list[bytes]:
        batches: list[bytes] = []
        offset = self.log.log_start_offset
        while offset < self.log.log_end_offset:
            batches += split(self.read(offset, 4000))
            offset = read_header(batches[-1]).next_offset
        return batches

    def reopen(self, config: LogConfig = DEFAULTS) -> None:
        self.log = self.kind.open(config)

    def state(self) -> tuple[int, int, int, list[bytes]]:
        log = self.log
        return log.log_start_offset, log.log_end_offset, log.size_bytes, self.read_all()


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def tried(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tried]:
    kind: Kind = request.param(tmp_path)
    yield Tried(kind)
    kind.close()


def refused(code: ErrorCode, call: Callable[[], object]) -> None:
    with pytest.raises(KafkaError) as refusal:
        call()
    assert refusal.value.code is code


def test_a_new_log_is_empty(tried: Tried) -> None:
    assert tried.state() == (0, 0, 0, [])
    assert tried.read(0) == b""
    assert tried(tried.log.max_timestamp()) is None


def test_an_append_says_where_its_batch_lies(tried: Tried) -> None:
    assert tried.append(batch_of([b"a", b"b"])) == Appended(0, 1, False, 0, -1)
    assert tried.append() == Appended(2, 2, False, 0, -1)
    assert (tried.log.log_start_offset, tried.log.log_end_offset) == (0, 3)
    assert tried.log.size_bytes == len(batch_of([b"a", b"b"])) + ONE_RECORD


def test_a_batch_is_kept_verbatim_but_for_offset_and_leader_epoch(tried: Tried) -> None:
    tried.append()
    original = bytes(batch_of([b"x" * 3000, b"y"], codec=4))
    tried.append(bytearray(original), leader_epoch=7)
    stored = tried.read(1)
    assert stored[:8] == (1).to_bytes(8)
    assert stored[12:16] == (7).to_bytes(4)
    assert (stored[8:12], stored[16:]) == (original[8:12], original[16:])


def test_a_buffer_may_be_used_again_when_the_call_returns(tried: Tried) -> None:
    batch = batch_of([b"precious"])
    answer = tried.begin(batch)
    batch[:] = bytes(len(batch))
    tried(answer)
    assert b"precious" in tried.read(0)


def test_bytes_after_the_batch_are_not_kept(tried: Tried) -> None:
    tried.append(batch_of([b"a"]) + b"junk")
    assert tried.log.size_bytes == ONE_RECORD - len(b"value") + 1
    tried.append()
    assert offsets(tried.read(0)) == [0, 1]


def test_appends_get_their_offsets_in_the_order_of_the_calls(tried: Tried) -> None:
    answers = [tried.begin(batch_of([b"%d" % number])) for number in range(5)]
    assert [tried(answer).base_offset for answer in answers] == [0, 1, 2, 3, 4]
    assert [batch[-2:-1] for batch in tried.read_all()] == [b"0", b"1", b"2", b"3", b"4"]


def test_answers_come_in_the_order_of_the_calls(tried: Tried) -> None:
    came: list[int] = []
    for number in range(5):
        answer = tried.begin()
        if isinstance(answer, Promise):
            answer.add_done_callback(lambda _, number=number: came.append(number))  # type: ignore[misc]
        else:
            came.append(number)
    tried.kind.settle()
    assert came == [0, 1, 2, 3, 4]


def test_what_was_answered_can_be_read_and_what_was_not_is_not_counted(tried: Tried) -> None:
    ends: list[tuple[int, int]] = []

    def answered(completion: Promise[Appended]) -> None:
        ends.append((completion.result().last_offset, tried.log.acknowledged_offset))

    for _ in range(3):
        before = tried.log.acknowledged_offset
        answer = tried.begin()
        if isinstance(answer, Promise) and not answer.done:
            assert tried.log.acknowledged_offset == before
            answer.add_done_callback(answered)
        else:
            ends.append((tried(answer).last_offset, tried.log.acknowledged_offset))
    tried.kind.settle()
    assert [last for last, _ in ends] == [0, 1, 2]
    assert all(end > last for last, end in ends)
    assert offsets(tried.read(0)) == [0, 1, 2]


def test_a_read_finds_what_was_appended_by_an_earlier_call(tried: Tried) -> None:
    appending = tried.begin()
    reading = tried.log.read(0, 1000, end_offset=1, minimum_one_batch=True)
    tried(appending)
    assert len(cast("RecordSlice", tried(reading))) == ONE_RECORD


def test_reading_starts_with_the_batch_that_holds_the_offset(tried: Tried) -> None:
    for _ in range(200):
        tried.append(batch_of([b"1", b"2", b"3" * 200]))
    for offset in range(0, 600, 7):
        assert offsets(tried.read(offset, 1)) == [offset // 3 * 3]


def test_a_read_is_cut_at_max_bytes_even_inside_a_batch(tried: Tried) -> None:
    for _ in range(3):
        tried.append()
    data = tried.read(0, 2 * ONE_RECORD + 10)
    assert len(data) == 2 * ONE_RECORD + 10
    assert offsets(data) == [0, 1]


def test_one_whole_batch_comes_only_when_it_must(tried: Tried) -> None:
    tried.append(batch_of([b"x" * 5000]))
    tried.append()
    assert offsets(tried.read(0, 10, whole=True)) == [0]
    assert len(tried.read(0, 10, whole=True)) == len(batch_of([b"x" * 5000]))
    assert tried.read(0, 10, whole=False) == b""


def test_nothing_at_or_beyond_the_end_offset_is_read(tried: Tried) -> None:
    for _ in range(10):
        tried.append()
    for end_offset in range(11):
        assert offsets(tried.read(3, end_offset=end_offset)) == list(range(3, end_offset))


@pytest.mark.parametrize("offset", [-1, 4, 100])
def test_offsets_outside_the_log_are_refused(tried: Tried, offset: int) -> None:
    for _ in range(3):
        tried.append()
    refused(ErrorCode.OFFSET_OUT_OF_RANGE, lambda: tried.read(offset))


def test_a_producer_s_batch_that_comes_again_is_not_appended_again(tried: Tried) -> None:
    tried.append()
    tried.append(batch_of([b"a", b"b"], producer=(1, 0, 0)))
    before = tried.state()
    again = tried.append(batch_of([b"a", b"b"], producer=(1, 0, 0)))
    assert again[:3] == (1, 2, True)
    assert tried.state() == before


@pytest.mark.parametrize(
    ("code", "batch"),
    [
        (ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, batch_of(producer=(1, 5, 7))),
        (ErrorCode.INVALID_PRODUCER_EPOCH, batch_of(producer=(1, 4, 1))),
        (ErrorCode.INVALID_TIMESTAMP, batch_of(timestamps=[NOW_MS + 3_600_001])),
        (ErrorCode.RECORD_LIST_TOO_LARGE, batch_of([bytes(20_000)])),
    ],
)
def test_a_refused_batch_changes_nothing(tried: Tried, code: ErrorCode, batch: bytearray) -> None:
    tried.log.configure(LogConfig(segment_bytes=10_000))
    tried.append(batch_of(producer=(1, 5, 0)))
    before = tried.state()
    refused(code, lambda: tried.append(bytearray(batch)))
    assert tried.state() == before
    assert tried.append(batch_of(producer=(1, 5, 1))).base_offset == 1


def test_a_refused_append_does_not_disturb_those_behind_it(tried: Tried) -> None:
    tried.append(batch_of(producer=(1, 0, 0)))
    try:
        bad = tried.begin(batch_of(producer=(1, 0, 9)))
    except KafkaError as error:
        bad = Promise()
        bad.fail(error)
    good = tried.begin(batch_of(producer=(1, 0, 1)))
    assert tried(good).base_offset == 1
    refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, lambda: tried(bad))


def test_a_coordinator_s_timestamps_are_not_checked(tried: Tried) -> None:
    late = batch_of(timestamps=[NOW_MS + 10_000_000])
    assert tried.append(late, origin=AppendOrigin.COORDINATOR).base_offset == 0


def test_log_append_time_marks_every_record(tried: Tried) -> None:
    tried.log.configure(LogConfig(message_timestamp_type="LogAppendTime"))
    assert tried.append(batch_of(timestamps=[5])).log_append_time_ms == NOW_MS
    header = check_produced(memoryview(bytearray(tried.read(0))))
    assert (header.timestamp_type, header.max_timestamp) == (1, NOW_MS)


def test_other_settings_are_in_force_for_the_next_append(tried: Tried) -> None:
    tried.append(batch_of(timestamps=[NOW_MS + 5000]))
    tried.log.configure(LogConfig(message_timestamp_after_max_ms=1000))
    assert tried.log.config.message_timestamp_after_max_ms == 1000
    refused(ErrorCode.INVALID_TIMESTAMP, lambda: tried.append(batch_of(timestamps=[NOW_MS + 5000])))


def test_the_first_record_of_a_time_is_found(tried: Tried) -> None:
    for time in (10, 30, 20, 40):
        tried.append(batch_of([b"a", b"b"], timestamps=[time, time + 1]), leader_epoch=3)
    log = tried.log
    assert tried(log.offset_for_timestamp(0)) == FoundOffset(10, 0, 3)
    assert tried(log.offset_for_timestamp(11)) == FoundOffset(11, 1, 3)
    assert tried(log.offset_for_timestamp(21)) == FoundOffset(30, 2, 3)
    assert tried(log.offset_for_timestamp(40)) == FoundOffset(40, 6, 3)
    assert tried(log.offset_for_timestamp(42)) is None
    assert tried(log.max_timestamp()) == FoundOffset(41, 7, 3)


def test_leader_epochs_are_known_by_offset_and_by_end(tried: Tried) -> None:
    log = tried.log
    log.begin_leader_epoch(0)
    tried.append(leader_epoch=0)
    tried.append(leader_epoch=4)
    log.begin_leader_epoch(6)
    assert [log.leader_epoch_at(offset) for offset in (0, 1, 2)] == [0, 4, 6]
    assert log.offset_for_leader_epoch(0) == EpochEnd(0, 1)
    assert log.offset_for_leader_epoch(5) == EpochEnd(4, 2)
    assert log.offset_for_leader_epoch(6) == EpochEnd(6, 2)
    assert log.offset_for_leader_epoch(7) == EpochEnd(NO_EPOCH, NO_OFFSET)


def test_records_before_an_offset_can_be_deleted(tried: Tried) -> None:
    for _ in range(10):
        tried.append(batch_of([b"1", b"2"]))
    assert tried(tried.log.delete_records(7)) == 7
    assert tried(tried.log.delete_records(3)) == 7
    assert (tried.log.log_start_offset, tried.log.log_end_offset) == (7, 20)
    refused(ErrorCode.OFFSET_OUT_OF_RANGE, lambda: tried.read(6))
    assert offsets(tried.read(7))[0] == 6
    refused(ErrorCode.OFFSET_OUT_OF_RANGE, lambda: tried(tried.log.delete_records(21)))
    assert tried(tried.log.delete_records(20)) == 20
    assert tried.read(20) == b""
    assert tried.append().base_offset == 20


def test_producers_that_wrote_nothing_for_long_are_forgotten(tried: Tried) -> None:
    tried.append(batch_of(producer=(1, 5, 0)))
    tried.log.expire_producers(NOW_MS + 999, 1000)
    refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, lambda: tried.append(batch_of(producer=(1, 5, 9))))
    tried.log.expire_producers(NOW_MS + 1000, 1000)
    assert tried.append(batch_of(producer=(1, 5, 9))).base_offset == 1


def test_committed_reading_ends_at_the_first_undecided_transaction(tried: Tried) -> None:
    tried.append()
    tried.write(1)
    tried.write(2)
    stable = [tried.log.last_stable_offset(high_watermark) for high_watermark in (0, 1, 3)]
    assert stable == [0, 1, 1]
    assert tried.end(1, commits=True) == 3
    assert [tried.log.last_stable_offset(high_watermark) for high_watermark in (3, 4)] == [1, 2]
    assert [tried.log.has_open_transaction(producer_id, 0) for producer_id in (1, 2, 3)] == [False, True, False]
    tried(tried.log.delete_records(3))
    assert tried.log.last_stable_offset(4) == 3
    tried.end(2, commits=False)
    assert tried.log.last_stable_offset(5) == 5


def test_aborted_transactions_are_named_and_survive_closing(tried: Tried) -> None:
    assert tried.aborted(0) == []
    tried.write(1)
    tried.write(2)
    tried.end(2, commits=False)
    tried.write(3)
    tried.end(3, commits=True)
    tried.end(1, commits=False)
    for _ in range(2):
        assert tried.aborted(0) == [(2, 1, 2), (1, 0, 5)]
        assert tried.aborted(3) == [(1, 0, 5)]
        tried.reopen()


def test_only_a_verified_transaction_may_begin(tried: Tried) -> None:
    refused(ErrorCode.INVALID_TXN_STATE, lambda: tried.write(1, version=UNVERIFIED))
    tried.write(1)
    assert tried.write(1, sequence=1, version=UNVERIFIED) == 1
    refused(ErrorCode.INVALID_TXN_STATE, lambda: tried.append(batch_of(producer=(1, 0, 2))))
    refused(ErrorCode.INVALID_PRODUCER_EPOCH, lambda: tried.end(1, 0, commits=True))
    assert tried.end(1, commits=True, coordinator_epoch=4) == 2
    refused(ErrorCode.INVALID_PRODUCER_EPOCH, lambda: tried.write(1, sequence=2))
    refused(ErrorCode.TRANSACTION_COORDINATOR_FENCED, lambda: tried.end(1, 2, commits=True, coordinator_epoch=3))


def test_a_flush_ends(tried: Tried) -> None:
    tried(tried.log.flush())
    tried.append()
    assert tried(tried.log.flush()) is None
    assert offsets(tried.read(0)) == [0]


def test_everything_is_there_after_closing_and_opening(tried: Tried) -> None:
    for number in range(20):
        tried.append(batch_of([b"%d" % number, bytes(100)], producer=(9, 0, 2 * number)), leader_epoch=number // 5)
    tried(tried.log.delete_records(5))
    before = tried.state()
    assert len(before[3][0]) > HEADER_SIZE
    tried.reopen()
    assert tried.state() == before
    assert tried.append(batch_of([b"19", bytes(100)], producer=(9, 0, 38))).duplicate
    assert tried.log.offset_for_leader_epoch(2) == EpochEnd(2, 30)
    assert tried.append().base_offset == 40
