"""All groups of one partition of `__consumer_offsets`: finds the group that a request is about, and lets it decide.

``state`` is made by the log; ``groups`` is soft state beside it: the members that wait, and their deadlines.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from ottla.broker.coordinators.engine.decision import Asked, Now
from ottla.broker.coordinators.groups import commits
from ottla.broker.coordinators.groups.classic.classic_group import ClassicGroup
from ottla.broker.coordinators.groups.classic.members import JoinAsked, SyncAsked
from ottla.broker.coordinators.groups.classic.rebalance import GroupState
from ottla.broker.coordinators.groups.group import Identity
from ottla.broker.coordinators.groups.group_records import (
    CoordinatorRecord,
    GroupDecision,
    GroupRecord,
    OffsetRecord,
    decode,
    encode,
    group_record,
    offset_record,
)
from ottla.broker.coordinators.groups.group_settings import GroupSettings
from ottla.broker.coordinators.groups.offsets import Offsets
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.group_records import GroupMetadataValue
from ottla.wire.messages.groups import (
    DescribeGroupsResponse,
    HeartbeatRequest,
    HeartbeatResponse,
    LeaveGroupRequest,
    LeaveGroupResponse,
    ListGroupsResponse,
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetFetchRequest,
    OffsetFetchResponse,
    SyncGroupRequest,
)

DEAD = "Dead"
DescribedGroup = DescribeGroupsResponse.Group


class CoordinatorState:
    """The groups and committed offsets of one partition of `__consumer_offsets`."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupMetadataValue | None] = {}
        """The last written state of each group; None for one that has only committed offsets."""
        self.offsets = Offsets()

    def apply(self, record: CoordinatorRecord, *, record_offset: int, producer_id: int = -1) -> None:
        """Apply one record of the log, at ``record_offset``."""
        if isinstance(record, OffsetRecord):
            if record.value is not None:
                self.groups.setdefault(record.key.group, None)
            self.offsets.apply(record.key, record.value, record_offset=record_offset, producer_id=producer_id)
        elif record.value is None:
            self.groups.pop(record.key.group, None)
        else:
            self.groups[record.key.group] = record.value

    def end_transaction(self, producer_id: int, *, committed: bool) -> None:
        """Apply the marker that ends a producer's transaction."""
        self.offsets.end_transaction(producer_id, committed=committed)


class GroupShard:
    """The groups of one partition. Each operation decides for one group and changes no durable state."""

    def __init__(self, settings: GroupSettings) -> None:
        self.settings = settings
        self.state = CoordinatorState()
        self.groups: dict[str, ClassicGroup] = {}

    # --- the engine's shard -------------------------------------------------------------------------------------------

    def encode(self, record: CoordinatorRecord) -> tuple[bytes, bytes | None]:
        """Return a record's key and value as they stand in the log."""
        return encode(record)

    def decode(self, key: bytes | None, value: bytes | None) -> CoordinatorRecord | int:
        """Return the record of a key and value, or the number of its type if that is unknown. Raises ProtocolError."""
        return decode(key, value)

    def replay(self, record: CoordinatorRecord, *, record_offset: int, producer_id: int) -> None:
        """Apply a record of the log on load."""
        self.state.apply(record, record_offset=record_offset, producer_id=producer_id)

    def end_transaction(self, producer_id: int, *, committed: bool) -> None:
        """Apply the marker of the log that ends a producer's transaction."""
        self.state.end_transaction(producer_id, committed=committed)

    def keys(self) -> Iterable[str]:
        """Return the ids of all groups that the log knows."""
        return self.state.groups

    def apply(self, record: CoordinatorRecord, *, record_offset: int) -> None:
        """Apply a record that was just written."""
        self.state.apply(record, record_offset=record_offset)
        group_id = record.key.group
        if record.value is None:
            if isinstance(record, GroupRecord):
                self.groups.pop(group_id, None)
            return
        group = self.groups.get(group_id)
        if group is None:
            group = self.groups[group_id] = ClassicGroup(group_id, self.settings)
        if isinstance(record, GroupRecord):
            group.adopt(record.value)

    def revive(self, group_id: str, now: Now) -> GroupDecision:
        """Begin to watch a group that was loaded: its members have their session timeout for a first heartbeat."""
        group = self.groups[group_id] = ClassicGroup(group_id, self.settings)
        image = self.state.groups[group_id]
        if image is not None:
            group.adopt(image)
        return group.loaded(now)

    def wake_at(self, key: str) -> float | None:
        """Return the time of a group's next deadline: infinity for never, None for a group that is gone."""
        group = self.groups.get(key)
        return None if group is None else group.wake_at

    def close(self, code: ErrorCode) -> None:
        """Refuse all members that wait to join or sync."""
        for group in self.groups.values():
            group.refuse_waiting(code)

    # --- members -----------------------------------------------------------------------------------------------------

    def join(self, asked: JoinAsked, now: Now) -> GroupDecision:
        """Let a member join, and create its group if it does not exist."""
        decision = GroupDecision()
        request = asked.request
        group = self.groups.get(request.group_id)
        if group is not None:
            return group.join(asked, now)
        if request.member_id:
            decision.reply(asked, asked.refused(ErrorCode.UNKNOWN_MEMBER_ID, request.member_id))
            return decision
        decision.records.append(group_record(request.group_id, _new_group(now)))
        decision.on_applied = lambda now: self.groups[request.group_id].join(asked, now)
        decision.on_failed = lambda code, _: _refusal(asked, code)
        return decision

    def sync(self, asked: SyncAsked, request: SyncGroupRequest, now: Now) -> GroupDecision:
        """Give a member its assignment."""
        group = self.groups.get(request.group_id)
        if group is None:
            return _refusal(asked, ErrorCode.UNKNOWN_MEMBER_ID)
        return group.sync(asked, request, now)

    def heartbeat(self, asked: Asked[HeartbeatResponse], request: HeartbeatRequest, now: Now) -> GroupDecision:
        """Note a member's heartbeat."""
        group = self.groups.get(request.group_id)
        code = ErrorCode.UNKNOWN_MEMBER_ID
        if group is not None:
            identity = Identity(request.member_id, request.group_instance_id)
            code = group.heartbeat(identity, request.generation_id, now)
        decision = GroupDecision()
        decision.reply(asked, HeartbeatResponse(error_code=code))
        return decision

    def leave(
        self, asked: Asked[LeaveGroupResponse], group_id: str, leaving: list[LeaveGroupRequest.Member], *, now: Now
    ) -> GroupDecision:
        """Remove members from a group."""
        group = self.groups.get(group_id)
        if group is not None:
            return group.leave(asked, leaving, now)
        decision = GroupDecision()
        answers = [
            LeaveGroupResponse.Member(
                member_id=each.member_id,
                group_instance_id=each.group_instance_id,
                error_code=ErrorCode.UNKNOWN_MEMBER_ID,
            )
            for each in leaving
        ]
        decision.reply(asked, LeaveGroupResponse(members=answers))
        return decision

    def expire(self, group_id: str, now: Now) -> GroupDecision:
        """Act on a group's deadlines."""
        group = self.groups.get(group_id)
        return GroupDecision() if group is None else group.expire(now)

    # --- offsets -----------------------------------------------------------------------------------------------------

    def commit_offsets(self, commit: commits.Commit, now: Now) -> GroupDecision:
        """Commit offsets, and create the group if it does not exist."""
        return commit.decide(self.groups.get(commit.request.group_id), self.settings, now)

    def fetch_offsets(self, request: OffsetFetchRequest.Group) -> OffsetFetchResponse.Group:
        """Read committed offsets; a group that does not exist has none."""
        return commits.fetch(self.state.offsets, request, require_stable=False)

    def fetch_stable_offsets(
        self, asked: Asked[OffsetFetchResponse.Group], request: OffsetFetchRequest.Group
    ) -> GroupDecision:
        """Read committed offsets, except where a transaction may still change them (KIP-447)."""
        decision = GroupDecision()
        decision.reply(asked, commits.fetch(self.state.offsets, request, require_stable=True))
        return decision

    def delete_offsets(self, asked: Asked[OffsetDeleteResponse], request: OffsetDeleteRequest) -> GroupDecision:
        """Forget committed offsets."""
        group = self.groups.get(request.group_id)
        return commits.delete(asked, request, group=group, offsets=self.state.offsets)

    def forget_topic(self, group_id: str, topic: str, topic_id: bytes) -> GroupDecision:
        """Forget a group's offsets of a deleted topic."""
        partitions = commits.of_deleted_topic(self.state.offsets, group_id, topic, topic_id)
        return commits.forget(group_id, iter(partitions))

    def clean(self, group_id: str, now: Now) -> GroupDecision:
        """Forget a group's expired offsets, and the group itself if it has neither offsets nor members."""
        group = self.groups.get(group_id)
        if group is None:
            return GroupDecision()
        too_old = commits.expired(group, self.state.offsets, now)
        kept = set(self.state.offsets.partitions_of(group_id)).difference(too_old)
        decision = commits.forget(group_id, iter(too_old))
        if not kept and decision.on_applied is None and group.is_empty:
            decision.records.append(group_record(group_id, None))
        return decision

    # --- groups ------------------------------------------------------------------------------------------------------

    def delete_group(self, asked: Asked[ErrorCode], group_id: str) -> GroupDecision:
        """Delete a group that has no members, with all its offsets."""
        group = self.groups.get(group_id)
        if group is None:
            return _refusal(asked, ErrorCode.GROUP_ID_NOT_FOUND)
        if not group.is_empty:
            return _refusal(asked, ErrorCode.NON_EMPTY_GROUP)
        decision = GroupDecision()
        for topic, partition in self.state.offsets.partitions_of(group_id):
            decision.records.append(offset_record(group_id, topic, partition, None))
        decision.records.append(group_record(group_id, None))
        decision.reply(asked, ErrorCode.NONE)
        return decision

    def describe(self, group_id: str) -> DescribedGroup | None:
        """Describe a group; members' metadata is shown only while a protocol is agreed on."""
        group = self.groups.get(group_id)
        if group is None:
            return None
        is_stable = group.state is GroupState.STABLE
        return DescribedGroup(
            group_id=group_id,
            group_state=group.state,
            protocol_type=group.protocol_type or "",
            protocol_data=(group.protocol or "") if is_stable else "",
            members=[
                DescribedGroup.Member(
                    member_id=member.member_id,
                    group_instance_id=member.group_instance_id,
                    client_id=member.client_id,
                    client_host=member.client_host,
                    member_metadata=member.metadata(group.protocol) if is_stable else b"",
                    member_assignment=member.assignment,
                )
                for member in group.members
            ],
        )

    def listed(self) -> Iterator[ListGroupsResponse.Group]:
        """Yield every group as ListGroups shows it."""
        for group in self.groups.values():
            yield group.listed()


def missing_group(group_id: str) -> DescribedGroup:
    """Describe a group that does not exist."""
    return DescribedGroup(group_id=group_id, group_state=DEAD, protocol_type="", protocol_data="", members=[])


def _new_group(now: Now) -> GroupMetadataValue:
    return GroupMetadataValue(
        protocol_type="",
        generation=0,
        protocol=None,
        leader=None,
        current_state_timestamp=now.wall_ms,
        members=[],
    )


def _refusal(asked: Asked[Any], code: ErrorCode) -> GroupDecision:
    decision = GroupDecision()
    decision.refuse(asked, code)
    return decision
