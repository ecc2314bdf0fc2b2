"""A coordinator's topic: made when first needed, appended to as with acks=all, read from its start."""

import pytest

from ottla.broker.topics.internal_topic import InternalTopic
from ottla.broker.topics.names import OFFSETS_TOPIC
from ottla.scheduling.promise import Promise
from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from tests.stage.clients import batch_of
from tests.stage.several_nodes import ThreeNodes
from tests.stage.single_broker import Broker, SlowBroker


def internal(broker):
    return InternalTopic(OFFSETS_TOPIC, broker.cluster.topics, broker.clock)


def base_offsets(read):
    return [read_header(bytes(batch)).base_offset for batch in read]


def test_the_topic_is_made_when_it_is_first_needed(broker):
    topic = internal(broker)
    assert OFFSETS_TOPIC not in broker.cluster.topics.by_name
    topic.ensure()
    topic.ensure()
    assert [*broker.cluster.topics.by_name] == [OFFSETS_TOPIC]


def test_all_batches_of_a_partition_are_read_from_where_it_begins(broker):
    topic = internal(broker)
    topic.ensure()
    for _ in range(3):
        topic.append(4, batch_of([b"a", b"b"]))
    assert base_offsets(topic.read_all(4)) == [0, 2, 4]
    assert base_offsets(topic.read_all(5)) == []
    broker.cluster.topics.partition(OFFSETS_TOPIC, 4).delete_records(3)
    assert base_offsets(topic.read_all(4)) == [2, 4]


def test_what_must_be_read_from_the_disk_first_is_waited_for(tmp_path):
    broker = SlowBroker(tmp_path)
    topic = internal(broker)
    topic.ensure()
    topic.append(0, batch_of([b"a"]))
    broker.settle()
    waited, batches = 0, []
    for each in topic.read_all(0):
        if isinstance(each, Promise):
            waited += 1
            broker.settle()
        else:
            batches.append(bytes(each))
    assert waited == 1
    assert base_offsets(batches) == [0]
    broker.settle()
    broker.close()


def test_a_batch_is_refused_while_too_few_replicas_are_in_sync(tmp_path):
    nodes = ThreeNodes(tmp_path, min_insync_replicas="3")
    topic = internal(nodes)
    topic.ensure()
    topic.append(0, batch_of([b"a"]))
    nodes.stop(3)
    with pytest.raises(KafkaError) as refused:
        topic.append(0, batch_of([b"b"]))
    assert refused.value.code == ErrorCode.NOT_ENOUGH_REPLICAS
    assert base_offsets(topic.read_all(0)) == [0]
    nodes.close()


def test_a_partition_that_is_offline_is_told(tmp_path):
    broker = Broker(tmp_path)
    topic = internal(broker)
    topic.ensure()
    broker.cluster.topics.partition(OFFSETS_TOPIC, 0).go_offline("the disk is gone")
    with pytest.raises(KafkaError, match="the disk is gone"):
        list(topic.read_all(0))
    broker.close()
