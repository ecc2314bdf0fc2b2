"""A classic group: join, sync, heartbeat, leave, commit. Checks the member that asks, then begins the change.

Behaviour: Apache's GroupMetadataManager and ClassicGroup; KIP-345 (static members), KIP-394 (ids first), KIP-814.
"""

from collections.abc import Callable

from ottla.broker.coordinators.engine.decision import Asked, Now
from ottla.broker.coordinators.groups.classic.members import JoinAsked, Member, SyncAsked, metadata_for
from ottla.broker.coordinators.groups.classic.rebalance import CONSUMER_PROTOCOL_TYPE, GroupState, Rebalance
from ottla.broker.coordinators.groups.group import Identity
from ottla.broker.coordinators.groups.group_records import GroupDecision, group_record
from ottla.broker.coordinators.groups.offsets import CommittedOffset
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.groups import (
    JoinGroupRequest,
    LeaveGroupRequest,
    LeaveGroupResponse,
    ListGroupsResponse,
    SyncGroupRequest,
)

CLASSIC = "classic"
"""The type of a classic group in ListGroups."""


class ClassicGroup(Rebalance):
    """One classic group: the operations of its members and its coordinator."""

    @property
    def is_empty(self) -> bool:
        """Whether it has no members."""
        return self.state is GroupState.EMPTY

    def listed(self) -> ListGroupsResponse.Group:
        """Return the group as ListGroups shows it."""
        return ListGroupsResponse.Group(
            group_id=self.group_id,
            protocol_type=self.protocol_type or "",
            group_state=self.state,
            group_type=CLASSIC,
        )

    def refuse_waiting(self, code: ErrorCode) -> None:
        """Refuse all members that wait to join or sync."""
        for member in self.members:
            for asked in (member.joining, member.syncing):
                if asked is not None:
                    asked.refuse(code)

    def join(self, asked: JoinAsked, now: Now) -> GroupDecision:
        """Let a member join or join again; if that changes the group, the answer waits for the next generation."""
        decision = GroupDecision()
        member_id = asked.request.member_id
        if not self._has_room_for(member_id):
            self._dismiss(member_id, decision)
            decision.refuse(asked, ErrorCode.GROUP_MAX_SIZE_REACHED)
        elif not self._supports(asked.request):
            decision.reply(asked, asked.refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, member_id))
        elif member_id:
            self._join_again(asked, now, decision)
        else:
            self._join_first(asked, now, decision)
        return decision

    def sync(self, asked: SyncAsked, request: SyncGroupRequest, now: Now) -> GroupDecision:
        """Give a member its assignment, as soon as the leader has sent it and it is written."""
        decision = GroupDecision()
        try:
            member = self._check_sync(request)
        except KafkaError as error:
            decision.refuse(asked, error.code)
            return decision
        self._synced(member)
        if self.state is GroupState.STABLE:
            decision.reply(asked, self._assignment(member.assignment))
            return decision
        if member.syncing is not None:
            decision.refuse(member.syncing, ErrorCode.REBALANCE_IN_PROGRESS)
        member.syncing = asked
        if member.member_id == self.members.leader:
            self._assign({each.member_id: each.assignment for each in request.assignments}, decision)
        return decision

    def heartbeat(self, identity: Identity, generation: int, now: Now) -> ErrorCode:
        """Note a member's heartbeat; return REBALANCE_IN_PROGRESS if it must join again."""
        try:
            member = self.members.check(identity)
        except KafkaError as error:
            return error.code
        if generation != self.generation:
            return ErrorCode.ILLEGAL_GENERATION
        self._extend(member, now)
        if self.state is GroupState.PREPARING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    def leave(
        self, asked: Asked[LeaveGroupResponse], leaving: list[LeaveGroupRequest.Member], now: Now
    ) -> GroupDecision:
        """Take members out, and let the others rebalance."""
        decision = GroupDecision()
        answers = [
            LeaveGroupResponse.Member(
                member_id=each.member_id,
                group_instance_id=each.group_instance_id,
                error_code=self._leave_one(Identity(each.member_id, each.group_instance_id), decision),
            )
            for each in leaving
        ]
        if any(answer.error_code == ErrorCode.NONE for answer in answers) and self.state is not GroupState.EMPTY:
            self._rebalance(now, decision)
        decision.reply(asked, LeaveGroupResponse(members=answers))
        return decision

    def check_commit(self, identity: Identity, generation: int, now: Now) -> None:
        """Check that these offsets may be committed; the commit counts as a heartbeat.

        Raises KafkaError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS.
        """
        if generation < 0 and self.state is GroupState.EMPTY:
            return  # a client that uses the group for its offsets only
        if generation < 0 and not identity.member_id and identity.group_instance_id is None:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
        member = self.members.check(identity)
        if generation != self.generation:
            raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
        if self.state is GroupState.COMPLETING_REBALANCE:
            raise KafkaError(ErrorCode.REBALANCE_IN_PROGRESS)
        self._extend(member, now)

    def check_offset_delete(self) -> ErrorCode:
        """Return the error for deleting offsets by hand: only consumers say which topics they still read."""
        if self.state is not GroupState.EMPTY and self.protocol_type != CONSUMER_PROTOCOL_TYPE:
            return ErrorCode.NON_EMPTY_GROUP
        return ErrorCode.NONE

    def is_subscribed(self, topic: str) -> bool:
        """Whether members may still read the topic, so that its offsets must stay."""
        if self.subscribed_topics is None:
            return self.protocol_type == CONSUMER_PROTOCOL_TYPE
        return topic in self.subscribed_topics

    def retention_begins(self) -> Callable[[CommittedOffset], int] | None:
        """Return the time from which an offset's age counts, in wall milliseconds; None while it does not (KIP-211)."""
        is_empty = self.state is GroupState.EMPTY
        if self.protocol_type is not None and is_empty and self._state_timestamp_ms != -1:
            return lambda _: self._state_timestamp_ms
        if (
            self.protocol_type is None
            or is_empty
            or (
                self.state is GroupState.STABLE
                and self.protocol_type == CONSUMER_PROTOCOL_TYPE
                and self.subscribed_topics is not None
            )
        ):
            return lambda offset: offset.commit_timestamp_ms
        return None

    # --- joining ------------------------------------------------------------------------------------------------------

    def _join_first(self, asked: JoinAsked, now: Now, decision: GroupDecision) -> None:
        group_instance_id = asked.request.group_instance_id
        replaced = self.members.static_member_id(group_instance_id)
        if replaced is not None:
            self._replace_static(self.members[replaced], asked, now=now, decision=decision)
        elif group_instance_id is None and asked.requires_member_id:
            self.members.promised[asked.new_member_id] = self._after(asked.request.session_timeout_ms, now)
            decision.reply(asked, asked.refused(ErrorCode.MEMBER_ID_REQUIRED, asked.new_member_id))
        else:
            self._add(asked.new_member_id, asked, now=now, decision=decision)

    def _join_again(self, asked: JoinAsked, now: Now, decision: GroupDecision) -> None:
        request = asked.request
        if request.member_id in self.members.promised:
            if request.group_instance_id is not None:  # a promised id is never a static member's
                decision.refuse(asked, ErrorCode.UNKNOWN_SERVER_ERROR)
            else:
                self._add(request.member_id, asked, now=now, decision=decision)
            return
        try:
            member = self.members.check(Identity(request.member_id, request.group_instance_id))
        except KafkaError as error:
            decision.reply(asked, asked.refused(error.code, request.member_id))
            return
        is_leader = request.member_id == self.members.leader
        must_rebalance = (
            self.state is GroupState.PREPARING_REBALANCE
            or member.protocols != request.protocols
            or (self.state is GroupState.STABLE and is_leader)  # the way in which a leader asks to assign again
        )
        if must_rebalance:
            self._update(member, asked, decision)
            self._rebalance(now, decision)
        else:
            with_members = self.state is GroupState.COMPLETING_REBALANCE and is_leader
            decision.reply(asked, self._generation_for(member.member_id, with_members=with_members))

    def _add(self, member_id: str, asked: JoinAsked, *, now: Now, decision: GroupDecision) -> None:
        request = asked.request
        member = Member(
            member_id=member_id,
            group_instance_id=request.group_instance_id,
            client_id=asked.client_id,
            client_host=asked.client_host,
            rebalance_timeout_ms=asked.rebalance_timeout_ms,
            session_timeout_ms=request.session_timeout_ms,
            protocols=request.protocols,
        )
        member.joining = asked
        member.is_new = True
        if not len(self.members):
            self.protocol_type = request.protocol_type
        self._newcomer_arrived = self.state is GroupState.PREPARING_REBALANCE and self._is_initial
        self.members.add(member)
        self._extend(member, now, self.settings.new_member_join_timeout_ms)
        self._rebalance(now, decision)

    def _update(self, member: Member, asked: JoinAsked, decision: GroupDecision) -> None:
        self.members.set_protocols(member, asked.request.protocols)
        member.rebalance_timeout_ms = asked.rebalance_timeout_ms
        member.session_timeout_ms = asked.request.session_timeout_ms
        before = self.members.set_joining(member, asked)
        if before is not None:
            decision.refuse(before, ErrorCode.REBALANCE_IN_PROGRESS)

    def _replace_static(self, old: Member, asked: JoinAsked, *, now: Now, decision: GroupDecision) -> None:
        """Give a restarted static member its new id, without a rebalance if nothing else changes."""
        if self.state is GroupState.STABLE and self._selects_same_protocol(old, asked.request):
            self._replace_in_log(old, asked, decision)
            return
        self._fence(old, decision)
        member = self.members.replace(old.member_id, asked.new_member_id)
        self._extend(member, now)
        self._update(member, asked, decision)
        if self.state is GroupState.PREPARING_REBALANCE:
            self._complete_if_all_joined(now, decision)
        else:
            self._prepare_rebalance(now, decision)

    def _replace_in_log(self, old: Member, asked: JoinAsked, decision: GroupDecision) -> None:
        """Write the group with the new id in the old one's place; the client is a member once that is applied."""
        protocols = asked.request.protocols
        is_leader = old.member_id == self.members.leader
        image = self._image()
        image.leader = asked.new_member_id if is_leader else image.leader
        entry = next(each for each in image.members if each.member_id == old.member_id)
        entry.member_id = asked.new_member_id
        entry.rebalance_timeout = asked.rebalance_timeout_ms
        entry.session_timeout = asked.request.session_timeout_ms
        entry.subscription = metadata_for(self.protocol, protocols)
        decision.records.append(group_record(self.group_id, image))
        self._fence(old, decision)

        def taken_over(now: Now) -> GroupDecision:
            member = self.members[asked.new_member_id]
            self.members.set_protocols(member, protocols)
            self._extend(member, now)
            may_skip = asked.may_skip_assignment and is_leader
            answer = self._generation_for(member.member_id, with_members=may_skip)
            answer.skip_assignment = may_skip
            if is_leader and not may_skip:
                answer.leader = old.member_id  # a client that takes itself for the leader would assign again
            then = GroupDecision()
            then.reply(asked, answer)
            return then

        def not_taken_over(code: ErrorCode, _: Now) -> GroupDecision:
            then = GroupDecision()
            then.refuse(asked, code)
            return then

        decision.on_applied = taken_over
        decision.on_failed = not_taken_over

    def _selects_same_protocol(self, old: Member, request: JoinGroupRequest) -> bool:
        before = old.protocols
        self.members.set_protocols(old, request.protocols)
        selected = self.members.select_protocol()
        self.members.set_protocols(old, before)
        return selected == self.protocol

    # --- checks -------------------------------------------------------------------------------------------------------

    def _has_room_for(self, member_id: str) -> bool:
        member = self.members.get(member_id)
        if self.state is GroupState.EMPTY:
            return True
        if self.state is GroupState.PREPARING_REBALANCE:
            is_joining = member is not None and member.joining is not None
            return is_joining or self.members.joining_count < self.settings.max_size
        return member is not None or len(self.members) < self.settings.max_size

    def _supports(self, request: JoinGroupRequest) -> bool:
        if self.state is GroupState.EMPTY:
            return bool(request.protocol_type and request.protocols)
        return request.protocol_type == self.protocol_type and self.members.all_support_one_of(
            each.name for each in request.protocols
        )

    def _check_sync(self, request: SyncGroupRequest) -> Member:
        member = self.members.check(Identity(request.member_id, request.group_instance_id))
        if request.generation_id != self.generation:
            raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
        if request.protocol_type not in {None, self.protocol_type} or request.protocol_name not in {
            None,
            self.protocol,
        }:
            raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if self.state is GroupState.PREPARING_REBALANCE:
            raise KafkaError(ErrorCode.REBALANCE_IN_PROGRESS)
        return member

    def _leave_one(self, identity: Identity, decision: GroupDecision) -> ErrorCode:
        member_id = identity.member_id
        if not member_id:
            static_id = self.members.static_member_id(identity.group_instance_id)
            if static_id is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            member_id = static_id
        elif member_id not in self.members.promised:
            try:
                self.members.check(identity)
            except KafkaError as error:
                return error.code
        self._dismiss(member_id, decision)
        return ErrorCode.NONE

    def _fence(self, member: Member, decision: GroupDecision) -> None:
        """Tell a client that another one has taken over its instance id."""
        joining, syncing = self.members.set_joining(member, None), member.syncing
        member.syncing = None
        if joining is not None:
            decision.reply(joining, joining.refused(ErrorCode.FENCED_INSTANCE_ID, member.member_id))
        if syncing is not None:
            decision.refuse(syncing, ErrorCode.FENCED_INSTANCE_ID)
