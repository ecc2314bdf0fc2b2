"""A member of a case's classic group: what it asks, with what it has learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compat.apache.base import FIXED
from compat.apache.sequence import Ask, Steps
from compat.apache.side import FIRST, Side
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.groups import (
    DescribeGroupsRequest,
    HeartbeatRequest,
    JoinGroupRequest,
    JoinGroupResponse,
    LeaveGroupRequest,
    OffsetCommitRequest,
    SyncGroupRequest,
)

Committed = OffsetCommitRequest.Topic
SUBSCRIPTION = b"\0\1\0\0\0\0\xff\xff\xff\xff"
SESSION_MS = 300_000


@dataclass
class Member:
    """One consumer: its client is a connection of its own."""

    side: Side
    client: str = FIRST
    instance: str | None = None
    protocols: Sequence[str] = ("range",)
    protocol_type: str = "consumer"
    metadata: bytes = SUBSCRIPTION
    session_ms: int = SESSION_MS
    id: str = ""
    generation: int = -1

    def join(self, *, anew: bool = False) -> JoinGroupRequest:
        """Join the case's group, `anew` without the id that it has."""
        return JoinGroupRequest(
            group_id=self.side.group,
            session_timeout_ms=self.session_ms,
            rebalance_timeout_ms=SESSION_MS,
            member_id="" if anew else self.id,
            group_instance_id=self.instance,
            protocol_type=self.protocol_type,
            protocols=[JoinGroupRequest.Protocol(name=name, metadata=self.metadata) for name in self.protocols],
        )

    def learn(self, answer: JoinGroupResponse) -> None:
        """Remember what the coordinator said."""
        self.id, self.generation = answer.member_id, answer.generation_id

    def enter(self) -> Steps:
        """Join where nobody else has to be waited for, asking for an id first where that is the way."""
        answer = yield Ask(self.join(), client=self.client)
        self.learn(answer)
        if answer.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            self.learn((yield Ask(self.join(), client=self.client)))

    def sync(
        self, assignments: Mapping[str, bytes] | None = None, *, generation: int | None = None
    ) -> SyncGroupRequest:
        """Ask for the assignment; a leader brings those of all."""
        return SyncGroupRequest(
            group_id=self.side.group,
            generation_id=self.generation if generation is None else generation,
            member_id=self.id,
            group_instance_id=self.instance,
            protocol_type=self.protocol_type,
            protocol_name=self.protocols[0],
            assignments=[
                SyncGroupRequest.Assignment(member_id=member_id, assignment=assignment)
                for member_id, assignment in (assignments or {}).items()
            ],
        )

    def sync_alone(self) -> SyncGroupRequest:
        """Bring an assignment for oneself."""
        return self.sync({self.id: b"all of it"})

    def heartbeat(self, *, generation: int | None = None) -> HeartbeatRequest:
        """Say that it lives."""
        return HeartbeatRequest(
            group_id=self.side.group,
            generation_id=self.generation if generation is None else generation,
            member_id=self.id,
            group_instance_id=self.instance,
        )

    def leave(self) -> LeaveGroupRequest:
        """Leave the group."""
        member = LeaveGroupRequest.Member(member_id=self.id, group_instance_id=self.instance)
        return LeaveGroupRequest(group_id=self.side.group, member_id=self.id, members=[member])

    def commit(self, offset: int, *, generation: int | None = None) -> OffsetCommitRequest:
        """Commit an offset of the first partition."""
        request = commit(self.side, {0: offset})
        request.generation_id_or_member_epoch = self.generation if generation is None else generation
        request.member_id = self.id
        request.group_instance_id = self.instance
        return request

    def wait_for_rebalance(self) -> None:
        """Until heartbeats say that somebody else has come or gone."""
        self.side.ask_until(self.heartbeat(), lambda answer: answer.error_code == ErrorCode.REBALANCE_IN_PROGRESS)


def commit(side: Side, offsets: Mapping[int, int], *, topic: str = FIXED, metadata: str = "") -> OffsetCommitRequest:
    """A commit of nobody in particular."""
    partitions = [
        Committed.Partition(partition_index=index, committed_offset=offset, committed_metadata=metadata)
        for index, offset in offsets.items()
    ]
    named = Committed(name=topic, topic_id=side.topic_id(topic), partitions=partitions)
    return OffsetCommitRequest(group_id=side.group, member_id="", topics=[named])


def describe_group(side: Side) -> DescribeGroupsRequest:
    """Describe the case's group."""
    return DescribeGroupsRequest(groups=[side.group])
