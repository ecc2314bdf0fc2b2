"""Random histories of a log, compared with a plain list of batches after every step."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ottla.storage.log_config import LogConfig
from ottla.wire.batch import read_header
from ottla.wire.records import read_records
from tests.stage.logs import NOW_MS, append, batch_of, offsets, read, read_all, split
from tests.storage.conftest import Disk

sizes = st.lists(st.integers(0, 400), min_size=1, max_size=4)


class LogHistory(RuleBasedStateMachine):
    """Appends, reads, deletions, restarts, crashes and torn tails."""

    @initialize(segment_bytes=st.integers(1700, 6000), interval=st.sampled_from([0, 100, 1000, 4096]))
    def begin(self, segment_bytes: int, interval: int) -> None:
        self.temporary = tempfile.TemporaryDirectory()
        self.disk = Disk(Path(self.temporary.name))
        self.config = LogConfig(segment_bytes=segment_bytes, index_interval_bytes=interval)
        self.log = self.disk.open(self.config)
        self.batches: list[bytes] = []
        self.start = self.end = 0
        self.clock = NOW_MS
        self.epoch = 0
        self.sequences: dict[int, int] = {}
        self.last_of: dict[int, tuple[int, int, int]] = {}

    @rule(sizes=sizes, drift=st.integers(-500, 500), producer_id=st.sampled_from([-1, 1, 2]))
    def append(self, sizes: list[int], drift: int, producer_id: int) -> None:
        self.clock += 100
        values = [bytes([len(self.batches) % 256]) * size for size in sizes]
        sequence = self.sequences.get(producer_id, 0)
        producer = (producer_id, 0, sequence) if producer_id >= 0 else (-1, -1, -1)
        times = [self.clock + drift + number for number in range(len(values))]
        batch = batch_of(values, timestamps=times, producer=producer)
        appended = append(self.log, batch, leader_epoch=self.epoch)
        assert appended[:3] == (self.end, self.end + len(sizes) - 1, False)
        if producer_id >= 0:
            self.sequences[producer_id] = sequence + len(sizes)
            self.last_of[producer_id] = (sequence, len(sizes), self.end)
        self.batches.append(bytes(batch))
        self.end += len(sizes)

    @precondition(lambda self: self.last_of)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        producer_id = data.draw(st.sampled_from(sorted(self.last_of)))
        sequence, count, offset = self.last_of[producer_id]
        again = append(self.log, batch_of([b""] * count, producer=(producer_id, 0, sequence)))
        assert (again.duplicate, again.base_offset) == (True, offset)

    @rule()
    def elect(self) -> None:
        self.epoch += 1
        self.log.begin_leader_epoch(self.epoch)
        assert self.log.offset_for_leader_epoch(self.epoch) == (self.epoch, self.end)

    @rule(data=st.data(), max_bytes=st.integers(0, 3000), whole=st.booleans())
    def read(self, data: st.DataObject, max_bytes: int, whole: bool) -> None:
        offset = data.draw(st.integers(self.start, self.end))
        bounds = [self.start] + [read_header(batch).next_offset for batch in self.batches]
        end_offset = data.draw(st.sampled_from(bounds))
        found = read(self.log, offset, max_bytes, end_offset=end_offset, whole=whole)
        expected = [
            batch
            for batch in self.batches
            if read_header(batch).last_offset >= offset and read_header(batch).next_offset <= end_offset
        ]
        assert b"".join(expected).startswith(found)
        assert len(found) <= max(max_bytes, len(expected[0]) if whole and expected else 0)
        if offset < end_offset and (whole or (expected and len(expected[0]) <= max_bytes)):
            assert split(found)

    @rule(data=st.data())
    def look_up_a_time(self, data: st.DataObject) -> None:
        target = data.draw(st.integers(NOW_MS - 1000, self.clock + 1000))
        records = [record for batch in self.batches for record in read_records(batch) if record.offset >= self.start]
        expected = next((record for record in records if record.timestamp >= target), None)
        found = self.log.offset_for_timestamp(target)
        assert (found and found[:2]) == (expected and (expected.timestamp, expected.offset))

    @precondition(lambda self: self.end > self.start)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        self.start = self.log.delete_records(data.draw(st.integers(self.start, self.end)))
        self.batches = [batch for batch in self.batches if read_header(batch).last_offset >= self.start]

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        if self.disk.directory is not None and not clean:
            self.disk.directory.checkpoint()
        self.log = self.disk.reopen(self.config, clean=clean)

    @precondition(lambda self: self.log.segments and self.log.segments[-1].size)
    @rule(data=st.data())
    def crash_with_a_torn_tail(self, data: st.DataObject) -> None:
        """A power failure may cut the last batches; it must not take more than that."""
        tail = self.batches[-1] if self.batches else b""
        lost = data.draw(st.integers(0, max(len(tail) - 1, 0)))
        base = self.log.segments[-1].base_offset
        unsynced = max(base, self.start, self.log.recovery_point)
        self.disk.crash()
        if tail and read_header(tail).base_offset >= unsynced:
            path = self.disk.folder / f"{base:020d}.log"
            with path.open("r+b") as file:
                file.truncate(path.stat().st_size - lost)
            if lost:
                self.batches.pop()
                self.end = read_header(tail).base_offset
                producer_id, count = read_header(tail).producer_id, read_header(tail).record_count
                if producer_id >= 0:
                    self.sequences[producer_id] -= count
                    self.last_of.pop(producer_id, None)
        self.log = self.disk.open(self.config)

    @invariant()
    def the_log_is_the_list(self) -> None:
        assert (self.log.log_start_offset, self.log.log_end_offset) == (self.start, self.end)
        assert read_all(self.log) == self.batches
        assert self.log.size_bytes == sum(path.stat().st_size for path in self.disk.folder.glob("*.log"))
        if self.start < self.end:
            assert offsets(read(self.log, self.end - 1))[-1] == read_header(self.batches[-1]).base_offset

    def teardown(self) -> None:
        self.disk.crash()
        self.temporary.cleanup()


TestLogHistory = LogHistory.TestCase
TestLogHistory.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
