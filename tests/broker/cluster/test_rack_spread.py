from collections import Counter
from random import Random

import pytest

from ottla.broker.cluster.rack_spread import Place, spread


def places(*racks, stopped=()):
    return [Place(node, rack, node not in stopped) for node, rack in enumerate(racks, 1)]


@pytest.mark.parametrize("seed", range(20))
def test_leaders_go_round_the_nodes(seed):
    found = spread(places(None, None, None), 3, 2, Random(seed))
    assert sorted(replicas[0] for replicas in found) == [1, 2, 3]
    assert [len(set(replicas)) for replicas in found] == [2, 2, 2]


@pytest.mark.parametrize("seed", range(20))
def test_replicas_are_in_as_many_racks_as_there_are(seed):
    racks = {1: "a", 2: "a", 3: "b", 4: "b", 5: "c", 6: "c"}
    found = spread(places(*racks.values()), 60, 3, Random(seed))
    assert all({racks[node] for node in replicas} == {"a", "b", "c"} for replicas in found)
    assert set(Counter(replicas[0] for replicas in found).values()) == {10}


@pytest.mark.parametrize("seed", range(20))
def test_more_replicas_than_racks_are_on_different_nodes(seed):
    found = spread(places("a", "a", "b", "b"), 20, 4, Random(seed))
    assert [sorted(replicas) for replicas in found] == [[1, 2, 3, 4]] * 20


@pytest.mark.parametrize("seed", range(20))
def test_a_stopped_node_gets_replicas_but_never_leads(seed):
    found = spread(places("a", "b", "c", stopped={3}), 10, 3, Random(seed))
    assert [sorted(replicas) for replicas in found] == [[1, 2, 3]] * 10
    assert {replicas[0] for replicas in found} == {1, 2}


def test_where_to_begin_is_a_matter_of_chance():
    firsts = {spread(places(None, None, None), 1, 1, Random(seed))[0][0] for seed in range(30)}
    assert firsts == {1, 2, 3}
