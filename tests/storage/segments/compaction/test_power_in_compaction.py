"""The power fails at any moment of compaction or retention: of each key the newest record is there, with its offset."""

from pathlib import Path
from random import Random

import pytest

from ottla.storage.log_config import LogConfig
from ottla.storage.segments.compaction.cleaner import Cleaner
from ottla.storage.segments.data_directory import DataDirectory
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import read_header
from tests.stage.crashable import MERCIES, CrashableFiles
from tests.stage.logs import NOW_MS, TOPIC_ID, read_all
from tests.stage.stepping import take_all
from tests.storage.compacting import SMALL, KeyValue, compacted_config, contents, newest, put

DAY_MS = 86_400_000


class Machine:
    """A data directory with one log, on files whose power fails."""

    def __init__(self, root: Path, config: LogConfig) -> None:
        self.root = root
        self.config = config
        self.files = CrashableFiles(root.parent)
        self.open(self.files)

    def open(self, files: CrashableFiles) -> SegmentLog:
        self.directory = DataDirectory(self.root, node_id=1, files=files)
        self.log = self.directory.open_log("t", 0, topic_id=TOPIC_ID, config=self.config)
        return self.log

    def sync(self) -> None:
        """Close and open again: all that is there will last."""
        self.directory.close()
        self.open(self.files)

    def clean(self, now_ms: int = NOW_MS) -> None:
        cleaner = Cleaner(self.directory)
        while take_all(cleaner.clean_filthiest(SMALL, now_ms, lambda _: self.log.log_end_offset)):
            pass


def fill(log: SegmentLog, random: Random) -> list[bytes]:
    batches = []
    for number in range(random.randrange(20, 60)):
        pairs: list[KeyValue] = [(b"k%d" % random.randrange(9), b"%d" % number) for _ in range(random.randrange(1, 4))]
        producer = random.randrange(-1, 2)
        settings = {"producer_id": producer, "producer_epoch": 0, "base_sequence": 0} if producer > 0 else {}
        if settings:
            state = log.producers.get(producer)
            settings["base_sequence"] = state.last_sequence + 1 if state else 0
        batches.append(put(log, *pairs, **settings))
    return batches


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.slow
def test_of_each_key_the_newest_record_outlives_a_power_failure(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    machine = Machine(tmp_path, compacted_config(segment_bytes=random.choice([400, 1000, 3000])))
    batches = fill(machine.log, random)
    machine.sync()
    before = len(machine.files.events)
    machine.clean()
    batches += fill(machine.log, random)
    machine.log.flush()
    machine.clean()
    end = machine.log.log_end_offset
    synced = machine.log.recovery_point
    left = [(number, key) for number, key, _ in contents(machine.log)]
    assert synced == end
    machine.directory.abandon()
    everything = newest(batches)
    for event in range(before, len(machine.files.events) + 1):
        for mercy in random.sample(sorted(set(MERCIES)), 1 if seed else 3):
            log = machine.open(machine.files.after_power_failure(random, mercy, at=event))
            found = contents(log)
            offsets = [offset for offset, _, _ in found]
            assert offsets == sorted(set(offsets)), (event, mercy)
            there = {key: (offset, value) for offset, key, value in found}
            expected = newest([batch for batch in batches if read_header(batch).last_offset < log.log_end_offset])
            assert there == expected, (event, mercy)
            for producer_id, state in log.producers.items():
                last = max(
                    header.last_sequence
                    for header in map(read_header, batches)
                    if header.producer_id == producer_id and header.last_offset < log.log_end_offset
                )
                assert state.last_sequence == last
            machine.directory.abandon()
    log = machine.open(machine.files.after_power_failure(random, "nothing"))
    assert log.log_end_offset == end
    assert {key: (offset, value) for offset, key, value in contents(log)} == everything
    machine.clean()
    assert len(contents(log)) <= len(left)
    machine.directory.abandon()


def test_retention_loses_nothing_that_is_to_stay(tmp_path: Path) -> None:
    random = Random(1)
    config = LogConfig(segment_bytes=400, retention_ms=DAY_MS, file_delete_delay_ms=0)
    machine = Machine(tmp_path, config)
    for number in range(40):
        put(machine.log, (b"k", b"%d" % number), time_ms=NOW_MS - 2 * DAY_MS if number < 20 else NOW_MS)
    machine.sync()
    before = len(machine.files.events)
    assert take_all(machine.log.apply_retention(NOW_MS, 40))
    start = machine.log.log_start_offset
    stays = read_all(machine.log)
    machine.directory.removals.remove_due(NOW_MS)
    machine.directory.abandon()
    for event in range(before, len(machine.files.events) + 1):
        for mercy in MERCIES:
            log = machine.open(machine.files.after_power_failure(random, mercy, at=event))
            assert log.log_start_offset <= start
            assert log.log_end_offset == 40
            assert read_all(log, start) == stays
            machine.directory.abandon()
