"""Placement chooses the nodes for the partitions of a new or growing topic, and refuses what cannot be had."""

from collections import Counter
from random import Random

import pytest

from ottla.broker.cluster.nodes import Nodes
from ottla.broker.cluster.placement import (
    BROKER_DEFAULT,
    MAX_NEW_PARTITIONS,
    Placement,
    check_replication_factor,
)
from ottla.broker.settings.node_configs import node_configs
from ottla.storage.catalog import PartitionState
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from tests.stage.several_nodes import ThreeNodes


class Placed:
    def __init__(self, nodes=3, **settings):
        configs = node_configs({name.replace("_", "."): value for name, value in settings.items()}, nodes=nodes)
        self.nodes = Nodes(configs, Random(1))
        self.placement = Placement(self.nodes, configs[0], Random(1))

    def new(self, partitions, replicas):
        return self.placement.place_new_topic(num_partitions=partitions, replication_factor=replicas)

    def by_hand(self, *manual, partitions=BROKER_DEFAULT, replicas=BROKER_DEFAULT):
        return self.placement.place_new_topic_by_hand(manual, num_partitions=partitions, replication_factor=replicas)


@pytest.fixture
def placed():
    return Placed()


def refuses(code, call, *arguments, **options):
    with pytest.raises(KafkaError) as refused:
        call(*arguments, **options)
    assert refused.value.code == code
    return refused.value.message


def test_leaders_and_replicas_are_spread_evenly(placed):
    assignments = placed.new(6, 2)
    assert Counter(replicas[0] for replicas in assignments) == {1: 2, 2: 2, 3: 2}
    assert Counter(node for replicas in assignments for node in replicas) == {1: 4, 2: 4, 3: 4}
    assert all(len(set(replicas)) == 2 for replicas in assignments)


def test_figures_that_a_client_leaves_out_are_the_brokers():
    placed = Placed(num_partitions="5", default_replication_factor="2")
    assert placed.placement.default_partitions == 5
    assert [len(replicas) for replicas in placed.new(BROKER_DEFAULT, BROKER_DEFAULT)] == [2] * 5
    assert [len(replicas) for replicas in placed.new(1, BROKER_DEFAULT)] == [2]


@pytest.mark.parametrize(
    ("partitions", "replicas", "code"),
    [
        (0, 1, ErrorCode.INVALID_PARTITIONS),
        (-2, 1, ErrorCode.INVALID_PARTITIONS),
        (1, 0, ErrorCode.INVALID_REPLICATION_FACTOR),
        (1, -2, ErrorCode.INVALID_REPLICATION_FACTOR),
        (1, 4, ErrorCode.INVALID_REPLICATION_FACTOR),
    ],
)
def test_figures_that_cannot_be_are_refused(placed, partitions, replicas, code):
    refuses(code, placed.new, partitions, replicas)


def test_a_node_that_was_forgotten_holds_nothing(placed):
    placed.nodes.by_id[2].is_registered = placed.nodes.by_id[2].runs = False
    assert {node for replicas in placed.new(4, 2) for node in replicas} == {1, 3}
    assert "there are 2" in refuses(ErrorCode.INVALID_REPLICATION_FACTOR, placed.new, 1, 3)


def test_a_single_node_holds_everything_and_says_that_it_is_alone():
    placed = Placed(nodes=1)
    assert placed.new(3, 1) == [[1], [1], [1]]
    assert "there is 1" in refuses(ErrorCode.INVALID_REPLICATION_FACTOR, placed.new, 1, 2)


def test_a_new_partition_begins_with_its_running_replicas_in_sync(placed):
    placed.nodes.by_id[3].runs = False
    state = placed.placement.first_state([3, 2, 1])
    assert (state.replicas, state.isr, state.leader) == ((3, 2, 1), (2, 1), 2)


# --- replicas that a client names


def test_named_replicas_are_taken_by_index_in_any_order(placed):
    assert placed.by_hand((1, [3, 1]), (0, [2, 3])) == [[2, 3], [3, 1]]


def test_named_replicas_go_without_figures(placed):
    refuses(ErrorCode.INVALID_REQUEST, placed.by_hand, (0, [1]), partitions=1)
    refuses(ErrorCode.INVALID_REQUEST, placed.by_hand, (0, [1]), replicas=1)


@pytest.mark.parametrize(
    ("manual", "problem"),
    [
        ([(0, [1]), (2, [1])], "numbered 0, 1, 2"),
        ([(0, [1]), (0, [2])], "numbered 0, 1, 2"),
        ([(1, [1])], "numbered 0, 1, 2"),
        ([(0, [])], "a partition without replicas"),
        ([(0, [1, 1])], r"a broker twice in \[1, 1\]"),
        ([(0, [1, 9])], r"an unknown broker in \[1, 9\]"),
        ([(0, [1, 2]), (1, [3])], r"1 replicas in \[3\] where another partition has 2"),
    ],
)
def test_named_replicas_that_cannot_be_are_refused(placed, manual, problem):
    with pytest.raises(KafkaError, match=problem) as refused:
        placed.by_hand(*manual)
    assert refused.value.code == ErrorCode.INVALID_REPLICA_ASSIGNMENT


def test_one_of_the_named_replicas_must_run(placed):
    placed.nodes.by_id[2].runs = placed.nodes.by_id[3].runs = False
    assert placed.by_hand((0, [3, 1])) == [[3, 1]]
    assert "could have no leader" in refuses(ErrorCode.INVALID_REPLICA_ASSIGNMENT, placed.by_hand, (0, [2, 3]))


def test_the_number_of_replicas_stays_those_that_are_being_added_apart():
    moving = PartitionState(replicas=(1, 2, 3), isr=(1, 2), leader=1, adding_replicas=(3,), removing_replicas=(1,))
    check_replication_factor(moving, [2, 3])
    refuses(ErrorCode.INVALID_REPLICATION_FACTOR, check_replication_factor, moving, [1, 2, 3])


# --- more partitions


@pytest.fixture
def grown(tmp_path):
    nodes = ThreeNodes(tmp_path)
    nodes.create("topic", [1, 2], [2, 3])
    yield nodes
    nodes.close()


def more(grown, count, manual=None):
    return grown.cluster.placement.place_more_partitions(grown.cluster.topics.by_name["topic"], count, manual)


def test_more_partitions_have_as_many_replicas_as_the_others(grown):
    assert [len(replicas) for replicas in more(grown, 5)] == [2, 2, 2]
    assert more(grown, 3, [[3, 1]]) == [[3, 1]]


@pytest.mark.parametrize(
    ("count", "manual", "code"),
    [
        (2, None, ErrorCode.INVALID_PARTITIONS),
        (1, None, ErrorCode.INVALID_PARTITIONS),
        (3, [[1]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (3, [[1, 9]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (4, [[1, 2]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (3 + MAX_NEW_PARTITIONS, None, ErrorCode.POLICY_VIOLATION),
    ],
)
def test_more_partitions_that_cannot_be_are_refused(grown, count, manual, code):
    refuses(code, more, grown, count, manual)
