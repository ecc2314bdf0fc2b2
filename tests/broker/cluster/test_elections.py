"""Leadership follows the nodes that run: what is decided is in the catalog first, then others are told."""

from collections.abc import Iterator

import pytest

from ottla.broker.cluster.leadership import NO_LEADER
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from tests.stage.several_nodes import ThreeNodes
from tests.stage.single_broker import Broker


@pytest.fixture
def nodes(tmp_path) -> Iterator[ThreeNodes]:
    nodes = ThreeNodes(tmp_path)
    nodes.create("topic", [1, 2, 3], [2, 3, 1])
    yield nodes
    nodes.close()


@pytest.fixture
def moves(nodes):
    """Each move that others were told of: the partitions' leaders, as the catalog had them at that time."""
    told = []
    nodes.cluster.elections.on_moved.append(
        lambda topics: told.append({topic.name: stored_leaders(nodes, topic.name) for topic in topics})
    )
    return told


def partitions(nodes, name="topic"):
    return nodes.cluster.topics.by_name[name].partitions


def leaders(nodes, name="topic"):
    return [partition.leader for partition in partitions(nodes, name)]


def stored_leaders(nodes, name="topic"):
    topic = nodes.cluster.topics.by_name[name]
    return [state.leader for state in nodes.cluster.catalog.topics_by_id[topic.id].partitions]


def test_what_changes_is_in_the_catalog_before_anybody_is_told(nodes, moves):
    nodes.stop(1)
    assert moves == [{"topic": [2, 2]}]
    assert leaders(nodes) == stored_leaders(nodes) == [2, 2]


def test_the_catalog_and_the_partitions_agree_on_replicas_in_sync(nodes):
    nodes.stop(3)
    topic = nodes.cluster.topics.by_name["topic"]
    for partition in topic.partitions:
        assert 3 not in partition.isr
        state = nodes.cluster.elections.state(topic, partition.index)
        assert list(state.isr) == partition.isr


def test_nobody_is_told_where_nothing_changes(nodes, moves):
    before = nodes.cluster.catalog.metadata_offset
    nodes.cluster.elections.settle(nodes.cluster.topics.by_name.values())
    nodes.cluster.elections.elect_preferred()
    nodes.cluster.elections.elect_unclean()
    assert moves == []
    assert nodes.cluster.catalog.metadata_offset == before


def test_the_nodes_have_another_version_whenever_one_comes_or_goes(nodes):
    versions = [nodes.cluster.nodes.version]
    for change in (nodes.stop, nodes.start):
        change(3)
        versions.append(nodes.cluster.nodes.version)
    nodes.stop(3)
    nodes.cluster.elections.forget(nodes.cluster.nodes.by_id[3])
    versions.append(nodes.cluster.nodes.version)
    assert versions == sorted(set(versions))


def test_a_node_that_starts_is_counted_on_again(nodes):
    third = nodes.cluster.nodes.by_id[3]
    nodes.stop(3)
    nodes.cluster.elections.forget(third)
    assert third not in nodes.cluster.nodes.registered
    nodes.start(3)
    assert third in nodes.cluster.nodes.registered
    assert sorted(partitions(nodes)[0].isr) == [1, 2, 3]


def test_first_replicas_lead_again_where_they_can(nodes, moves):
    nodes.stop(1)
    nodes.start(1)
    assert leaders(nodes) == [2, 2]
    moves.clear()
    nodes.cluster.elections.elect_preferred()
    assert leaders(nodes) == [1, 2]
    assert moves == [{"topic": [1, 2]}]


def test_an_election_that_is_not_needed_changes_nothing(nodes, moves):
    topic = nodes.cluster.topics.by_name["topic"]
    with pytest.raises(KafkaError) as refused:
        nodes.cluster.elections.elect(topic, 0, unclean=False)
    assert refused.value.code == ErrorCode.ELECTION_NOT_NEEDED
    assert moves == []


def test_a_setting_that_allows_unclean_leaders_waits_for_the_next_check(nodes):
    nodes.create("small", [1, 2])
    for node in (1, 2):
        nodes.stop(node)
    # The last one that led is the only one that has everything; the other runs again first.
    nodes.start(1)
    assert leaders(nodes, "small") == [NO_LEADER]
    topic = nodes.cluster.topics.by_name["small"]
    nodes.cluster.topics.configure(topic, {"unclean.leader.election.enable": "true"})
    assert leaders(nodes, "small") == [NO_LEADER]
    nodes.cluster.elections.elect_unclean()
    assert leaders(nodes, "small") == [1]


def test_a_reassignment_that_is_not_under_way_cannot_be_ended(nodes):
    topic = nodes.cluster.topics.by_name["topic"]
    with pytest.raises(KafkaError) as refused:
        nodes.cluster.elections.reassign(topic, 0, None)
    assert refused.value.code == ErrorCode.NO_REASSIGNMENT_IN_PROGRESS


def test_a_reassignment_moves_one_partition_and_its_leader(nodes, moves):
    topic = nodes.cluster.topics.by_name["topic"]
    nodes.cluster.elections.reassign(topic, 0, [3, 2])
    assert (partitions(nodes)[0].replicas, leaders(nodes)) == ([3, 2], [3, 2])
    assert moves == [{"topic": [3, 2]}]


def test_a_single_node_leads_what_its_disk_lets_it_lead(tmp_path):
    broker = Broker(tmp_path)
    broker.cluster.topics.create("topic", assignments=[[1]], configs={})
    told = []
    broker.cluster.elections.on_moved.append(told.append)
    broker.cluster.elections.settle(broker.cluster.topics.by_name.values())
    assert leaders(broker) == [1]
    assert told == []
    broker.close()
