"""When old data goes: retention and unlinking on the broker's schedule, compaction in its pauses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ottla.broker.housekeeping import Housekeeping
from ottla.storage.background import Inline
from tests.broker.single_broker import Broker

HOUR_MS = 3_600_000


class Kept:
    """A broker whose house is kept, and whose time passes as told."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.broker = Broker(folder, log_initial_task_delay_ms="1000", **settings)
        self.folder = folder
        Housekeeping(self.broker.cluster, Inline()).start()

    def create(self, name: str, **configs: str) -> None:
        cluster = self.broker.cluster
        cluster.create_topic(
            name,
            assignments=cluster.assign_replicas(1, 1),
            configs={key.replace("_", "."): value for key, value in configs.items()},
        )

    def pass_time(self, seconds: float) -> None:
        """Let the clock go on by a second each, and what is due be done."""
        clock = self.broker.clock
        timers = self.broker.cluster.timers
        until = clock.monotonic() + seconds
        while clock.monotonic() < until:
            clock.now += 1.0
            for _ in range(100):
                if not timers.run_due(clock.monotonic()):
                    break

    def start_of(self, topic: str) -> int:
        return self.broker.cluster.partition(topic, 0).log_start_offset

    def names(self, topic: str) -> list[str]:
        return sorted(path.name for path in (self.folder / f"{topic}-0").iterdir())


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path, log_retention_check_interval_ms="60000")
    yield kept
    kept.broker.close()


def test_old_records_go_at_the_next_check_and_their_files_after_the_delay(kept: Kept) -> None:
    kept.create("t", retention_ms=str(HOUR_MS), file_delete_delay_ms="30000")
    kept.broker.append("t", 3)
    kept.pass_time(300)
    assert kept.start_of("t") == 0
    kept.pass_time(3600)
    assert kept.start_of("t") == 3
    kept.pass_time(90)
    assert f"{0:020d}.log" not in kept.names("t")
    assert not [name for name in kept.names("t") if name.endswith(".deleted")]


def test_a_changed_setting_counts_at_the_next_check(kept: Kept) -> None:
    kept.create("t", retention_ms="-1")
    kept.broker.append("t", 3)
    kept.pass_time(120)
    assert kept.start_of("t") == 0
    topic = kept.broker.cluster.topics["t"]
    kept.broker.cluster.set_topic_configs(topic, {"retention.ms": "-1", "retention.bytes": "0"})
    kept.pass_time(61)
    assert kept.start_of("t") == 3


def test_who_waits_in_a_fetch_session_learns_of_the_new_start(kept: Kept) -> None:
    grown: list[int] = []

    class Told:
        def on_growth(self, size: int) -> None:
            grown.append(size)

        def on_gone(self) -> None:
            raise AssertionError

    kept.create("t", retention_bytes="0")
    kept.broker.append("t", 3)
    kept.broker.cluster.partition("t", 0).watchers[Told()] = None
    kept.pass_time(2)
    assert kept.start_of("t") == 3
    assert grown == [0]


def test_the_rest_of_a_large_deletion_goes_within_seconds(kept: Kept) -> None:
    kept.create("t", internal_segment_bytes="100", file_delete_delay_ms="0", retention_ms="-1")
    for _ in range(50):
        kept.broker.append("t", 1)
    kept.broker.cluster.partition("t", 0).delete_records(49)
    assert len([name for name in kept.names("t") if name.endswith(".log")]) > 1
    kept.pass_time(3)
    assert [name for name in kept.names("t") if ".log" in name] == [f"{49:020d}.log"]


def test_a_log_that_fails_holds_up_no_other_and_is_tried_again(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    kept.create("t", retention_bytes="0")
    kept.create("u", retention_bytes="0")
    kept.broker.append("t", 1)
    kept.broker.append("u", 1)
    partition = kept.broker.cluster.partition("t", 0)
    log, partition.log = partition.log, None  # type: ignore[assignment]
    kept.pass_time(2)
    assert "retention of t-0 failed" in caplog.text
    assert kept.start_of("u") == 1
    partition.log = log
    kept.pass_time(61)
    assert kept.start_of("t") == 1
