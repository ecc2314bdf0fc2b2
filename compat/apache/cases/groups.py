"""The classic group protocol and committed offsets. Each case has a group of its own."""

from __future__ import annotations

from collections.abc import Callable

from compat.apache.base import FIXED, Base
from compat.apache.side import Side
from ottla.wire.messages.groups import (
    DeleteGroupsRequest,
    DescribeGroupsRequest,
    FindCoordinatorRequest,
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    ListGroupsRequest,
    OffsetCommitRequest,
    OffsetDeleteRequest,
    OffsetFetchRequest,
    SyncGroupRequest,
)

Committed = OffsetCommitRequest.Topic
Fetched = OffsetFetchRequest


def join(side: Side, member_id: str = "", *, static: bool = False) -> JoinGroupRequest:
    """A request to join the case's group."""
    return JoinGroupRequest(
        group_id=side.group,
        session_timeout_ms=300_000,
        rebalance_timeout_ms=300_000,
        member_id=member_id,
        group_instance_id="instance" if static else None,
        protocol_type="consumer",
        protocols=[JoinGroupRequest.Protocol(name="range", metadata=b"\0\1\0\0\0\0\xff\xff\xff\xff")],
    )


def sync(side: Side) -> SyncGroupRequest:
    """A request of the only member to share the partitions out."""
    member_id = side.memory["member"]
    return SyncGroupRequest(
        group_id=side.group,
        generation_id=side.memory["generation"],
        member_id=member_id,
        group_instance_id=side.memory["instance"],
        protocol_type="consumer",
        protocol_name="range",
        assignments=[SyncGroupRequest.Assignment(member_id=member_id, assignment=b"assigned")],
    )


def _asked_for_member_id(side: Side) -> None:
    side.memory["member"] = side.ask(join(side)).member_id


def _joined(side: Side, *, static: bool = False) -> None:
    answer = side.ask(join(side, static=static))
    if not static:
        answer = side.ask(join(side, answer.member_id))
    side.memory.update(
        member=answer.member_id, generation=answer.generation_id, instance="instance" if static else None
    )


def _stable(side: Side, *, static: bool = False) -> None:
    _joined(side, static=static)
    side.ask(sync(side))


def _stable_and_static(side: Side) -> None:
    _stable(side, static=True)


def commit(side: Side, *, member: bool = False) -> OffsetCommitRequest:
    """A commit for two partitions: of the group's member, or of nobody in particular."""
    return OffsetCommitRequest(
        group_id=side.group,
        generation_id_or_member_epoch=side.memory["generation"] if member else -1,
        member_id=side.memory["member"] if member else "",
        topics=[
            Committed(
                name=FIXED,
                topic_id=side.topic_id(FIXED),
                partitions=[
                    Committed.Partition(partition_index=0, committed_offset=7, committed_metadata="note"),
                    Committed.Partition(partition_index=1, committed_offset=0, committed_metadata=""),
                ],
            )
        ],
    )


def _committed(side: Side) -> None:
    side.ask(commit(side))


def _stable_and_committed(side: Side) -> None:
    _stable(side)
    side.ask(commit(side, member=True))


def _fetch_offsets(side: Side, *, all_topics: bool = False) -> OffsetFetchRequest:
    by_name = [Fetched.Topic(name=FIXED, partition_indexes=[0, 1, 2])]
    by_id = [Fetched.Group.Topic(name=FIXED, topic_id=side.topic_id(FIXED), partition_indexes=[0, 1, 2])]
    return OffsetFetchRequest(
        group_id=side.group,
        topics=None if all_topics else by_name,
        groups=[Fetched.Group(group_id=side.group, topics=None if all_topics else by_id)],
    )


def _heartbeat(side: Side) -> HeartbeatRequest:
    return HeartbeatRequest(
        group_id=side.group,
        generation_id=side.memory["generation"],
        member_id=side.memory["member"],
        group_instance_id=side.memory["instance"],
    )


def _leave(side: Side) -> LeaveGroupRequest:
    member = LeaveGroupRequest.Member(member_id=side.memory["member"], group_instance_id=side.memory["instance"])
    return LeaveGroupRequest(group_id=side.group, member_id=side.memory["member"], members=[member])


def _delete_offsets(side: Side) -> OffsetDeleteRequest:
    partitions = [OffsetDeleteRequest.Topic.Partition(partition_index=index) for index in (0, 2)]
    return OffsetDeleteRequest(
        group_id=side.group, topics=[OffsetDeleteRequest.Topic(name=FIXED, partitions=partitions)]
    )


def _join(
    name: str,
    make: Callable[[Side], JoinGroupRequest],
    before: Callable[[Side], None] | None = None,
    first_version: int = 0,
) -> Base:
    """A group with a changed name would be the same one in each version, with the members of the versions before."""
    return Base(f"JoinGroup, {name}", make, before=before, first_version=first_version, keep="group_id")


def _join_nothing(side: Side) -> JoinGroupRequest:
    request = join(side)
    request.group_id = ""
    return request


def _list(states: list[str], types: list[str]) -> Base:
    return Base(
        f"ListGroups, {states} {types}",
        lambda _: ListGroupsRequest(states_filter=states, types_filter=types),
        first_version=5,
    )


BASES = (
    # First, while there are no groups whose members come and go.
    Base("ListGroups", lambda _: ListGroupsRequest(), before=_stable_and_committed),
    *(
        _list(states, types)
        for states, types in (
            (["Stable"], []),
            (["empty"], []),
            (["Stable", "Empty"], ["classic"]),
            ([], ["Consumer"]),
            (["Nonsense"], ["share"]),
        )
    ),
    Base(
        "FindCoordinator",
        lambda side: FindCoordinatorRequest(key=side.group, coordinator_keys=[side.group]),
        keep="key_type",  # Transactions are not served yet, and Apache would make their topic.
    ),
    _join("new", join),
    Base("JoinGroup, no group", _join_nothing, mutate=False),
    _join("with the id given", lambda side: join(side, side.memory["member"]), before=_asked_for_member_id),
    _join("static", lambda side: join(side, static=True), first_version=5),
    _join("again", lambda side: join(side, side.memory["member"]), before=_stable),
    _join("static again", lambda side: join(side, static=True), before=_stable_and_static, first_version=5),
    Base("SyncGroup", sync, before=_joined),
    Base("SyncGroup, again", sync, before=_stable, mutate=False),
    Base("SyncGroup, static", sync, before=_stable_and_static, first_version=3),
    Base("Heartbeat", _heartbeat, before=_stable),
    Base("Heartbeat, before the assignment", _heartbeat, before=_joined, mutate=False),
    Base("Heartbeat, static", _heartbeat, before=_stable_and_static, first_version=3),
    Base("LeaveGroup", _leave, before=_stable),
    Base("LeaveGroup, static", _leave, before=_stable_and_static, first_version=3),
    Base("OffsetCommit, no member", commit),
    Base("OffsetCommit, a member", lambda side: commit(side, member=True), before=_stable),
    Base("OffsetCommit, no member of a group that has some", commit, before=_stable, mutate=False),
    Base("OffsetFetch", _fetch_offsets, before=_committed),
    Base(
        "OffsetFetch, all topics",
        lambda side: _fetch_offsets(side, all_topics=True),
        before=_committed,
        first_version=2,
    ),
    Base("OffsetFetch, an unknown group", _fetch_offsets, mutate=False),
    Base("DescribeGroups", lambda side: DescribeGroupsRequest(groups=[side.group]), before=_stable),
    Base("DescribeGroups, empty", lambda side: DescribeGroupsRequest(groups=[side.group]), before=_committed),
    Base("DeleteGroups", lambda side: DeleteGroupsRequest(groups_names=[side.group]), before=_committed),
    Base("DeleteGroups, with members", lambda side: DeleteGroupsRequest(groups_names=[side.group]), before=_stable),
    Base("OffsetDelete", _delete_offsets, before=_committed),
    Base("OffsetDelete, subscribed", _delete_offsets, before=_stable_and_committed),
)
