"""Old data goes: retention and unlinking on the broker's schedule, compaction in its pauses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ottla.broker.process.housekeeping import Housekeeping
from ottla.scheduling.promise import Promise
from ottla.storage.slices import FileSlice
from ottla.wire.batch import read_header
from ottla.wire.messages.groups import OffsetCommitRequest, OffsetFetchRequest
from ottla.wire.records import read_records
from tests.stage.single_broker import Broker

HOUR_MS = 3_600_000


class Kept:
    """A broker whose house is kept, and whose time passes as told."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.broker = Broker(folder, log_initial_task_delay_ms="1000", **settings)
        self.folder = folder
        Housekeeping(self.broker.cluster).start()

    def create(self, name: str, **configs: str) -> None:
        cluster = self.broker.cluster
        cluster.topics.create(
            name,
            assignments=cluster.placement.assign_replicas(1, 1),
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
        return self.broker.cluster.topics.partition(topic, 0).log_start_offset

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
    topic = kept.broker.cluster.topics.by_name["t"]
    kept.broker.cluster.topics.configure(topic, {"retention.ms": "-1", "retention.bytes": "0"})
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
    kept.broker.cluster.topics.partition("t", 0).watchers[Told()] = None
    kept.pass_time(2)
    assert kept.start_of("t") == 3
    assert grown == [0]


def test_the_rest_of_a_large_deletion_goes_within_seconds(kept: Kept) -> None:
    kept.create("t", internal_segment_bytes="100", file_delete_delay_ms="0", retention_ms="-1")
    for _ in range(50):
        kept.broker.append("t", 1)
    kept.broker.cluster.topics.partition("t", 0).delete_records(49)
    assert len([name for name in kept.names("t") if name.endswith(".log")]) > 1
    kept.pass_time(3)
    assert [name for name in kept.names("t") if ".log" in name] == [f"{49:020d}.log"]


def test_a_log_that_fails_holds_up_no_other_and_is_tried_again(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    kept.create("t", retention_bytes="0")
    kept.create("u", retention_bytes="0")
    kept.broker.append("t", 1)
    kept.broker.append("u", 1)
    partition = kept.broker.cluster.topics.partition("t", 0)
    log, partition.log = partition.log, None  # type: ignore[assignment]
    kept.pass_time(2)
    assert "Retention of t-0 failed" in caplog.text
    assert kept.start_of("u") == 1
    partition.log = log
    kept.pass_time(61)
    assert kept.start_of("t") == 1


def keys_of(kept: Kept, topic: str, partition: int = 0) -> list[bytes | None]:
    """The keys that a partition holds, in the order of the log."""
    log = kept.broker.cluster.topics.partition(topic, partition).log
    found = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        data = log.read(offset, 1 << 20, end_offset=log.log_end_offset, minimum_one_batch=True)
        assert not isinstance(data, Promise)
        view = data.read() if isinstance(data, FileSlice) else data
        assert view
        position = 0
        while position < len(view):
            header = read_header(view, position)
            found += [record.key for record in read_records(view[position : position + header.size])]
            position += header.size
            offset = header.next_offset
    return found


def test_a_filthy_log_is_compacted_in_the_pauses(kept: Kept) -> None:
    kept.create("t", cleanup_policy="compact", internal_segment_bytes="200", file_delete_delay_ms="0")
    for _ in range(50):
        kept.broker.append("t", 1)
    assert len(keys_of(kept, "t")) == 50
    kept.pass_time(20)
    assert len(keys_of(kept, "t")) <= 3
    assert (kept.folder / "cleaner-offset-checkpoint").read_text().startswith("0\n1\nt 0 ")
    assert not [name for name in kept.names("t") if name.endswith((".deleted", ".cleaned", ".swap"))]


def test_a_topic_that_becomes_compacted_is_so_without_a_restart(kept: Kept) -> None:
    kept.create("t", internal_segment_bytes="200")
    for _ in range(50):
        kept.broker.append("t", 1)
    kept.pass_time(20)
    assert len(keys_of(kept, "t")) == 50
    topic = kept.broker.cluster.topics.by_name["t"]
    configs = {"internal.segment.bytes": "200", "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.9"}
    kept.broker.cluster.topics.configure(topic, configs)
    kept.pass_time(20)
    assert len(keys_of(kept, "t")) <= 3


def test_a_topic_that_is_compacted_and_deleted_loses_what_is_too_old(kept: Kept) -> None:
    kept.create("t", cleanup_policy="compact,delete", retention_ms=str(HOUR_MS))
    kept.broker.append("t", 3)
    kept.pass_time(3700)
    assert kept.start_of("t") == 3


def test_no_compaction_where_it_is_switched_off(tmp_path: Path) -> None:
    kept = Kept(tmp_path, log_cleaner_enable="false")
    kept.create("t", cleanup_policy="compact", internal_segment_bytes="200")
    for _ in range(50):
        kept.broker.append("t", 1)
    kept.pass_time(60)
    assert len(keys_of(kept, "t")) == 50
    kept.broker.close()


def test_committed_offsets_are_compacted_and_are_known_after_a_restart(tmp_path: Path) -> None:
    settings = {"offsets_topic_num_partitions": "1"}
    kept = Kept(tmp_path, **settings)
    cluster = kept.broker.cluster
    cluster.topics.ensure_internal("__consumer_offsets")
    topic = cluster.topics.by_name["__consumer_offsets"]
    cluster.topics.configure(topic, {"cleanup.policy": "compact", "internal.segment.bytes": "2000"})
    kept.create("t")
    for number in range(200):
        assert not commit(kept.broker, number)
    before = len(keys_of(kept, "__consumer_offsets"))
    kept.pass_time(60)
    assert len(keys_of(kept, "__consumer_offsets")) < before / 5
    kept.broker.close()
    again = Broker(tmp_path, **settings)
    answer = again.ask(
        OffsetFetchRequest(group_id="g", topics=[OffsetFetchRequest.Topic(name="t", partition_indexes=[0])]), 5
    )
    assert answer.topics[0].partitions[0].committed_offset == 199
    again.close()


def commit(broker: Broker, offset: int) -> int:
    partition = OffsetCommitRequest.Topic.Partition(partition_index=0, committed_offset=offset, committed_metadata="")
    request = OffsetCommitRequest(
        group_id="g", member_id="", topics=[OffsetCommitRequest.Topic(name="t", partitions=[partition])]
    )
    error_code: int = broker.ask(request, 7).topics[0].partitions[0].error_code
    return error_code


def test_settings_of_the_broker_count_from_the_next_time_on(kept: Kept) -> None:
    kept.create("t", cleanup_policy="compact", internal_segment_bytes="200", file_delete_delay_ms="0")
    kept.broker.cluster.config.set_dynamic(own={"log.cleaner.backoff.ms": "3600000"}, defaults={})
    kept.pass_time(20)
    for _ in range(50):
        kept.broker.append("t", 1)
    kept.pass_time(600)
    assert len(keys_of(kept, "t")) == 50
    kept.pass_time(3600)
    assert len(keys_of(kept, "t")) <= 3
