"""Answers that are remembered: never older than the catalog, never many."""

from ottla.broker.requests.metadata_cache import MAXIMUM_ANSWER_BYTES, MAXIMUM_ANSWERS, Answers
from ottla.wire.messages.core import MetadataRequest
from tests.stage.clients import new_topic
from tests.stage.several_nodes import ThreeNodes

ALL_TOPICS = MetadataRequest(topics=None)


def described(broker):
    return {topic.name: len(topic.partitions) for topic in broker.ask(ALL_TOPICS, 12).topics}


def running(nodes):
    return {node.node_id for node in nodes.ask(ALL_TOPICS, 12).brokers}


def test_every_change_of_topics_shows_at_once(broker):
    assert described(broker) == {}
    topic = new_topic(broker, "a")
    assert described(broker) == described(broker) == {"a": 1}
    broker.cluster.topics.add_partitions(topic, [[1], [1]])
    assert described(broker) == {"a": 3}
    new_topic(broker, "b")
    assert described(broker) == {"a": 3, "b": 1}
    broker.cluster.topics.delete(topic)
    assert described(broker) == {"b": 1}


def test_a_topic_that_is_made_anew_has_a_new_id(broker):
    first = new_topic(broker)
    assert broker.ask(ALL_TOPICS, 12).topics[0].topic_id == first.id
    broker.cluster.topics.delete(first)
    second = new_topic(broker)
    assert broker.ask(ALL_TOPICS, 12).topics[0].topic_id == second.id


def test_versions_and_correlation_ids_are_each_clients_own(broker):
    new_topic(broker)
    for version in (1, 9, 12, 9, 1):
        assert broker.ask(ALL_TOPICS, version).topics[0].name == "topic"


def test_only_so_many_and_only_small_ones_are_kept(broker):
    answers = Answers(broker.cluster.catalog, broker.cluster.nodes, broker.cluster.topics)
    answers.put((12, 0, b"large"), bytes(MAXIMUM_ANSWER_BYTES + 1))
    assert answers.get((12, 0, b"large")) is None
    for index in range(10 * MAXIMUM_ANSWERS):
        answers.put((12, 0, b"%d" % index), b"answer")
    kept = sum(answers.get((12, 0, b"%d" % index)) is not None for index in range(10 * MAXIMUM_ANSWERS))
    assert 1 <= kept <= MAXIMUM_ANSWERS


def test_a_node_that_stops_and_one_that_starts_show_at_once(tmp_path):
    nodes = ThreeNodes(tmp_path)
    assert running(nodes) == running(nodes) == {1, 2, 3}
    nodes.stop(3)
    assert running(nodes) == running(nodes) == {1, 2}
    nodes.start(3)
    assert running(nodes) == {1, 2, 3}
    nodes.close()


def test_a_partition_whose_log_fails_shows_at_once(broker):
    new_topic(broker, "a")
    assert [each.leader_id for each in broker.ask(ALL_TOPICS, 12).topics[0].partitions] == [1]
    offset = broker.cluster.catalog.metadata_offset
    broker.cluster.topics.partition("a", 0).log.on_offline("the disk is gone")
    assert [each.leader_id for each in broker.ask(ALL_TOPICS, 12).topics[0].partitions] == [-1]
    assert broker.cluster.catalog.metadata_offset == offset
