"""Carries decisions out: appends the records, applies them, answers, and wakes groups when their time comes.

One event at a time per group: while an append is under way, the group's next events queue.
"""

import logging
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol

from ottla.broker.coordinators.engine.decision import Asked, Decision, Now, error_of_append
from ottla.broker.coordinators.engine.java_strings import partition_for
from ottla.broker.coordinators.engine.replay import replay
from ottla.broker.coordinators.groups.group_records import encode
from ottla.broker.coordinators.groups.group_settings import GroupSettings
from ottla.broker.coordinators.groups.shard import GroupShard
from ottla.scheduling.clock import Clock
from ottla.scheduling.promise import Promise
from ottla.scheduling.steps import Steps
from ottla.scheduling.timers import Timer, Timers
from ottla.storage.log import Appended
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError, ProtocolError
from ottla.wire.records import Record, build_batch

log = logging.getLogger(__name__)

OFFSETS_TOPIC = "__consumer_offsets"
GROUPS_PER_STEP = 100
NEVER = math.inf


class OffsetsTopic(Protocol):
    """`__consumer_offsets` as the cluster gives it: its partitions' logs, made when they are first needed."""

    def ensure(self) -> Promise[None] | None:
        """Create the topic if it does not exist, once for all who ask meanwhile; None if it is there."""
        ...

    def append(self, partition: int, batch: bytearray) -> Appended | Promise[Appended]:
        """Append a batch; raises KafkaError or gives a completion that does."""
        ...

    def read_all(self, partition: int) -> Iterable[bytes | bytearray | memoryview | Promise[Any]]:
        """Yield every batch of a partition, from its start, and what must be done before the next can be read."""
        ...


class Event(NamedTuple):
    """Something that happens to a group; ``asked`` is refused if it comes to nothing."""

    decide: Callable[[GroupShard, Now], Decision]
    asked: Asked[Any] | None = None


class _Lane:
    """One partition of the offsets topic: its groups, and what is under way for each of them."""

    def __init__(self, partition: int, settings: GroupSettings, refusal: ErrorCode | None) -> None:
        self.partition = partition
        self.shard = GroupShard(settings)
        self.queues: dict[str, deque[Event]] = {}
        self.timers: dict[str, Timer] = {}
        self.refusal = refusal
        """Why no group of this partition can be asked now."""

    @property
    def is_closed(self) -> bool:
        """Whether another coordinator decides from now on, or nobody."""
        return self.refusal is ErrorCode.NOT_COORDINATOR


class GroupRuntime:
    """The coordinators of all partitions that this node leads: all of them if it is alone, else those it is told."""

    def __init__(
        self,
        *,
        settings: GroupSettings,
        clock: Clock,
        timers: Timers,
        topic: OffsetsTopic,
        is_alone: bool = True,
    ) -> None:
        self.settings = settings
        self._is_alone = is_alone
        self.partition_count = settings.offsets_topic_partitions
        self._clock = clock
        self._timers = timers
        self._topic = topic
        self._lanes: dict[int, _Lane] = {}
        self._cleaning: Timer | None = None
        self._open_lanes(ErrorCode.COORDINATOR_NOT_AVAILABLE)

    # --- from start to stop ------------------------------------------------------------------------------------------

    def start(self, partition_count: int | None) -> Steps[None]:
        """Take over the partitions; the caller steps the result to its end, between other work, to load them.

        ``partition_count`` is None if the topic does not exist yet. Until a partition is loaded, its groups are refused
        with COORDINATOR_LOAD_IN_PROGRESS.
        """
        if partition_count is not None:
            self.partition_count = partition_count
        self._open_lanes(None if partition_count is None else ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        self._clean_later(self.settings.offsets_retention_check_interval_ms)
        return self._load([*self._lanes.values()])

    def lead(self, partitions: Collection[int], partition_count: int) -> Steps[None]:
        """Coordinate the groups of these partitions, of so many, and of no others, from now on.

        What comes new is loaded by the steps that are returned; members of what goes are told NOT_COORDINATOR.
        """
        if partition_count != self.partition_count:
            self.partition_count = partition_count
            self._open_lanes(None)
        come = []
        for index, lane in self._lanes.items():
            if index not in partitions:
                if not lane.is_closed:
                    self._close(lane)
            elif lane.is_closed:
                self._lanes[index] = _Lane(index, self.settings, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
                come.append(self._lanes[index])
        return self._load(come)

    def prepare(self) -> None:
        """Begin to create the topic if it does not exist."""
        self._topic.ensure()

    def stop(self) -> None:
        """Refuse all who wait, and whoever comes from now on, with NOT_COORDINATOR."""
        if self._cleaning is not None:
            self._cleaning.cancel()
        for lane in self._lanes.values():
            self._close(lane)

    def forget_everything(self) -> None:
        """Begin anew: the offsets topic itself was deleted. It is made again when it is next needed."""
        for lane in self._lanes.values():
            self._close(lane)
        self.partition_count = self.settings.offsets_topic_partitions
        self._open_lanes(None)

    def _open_lanes(self, refusal: ErrorCode | None) -> None:
        if not self._is_alone:
            refusal = ErrorCode.NOT_COORDINATOR
        self._lanes = {partition: _Lane(partition, self.settings, refusal) for partition in range(self.partition_count)}

    def _load(self, lanes: Iterable[_Lane]) -> Steps[None]:
        for lane in lanes:
            if lane.refusal is not ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                continue
            try:
                yield from replay(self._topic.read_all(lane.partition), lane.shard.state)
            except (ProtocolError, KafkaError):
                log.exception("%s-%d cannot be loaded", OFFSETS_TOPIC, lane.partition)
                lane.refusal = ErrorCode.NOT_COORDINATOR
                continue
            for group_id in [*lane.shard.state.groups]:
                if lane.is_closed:
                    break
                self._submit(lane, group_id, Event(partial(_revive, group_id)))
                yield None
            if lane.refusal is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                lane.refusal = None

    def _close(self, lane: _Lane) -> None:
        lane.refusal = ErrorCode.NOT_COORDINATOR
        for timer in lane.timers.values():
            timer.cancel()
        for queue in lane.queues.values():
            for event in queue:
                _refuse(event, lane.refusal)
            queue.clear()
        for group in lane.shard.groups.values():
            for member in group.members:
                for asked in (member.joining, member.syncing):
                    if asked is not None:
                        asked.refuse(lane.refusal)

    # --- what happens ------------------------------------------------------------------------------------------------

    def submit(self, group_id: str, event: Event) -> None:
        """Let something happen to a group, now or when what is under way for it is done."""
        lane = self._lane_of(group_id)
        if lane.refusal is not None:
            _refuse(event, lane.refusal)
        else:
            self._submit(lane, group_id, event)

    def coordinates(self, group_id: str) -> bool:
        """Whether this is, or will soon be, a group's coordinator: not if its partition cannot be read."""
        return not self._lane_of(group_id).is_closed

    def shard_of(self, group_id: str) -> GroupShard:
        """Return the shard to read a group from. Raises KafkaError: COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR."""
        lane = self._lane_of(group_id)
        if lane.refusal is not None:
            raise KafkaError(lane.refusal)
        return lane.shard

    def shards(self) -> Iterator[GroupShard]:
        """Yield all shards. Raises KafkaError COORDINATOR_LOAD_IN_PROGRESS while one of them is not loaded."""
        for lane in self._lanes.values():
            if lane.refusal is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                raise KafkaError(lane.refusal)
            if lane.refusal is None:
                yield lane.shard

    def forget_topic(self, topic: str, topic_id: bytes) -> None:
        """Forget all offsets of a topic that is gone."""
        for lane in self._lanes.values():
            if lane.refusal is None:
                for group_id in lane.shard.state.offsets.groups_with(topic):
                    self._submit(lane, group_id, Event(partial(_forget_topic, group_id, topic, topic_id)))

    def _lane_of(self, group_id: str) -> _Lane:
        return self._lanes[partition_for(group_id, self.partition_count)]

    def _submit(self, lane: _Lane, group_id: str, event: Event) -> None:
        queue = lane.queues.get(group_id)
        if queue is not None:
            queue.append(event)
            return
        lane.queues[group_id] = deque((event,))
        self._run(lane, group_id)

    def _run(self, lane: _Lane, group_id: str) -> None:
        """Let the queued events happen, until one of them must wait for its append."""
        queue = lane.queues[group_id]
        while queue:
            event = queue.popleft()
            try:
                decision = event.decide(lane.shard, self._now())
            except Exception:
                log.exception("Group %r cannot decide", group_id)
                _refuse(event, ErrorCode.UNKNOWN_SERVER_ERROR)
                continue
            if not self._carry_out(lane, group_id, event, decision):
                return
        del lane.queues[group_id]
        self._set_timer(lane, group_id)

    def _carry_out(self, lane: _Lane, group_id: str, event: Event, decision: Decision | None) -> bool:
        """Append, apply and answer; False if that goes on when an append is done."""
        while decision is not None:
            appending = self._append(lane, decision) if decision.records else None
            if appending is not None and not appending.done:
                appending.add_done_callback(partial(self._resume, lane, group_id, event, decision))
                return False
            decision = self._settle(lane, event, decision, appending)
        return True

    def _resume(
        self, lane: _Lane, group_id: str, event: Event, decision: Decision, appended: Promise[Appended]
    ) -> None:
        if self._carry_out(lane, group_id, event, self._settle(lane, event, decision, appended)):
            self._run(lane, group_id)

    def _append(self, lane: _Lane, decision: Decision) -> Promise[Appended]:
        now_ms = self._clock.wall_ms()
        appending: Promise[Appended] = Promise()

        def append(created: Promise[None] | None) -> None:
            try:
                if created is not None:
                    created.result()
                batch = build_batch(Record(0, now_ms, *encode(record)) for record in decision.records)
                outcome = self._topic.append(lane.partition, batch)
            except Exception as error:  # raised again, and told apart, where the decision is settled
                appending.fail(error)
                return
            if isinstance(outcome, Promise):
                outcome.add_done_callback(lambda done: _pass_on(done, appending))
            else:
                appending.resolve(outcome)

        try:
            creating = self._topic.ensure()
        except Exception as error:  # as above
            appending.fail(error)
            return appending
        if creating is None:
            append(None)
        else:
            creating.add_done_callback(append)
        return appending

    def _settle(
        self, lane: _Lane, event: Event, decision: Decision, appended: Promise[Appended] | None
    ) -> Decision | None:
        """Apply what was appended and answer; return what is decided in turn. Never raises: the lane must go on."""
        then = None
        if appended is not None:
            try:
                offset = appended.result().base_offset
            except KafkaError as error:
                return self._undo(event, decision, error_of_append(error.code))
            except Exception:
                log.exception("Nothing can be appended to %s-%d", OFFSETS_TOPIC, lane.partition)
                return self._undo(event, decision, ErrorCode.UNKNOWN_SERVER_ERROR)
            try:
                for record_offset, record in enumerate(decision.records, offset):
                    lane.shard.apply(record, record_offset=record_offset)
                if decision.on_applied is not None:
                    then = decision.on_applied(self._now())
            except Exception:
                log.exception("Records of %s-%d cannot be applied", OFFSETS_TOPIC, lane.partition)
                return self._undo(event, decision, ErrorCode.UNKNOWN_SERVER_ERROR)
        for asked, response in decision.replies:
            asked.resolve(response)
        return then

    def _undo(self, event: Event, decision: Decision, code: ErrorCode) -> Decision | None:
        then = None
        if decision.on_failed is not None:
            try:
                then = decision.on_failed(code, self._now())
            except Exception:
                log.exception("A failed append to %s cannot be undone", OFFSETS_TOPIC)
                _refuse(event, ErrorCode.UNKNOWN_SERVER_ERROR)
        for asked, _ in decision.replies:
            asked.refuse(code)
        return then

    # --- time --------------------------------------------------------------------------------------------------------

    def _now(self) -> Now:
        return Now(self._clock.monotonic(), self._clock.wall_ms())

    def _set_timer(self, lane: _Lane, group_id: str) -> None:
        """See to it that the group is woken no later than it wishes."""
        group = lane.shard.groups.get(group_id)
        timer = lane.timers.get(group_id)
        if group is None:
            if timer is not None:
                timer.cancel()
                del lane.timers[group_id]
        elif timer is None or group.wake_at < timer.deadline:
            if timer is not None:
                timer.cancel()
                del lane.timers[group_id]
            if group.wake_at != NEVER:
                lane.timers[group_id] = self._timers.schedule(group.wake_at, lambda: self._wake(lane, group_id))

    def _wake(self, lane: _Lane, group_id: str) -> None:
        lane.timers.pop(group_id, None)
        if not lane.is_closed:
            self._submit(lane, group_id, Event(partial(_expire, group_id)))

    def _clean_later(self, delay_ms: int) -> None:
        deadline = self._clock.monotonic() + delay_ms / 1000
        self._cleaning = self._timers.schedule(deadline, lambda: self._clean(self._cleanable()))

    def _cleanable(self) -> Iterator[tuple[_Lane, str]]:
        for lane in self._lanes.values():
            for group_id in [*lane.shard.groups]:
                if lane.refusal is None:
                    yield lane, group_id

    def _clean(self, groups: Iterator[tuple[_Lane, str]]) -> None:
        """Clean some groups; the rest follow as soon as other work had its turn."""
        for count, (lane, group_id) in enumerate(groups, 1):
            self._submit(lane, group_id, Event(partial(_clean, group_id)))
            if count == GROUPS_PER_STEP:
                self._cleaning = self._timers.schedule(self._clock.monotonic(), lambda: self._clean(groups))
                return
        self._clean_later(self.settings.offsets_retention_check_interval_ms)


def _refuse(event: Event, code: ErrorCode) -> None:
    if event.asked is not None:
        event.asked.refuse(code)


def _pass_on(done: Promise[Appended], appending: Promise[Appended]) -> None:
    try:
        appending.resolve(done.result())
    except Exception as error:  # as above
        appending.fail(error)


def _revive(group_id: str, shard: GroupShard, now: Now) -> Decision:
    return shard.revive(group_id, now)


def _expire(group_id: str, shard: GroupShard, now: Now) -> Decision:
    return shard.expire(group_id, now)


def _clean(group_id: str, shard: GroupShard, now: Now) -> Decision:
    return shard.clean(group_id, now)


def _forget_topic(group_id: str, topic: str, topic_id: bytes, shard: GroupShard, _: Now) -> Decision:
    return shard.forget_topic(group_id, topic, topic_id)
