"""Replicas and leaders of a partition. The states are what three Apache 4.3.1 brokers answered to the same steps."""

import pytest

from ottla.broker.cluster.leadership import (
    NO_LEADER,
    Rules,
    elected,
    first_state,
    is_being_reassigned,
    reassigned,
    reverted,
    settled,
)
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

ALL = frozenset({1, 2, 3})


def running(*nodes, **rules):
    return Rules(alive=frozenset(nodes), **rules)


def shown(state):
    return state.leader, state.leader_epoch, list(state.replicas), sorted(state.isr)


def test_the_first_running_replica_leads_a_new_partition():
    assert shown(first_state([2, 3, 1], ALL)) == (2, 0, [2, 3, 1], [1, 2, 3])
    assert shown(first_state([3, 1], {1, 2})) == (1, 0, [3, 1], [1])


def test_when_the_leader_stops_the_next_replica_leads_in_a_new_epoch():
    state = settled(first_state([3, 1, 2], ALL), running(1, 2))
    assert shown(state) == (1, 1, [3, 1, 2], [1, 2])


def test_when_a_follower_stops_the_leader_stays_in_its_epoch():
    state = settled(first_state([2, 3, 1], ALL), running(1, 2))
    assert shown(state) == (2, 0, [2, 3, 1], [1, 2])
    assert state.partition_epoch == 1


def test_who_comes_back_is_in_sync_again_and_does_not_lead_at_once():
    away = settled(first_state([3, 1, 2], ALL), running(1, 2))
    assert shown(settled(away, running(1, 2, 3))) == (1, 1, [3, 1, 2], [1, 2, 3])


def test_nothing_changes_where_nothing_happened():
    state = first_state([3, 1, 2], ALL)
    assert settled(state, running(1, 2, 3)) is state


def test_without_a_replica_nobody_leads_until_one_comes_back_that_was_in_sync():
    gone = settled(first_state([3], ALL), running(1, 2))
    assert shown(gone) == (NO_LEADER, 1, [3], [])
    assert (gone.eligible_leader_replicas, gone.last_known_elr) == ((3,), (3,))
    back = settled(gone, running(1, 2, 3))
    assert shown(back) == (3, 2, [3], [3])
    assert (back.eligible_leader_replicas, back.last_known_elr) == ((), ())


def test_below_min_insync_replicas_those_who_leave_stay_eligible():
    three = first_state([1, 2, 3], ALL)
    state = settled(three, running(1, 2, min_insync_replicas=3))
    assert (state.isr, state.eligible_leader_replicas) == ((1, 2), (3,))
    state = settled(state, running(1, min_insync_replicas=3))
    assert (state.isr, state.eligible_leader_replicas) == ((1,), (3, 2))
    assert settled(state, running(1, 2, 3, min_insync_replicas=3)).eligible_leader_replicas == ()


def test_who_stopped_first_may_not_lead_when_it_comes_back_alone():
    rules = {"min_insync_replicas": 1}
    state = settled(first_state([2, 3], ALL), running(1, 3, **rules))
    state = settled(state, running(1, **rules))
    assert (shown(state), state.eligible_leader_replicas) == ((NO_LEADER, 2, [2, 3], []), (3,))
    assert shown(settled(state, running(1, 2, **rules))) == (NO_LEADER, 2, [2, 3], [])


def test_an_eligible_replica_leads_and_the_other_stays_eligible():
    rules = {"min_insync_replicas": 2}
    state = settled(first_state([3, 2], ALL), running(1, 2, **rules))
    state = settled(settled(state, running(1, 2, 3, **rules)), running(1, 3, **rules))
    state = settled(state, running(1, **rules))
    assert (state.leader, sorted(state.eligible_leader_replicas)) == (NO_LEADER, [2, 3])
    state = settled(state, running(1, 2, **rules))
    assert (state.leader, state.isr, state.eligible_leader_replicas) == (2, (2,), (3,))


def test_without_the_feature_the_last_replica_stays_in_the_isr():
    state = settled(first_state([3], ALL), running(1, keeps_eligible=False))
    assert (state.leader, state.isr, state.eligible_leader_replicas) == (NO_LEADER, (3,), ())


def test_who_was_eligible_is_in_the_isr_when_the_feature_is_given_up():
    gone = settled(first_state([3], ALL), running(1))
    assert settled(gone, running(1, keeps_eligible=False)).isr == (3,)
    assert settled(gone, running(1, 3, keeps_eligible=False)).leader == 3


def test_an_unclean_leader_is_elected_where_the_topic_allows_it():
    state = settled(settled(first_state([2, 3], ALL), running(1, 3)), running(1))
    state = settled(state, running(1, 2, elects_unclean=True))
    assert (shown(state), state.eligible_leader_replicas) == ((2, 3, [2, 3], [2]), ())


def test_the_preferred_replica_is_elected_when_it_is_in_sync():
    away = settled(first_state([3, 2], ALL), running(1, 2))
    with pytest.raises(KafkaError) as refused:
        elected(away, running(1, 2), unclean=False)
    assert refused.value.code == ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
    back = settled(away, running(1, 2, 3))
    led = elected(back, running(1, 2, 3), unclean=False)
    assert shown(led) == (3, 2, [3, 2], [2, 3])
    with pytest.raises(KafkaError) as refused:
        elected(led, running(1, 2, 3), unclean=False)
    assert refused.value.code == ErrorCode.ELECTION_NOT_NEEDED


def test_an_unclean_election_needs_a_partition_without_leader_and_a_replica_that_runs():
    state = first_state([2, 3], ALL)
    with pytest.raises(KafkaError) as refused:
        elected(state, running(1, 2, 3), unclean=True)
    assert refused.value.code == ErrorCode.ELECTION_NOT_NEEDED
    state = settled(settled(state, running(1, 3)), running(1))
    with pytest.raises(KafkaError) as refused:
        elected(state, running(1), unclean=True)
    assert refused.value.code == ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE
    assert elected(state, running(1, 2), unclean=True).leader == 2


def test_a_reassignment_to_running_nodes_is_done_at_once():
    state = reassigned(first_state([1, 2], ALL), [3, 2], running(1, 2, 3))
    assert (shown(state), is_being_reassigned(state)) == ((3, 1, [3, 2], [2, 3]), False)
    state = reassigned(state, [3, 2, 1], running(1, 2, 3))
    assert shown(state) == (3, 1, [3, 2, 1], [1, 2, 3])
    assert shown(reassigned(state, [1, 2, 3], running(1, 2, 3))) == (3, 1, [1, 2, 3], [1, 2, 3])


def test_a_reassignment_to_a_stopped_node_waits_for_it():
    state = reassigned(first_state([1, 2], ALL), [2, 3], running(1, 2))
    assert shown(state) == (1, 0, [2, 3, 1], [1, 2])
    assert (state.adding_replicas, state.removing_replicas) == ((3,), (1,))
    done = settled(state, running(1, 2, 3))
    assert (shown(done), is_being_reassigned(done)) == ((2, 1, [2, 3], [2, 3]), False)


def test_a_reassignment_can_be_given_up():
    state = reassigned(first_state([1, 2], ALL), [2, 3], running(1, 2))
    back = reverted(state, running(1, 2))
    assert (shown(back), is_being_reassigned(back)) == ((1, 1, [2, 1], [1, 2]), False)
    with pytest.raises(KafkaError) as refused:
        reverted(back, running(1, 2))
    assert refused.value.code == ErrorCode.NO_REASSIGNMENT_IN_PROGRESS
