"""A partition as its leader sees it: who waits for it, who may ask it, and how it ends."""

import pytest

from ottla.broker.topics.partition import ANY_SIZE, NO_LEADER
from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.markers import Marker
from tests.stage.clients import batch_of, new_topic
from tests.stage.several_nodes import ThreeNodes
from tests.stage.single_broker import SlowBroker


class Waiting:
    """Notes what it is told."""

    def __init__(self, partition):
        self.told = []
        partition.watchers[self] = None

    def on_growth(self, size):
        self.told.append(size)

    def on_gone(self):
        self.told.append("gone")


@pytest.fixture
def partition(broker):
    return new_topic(broker).partitions[0]


@pytest.fixture
def slow_broker(tmp_path):
    broker = SlowBroker(tmp_path)
    yield broker
    broker.settle()
    broker.close()


def append(broker, partition):
    batch = batch_of([b"value"])
    partition.append(memoryview(batch), read_header(batch), broker.clock.wall_ms())
    return len(batch)


def refused(call, *arguments, **options):
    with pytest.raises(KafkaError) as error:
        call(*arguments, **options)
    return error.value.code


def test_who_waits_is_told_the_size_of_each_batch_once_it_may_be_read(slow_broker):
    partition = new_topic(slow_broker).partitions[0]
    slow_broker.settle()
    waiting = Waiting(partition)
    size = append(slow_broker, partition)
    assert waiting.told == []
    slow_broker.settle()
    assert waiting.told == [size]


def test_who_waits_is_told_at_once_where_the_log_answers_at_once(broker, partition):
    first, second = Waiting(partition), Waiting(partition)
    size = append(broker, partition)
    assert first.told == second.told == [size]


def test_a_watcher_may_leave_while_it_is_told(broker, partition):
    class Leaving(Waiting):
        def on_growth(self, size):
            super().on_growth(size)
            del partition.watchers[self]

    leaving, staying = Leaving(partition), Waiting(partition)
    size = append(broker, partition)
    append(broker, partition)
    assert leaving.told == [size]
    assert len(staying.told) == 2


def test_a_transactions_marker_makes_all_look_again(broker, partition):
    waiting = Waiting(partition)
    partition.append_end_transaction_marker(
        Marker(True, 0), producer_id=7, producer_epoch=0, transaction_version=0, now_ms=broker.clock.wall_ms()
    )
    assert waiting.told == [ANY_SIZE]


def test_records_are_deleted_up_to_the_high_watermark_and_sessions_are_told(broker, partition):
    for _ in range(3):
        append(broker, partition)
    waiting = Waiting(partition)
    assert partition.delete_records(1) == 1
    assert partition.log_start_offset == 1
    assert partition.delete_records(-1) == partition.high_watermark == 3
    assert waiting.told == [0, 0]
    for beyond in (4, -2):
        assert refused(partition.delete_records, beyond) == ErrorCode.OFFSET_OUT_OF_RANGE


def test_a_deleted_or_offline_partition_tells_those_who_wait_once(partition):
    waiting = Waiting(partition)
    partition.go_offline("the disk is gone")
    partition.leave()
    assert waiting.told == ["gone"]
    assert partition.gone


def test_an_offline_partition_has_no_leader_and_answers_with_the_disks_error(broker, partition):
    partition.go_offline("the disk is gone")
    assert (partition.leader, partition.is_offline) == (NO_LEADER, True)
    with pytest.raises(KafkaError, match="the disk is gone") as error:
        append(broker, partition)
    assert error.value.code == ErrorCode.KAFKA_STORAGE_ERROR


def test_a_leader_epoch_is_older_newer_or_not_given(partition):
    partition.leader_epoch = 3
    for fine in (3, -1):
        partition.check_leader_epoch(fine)
    assert refused(partition.check_leader_epoch, 2) == ErrorCode.FENCED_LEADER_EPOCH
    assert refused(partition.check_leader_epoch, 4) == ErrorCode.UNKNOWN_LEADER_EPOCH


def test_the_leader_answers_followers_only_some_questions_and_others_none(tmp_path):
    nodes = ThreeNodes(tmp_path)
    nodes.create("topic", [1, 2])
    partition = nodes.cluster.topics.partition("topic", 0)
    partition.check_asked(1)
    partition.check_asked(2, needs_leader=False)
    assert refused(partition.check_asked, 2) == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert refused(partition.check_asked, 3, needs_leader=False) == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert refused(partition.check_asked, 1, leader_epoch=9) == ErrorCode.UNKNOWN_LEADER_EPOCH
    assert refused(partition.check_asked, 2, leader_epoch=9, needs_leader=False) == ErrorCode.UNKNOWN_LEADER_EPOCH
    partition.go_offline("the disk is gone")
    partition.check_asked(3)
    nodes.close()


def test_never_more_replicas_are_required_in_sync_than_there_are(tmp_path):
    nodes = ThreeNodes(tmp_path)
    nodes.create("topic", [1, 2])
    partition = nodes.cluster.topics.partition("topic", 0)
    partition.require_in_sync(3)
    assert not partition.lacks_replicas
    nodes.stop(2)
    partition.require_in_sync(3)
    assert partition.lacks_replicas
    partition.require_in_sync(1)
    assert not partition.lacks_replicas
    nodes.close()
