"""Acknowledgements under each flush policy, and a failing disk as clients see it."""

import errno
import sqlite3
from functools import partial

import pytest

from ottla.storage.files.real import RealFile
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.core import DescribeTopicPartitionsRequest, MetadataRequest
from ottla.wire.messages.fetch import ListOffsetsRequest, OffsetForLeaderEpochRequest
from ottla.wire.messages.groups import OffsetCommitRequest, OffsetFetchRequest
from ottla.wire.messages.produce import ProduceRequest
from tests.stage.clients import NEWEST_PRODUCE, batch_of, fetch_one, fetch_request, new_topic, produce
from tests.stage.held import Held
from tests.stage.single_broker import Broker

LATEST = -1
STORAGE_ERROR = ErrorCode.KAFKA_STORAGE_ERROR


@pytest.fixture
def disk():
    return Held()


@pytest.fixture
def broker(tmp_path, disk):
    broker = Broker(tmp_path, background=disk)
    yield broker
    broker.close()


def begin_produce(broker, *partitions, topic="topic", topic_id=None, acks=-1, version=NEWEST_PRODUCE, batch=None):
    """Produce a batch to each of these partitions; the answer may come later."""
    data = [
        ProduceRequest.Topic.Partition(index=index, records=batch_of() if batch is None else batch)
        for index in partitions or (0,)
    ]
    named = {"name": topic} if topic_id is None else {"topic_id": topic_id}
    request = ProduceRequest(
        acks=acks, timeout_ms=1000, topic_data=[ProduceRequest.Topic(**named, partition_data=data)]
    )
    return broker.begin(request, version)


def codes(answer):
    return [ErrorCode(each.error_code) for each in answer.response().responses[0].partition_responses]


def latest(broker):
    asked = ListOffsetsRequest.Topic.Partition(partition_index=0, timestamp=LATEST)
    request = ListOffsetsRequest(
        replica_id=-1, topics=[ListOffsetsRequest.Topic(name="topic", partitions=[asked])], isolation_level=0
    )
    answer = broker.ask(request, 7).topics[0].partitions[0]
    return answer.offset if not answer.error_code else ErrorCode(answer.error_code)


@pytest.fixture
def failing(monkeypatch):
    """Let every fsync of a log file fail from now on."""

    def fail(file):
        raise OSError(errno.EIO, "Input/output error")

    return partial(monkeypatch.setattr, "ottla.storage.files.real._HastyFile.sync", fail)


@pytest.mark.parametrize("acks", [1, -1])
@pytest.mark.parametrize("by_id", [False, True])
def test_produce_is_answered_after_the_fsync(broker, disk, acks, by_id):
    topic = new_topic(broker, flush_messages="1")
    how = {"topic_id": topic.id, "version": 13} if by_id else {}
    answers = [begin_produce(broker, acks=acks, **how) for _ in range(3)]
    assert not any(answer.done for answer in answers)
    disk.work()
    assert [answer.response().responses[0].partition_responses[0].base_offset for answer in answers] == [0, 1, 2]


def test_a_request_for_several_partitions_waits_for_all_of_them(broker, disk):
    new_topic(broker, partitions=3, flush_messages="1")
    answer = begin_produce(broker, 0, 1, 2)
    disk.end_pass()
    assert len(disk.jobs) == 3
    for work, then in disk.jobs:
        assert not answer.done
        work()
        then(None)
    assert codes(answer) == [ErrorCode.NONE] * 3


def test_consumers_see_only_what_is_synced(broker, disk):
    new_topic(broker, flush_messages="1")
    begin_produce(broker)
    assert latest(broker) == 0
    seen = fetch_one(broker, 0)
    assert (seen.error_code, seen.high_watermark, seen.records) == (0, 0, b"")
    assert fetch_one(broker, 1).error_code == 0, "a fetch at the log's end is answered as out of range"
    disk.work()
    assert latest(broker) == 1
    assert fetch_one(broker, 0).high_watermark == 1
    begin_produce(broker)
    seen = fetch_one(broker, 0)
    assert seen.high_watermark == 1
    assert len(seen.records) == len(batch_of())


@pytest.mark.parametrize("produced_first", [True, False])
def test_a_consumer_that_waits_is_told_when_it_is_synced(broker, disk, produced_first):
    new_topic(broker, flush_messages="1")
    if produced_first:
        begin_produce(broker)
    fetching = broker.begin(fetch_request(("topic", 0, 0), max_wait_ms=1000, min_bytes=1), 12)
    if not produced_first:
        begin_produce(broker)
    assert not fetching.done
    disk.work()
    assert fetching.response().responses[0].partitions[0].high_watermark == 1


def test_a_policy_of_the_broker_is_one_of_every_topic_and_a_change_takes_effect_at_once(tmp_path, disk):
    broker = Broker(tmp_path, background=disk, log_flush_interval_messages="1")
    topic = new_topic(broker)
    answer = begin_produce(broker)
    assert not answer.done
    disk.work()
    assert answer.done
    broker.cluster.topics.configure(topic, {"flush.messages": "10"})
    assert produce(broker).base_offset == 1
    broker.close()


def test_flush_ms_syncs_without_anybody_waiting(broker, disk):
    topic = new_topic(broker, flush_ms="200")
    assert produce(broker).base_offset == 0
    assert latest(broker) == 1
    log = broker.cluster.directory.logs["topic", 0]
    broker.clock.now += 0.1
    broker.cluster.timers.run_due(broker.clock.monotonic())
    disk.work()
    assert log.recovery_point == 0
    broker.clock.now += 0.11
    broker.cluster.timers.run_due(broker.clock.monotonic())
    disk.work()
    assert log.recovery_point == 1
    assert topic.partitions[0].leader == 1


def commit(offset):
    partition = OffsetCommitRequest.Topic.Partition(partition_index=0, committed_offset=offset, committed_metadata=None)
    topic = OffsetCommitRequest.Topic(name="topic", partitions=[partition])
    return OffsetCommitRequest(group_id="group", member_id="", topics=[topic])


def committed(broker):
    topic = OffsetFetchRequest.Topic(name="topic", partition_indexes=[0])
    return broker.ask(OffsetFetchRequest(group_id="group", topics=[topic]), 5).topics[0].partitions[0].committed_offset


def test_a_groups_commit_is_answered_and_known_after_the_fsync(tmp_path, disk):
    broker = Broker(tmp_path, background=disk, log_flush_interval_messages="1", offsets_topic_num_partitions="2")
    new_topic(broker)
    first, second = broker.begin(commit(5), 5), broker.begin(commit(6), 5)
    assert not first.done
    assert committed(broker) == -1
    disk.work()
    assert first.response().topics[0].partitions[0].error_code == 0
    assert committed(broker) == 5
    assert not second.done
    disk.work()
    assert second.response().topics[0].partitions[0].error_code == 0
    assert committed(broker) == 6
    broker.close()


def test_a_topic_whose_records_are_synced_is_itself_on_the_disk(broker):
    def synchronous():
        return statements.count("PRAGMA synchronous = FULL")

    statements: list[str] = []
    database: sqlite3.Connection = broker.cluster.catalog._database
    broker.cluster.catalog._synchronous = "NORMAL"
    database.set_trace_callback(statements.append)
    topic = new_topic(broker, "lazy")
    assert synchronous() == 0
    broker.cluster.topics.configure(topic, {"flush.messages": "1"})
    assert synchronous() == 1
    new_topic(broker, "careful", flush_messages="1")
    assert synchronous() == 2
    assert statements[-1] == "PRAGMA synchronous = NORMAL"


def metadata(broker):
    answer = broker.ask(MetadataRequest(topics=[MetadataRequest.Topic(name="topic")]), 9)
    partition = answer.topics[0].partitions[0]
    return ErrorCode(partition.error_code), partition.leader_id


def test_a_disk_that_fails_takes_the_partition_offline_and_no_other(broker, disk, failing):
    new_topic(broker, flush_messages="1")
    new_topic(broker, "other")
    assert metadata(broker) == (ErrorCode.NONE, 1)
    waiting = begin_produce(broker)
    fetching = broker.begin(fetch_request(("topic", 0, 0), max_wait_ms=1000, min_bytes=1), 12)
    failing()
    disk.work()
    assert codes(waiting) == [STORAGE_ERROR]
    assert fetching.response().responses[0].partitions[0].error_code == STORAGE_ERROR
    assert produce(broker).error_code == STORAGE_ERROR
    assert fetch_one(broker, 0).error_code == STORAGE_ERROR
    assert latest(broker) == STORAGE_ERROR
    assert metadata(broker) == (ErrorCode.LEADER_NOT_AVAILABLE, -1)
    described = broker.ask(
        DescribeTopicPartitionsRequest(topics=[DescribeTopicPartitionsRequest.Topic(name="topic")]), 0
    )
    assert described.topics[0].partitions[0].leader_id == -1
    epochs = OffsetForLeaderEpochRequest.Topic.Partition(partition=0, leader_epoch=0)
    epoch_end = broker.ask(
        OffsetForLeaderEpochRequest(topics=[OffsetForLeaderEpochRequest.Topic(topic="topic", partitions=[epochs])]), 4
    )
    assert epoch_end.topics[0].partitions[0].error_code == STORAGE_ERROR
    assert produce(broker, topic="other").error_code == 0
    assert fetch_one(broker, 0, topic="other").error_code == 0


def test_a_topic_on_a_disk_that_failed_can_be_deleted_and_made_again(broker, disk, failing):
    topic = new_topic(broker, flush_messages="1")
    begin_produce(broker)
    failing()
    disk.work()
    broker.cluster.topics.delete(topic)
    new_topic(broker)
    assert produce(broker).base_offset == 0


def test_a_full_disk_refuses_appends_until_there_is_room(broker, monkeypatch):
    def full(file, data, position):
        raise OSError(errno.ENOSPC, "No space left on device")

    new_topic(broker)
    produce(broker)
    with monkeypatch.context() as context:
        context.setattr(RealFile, "pwrite", full)
        assert produce(broker, batch_of([b"lost"], producer=(1, 0, 0))).error_code == STORAGE_ERROR
        assert fetch_one(broker, 0).high_watermark == 1
        assert metadata(broker) == (ErrorCode.NONE, 1)
    again = produce(broker, batch_of([b"again"], producer=(1, 0, 0)))
    assert (again.error_code, again.base_offset) == (0, 1)
