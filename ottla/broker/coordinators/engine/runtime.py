"""Carries decisions out: appends the records, applies them, answers, and wakes keys at their deadlines.

Each key has one event at a time: while an append is under way, the key's next events queue. The runtime is the same
for every kind of coordinator: transactions, groups and share state differ in their shards (``engine.shard``) only.
"""

import logging
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from ottla.broker.coordinators.engine.decision import Asked, Decision, Now, error_of_append
from ottla.broker.coordinators.engine.java_strings import partition_for
from ottla.broker.coordinators.engine.replay import replay
from ottla.broker.coordinators.engine.shard import Record, RecordTopic, Shard
from ottla.scheduling.clock import Clock
from ottla.scheduling.promise import Promise
from ottla.scheduling.steps import Steps
from ottla.scheduling.timers import Timer, Timers
from ottla.storage.appends import Appended
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError, ProtocolError
from ottla.wire.records import Record as LogRecord
from ottla.wire.records import build_batch

S = TypeVar("S", bound=Shard[Any])

log = logging.getLogger(__name__)

NEVER = math.inf


class Event(NamedTuple, Generic[S, Record]):
    """An event of a key: a call that decides. ``asked`` is refused if no decision comes of it."""

    decide: Callable[[S, Now], Decision[Record]]
    asked: Asked[Any] | None = None


class _Lane(Generic[S, Record]):
    """One partition of the topic: its shard, and the events under way for each of its keys."""

    def __init__(self, partition: int, shard: S, refusal: ErrorCode | None) -> None:
        self.partition = partition
        self.shard = shard
        self.queues: dict[str, deque[Event[S, Record]]] = {}
        self.timers: dict[str, Timer] = {}
        self.refusal = refusal
        """The error for requests about this partition's keys, while there is one."""

    @property
    def is_closed(self) -> bool:
        """Whether this coordinator no longer decides for the partition."""
        return self.refusal is ErrorCode.NOT_COORDINATOR


class CoordinatorRuntime(Generic[S, Record]):
    """The runtime of all partitions that this node leads: all of the topic if it is alone, else those it is told."""

    def __init__(
        self,
        *,
        topic: RecordTopic,
        new_shard: Callable[[], S],
        partition_count: int,
        clock: Clock,
        timers: Timers,
        is_alone: bool = True,
    ) -> None:
        """``partition_count`` is the number of partitions that the topic will have when it is created."""
        self.partition_count = partition_count
        self._new_partition_count = partition_count
        self._new_shard = new_shard
        self._is_alone = is_alone
        self._clock = clock
        self._timers = timers
        self._topic = topic
        self._lanes: dict[int, _Lane[S, Record]] = {}
        self._open_lanes(ErrorCode.COORDINATOR_NOT_AVAILABLE)

    # --- from start to stop ------------------------------------------------------------------------------------------

    def start(self, partition_count: int | None) -> Steps[None]:
        """Take over the partitions; the caller steps the result to its end, between other work, to load them.

        ``partition_count`` is None if the topic does not exist yet. Until a partition is loaded, its keys are refused
        with COORDINATOR_LOAD_IN_PROGRESS.
        """
        if partition_count is not None:
            self.partition_count = partition_count
        self._open_lanes(None if partition_count is None else ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        return self._load([*self._lanes.values()])

    def lead(self, partitions: Collection[int], partition_count: int) -> Steps[None]:
        """Coordinate the keys of these partitions, of ``partition_count``, and of no others, from now on.

        The returned steps load new partitions; clients of partitions that are given up are told NOT_COORDINATOR.
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
                self._lanes[index] = _Lane(index, self._new_shard(), ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
                come.append(self._lanes[index])
        return self._load(come)

    def prepare(self) -> None:
        """Begin to create the topic if it does not exist."""
        self._topic.ensure()

    def stop(self) -> None:
        """Refuse waiting and future requests with NOT_COORDINATOR."""
        for lane in self._lanes.values():
            self._close(lane)

    def forget_everything(self) -> None:
        """Begin anew: the topic itself was deleted. It is created again when it is next needed."""
        for lane in self._lanes.values():
            self._close(lane)
        self.partition_count = self._new_partition_count
        self._open_lanes(None)

    def _open_lanes(self, refusal: ErrorCode | None) -> None:
        if not self._is_alone:
            refusal = ErrorCode.NOT_COORDINATOR
        self._lanes = {index: _Lane(index, self._new_shard(), refusal) for index in range(self.partition_count)}

    def _load(self, lanes: Iterable[_Lane[S, Record]]) -> Steps[None]:
        for lane in lanes:
            if lane.refusal is not ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                continue
            try:
                yield from replay(self._topic.read_all(lane.partition), lane.shard)
            except (ProtocolError, KafkaError):
                log.exception("Loading %s-%d failed", self._topic.name, lane.partition)
                lane.refusal = ErrorCode.NOT_COORDINATOR
                continue
            for key in [*lane.shard.keys()]:
                if lane.is_closed:
                    break
                self._submit(lane, key, self._revival(key))
                yield None
            if lane.refusal is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                lane.refusal = None

    def _close(self, lane: _Lane[S, Record]) -> None:
        lane.refusal = ErrorCode.NOT_COORDINATOR
        for timer in lane.timers.values():
            timer.cancel()
        for queue in lane.queues.values():
            for event in queue:
                _refuse(event, lane.refusal)
            queue.clear()
        lane.shard.close(lane.refusal)

    # --- what happens ------------------------------------------------------------------------------------------------

    def submit(self, key: str, event: Event[S, Record]) -> None:
        """Let an event of a key happen, now or after the events that are under way for it."""
        lane = self._lane_of(key)
        if lane.refusal is not None:
            _refuse(event, lane.refusal)
        else:
            self._submit(lane, key, event)

    def coordinates(self, key: str) -> bool:
        """Return whether this is, or will soon be, a key's coordinator: not if its partition cannot be read."""
        return not self._lane_of(key).is_closed

    def shard_of(self, key: str) -> S:
        """Return the shard to read a key from. Raises KafkaError: COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR."""
        lane = self._lane_of(key)
        if lane.refusal is not None:
            raise KafkaError(lane.refusal)
        return lane.shard

    def shards(self) -> Iterator[S]:
        """Yield all shards. Raises KafkaError COORDINATOR_LOAD_IN_PROGRESS while one of them is not loaded."""
        for lane in self._lanes.values():
            if lane.refusal is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                raise KafkaError(lane.refusal)
            if lane.refusal is None:
                yield lane.shard

    def loaded_shards(self) -> Iterator[S]:
        """Yield the shards that are loaded."""
        for lane in [*self._lanes.values()]:
            if lane.refusal is None:
                yield lane.shard

    def _lane_of(self, key: str) -> _Lane[S, Record]:
        return self._lanes[partition_for(key, self.partition_count)]

    def _submit(self, lane: _Lane[S, Record], key: str, event: Event[S, Record]) -> None:
        queue = lane.queues.get(key)
        if queue is not None:
            queue.append(event)
            return
        lane.queues[key] = deque((event,))
        self._run(lane, key)

    def _run(self, lane: _Lane[S, Record], key: str) -> None:
        """Let the queued events happen, until one of them must wait for its append."""
        queue = lane.queues[key]
        while queue:
            event = queue.popleft()
            try:
                decision = event.decide(lane.shard, self._now())
            except Exception:
                log.exception("Decision about %r failed", key)
                _refuse(event, ErrorCode.UNKNOWN_SERVER_ERROR)
                continue
            if not self._carry_out(lane, key, event, decision):
                return
        del lane.queues[key]
        self._set_timer(lane, key)

    def _carry_out(
        self, lane: _Lane[S, Record], key: str, event: Event[S, Record], decision: Decision[Record] | None
    ) -> bool:
        """Append, apply and answer; return False if that goes on when an append is done."""
        while decision is not None:
            appending = self._append(lane, decision) if decision.records else None
            if appending is not None and not appending.done:
                appending.add_done_callback(partial(self._resume, lane, key, event, decision))
                return False
            decision = self._settle(lane, event, decision, appending)
        return True

    def _resume(
        self,
        lane: _Lane[S, Record],
        key: str,
        event: Event[S, Record],
        decision: Decision[Record],
        appended: Promise[Appended],
    ) -> None:
        if self._carry_out(lane, key, event, self._settle(lane, event, decision, appended)):
            self._run(lane, key)

    def _append(self, lane: _Lane[S, Record], decision: Decision[Record]) -> Promise[Appended]:
        now_ms = self._clock.wall_ms()
        appending: Promise[Appended] = Promise()

        def append(created: Promise[None] | None) -> None:
            try:
                if created is not None:
                    created.result()
                batch = build_batch(LogRecord(0, now_ms, *lane.shard.encode(record)) for record in decision.records)
                outcome = self._topic.append(lane.partition, batch)
            except Exception as error:  # raised again in ``_settle``
                appending.fail(error)
                return
            if isinstance(outcome, Promise):
                outcome.pass_on_to(appending)
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
        self,
        lane: _Lane[S, Record],
        event: Event[S, Record],
        decision: Decision[Record],
        appended: Promise[Appended] | None,
    ) -> Decision[Record] | None:
        """Apply the appended records and answer; return the next decision. Never raises: the lane must go on."""
        then = None
        if appended is not None:
            try:
                offset = appended.result().base_offset
            except KafkaError as error:
                return self._undo(event, decision, error_of_append(error.code))
            except Exception:
                log.exception("Append to %s-%d failed", self._topic.name, lane.partition)
                return self._undo(event, decision, ErrorCode.UNKNOWN_SERVER_ERROR)
            try:
                for record_offset, record in enumerate(decision.records, offset):
                    lane.shard.apply(record, record_offset=record_offset)
                if decision.on_applied is not None:
                    then = decision.on_applied(self._now())
            except Exception:
                log.exception("Applying records of %s-%d failed", self._topic.name, lane.partition)
                return self._undo(event, decision, ErrorCode.UNKNOWN_SERVER_ERROR)
        for asked, response in decision.replies:
            asked.resolve(response)
        return then

    def _undo(self, event: Event[S, Record], decision: Decision[Record], code: ErrorCode) -> Decision[Record] | None:
        then = None
        if decision.on_failed is not None:
            try:
                then = decision.on_failed(code, self._now())
            except Exception:
                log.exception("Undoing a failed append to %s failed", self._topic.name)
                _refuse(event, ErrorCode.UNKNOWN_SERVER_ERROR)
        for asked, _ in decision.replies:
            asked.refuse(code)
        return then

    # --- time --------------------------------------------------------------------------------------------------------

    def _now(self) -> Now:
        return Now(self._clock.monotonic(), self._clock.wall_ms())

    def _set_timer(self, lane: _Lane[S, Record], key: str) -> None:
        """Set the timer that calls ``expire`` for a key, no later than its shard wishes."""
        wake_at = lane.shard.wake_at(key)
        timer = lane.timers.get(key)
        if timer is not None and (wake_at is None or wake_at < timer.deadline):
            timer.cancel()
            del lane.timers[key]
            timer = None
        if timer is None and wake_at is not None and wake_at != NEVER:
            lane.timers[key] = self._timers.schedule(wake_at, lambda: self._wake(lane, key))

    def _wake(self, lane: _Lane[S, Record], key: str) -> None:
        lane.timers.pop(key, None)
        if not lane.is_closed:
            self._submit(lane, key, Event(lambda shard, now: shard.expire(key, now)))

    def _revival(self, key: str) -> Event[S, Record]:
        return Event(lambda shard, now: shard.revive(key, now))


def _refuse(event: Event[Any, Any], code: ErrorCode) -> None:
    if event.asked is not None:
        event.asked.refuse(code)
