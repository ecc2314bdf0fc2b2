"""Random histories of transactions, compared after every step with what their batches say when read from the start."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ottla.storage.appends import AppendOrigin
from ottla.storage.log_config import LogConfig
from ottla.wire.batch import BatchHeader, read_header
from ottla.wire.markers import Marker, build_marker
from tests.stage.logs import NOW_MS, append, batch_of, read, read_all, split
from tests.storage.conftest import Disk
from tests.storage.transaction_truth import compare_transactions, truth_of

producers = st.sampled_from([1, 2, 3])


class TransactionHistory(RuleBasedStateMachine):
    """Transactions of three producers, records of none, deletions, restarts, crashes, torn tails, lost files."""

    @initialize(segment_bytes=st.integers(300, 3000), interval=st.sampled_from([0, 300, 4096]))
    def begin(self, segment_bytes: int, interval: int) -> None:
        self.temporary = tempfile.TemporaryDirectory()
        self.disk = Disk(Path(self.temporary.name))
        self.config = LogConfig(segment_bytes=segment_bytes, index_interval_bytes=interval)
        self.log = self.disk.open(self.config)
        self.batches: list[bytes] = []
        self.start = self.synced = 0

    def producer_state(self, producer_id: int) -> tuple[int, int]:
        """Epoch and next sequence."""
        state = self.log.producers.get(producer_id)
        return (0, 0) if state is None else (state.epoch, state.last_sequence + 1)

    @rule(producer_id=producers, count=st.integers(1, 4))
    def write(self, producer_id: int, count: int) -> None:
        batch = batch_of(
            [b"value"] * count, producer=(producer_id, *self.producer_state(producer_id)), transactional=True
        )
        self.log.append(memoryview(batch), read_header(batch), 0, NOW_MS, transaction_version=2)
        self.batches.append(bytes(batch))

    @rule(producer_id=producers, commits=st.booleans())
    def end(self, producer_id: int, commits: bool) -> None:
        epoch = self.producer_state(producer_id)[0] + 1
        marker = build_marker(Marker(commits, 0), producer_id=producer_id, producer_epoch=epoch, timestamp_ms=NOW_MS)
        self.log.append(
            memoryview(marker), read_header(marker), 0, NOW_MS, AppendOrigin.COORDINATOR, transaction_version=2
        )
        self.batches.append(bytes(marker))

    @rule(size=st.integers(0, 200))
    def write_without(self, size: int) -> None:
        batch = batch_of([bytes(size)])
        append(self.log, batch)
        self.batches.append(bytes(batch))

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        self.start = self.log.delete_records(data.draw(st.integers(self.start, self.log.log_end_offset)))

    @rule(clean=st.booleans(), checkpointed=st.booleans())
    def restart(self, clean: bool, checkpointed: bool) -> None:
        if self.disk.directory is not None and checkpointed:
            self.disk.directory.checkpoint()
        self.log = self.disk.reopen(self.config, clean=clean)

    @rule(data=st.data())
    def lose_what_can_be_made_anew(self, data: st.DataObject) -> None:
        """Snapshots and transaction indexes; but what only the batches of removed segments said is in a snapshot."""
        self.disk.crash()
        first = min((path.stem for path in self.disk.folder.glob("*.log")), default="")
        for path in sorted([*self.disk.folder.glob("*.snapshot"), *self.disk.folder.glob("*.txnindex")]):
            if (path.suffix == ".txnindex" or path.stem != first) and data.draw(st.booleans()):
                path.unlink()
        (self.disk.root / "recovery-point-offset-checkpoint").unlink(missing_ok=True)
        self.log = self.disk.open(self.config)

    @precondition(lambda self: self.batches and self.log.segments[-1].size)
    @rule(data=st.data())
    def crash_with_a_torn_tail(self, data: st.DataObject) -> None:
        tail = self.batches[-1]
        base = self.log.segments[-1].base_offset
        if read_header(tail).base_offset < max(base, self.start, self.synced):
            return
        lost = data.draw(st.integers(1, len(tail) - 1))
        self.disk.crash()
        path = self.disk.folder / f"{base:020d}.log"
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - lost)
        self.batches.pop()
        self.log = self.disk.open(self.config)

    @invariant()
    def the_log_knows_what_its_batches_say(self) -> None:
        log = self.log
        self.synced = max(self.synced, log.recovery_point)
        found = read_all(log)
        compare_transactions(log, found=found, before=self.batches[: len(self.batches) - len(found)])
        if not self.start:
            truth = truth_of(self.batches)
            assert log.producers.transactions.open == {first: producer_id for producer_id, first in truth.open.items()}
            assert [entry for base in log.aborted.bases for entry in log.aborted.entries(base)] == truth.aborted
        end_offset = log.log_end_offset
        undecided = min([*log.producers.transactions.open, end_offset])
        assert log.last_stable_offset(end_offset) == max(undecided, self.start)

    @invariant()
    def readers_are_told_what_to_leave_out(self) -> None:
        truth = truth_of(self.batches)
        offset, stable = self.start, self.log.last_stable_offset(self.log.log_end_offset)
        while offset < stable:
            headers = self.batches_at(offset, stable)
            last_offset = headers[-1].last_offset
            size = sum(header.size for header in headers)
            needed = {e for e in truth.aborted if e.last_offset >= offset and e.first_offset <= last_offset}
            told = set(self.log.aborted_transactions(offset, size))
            assert needed <= told <= {entry for entry in truth.aborted if entry.last_offset >= offset}
            offset = last_offset + 1

    def batches_at(self, offset: int, stable: int) -> list[BatchHeader]:
        return [read_header(batch) for batch in split(read(self.log, offset, 600, end_offset=stable))]

    def teardown(self) -> None:
        self.disk.crash()
        self.temporary.cleanup()


TestTransactionHistory = TransactionHistory.TestCase
TestTransactionHistory.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
