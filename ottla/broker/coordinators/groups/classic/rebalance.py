"""The classic group's rebalance: how one generation of members ends and the next one begins. Soft state only.

::

    Empty -> PreparingRebalance   a member joined; the first rebalance waits a little for others
    PreparingRebalance -> CompletingRebalance   all joined or time is up: a generation began, its leader assigns
    PreparingRebalance -> Empty   no member is left
    CompletingRebalance -> Stable   the leader's assignment is in the log
    Stable, CompletingRebalance -> PreparingRebalance   a member joined, changed, left or died

Stable and Empty are entered only through ``adopt``: by a record of the log. Behaviour: Apache's GroupMetadataManager.
"""

import math
from collections.abc import Callable, Iterator
from enum import StrEnum

from ottla.broker.coordinators.engine.decision import Now
from ottla.broker.coordinators.groups.classic.members import Member, Members
from ottla.broker.coordinators.groups.classic.subscriptions import subscribed_topics
from ottla.broker.coordinators.groups.group_records import GroupDecision, group_record
from ottla.broker.coordinators.groups.group_settings import GroupSettings
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.group_records import GroupMetadataValue
from ottla.wire.messages.groups import JoinGroupResponse, SyncGroupResponse

CONSUMER_PROTOCOL_TYPE = "consumer"


class GroupState(StrEnum):
    """The states of a classic group, by the names that DescribeGroups shows."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"


class Rebalance:
    """One group's members and their state between two generations. Lost with the process, rebuilt from the log."""

    def __init__(self, group_id: str, settings: GroupSettings) -> None:
        self.group_id = group_id
        self.settings = settings
        self.state = GroupState.EMPTY
        self.generation = 0
        """The generation that the members know; the log has it once it is assigned."""
        self.protocol_type: str | None = None
        self.protocol: str | None = None
        self.subscribed_topics: frozenset[str] | None = None
        """The topics of all members; None if the members are no consumers or a subscription cannot be read."""
        self.members = Members()
        self.wake_at = math.inf
        """A time before which no deadline of the group comes, in monotonic seconds."""
        self._state_timestamp_ms = -1
        self._is_initial = False
        self._newcomer_arrived = False
        self._delay_ms = 0
        self._remaining_delay_ms = 0
        self._join_deadline: float | None = None
        self._sync_deadline: float | None = None

    def adopt(self, image: GroupMetadataValue) -> None:
        """Take over the state in the log: Stable with members, Empty without."""
        known = self.generation == image.generation and self.protocol == image.protocol
        self.generation = image.generation
        self.protocol_type = image.protocol_type or None
        self.protocol = image.protocol
        self.members.adopt(image)
        self.state = GroupState.STABLE if image.members else GroupState.EMPTY
        self._state_timestamp_ms = image.current_state_timestamp
        self._join_deadline = None
        if not self.members.yet_to_sync:
            self._sync_deadline = None
        if not known:
            self._learn_subscriptions()

    def loaded(self, now: Now) -> GroupDecision:
        """Begin to watch the members that the log named; if there are too many, let them join again."""
        decision = GroupDecision()
        for member in self.members:
            self._extend(member, now)
        if len(self.members) > self.settings.max_size:
            self._prepare_rebalance(now, decision)
        return decision

    # --- time ---------------------------------------------------------------------------------------------------------

    def expire(self, now: Now) -> GroupDecision:
        """Act on the deadlines that have come, up to the first that must write a record."""
        decision = GroupDecision()
        for deadline, event in sorted(self._due(now.monotonic), key=lambda each: each[0]):
            if decision.records:
                break
            if isinstance(event, Member):
                if event.deadline == deadline and event.member_id in self.members:
                    self._member_expired(event, now, decision)
            else:
                event(deadline, now, decision)
        self.wake_at = min(self._deadlines(), default=math.inf)
        return decision

    def _due(self, now: float) -> Iterator[tuple[float, "Member | Callable[[float, Now, GroupDecision], None]"]]:
        if self._join_deadline is not None and self._join_deadline <= now:
            yield self._join_deadline, self._joining_ended
        if self._sync_deadline is not None and self._sync_deadline <= now:
            yield self._sync_deadline, self._syncing_ended
        if any(deadline <= now for deadline in self.members.promised.values()):
            yield min(self.members.promised.values()), self._promises_expired
        for member in self.members:
            if member.deadline is not None and member.deadline <= now:
                yield member.deadline, member

    def _deadlines(self) -> Iterator[float]:
        for deadline in (self._join_deadline, self._sync_deadline, *self.members.promised.values()):
            if deadline is not None:
                yield deadline
        for member in self.members:
            if member.deadline is not None:
                yield member.deadline

    def _member_expired(self, member: Member, now: Now, decision: GroupDecision) -> None:
        member.deadline = None
        if member.must_not_expire:
            return  # it gets a new deadline together with its answer
        self._dismiss(member.member_id, decision)
        self._rebalance(now, decision, even_if_initial=True)

    def _promises_expired(self, _: float, now: Now, decision: GroupDecision) -> None:
        for member_id in [each for each, deadline in self.members.promised.items() if deadline <= now.monotonic]:
            self.members.remove(member_id)
        if self.state is GroupState.PREPARING_REBALANCE and self.members.all_joined:
            self._complete_join(now, decision)

    def _joining_ended(self, deadline: float, now: Now, decision: GroupDecision) -> None:
        if self._join_deadline != deadline:
            return
        if not (self._is_initial and self._newcomer_arrived and self._remaining_delay_ms):
            self._complete_join(now, decision)
            return
        self._newcomer_arrived = False
        elapsed_ms = self._delay_ms
        self._delay_ms = min(self.settings.initial_rebalance_delay_ms, self._remaining_delay_ms)
        self._remaining_delay_ms = max(self._remaining_delay_ms - elapsed_ms, 0)
        self._join_deadline = self._after(self._delay_ms, now)

    def _syncing_ended(self, deadline: float, now: Now, decision: GroupDecision) -> None:
        if self._sync_deadline != deadline:
            return
        self._sync_deadline = None
        for member_id in [*self.members.yet_to_sync]:
            self._dismiss(member_id, decision)
        self._prepare_rebalance(now, decision)

    # --- from one state to the next -----------------------------------------------------------------------------------

    def _rebalance(self, now: Now, decision: GroupDecision, *, even_if_initial: bool = False) -> None:
        """Follow a change of members: begin a rebalance, or end the joining under way if no member is missing."""
        if self.state is not GroupState.PREPARING_REBALANCE:
            self._prepare_rebalance(now, decision)
        elif even_if_initial and self.members.all_joined:
            self._complete_join(now, decision)
        else:
            self._complete_if_all_joined(now, decision)

    def _prepare_rebalance(self, now: Now, decision: GroupDecision) -> None:
        if self.state is GroupState.COMPLETING_REBALANCE:
            for member in self.members:
                member.assignment = b""
                if member.syncing is not None:
                    decision.refuse(member.syncing, ErrorCode.REBALANCE_IN_PROGRESS)
                    member.syncing = None
                    self._extend(member, now)
        self.members.yet_to_sync.clear()
        self._sync_deadline = None
        self._is_initial = self.state is GroupState.EMPTY
        self._enter(GroupState.PREPARING_REBALANCE, now)
        if self._is_initial:
            self._newcomer_arrived = False
            self._delay_ms = self.settings.initial_rebalance_delay_ms
            self._remaining_delay_ms = max(self.members.rebalance_timeout_ms - self._delay_ms, 0)
            self._join_deadline = self._after(self._delay_ms, now)
        elif self.members.all_joined:
            self._complete_join(now, decision)
        else:
            self._join_deadline = self._after(self.members.rebalance_timeout_ms, now)

    def _complete_if_all_joined(self, now: Now, decision: GroupDecision) -> None:
        if not self._is_initial and self.members.all_joined:
            self._complete_join(now, decision)

    def _complete_join(self, now: Now, decision: GroupDecision) -> None:
        """Begin a generation of the members that joined; static members stay even if they did not."""
        self._join_deadline = None
        for member in [each for each in self.members if each.joining is None and not each.is_static]:
            self._dismiss(member.member_id, decision)
        if not len(self.members):
            self._become_empty(now, decision)
        elif self.members.elect_joined_leader():
            self._begin_generation(now, decision)
        else:
            self._join_deadline = self._after(self.members.rebalance_timeout_ms, now)

    def _become_empty(self, now: Now, decision: GroupDecision) -> None:
        image = GroupMetadataValue(
            protocol_type=self.protocol_type or "",
            generation=self.generation + 1,
            protocol=None,
            leader=None,
            current_state_timestamp=now.wall_ms,
            members=[],
        )
        decision.records.append(group_record(self.group_id, image))
        # No member is left that could try again: the group is empty even if that is not written.
        decision.on_failed = lambda _code, _now: self.adopt(image)

    def _begin_generation(self, now: Now, decision: GroupDecision) -> None:
        self.generation += 1
        self.protocol = self.members.select_protocol()
        self._learn_subscriptions()
        self._enter(GroupState.COMPLETING_REBALANCE, now)
        for member in self.members:
            self.members.yet_to_sync.add(member.member_id)
            member.is_new = False
            self._extend(member, now)
            joining = self.members.set_joining(member, None)
            if joining is not None:
                is_leader = member.member_id == self.members.leader
                decision.reply(joining, self._generation_for(member.member_id, with_members=is_leader))
        self._sync_deadline = self._after(self.members.rebalance_timeout_ms, now)

    def _assign(self, assignments: dict[str, bytes], decision: GroupDecision) -> None:
        """Write the leader's assignment; then the group is stable, and all members that wait get their part."""
        image = self._image()
        for each in image.members:
            each.assignment = assignments.get(each.member_id, b"")
        waiting = [member for member in self.members if member.syncing is not None]
        for member in waiting:
            if member.syncing is not None:
                assignment = assignments.get(member.member_id, b"")
                decision.reply(member.syncing, self._assignment(assignment))

        def assigned(now: Now) -> None:
            for member in waiting:
                member.syncing = None
                self._extend(member, now)

        def not_assigned(_: ErrorCode, now: Now) -> GroupDecision:
            assigned(now)
            then = GroupDecision()
            self._prepare_rebalance(now, then)
            return then

        decision.records.append(group_record(self.group_id, image))
        decision.on_applied = assigned
        decision.on_failed = not_assigned

    def _enter(self, state: GroupState, now: Now) -> None:
        self.state = state
        self._state_timestamp_ms = now.wall_ms

    # --- parts --------------------------------------------------------------------------------------------------------

    def _synced(self, member: Member) -> None:
        self.members.yet_to_sync.discard(member.member_id)
        if not self.members.yet_to_sync:
            self._sync_deadline = None

    def _dismiss(self, member_id: str, decision: GroupDecision) -> None:
        """Remove a member, and refuse the request that it waits with."""
        member = self.members.remove(member_id)
        if member is None:
            return
        for asked in (member.joining, member.syncing):
            if asked is not None:
                decision.refuse(asked, ErrorCode.UNKNOWN_MEMBER_ID)
        if not self.members.yet_to_sync:
            self._sync_deadline = None

    def _learn_subscriptions(self) -> None:
        self.subscribed_topics = None
        if self.protocol_type == CONSUMER_PROTOCOL_TYPE:
            self.subscribed_topics = subscribed_topics(member.metadata(self.protocol) for member in self.members)

    def _generation_for(self, member_id: str, *, with_members: bool) -> JoinGroupResponse:
        members = []
        if with_members:
            members = [
                JoinGroupResponse.Member(
                    member_id=each.member_id,
                    group_instance_id=each.group_instance_id,
                    metadata=each.metadata(self.protocol),
                )
                for each in self.members
            ]
        return JoinGroupResponse(
            generation_id=self.generation,
            protocol_type=self.protocol_type,
            protocol_name=self.protocol,
            leader=self.members.leader or "",
            member_id=member_id,
            members=members,
        )

    def _assignment(self, assignment: bytes) -> SyncGroupResponse:
        return SyncGroupResponse(protocol_type=self.protocol_type, protocol_name=self.protocol, assignment=assignment)

    def _image(self) -> GroupMetadataValue:
        return GroupMetadataValue(
            protocol_type=self.protocol_type or "",
            generation=self.generation,
            protocol=self.protocol,
            leader=self.members.leader,
            current_state_timestamp=self._state_timestamp_ms,
            members=[
                GroupMetadataValue.Member(
                    member_id=member.member_id,
                    group_instance_id=member.group_instance_id,
                    client_id=member.client_id,
                    client_host=member.client_host,
                    rebalance_timeout=member.rebalance_timeout_ms,
                    session_timeout=member.session_timeout_ms,
                    subscription=member.metadata(self.protocol),
                    assignment=member.assignment,
                )
                for member in self.members
            ],
        )

    def _extend(self, member: Member, now: Now, timeout_ms: int | None = None) -> None:
        member.deadline = self._after(member.session_timeout_ms if timeout_ms is None else timeout_ms, now)

    def _after(self, delay_ms: int, now: Now) -> float:
        deadline = now.monotonic + delay_ms / 1000
        self.wake_at = min(self.wake_at, deadline)
        return deadline
