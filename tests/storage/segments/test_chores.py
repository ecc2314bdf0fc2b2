"""The chores of a data directory: which there are, when they come, and what a turn of each does."""

from pathlib import Path

import pytest

from ottla.scheduling.steps import Steps
from ottla.storage.files.real import RealFiles
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.data_directory import DataDirectory
from ottla.storage.segments.retention import SEGMENTS_AT_ONCE
from ottla.storage.store import Chore, CompactionSettings
from tests.stage.logs import NOW_MS, TOPIC_ID, append_records, batch_of
from tests.stage.stepping import take_all
from tests.storage.compacting import SMALL, compacted_config, contents, put_each


class Broker:
    """The keeper of a data directory, as the broker is."""

    def __init__(self, folder: Path) -> None:
        self.directory = DataDirectory(folder, node_id=1, files=RealFiles(durable=False))
        self.compacts_logs = True
        self.retained = 0

    def now_ms(self) -> int:
        return NOW_MS

    def compacts(self) -> bool:
        return self.compacts_logs

    def compaction_pause_s(self) -> float:
        return 15.0

    def compaction_settings(self) -> CompactionSettings:
        return SMALL

    def last_stable_offset(self, key: tuple[str, int]) -> int:
        return self.directory.logs[key].log_end_offset

    def retain_compacted(self) -> Steps[None]:
        self.retained += 1
        yield None

    def chores(self) -> dict[str, Chore]:
        return {chore.name: chore for chore in self.directory.chores(self)}


@pytest.fixture
def broker(tmp_path: Path) -> Broker:
    return Broker(tmp_path)


def test_files_are_removed_every_second_and_logs_compacted_when_the_broker_says(broker: Broker) -> None:
    assert {name: (chore.first_pause_s, chore.pause_s()) for name, chore in broker.chores().items()} == {
        "removing": (1.0, 1.0),
        "compaction": (0, 15.0),
    }
    broker.compacts_logs = False
    assert list(broker.chores()) == ["removing"]


def test_a_turn_of_compaction_compacts_every_filthy_log_and_retains_afterwards(broker: Broker) -> None:
    logs = [broker.directory.open_log(name, 0, topic_id=TOPIC_ID, config=compacted_config()) for name in ("a", "b")]
    for log in logs:
        put_each(log, [(b"key", b"%d" % number) for number in range(30)])
        log.roll()
    take_all(broker.chores()["compaction"].begin())
    assert [[value for _, _, value in contents(log)] for log in logs] == [[b"29"], [b"29"]]
    assert broker.retained == 1
    assert broker.directory.cleaned_offsets == {("a", 0): 30, ("b", 0): 30}


def test_a_turn_of_removing_goes_on_with_large_deletions_but_for_logs_that_are_compacted(broker: Broker) -> None:
    config = LogConfig(segment_bytes=len(batch_of()), file_delete_delay_ms=0)
    idle, busy = (broker.directory.open_log(name, 0, topic_id=TOPIC_ID, config=config) for name in ("idle", "busy"))
    for log in (idle, busy):
        append_records(log, 30)
        log.delete_records(29)
        assert len(log.segments) == 30 - SEGMENTS_AT_ONCE
    busy.is_being_cleaned = True
    removing = broker.chores()["removing"]
    take_all(removing.begin())
    assert (len(idle.segments), len(busy.segments)) == (1, 30 - SEGMENTS_AT_ONCE)
    busy.is_being_cleaned = False
    take_all(removing.begin())
    take_all(removing.begin())
    assert len(busy.segments) == 1
    assert [path.name for path in idle.folder.glob("*.log*")] == [f"{29:020d}.log"]
