"""Decides which nodes hold and lead a partition as nodes come and go. Pure: from a state and rules to the next state.

Follows Apache's ``PartitionChangeBuilder`` and ``PartitionReassignmentReplicas``. The model behind it: all replicas
share one log, so a follower whose node runs has every record, and one whose node is stopped is out of sync.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ottla.storage.catalog import PartitionState
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

NO_LEADER = -1


class Rules(NamedTuple):
    """The rules for a partition's changes. ``alive`` are the nodes that run."""

    alive: frozenset[int]
    min_insync_replicas: int = 1
    keeps_eligible: bool = True
    """Whether the feature ``eligible.leader.replicas.version`` is in force (KIP-966)."""
    elects_unclean: bool = False
    """The topic's ``unclean.leader.election.enable``."""


def first_state(replicas: Sequence[int], alive: Iterable[int]) -> PartitionState:
    """Return the state of a new partition: the running replicas are in sync, and the first of them leads."""
    running = set(alive)
    isr = tuple(replica for replica in replicas if replica in running)
    return PartitionState(replicas=tuple(replicas), isr=isr, leader=isr[0] if isr else NO_LEADER)


def settled(state: PartitionState, rules: Rules) -> PartitionState:
    """Return a partition's state once other nodes run: stopped replicas leave the ISR, running ones join it."""
    running = tuple(replica for replica in state.isr if replica in rules.alive)
    state = _next(state, state._replace(isr=running), rules)
    if state.leader == NO_LEADER:
        return state
    joining = tuple(each for each in state.replicas if each in rules.alive and each not in state.isr)
    # A leader that lets others in names all of them in order.
    return _next(state, state._replace(isr=tuple(sorted(state.isr + joining))), rules) if joining else state


def elected(state: PartitionState, rules: Rules, *, unclean: bool) -> PartitionState:
    """Let the preferred replica lead; with ``unclean``, any that runs, if there is no clean candidate.

    Raises ``KafkaError``: ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE, ELIGIBLE_LEADERS_NOT_AVAILABLE.
    """
    if state.leader != NO_LEADER and (unclean or state.leader == state.replicas[0]):
        raise KafkaError(ErrorCode.ELECTION_NOT_NEEDED, f"Broker {state.leader} is the leader already")
    after = _next(state, state, rules._replace(elects_unclean=rules.elects_unclean or unclean), prefers_first=True)
    if after.leader == state.leader:
        if unclean:
            raise KafkaError(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, "None of its replicas is available")
        raise KafkaError(ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, "Its first replica is not available")
    return settled(after, rules)


def reassigned(state: PartitionState, target: Sequence[int], rules: Rules) -> PartitionState:
    """Begin to give a partition other replicas; it is done at once if they all run (KIP-455).

    Replicas that another reassignment is adding or removing stay so if this one adds or removes none, as in Apache.
    """
    current, wanted = state.replicas, tuple(target)
    adding = tuple(each for each in wanted if each not in current)
    removing = tuple(each for each in current if each not in wanted)
    begun = state._replace(
        replicas=wanted + removing,
        adding_replicas=adding or state.adding_replicas,
        removing_replicas=removing or state.removing_replicas,
    )
    return settled(_next(state, begun, rules), rules)


def reverted(state: PartitionState, rules: Rules) -> PartitionState:
    """Give up the reassignment that is under way. Raises ``KafkaError`` NO_REASSIGNMENT_IN_PROGRESS."""
    if not is_being_reassigned(state):
        raise KafkaError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    kept = tuple(each for each in state.replicas if each not in state.adding_replicas)
    before = state._replace(
        replicas=kept,
        isr=tuple(each for each in state.isr if each in kept),
        adding_replicas=(),
        removing_replicas=(),
    )
    return settled(_next(state, before, rules), rules)


def is_being_reassigned(state: PartitionState) -> bool:
    """Whether a reassignment is under way: replicas are being added or removed."""
    return bool(state.adding_replicas or state.removing_replicas)


def _next(
    before: PartitionState, after: PartitionState, rules: Rules, *, prefers_first: bool = False
) -> PartitionState:
    """Complete a change: the reassignment, the eligible replicas, the leader, and the epochs."""
    after = _elected(_with_eligible(before, _reassignment_completed(after), rules), rules, prefers_first=prefers_first)
    if after.isr:
        after = after._replace(last_known_elr=())
    elif before.leader != NO_LEADER:
        after = after._replace(last_known_elr=(before.leader,))
    if after == before:
        return before
    loses_replicas = not set(before.replicas) <= set(after.replicas)
    moves = after.leader != before.leader or loses_replicas
    return after._replace(
        leader_epoch=before.leader_epoch + (1 if moves else 0), partition_epoch=before.partition_epoch + 1
    )


def _reassignment_completed(state: PartitionState) -> PartitionState:
    isr = tuple(each for each in state.isr if each not in state.removing_replicas)
    if not is_being_reassigned(state) or not isr or not set(isr) >= set(state.adding_replicas):
        return state
    replicas = tuple(each for each in state.replicas if each not in state.removing_replicas)
    return state._replace(replicas=replicas, isr=isr, adding_replicas=(), removing_replicas=())


def _with_eligible(before: PartitionState, after: PartitionState, rules: Rules) -> PartitionState:
    """Remember the replicas that were in sync when the ISR became too small to acknowledge more records."""
    if not rules.keeps_eligible:  # then the last member stays in the ISR, though it does not run
        known_before = before.isr or before.eligible_leader_replicas
        last = after.isr or tuple(each for each in known_before if each in after.replicas)
        return after._replace(isr=last, eligible_leader_replicas=())
    if len(after.isr) >= min(rules.min_insync_replicas, len(after.replicas)):
        return after._replace(eligible_leader_replicas=())
    known = dict.fromkeys(before.eligible_leader_replicas + before.isr)
    eligible = tuple(each for each in known if each in after.replicas and each not in after.isr)
    return after._replace(eligible_leader_replicas=eligible)


def _elected(state: PartitionState, rules: Rules, *, prefers_first: bool) -> PartitionState:
    candidates = [
        each
        for each in state.replicas
        if each in rules.alive and (each in state.isr or each in state.eligible_leader_replicas)
    ]
    if prefers_first and state.replicas[0] in candidates:
        leader = state.replicas[0]
    elif state.leader in candidates:
        leader = state.leader
    elif candidates:
        leader = candidates[0]
    elif rules.elects_unclean:
        leader = next((each for each in state.replicas if each in rules.alive), NO_LEADER)
    else:
        leader = NO_LEADER
    if leader != NO_LEADER and leader not in state.isr:
        others = tuple(each for each in state.eligible_leader_replicas if each != leader)
        # Without a clean candidate, no other replica is known to have the records that this one lacks.
        return state._replace(leader=leader, isr=(leader,), eligible_leader_replicas=others if candidates else ())
    return state._replace(leader=leader)
