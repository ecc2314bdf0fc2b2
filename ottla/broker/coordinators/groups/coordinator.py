"""The group coordinator as handlers call it: a method per API, answered now or later. Checks what needs no group."""

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import TypeVar
from uuid import UUID

from ottla.broker.coordinators.engine.decision import Asked, Now
from ottla.broker.coordinators.engine.runtime import CoordinatorRuntime, Event
from ottla.broker.coordinators.engine.shard import RecordTopic
from ottla.broker.coordinators.groups.classic.members import JoinAsked
from ottla.broker.coordinators.groups.commits import Commit
from ottla.broker.coordinators.groups.group_records import CoordinatorRecord, GroupDecision
from ottla.broker.coordinators.groups.group_settings import GroupSettings
from ottla.broker.coordinators.groups.shard import GroupShard, missing_group
from ottla.broker.topics.names import OFFSETS_TOPIC
from ottla.scheduling.clock import Clock
from ottla.scheduling.promise import Promise, gather, then
from ottla.scheduling.steps import Steps
from ottla.scheduling.timers import Timer, Timers
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.groups import (
    DeleteGroupsResponse,
    DescribeGroupsResponse,
    HeartbeatRequest,
    HeartbeatResponse,
    JoinGroupRequest,
    JoinGroupResponse,
    LeaveGroupRequest,
    LeaveGroupResponse,
    ListGroupsRequest,
    ListGroupsResponse,
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetFetchRequest,
    OffsetFetchResponse,
    SyncGroupRequest,
    SyncGroupResponse,
)

R = TypeVar("R")

GROUPS_PER_STEP = 100


class GroupCoordinator:
    """The coordinator of all groups whose offsets this node leads."""

    def __init__(
        self,
        *,
        settings: GroupSettings,
        topic: RecordTopic,
        clock: Clock,
        timers: Timers,
        random: Random,
        is_alone: bool = True,
    ) -> None:
        self.settings = settings
        self.runtime: CoordinatorRuntime[GroupShard, CoordinatorRecord] = CoordinatorRuntime(
            topic=topic,
            new_shard=lambda: GroupShard(settings),
            partition_count=settings.offsets_topic_partitions,
            clock=clock,
            timers=timers,
            is_alone=is_alone,
        )
        self._clock = clock
        self._timers = timers
        self._random = random
        self._cleaning: Timer | None = None

    # --- from start to stop ------------------------------------------------------------------------------------------

    def start(self, partition_count: int | None) -> Steps[None]:
        """Take over the groups (``CoordinatorRuntime.start``), and regularly forget their expired offsets."""
        self._clean_later()
        return self.runtime.start(partition_count)

    def stop(self) -> None:
        """Refuse waiting and future requests."""
        if self._cleaning is not None:
            self._cleaning.cancel()
        self.runtime.stop()

    def _clean_later(self) -> None:
        deadline = self._clock.monotonic() + self.settings.offsets_retention_check_interval_ms / 1000
        self._cleaning = self._timers.schedule(deadline, lambda: self._clean(self._cleanable()))

    def _cleanable(self) -> Iterator[str]:
        for shard in self.runtime.loaded_shards():
            yield from [*shard.groups]

    def _clean(self, group_ids: Iterator[str]) -> None:
        """Clean some groups; the rest follow after other work has had its turn."""
        for count, group_id in enumerate(group_ids, 1):
            self.runtime.submit(group_id, Event(partial(_clean, group_id)))
            if count == GROUPS_PER_STEP:
                self._cleaning = self._timers.schedule(self._clock.monotonic(), lambda: self._clean(group_ids))
                return
        self._clean_later()

    def prepare(self) -> None:
        """Begin to create the offsets topic, since a client is about to need it. Raises KafkaError if that fails."""
        self.runtime.prepare()

    # --- members -----------------------------------------------------------------------------------------------------

    def join(
        self, request: JoinGroupRequest, *, version: int, client_id: str, client_host: str
    ) -> JoinGroupResponse | Promise[JoinGroupResponse]:
        """Let a member join its group; the answer comes when a generation begins."""
        settings = self.settings
        named_after = client_id if request.group_instance_id is None else request.group_instance_id
        asked = JoinAsked(
            request,
            client_id=client_id,
            client_host=client_host,
            new_member_id="" if request.member_id else self._member_id(named_after),
            requires_member_id=JoinGroupRequest.requires_member_id(version),
            may_skip_assignment=JoinGroupRequest.may_skip_assignment(version),
        )
        if not request.group_id:
            return asked.refused(ErrorCode.INVALID_GROUP_ID, request.member_id)
        if not settings.min_session_timeout_ms <= request.session_timeout_ms <= settings.max_session_timeout_ms:
            return asked.refused(ErrorCode.INVALID_SESSION_TIMEOUT, request.member_id)
        return self._ask(request.group_id, asked, lambda shard, now: shard.join(asked, now))

    def sync(self, request: SyncGroupRequest) -> SyncGroupResponse | Promise[SyncGroupResponse]:
        """Give a member its assignment; the answer comes when the leader has sent it."""
        asked = Asked(lambda code: SyncGroupResponse(error_code=code, assignment=b""))
        if not request.group_id:
            return asked.refusal(ErrorCode.INVALID_GROUP_ID)
        return self._ask(request.group_id, asked, lambda shard, now: shard.sync(asked, request, now))

    def heartbeat(self, request: HeartbeatRequest) -> HeartbeatResponse | Promise[HeartbeatResponse]:
        """Note a member's heartbeat."""
        asked = Asked(_refuse_heartbeat)
        if not request.group_id:
            return asked.refusal(ErrorCode.INVALID_GROUP_ID)
        return self._ask(request.group_id, asked, lambda shard, now: shard.heartbeat(asked, request, now))

    def leave(
        self, group_id: str, members: list[LeaveGroupRequest.Member]
    ) -> LeaveGroupResponse | Promise[LeaveGroupResponse]:
        """Remove members from a group."""
        asked = Asked(lambda code: LeaveGroupResponse(error_code=code))
        if not group_id:
            return asked.refusal(ErrorCode.INVALID_GROUP_ID)
        return self._ask(group_id, asked, lambda shard, now: shard.leave(asked, group_id, members, now=now))

    # --- offsets -----------------------------------------------------------------------------------------------------

    def commit_offsets(
        self, request: OffsetCommitRequest, *, version: int
    ) -> OffsetCommitResponse | Promise[OffsetCommitResponse]:
        """Commit offsets of topics that exist; each topic has both name and id."""
        commit = Commit(request, is_told_of_missing_groups=OffsetCommitRequest.is_told_of_missing_groups(version))
        return self._ask(request.group_id, commit.asked, lambda shard, now: shard.commit_offsets(commit, now))

    def fetch_offsets(
        self, request: OffsetFetchRequest.Group, *, require_stable: bool
    ) -> OffsetFetchResponse.Group | Promise[OffsetFetchResponse.Group]:
        """Read committed offsets by topic name; stable ones only after all commits that are under way."""
        asked = Asked(lambda code: OffsetFetchResponse.Group(group_id=request.group_id, topics=[], error_code=code))
        if require_stable:
            return self._ask(request.group_id, asked, lambda shard, _: shard.fetch_stable_offsets(asked, request))
        try:
            return self.runtime.shard_of(request.group_id).fetch_offsets(request)
        except KafkaError as error:
            return asked.refusal(error.code)

    def delete_offsets(self, request: OffsetDeleteRequest) -> OffsetDeleteResponse | Promise[OffsetDeleteResponse]:
        """Forget committed offsets of topics that exist."""
        asked = Asked(lambda code: OffsetDeleteResponse(error_code=code, topics=[]))
        if not request.group_id:
            return asked.refusal(ErrorCode.INVALID_GROUP_ID)
        return self._ask(request.group_id, asked, lambda shard, _: shard.delete_offsets(asked, request))

    def forget_topic(self, topic: str, topic_id: bytes) -> None:
        """Forget all offsets of a deleted topic; all groups if it was `__consumer_offsets`."""
        if topic == OFFSETS_TOPIC:
            self.runtime.forget_everything()
        else:
            for shard in self.runtime.loaded_shards():
                for group_id in shard.state.offsets.groups_with(topic):
                    self.runtime.submit(group_id, Event(partial(_forget_topic, group_id, topic, topic_id)))

    # --- groups ------------------------------------------------------------------------------------------------------

    def describe(self, group_id: str, *, version: int) -> DescribeGroupsResponse.Group:
        """Describe one group, without its authorized operations, which the caller adds."""
        try:
            described = self.runtime.shard_of(group_id).describe(group_id)
        except KafkaError as error:
            described = missing_group(group_id)
            described.group_state = ""
            described.error_code = error.code
            return described
        if described is None:
            described = missing_group(group_id)
            if DescribeGroupsResponse.says_what_is_missing(version):
                described.error_code = ErrorCode.GROUP_ID_NOT_FOUND
                described.error_message = f"Group {group_id} not found."
        return described

    def list_groups(self, request: ListGroupsRequest) -> ListGroupsResponse:
        """List the groups whose state and type are among those asked for; no filter means all."""
        states = {state.strip().lower() for state in request.states_filter}
        types = {each.strip().lower() for each in request.types_filter}
        try:
            found = [
                group
                for shard in self.runtime.shards()
                for group in shard.listed()
                if (not states or group.group_state.lower() in states) and (not types or group.group_type in types)
            ]
        except KafkaError as error:
            return ListGroupsResponse(error_code=error.code, groups=[])
        return ListGroupsResponse(groups=found)

    def delete_groups(self, group_ids: list[str]) -> DeleteGroupsResponse | Promise[DeleteGroupsResponse]:
        """Delete groups that have no members."""
        names = [*dict.fromkeys(group_ids)]
        return then(
            gather([self._delete_group(name) for name in names]),
            lambda codes: DeleteGroupsResponse(
                results=[
                    DeleteGroupsResponse.Group(group_id=name, error_code=code)
                    for name, code in zip(names, codes, strict=True)
                ]
            ),
        )

    def _delete_group(self, group_id: str) -> ErrorCode | Promise[ErrorCode]:
        asked: Asked[ErrorCode] = Asked(lambda code: code)
        return self._ask(group_id, asked, lambda shard, _: shard.delete_group(asked, group_id))

    def _ask(
        self, group_id: str, asked: Asked[R], decide: Callable[[GroupShard, Now], GroupDecision]
    ) -> R | Promise[R]:
        self.runtime.submit(group_id, Event(decide, asked))
        return asked.answer

    def _member_id(self, prefix: str) -> str:
        return f"{prefix}-{UUID(int=self._random.getrandbits(128), version=4)}"


def _refuse_heartbeat(code: ErrorCode) -> HeartbeatResponse:
    """Return the answer to a heartbeat: success while groups are loading, so that no member leaves its group."""
    if code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
        code = ErrorCode.NONE
    return HeartbeatResponse(error_code=code)


def _clean(group_id: str, shard: GroupShard, now: Now) -> GroupDecision:
    return shard.clean(group_id, now)


def _forget_topic(group_id: str, topic: str, topic_id: bytes, shard: GroupShard, _: Now) -> GroupDecision:
    return shard.forget_topic(group_id, topic, topic_id)
