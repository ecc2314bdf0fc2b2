"""Compaction of logs with transactions changes nothing for those who read what was committed, or who write on."""

from random import Random

import pytest

from ottla.storage.appends import AppendOrigin
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import read_header
from ottla.wire.markers import Marker, build_marker
from tests.stage.logs import NOW_MS
from tests.storage.committed import committed_records
from tests.storage.compacting import clean, compacted_config, put
from tests.storage.conftest import Disk

CONFIG = compacted_config(delete_retention_ms=500)
PRODUCERS = (1, 2, 3)


class History:
    """Keys written in transactions and without, and rounds of compaction in between."""

    def __init__(self, disk: Disk, seed: int) -> None:
        self.disk = disk
        self.random = Random(seed)
        self.log = disk.open(CONFIG)
        self.now_ms = NOW_MS
        self.cleaned_to: int | None = None
        self.written = 0
        self.write()

    def step(self) -> None:
        actions = [self.write] * 8 + [self.write_without] * 3 + [self.end] * 4 + [self.compact, self.restart]
        self.random.choice(actions)()
        self.now_ms += 100

    def pairs(self) -> list[tuple[bytes, bytes]]:
        self.written += 1
        return [
            (b"key %d" % self.random.randrange(8), b"value %d.%d" % (self.written, each))
            for each in range(self.random.randint(1, 3))
        ]

    def write(self) -> None:
        producer_id = self.random.choice(PRODUCERS)
        state = self.log.producers.get(producer_id)
        put(
            self.log,
            *self.pairs(),
            producer_id=producer_id,
            producer_epoch=state.epoch if state else 0,
            base_sequence=state.last_sequence + 1 if state else 0,
            is_transactional=True,
        )

    def write_without(self) -> None:
        put(self.log, *self.pairs())

    def end(self) -> None:
        producer_id = self.random.choice(PRODUCERS)
        state = self.log.producers.get(producer_id)
        marker = build_marker(
            Marker(self.random.random() < 0.5, 0),
            producer_id=producer_id,
            producer_epoch=state.epoch + 1 if state else 0,
            timestamp_ms=self.now_ms,
        )
        self.log.append(memoryview(marker), read_header(marker), 0, self.now_ms, AppendOrigin.COORDINATOR)

    def compact(self) -> None:
        before = latest(self.log), undecided(self.log)
        done = clean(self.log, self.now_ms, cleaned_to=self.cleaned_to)
        if done is not None:
            self.cleaned_to = done.next_dirty_offset
        assert (latest(self.log), undecided(self.log)) == before

    def restart(self) -> None:
        before = latest(self.log), undecided(self.log)
        if self.disk.directory is not None and self.random.random() < 0.5:
            self.disk.directory.checkpoint()
        self.log = self.disk.reopen(CONFIG, clean=self.random.random() < 0.5)
        assert (latest(self.log), undecided(self.log)) == before


def latest(log: SegmentLog) -> dict[bytes | None, tuple[int, bytes | None]]:
    """Offset and value of the last committed record of each key."""
    return {record.key: (record.offset, record.value) for record in committed_records(log)}


def undecided(log: SegmentLog) -> tuple[int, dict[int, int]]:
    """Where committed reading ends, and the transactions that are open."""
    return log.last_stable_offset(log.log_end_offset), dict(log.producers.transactions.open)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_readers_of_committed_records_see_the_same_before_and_after(disk: Disk, seed: int) -> None:
    history = History(disk, seed)
    for _ in range(150):
        history.step()
    assert len(latest(history.log)) > 4
