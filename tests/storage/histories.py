"""Long random histories of a data directory whose power fails, each log compared with a list of what was appended.

What a log says is synced (``recovery_point``, ``flush``) must be there after a power failure, byte for byte; of what
came later, some may be there. Nothing else may be.
"""

from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from random import Random

from ottla.scheduling.promise import Promise
from ottla.storage.appends import Appended, AppendOrigin
from ottla.storage.log_config import MAX_INT64, LogConfig
from ottla.storage.segments.data_directory import DataDirectory
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import BatchHeader, check_produced, read_header
from ottla.wire.markers import Marker, build_marker
from ottla.wire.records import read_records
from tests.stage.crashable import MERCIES, CrashableFiles
from tests.stage.logs import NOW_MS, batch_of, read_all
from tests.storage.transaction_truth import compare_transactions

TOPICS = ("apple", "banana", "cherry")
PRODUCERS = (-1, 1, 2)
TRANSACTIONAL = (11, 12)


class Later:
    """Does background work when the history says so, in any order: a crash comes before some of it."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], None], Callable[[BaseException | None], None]]] = []
        self.at_once = False
        """Read at once: a comparison wants what is there now."""

    def run(self, work: Callable[[], None], then: Callable[[BaseException | None], None]) -> None:
        self.waiting.append((work, then))
        if self.at_once:
            self._do(len(self.waiting) - 1)

    def soon(self, call: Callable[[], None]) -> None:
        call()

    def do_one(self, random: Random) -> None:
        if self.waiting:
            self._do(random.randrange(len(self.waiting)))

    def _do(self, number: int) -> None:
        work, then = self.waiting.pop(number)
        error = None
        try:
            work()
        except OSError as failure:
            error = failure
        then(error)


class Expected:
    """The batches given to one log, and the part of them that must have lasted."""

    def __init__(self, topic_id: bytes) -> None:
        self.topic_id = topic_id
        self.batches: list[bytes] = []
        self.end = 0
        self.start = 0
        self.synced_end = 0
        self.epoch = 0
        self.sequences: dict[int, int] = {}

    def headers(self) -> list[BatchHeader]:
        return [read_header(batch) for batch in self.batches]

    def check_synced(self, log: SegmentLog) -> None:
        """Believe what the log says of itself; a restart will show."""
        self.synced_end = max(self.synced_end, log.recovery_point)

    def compare(self, log: SegmentLog, least: "Expected") -> None:
        """Compare with a log that has been opened, and take it for what it is; ``least`` is what must be there."""
        start, end = log.log_start_offset, log.log_end_offset
        assert start <= self.start
        assert least.synced_end <= end <= self.end or least.synced_end <= self.start
        found = read_all(log, holes=True)
        assert set(found) <= set(self.batches)
        headers = [read_header(batch) for batch in found]
        assert all(first.next_offset <= second.base_offset for first, second in pairwise(headers))
        assert not headers or headers[-1].next_offset <= end
        there = {header.base_offset for header in headers}
        for header in self.headers():
            if header.last_offset >= self.start and header.next_offset <= least.synced_end:
                assert header.base_offset in there, f"{header} was synced"
        # A deleted log may come back once more, if its deletion was not synced.
        deleted = [each for each in self.batches if read_header(each).next_offset <= start]
        self.batches = deleted + found
        compare_transactions(log, found=found, before=deleted)
        for header in headers:
            assert log.leader_epoch_at(max(start, header.base_offset)) == header.partition_leader_epoch, (
                header,
                log.epochs.entries,
            )
        assert log.size_bytes == sum(segment.size for segment in log.segments)

    def look_up_times(self, log: SegmentLog, random: Random) -> None:
        """Ask the log for timestamps."""
        start, end = log.log_start_offset, log.log_end_offset
        records = [record for batch in self.batches for record in read_records(batch) if start <= record.offset < end]
        for _ in range(3):
            wanted = NOW_MS + random.randrange(100 + 10 * len(self.batches))
            first = next((record for record in records if record.timestamp >= wanted), None)
            found = log.offset_for_timestamp(wanted)
            assert (found and found[:2]) == (first and (first.timestamp, first.offset)), (wanted, found, first)

    def go_on_from(self, log: SegmentLog, *, lasting: bool) -> None:
        """Take the log as it came back for what it is from now on."""
        self.start, self.end = log.log_start_offset, log.log_end_offset
        if lasting:
            self.synced_end = self.end
        self.sequences = {producer_id: state.last_sequence + 1 for producer_id, state in log.producers.items()}
        self.epoch = max([self.epoch, *(header.partition_leader_epoch for header in self.headers())])


class History:
    """One directory's life. ``trace`` is what happened, for whoever reads a failure."""

    def __init__(self, root: Path, seed: int, *, recreates: bool = True) -> None:
        """Choose everything by ``seed``. With ``recreates``, topics are deleted and made again under their name."""
        self.recreates = recreates
        self.root = root
        self.random = Random(seed)
        self.files = CrashableFiles(root.parent)
        self.trace: list[str] = [f"seed {seed}"]
        self.config = LogConfig(
            segment_bytes=self.random.choice([1100, 2000, 6000]),
            index_interval_bytes=self.random.choice([0, 100, 1000]),
            file_delete_delay_ms=0,
            flush_messages=self.random.choice([MAX_INT64, MAX_INT64, 1, 8]),
        )
        self.expected: dict[str, Expected] = {}
        self.marks: list[tuple[int, dict[str, Expected]]] = []
        """Return what was expected when the file system had seen that many events."""
        self.open(self.files)
        for topic in TOPICS[:2]:
            self.create(topic)

    def open(self, files: CrashableFiles) -> None:
        """Start a broker's storage, with the topics that the catalog knows."""
        self.files = files
        self.later = Later()
        self.unanswered: list[tuple[Expected, int, Promise[Appended]]] = []
        self.directory = DataDirectory(self.root, node_id=1, files=files, background=self.later, random=self.random)
        self.logs = {topic: self._open_log(topic) for topic in self.expected}
        self.directory.all_opened()

    def _open_log(self, topic: str) -> SegmentLog:
        return self.directory.open_log(topic, 0, topic_id=self.expected[topic].topic_id, config=self.config)

    def create(self, topic: str) -> None:
        self.trace.append(f"create {topic}")
        self.expected[topic] = Expected(self.random.randbytes(16))
        self.logs[topic] = self._open_log(topic)

    # Events.

    def step(self) -> None:
        """Let something happen to a log."""
        topic = self.random.choice(list(self.logs))
        actions = [self.append] * 12 + [self.append_transactional] * 5 + [self.end_transaction] * 3
        actions += [self.flush, self.checkpoint, self.work, self.work, self.delete_records]
        actions += [self.elect] + [self.recreate] * (self.recreates and self.random.random() < 0.3)
        self.random.choice(actions)(topic)
        for each, log in self.logs.items():
            self.expected[each].check_synced(log)
        for expected, end, answer in self.unanswered:
            if answer.done:
                expected.synced_end = max(expected.synced_end, end)
        self.unanswered = [waiting for waiting in self.unanswered if not waiting[2].done]
        self.marks.append((len(self.files.events), deepcopy(self.expected)))

    def append(self, topic: str) -> None:
        expected = self.expected[topic]
        count = self.random.randint(1, 3)
        values = [self.random.randbytes(self.random.choice([0, 10, 10, 300])) for _ in range(count)]
        producer_id = self.random.choice(PRODUCERS)
        sequence = expected.sequences.get(producer_id, 0)
        first = NOW_MS + 10 * len(expected.batches) + self.random.randint(-100, 100)
        batch = batch_of(
            values,
            timestamps=[first + number for number in range(count)],
            producer=(producer_id, 0, sequence) if producer_id >= 0 else (-1, -1, -1),
        )
        check_produced(memoryview(batch))
        self._append(topic, batch, AppendOrigin.CLIENT)
        if producer_id >= 0:
            expected.sequences[producer_id] = sequence + count

    def append_transactional(self, topic: str) -> None:
        producer_id = self.random.choice(TRANSACTIONAL)
        producer = (producer_id, *self._epoch_and_sequence(topic, producer_id))
        batch = batch_of([b"value"] * self.random.randint(1, 3), producer=producer, transactional=True)
        self._append(topic, batch, AppendOrigin.CLIENT)

    def end_transaction(self, topic: str) -> None:
        producer_id = self.random.choice(TRANSACTIONAL)
        epoch = self._epoch_and_sequence(topic, producer_id)[0] + 1
        marker = Marker(self.random.random() < 0.3, 0)
        batch = build_marker(marker, producer_id=producer_id, producer_epoch=epoch, timestamp_ms=NOW_MS)
        self._append(topic, batch, AppendOrigin.COORDINATOR)

    def _epoch_and_sequence(self, topic: str, producer_id: int) -> tuple[int, int]:
        state = self.logs[topic].producers.get(producer_id)
        return (0, 0) if state is None else (state.epoch, state.last_sequence + 1)

    def _append(self, topic: str, batch: bytearray, origin: AppendOrigin) -> None:
        expected = self.expected[topic]
        self.trace.append(f"append {len(batch)} bytes to {topic} at {expected.end}")
        header = read_header(batch)
        log = self.logs[topic]
        appended = log.append(memoryview(batch), header, expected.epoch, NOW_MS, origin, transaction_version=2)
        base_offset = expected.end
        expected.end += header.record_count
        assert log.log_end_offset == expected.end
        if isinstance(appended, Promise):
            self.unanswered.append((expected, expected.end, appended))
        else:
            assert (appended.base_offset, appended.duplicate) == (base_offset, False)
        expected.batches.append(bytes(batch))

    def flush(self, topic: str) -> None:
        self.trace.append(f"flush {topic}")
        flushed = self.logs[topic].flush()
        while flushed is not None and not flushed.done:
            self.later.do_one(self.random)
        self.expected[topic].synced_end = self.expected[topic].end

    def checkpoint(self, topic: str) -> None:
        self.trace.append("checkpoint")
        self.directory.checkpoint()

    def work(self, topic: str) -> None:
        self.trace.append("background work")
        self.directory.removals.remove_due(NOW_MS)
        self.later.do_one(self.random)

    def delete_records(self, topic: str) -> None:
        expected = self.expected[topic]
        before = self.random.randint(expected.start, expected.end)
        self.trace.append(f"delete from {topic} before {before}")
        expected.start = self.logs[topic].delete_records(before)

    def elect(self, topic: str) -> None:
        expected = self.expected[topic]
        expected.epoch += 1
        self.trace.append(f"epoch {expected.epoch} of {topic}")
        self.logs[topic].begin_leader_epoch(expected.epoch)

    def recreate(self, topic: str) -> None:
        self.trace.append(f"delete {topic}")
        self.directory.delete_log(topic, 0)
        del self.expected[topic], self.logs[topic]
        self.create(self.random.choice([each for each in TOPICS if each not in self.expected]))

    # How it ends, and begins again.

    def restart(self) -> None:
        """Shut down well, and start."""
        self.trace.append("restart")
        before = deepcopy(self.expected)
        self.directory.close()
        self.open(self.files)
        for topic, log in self.logs.items():
            assert log.log_end_offset == before[topic].end
            self._check(topic, log, before[topic])
            self.expected[topic].go_on_from(log, lasting=True)

    def kill(self) -> None:
        """End the process alone: the system still has what it was given."""
        self.trace.append("kill")
        before = deepcopy(self.expected)
        self.directory.abandon()
        self.open(self.files)
        for topic, log in self.logs.items():
            assert log.log_end_offset == before[topic].end
            self._check(topic, log, before[topic])
            self.expected[topic].go_on_from(log, lasting=False)

    def fail_power(self) -> None:
        """Lose what was not synced, some of the time in the middle of the last step."""
        before = deepcopy(self.expected)
        mercy = self.random.choice(MERCIES)
        self.trace.append(f"power failure, {mercy} unsynced survives")
        self.directory.abandon()
        self.open(self.files.after_power_failure(self.random, mercy))
        self._check_all(before)

    def fail_power_at_every_event(self) -> None:
        """Look at what each moment's power failure would have left; the history does not go on."""
        self.directory.abandon()
        files, marks = self.files, self.marks
        for step in range(1, len(marks)):
            (first, before), (last, after) = marks[step - 1 : step + 1]
            for event in range(first, last):
                for mercy in MERCIES:
                    self.trace.append(f"power failure at {event}, {mercy} unsynced survives")
                    self.expected = deepcopy(after)
                    self.open(files.after_power_failure(self.random, mercy, at=event))
                    self._check_all(before)
                    self.directory.abandon()

    def _check_all(self, least: dict[str, Expected]) -> None:
        for topic, log in self.logs.items():
            self._check(topic, log, least[topic])
            self.expected[topic].go_on_from(log, lasting=True)

    def _check(self, topic: str, log: SegmentLog, least: Expected) -> None:
        self.trace.append(f"{topic} came back as {log.log_start_offset} to {log.log_end_offset}")
        expected = self.expected[topic]
        self.later.at_once = True
        expected.compare(log, least)
        expected.look_up_times(log, self.random)
        self._retry(topic, log)
        self.later.at_once = False

    def _retry(self, topic: str, log: SegmentLog) -> None:
        """Each producer sends its last batch again, and is told that it is there."""
        last = {}
        for header in self.expected[topic].headers():
            if header.producer_id >= 0 and not header.is_transactional:
                last[header.producer_id] = header
        for header in last.values():
            if header.base_offset >= log.log_start_offset:
                producer = (header.producer_id, header.producer_epoch, header.base_sequence)
                view = memoryview(batch_of([b""] * header.record_count, producer=producer))
                again = log.append(view, check_produced(view), 0, NOW_MS)
                if isinstance(again, Promise):
                    while not again.done:
                        self.later.do_one(self.random)
                    again = again.result()
                assert (again.duplicate, again.base_offset) == (True, header.base_offset), header
