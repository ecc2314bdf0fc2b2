"""Offsets committed, read and deleted, by groups without members too."""

from __future__ import annotations

from compat.apache.base import FIXED, own_topic
from compat.apache.sequence import Ask, Sequence, Steps
from compat.apache.sequences.membership import Member, commit
from compat.apache.sequences.topics import delete, recreate, wait_until_gone
from compat.apache.side import Side
from ottla.wire.messages.groups import DeleteGroupsRequest, ListGroupsRequest, OffsetDeleteRequest, OffsetFetchRequest

Fetched = OffsetFetchRequest
Deleted = OffsetDeleteRequest.Topic


def committed(side: Side, topic: str | None = FIXED) -> OffsetFetchRequest:
    """The group's offsets of one topic, or of all."""
    by_name = by_id = None
    if topic is not None:
        by_name = [Fetched.Topic(name=topic, partition_indexes=[0, 1])]
        by_id = [Fetched.Group.Topic(name=topic, topic_id=side.topic_id(topic), partition_indexes=[0, 1])]
    return OffsetFetchRequest(
        group_id=side.group, topics=by_name, groups=[Fetched.Group(group_id=side.group, topics=by_id)]
    )


def forget(side: Side, topic: str, *partitions: int) -> OffsetDeleteRequest:
    """Delete the group's offsets of partitions."""
    asked = [Deleted.Partition(partition_index=index) for index in partitions]
    return OffsetDeleteRequest(group_id=side.group, topics=[Deleted(name=topic, partitions=asked)])


def _of_nobody(side: Side) -> Steps:
    yield Ask(committed(side))
    yield Ask(forget(side, FIXED, 0))
    yield Ask(commit(side, {0: 5, 1: 0}, metadata="note"))
    yield Ask(committed(side))
    yield Ask(commit(side, {0: 3}))
    yield Ask(committed(side))
    yield Ask(commit(side, {0: 9, 7: 1, 1: 2}))
    yield Ask(commit(side, {0: -1, 1: 2**62}))
    yield Ask(commit(side, {0: 4}, metadata="x" * 5000))
    yield Ask(commit(side, {0: 4}, metadata="x" * 4096))
    yield Ask(committed(side))
    leader_epoch = commit(side, {0: 4})
    leader_epoch.topics[0].partitions[0].committed_leader_epoch = 7
    yield Ask(leader_epoch)
    yield Ask(committed(side))
    yield Ask(forget(side, FIXED, 0, 7))
    yield Ask(forget(side, "no-such-topic", 0))
    yield Ask(committed(side))
    yield Ask(committed(side, None), 9)
    yield Ask(forget(side, FIXED, 1))
    yield Ask(committed(side))
    yield Ask(DeleteGroupsRequest(groups_names=[side.group]))


def _of_a_member(side: Side) -> Steps:
    one = Member(side)
    yield Ask(commit(side, {1: 8}))
    yield from one.enter()
    yield Ask(one.sync_alone())
    yield Ask(one.commit(2))
    yield Ask(commit(side, {0: 3}))
    yield Ask(committed(side))
    yield Ask(forget(side, FIXED, 0))
    nobody = Member(side, id="nobody", generation=one.generation)
    yield Ask(nobody.commit(4))
    yield Ask(one.leave())
    yield Ask(commit(side, {0: 3}))
    yield Ask(forget(side, FIXED, 0))
    yield Ask(committed(side))


def _of_a_topic_that_goes(side: Side) -> Steps:
    own_topic(side)
    yield Ask(commit(side, {0: 5}, topic=side.topic))
    yield Ask(commit(side, {0: 6}))
    yield Ask(committed(side, None))
    by_old_id, of_old_id = commit(side, {0: 7}, topic=side.topic), committed(side, side.topic)
    yield Ask(delete(side))
    wait_until_gone(side)
    # By ids, a topic that is gone is not shown, whatever is still stored for it.
    side.ask_until(committed(side, None), lambda answer: len(answer.groups[0].topics) == 1, 9)
    yield Ask(by_old_id)
    yield Ask(by_old_id, 9)
    yield Ask(of_old_id)
    yield Ask(of_old_id, 9)
    yield Ask(forget(side, side.topic, 0))
    recreate(side)
    yield Ask(by_old_id)
    yield Ask(of_old_id)
    yield Ask(committed(side, side.topic))
    yield Ask(commit(side, {0: 1}, topic=side.topic))
    yield Ask(committed(side, None))


def _of_several_groups(side: Side) -> Steps:
    yield Ask(commit(side, {0: 5}))
    several = committed(side)
    for name in ("no-such-group", ""):
        several.groups.append(Fetched.Group(group_id=name, topics=several.groups[0].topics))
    several.groups.append(Fetched.Group(group_id=side.group, topics=None))
    yield Ask(several)
    yield Ask(several, 8)
    members = committed(side)
    members.groups[0].member_id, members.groups[0].member_epoch = "somebody", 3
    yield Ask(members)
    yield Ask(ListGroupsRequest(states_filter=["Preparing"], types_filter=[]))
    yield Ask(DeleteGroupsRequest(groups_names=[side.group, "no-such-group", ""]))


SEQUENCES = (
    Sequence("offsets of nobody in particular", _of_nobody, old=True),
    Sequence("offsets of a member", _of_a_member, old=True),
    Sequence("offsets of a topic that goes", _of_a_topic_that_goes),
    Sequence("offsets of several groups", _of_several_groups),
)
