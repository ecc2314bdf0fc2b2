"""The engine with a coordinator that only counts: it needs nothing of groups.

engine/runtime with engine/shard, engine/decision and engine/replay.
"""

import math
import subprocess
import sys
from collections.abc import Iterable
from typing import NamedTuple

import pytest

from ottla.broker.coordinators.engine.decision import Asked, Decision, Now
from ottla.broker.coordinators.engine.runtime import CoordinatorRuntime, Event
from ottla.scheduling.timers import Timers
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.markers import Marker, build_marker
from tests.stage.clock import SteppedClock
from tests.stage.groups import MemoryTopic, answered, waits

PARTITIONS = 3
LIFETIME_S = 10


class Added(NamedTuple):
    """A record: so much was added to a counter."""

    counter: str
    amount: int


class Counters:
    """Counters by name. One that is not added to for ten seconds is set back to 0."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.uncommitted: dict[int, list[Added]] = {}
        self.deadlines: dict[str, float] = {}
        self.waiting: list[Asked[int]] = []

    def encode(self, record: Added) -> tuple[bytes, bytes | None]:
        if record.amount > 1000:
            raise ValueError("too much for a record")
        return record.counter.encode(), str(record.amount).encode()

    def decode(self, key: bytes | None, value: bytes | None) -> Added | int:
        assert key is not None
        assert value is not None
        return Added(key.decode(), int(value))

    def replay(self, record: Added, *, record_offset: int, producer_id: int) -> None:
        if producer_id == -1:
            self.apply(record, record_offset=record_offset)
        else:
            self.uncommitted.setdefault(producer_id, []).append(record)

    def apply(self, record: Added, *, record_offset: int) -> None:
        self.counts[record.counter] = self.counts.get(record.counter, 0) + record.amount

    def end_transaction(self, producer_id: int, *, committed: bool) -> None:
        for record in self.uncommitted.pop(producer_id, []):
            if committed:
                self.apply(record, record_offset=-1)

    def keys(self) -> Iterable[str]:
        return self.counts

    def revive(self, key: str, now: Now) -> Decision[Added]:
        self.deadlines[key] = now.monotonic + LIFETIME_S
        return Decision()

    def wake_at(self, key: str) -> float | None:
        return self.deadlines.get(key, math.inf) if key in self.counts else None

    def expire(self, key: str, now: Now) -> Decision[Added]:
        decision: Decision[Added] = Decision()
        if self.deadlines.get(key, math.inf) <= now.monotonic:
            del self.deadlines[key]
            decision.records.append(Added(key, -self.counts[key]))
        return decision

    def close(self, code: ErrorCode) -> None:
        for asked in self.waiting:
            asked.refuse(code)

    def add(self, asked: Asked[int], counter: str, amounts: tuple[int, ...], now: Now) -> Decision[Added]:
        decision: Decision[Added] = Decision()
        decision.records.extend(Added(counter, amount) for amount in amounts)

        def applied(now: Now) -> Decision[Added]:
            self.deadlines[counter] = now.monotonic + LIFETIME_S
            then: Decision[Added] = Decision()
            then.reply(asked, self.counts[counter])
            return then

        def failed(code: ErrorCode, _: Now) -> None:
            asked.refuse(code)

        decision.on_applied, decision.on_failed = applied, failed
        return decision


class Counting:
    """A runtime over counters, and the questions that a client may ask it."""

    def __init__(self, topic: MemoryTopic | None = None) -> None:
        self.clock, self.timers, self.topic = SteppedClock(), Timers(), topic or MemoryTopic()
        self.runtime: CoordinatorRuntime[Counters, Added] = CoordinatorRuntime(
            topic=self.topic,
            new_shard=Counters,
            partition_count=PARTITIONS,
            clock=self.clock,
            timers=self.timers,
        )
        for _ in self.runtime.start(PARTITIONS if self.topic.batches else None):
            pass

    def add(self, counter: str, *amounts: int):
        asked: Asked[int] = Asked(lambda code: -int(code))
        self.runtime.submit(counter, Event(lambda shard, now: shard.add(asked, counter, amounts, now), asked))
        return asked.answer

    def count(self, counter: str) -> int | None:
        return self.runtime.shard_of(counter).counts.get(counter)

    def advance(self, seconds: float) -> None:
        self.clock.now += seconds
        self.timers.run_due(self.clock.now)


def test_a_decision_is_appended_then_applied_then_answered():
    counting = Counting()
    counting.topic.slow = True
    answer = counting.add("a", 1, 2)
    assert waits(answer)
    assert counting.count("a") is None
    counting.topic.finish()
    assert answered(answer) == 3


def test_events_of_one_key_queue_and_those_of_others_do_not():
    counting = Counting()
    counting.topic.slow = True
    first, second = counting.add("a", 1), counting.add("a", 2)
    assert len(counting.topic.waiting) == 1
    counting.topic.slow = False
    assert answered(counting.add("b", 5)) == 5
    counting.topic.finish()
    assert (answered(first), answered(second)) == (1, 3)


def test_a_failed_append_changes_nothing_and_is_told():
    counting = Counting()
    counting.topic.error = ErrorCode.NOT_ENOUGH_REPLICAS
    assert answered(counting.add("a", 1)) == -ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert counting.count("a") is None
    counting.topic.error = None
    assert answered(counting.add("a", 1)) == 1


def test_a_record_that_cannot_be_encoded_refuses_its_event_and_releases_the_key():
    counting = Counting()
    assert answered(counting.add("a", 1001)) == -ErrorCode.UNKNOWN_SERVER_ERROR
    assert answered(counting.add("a", 1)) == 1


@pytest.mark.parametrize("committed", [False, True])
def test_a_restart_replays_records_and_ends_of_transactions(committed):
    before = Counting()
    answered(before.add("a", 1, 2))
    ((partition, batches),) = before.topic.batches.items()
    in_transaction = bytearray(batches[0])
    in_transaction[22] |= 0x10  # transactional
    in_transaction[43:51] = (7).to_bytes(8)  # the producer's id
    marker = build_marker(Marker(committed, 0), producer_id=7, producer_epoch=0, timestamp_ms=0)
    batches += [bytes(in_transaction), bytes(marker)]
    after = Counting(before.topic)
    assert after.count("a") == (6 if committed else 3)
    assert set(before.topic.batches) == {partition}


def test_keys_live_again_after_a_restart():
    before = Counting()
    answered(before.add("a", 1))
    after = Counting(before.topic)
    after.advance(LIFETIME_S - 1)
    assert after.count("a") == 1
    after.advance(1)
    assert after.count("a") == 0


def test_a_key_is_woken_when_it_wishes():
    counting = Counting()
    answered(counting.add("a", 1))
    counting.advance(LIFETIME_S - 1)
    answered(counting.add("a", 1))
    counting.advance(1)
    assert counting.count("a") == 2
    counting.advance(LIFETIME_S - 1)
    assert counting.count("a") == 0
    assert len(counting.timers) == 0


def test_a_stopped_runtime_refuses_who_waits_in_queues_and_in_shards():
    counting = Counting()
    counting.topic.slow = True
    counting.add("a", 1)
    queued = counting.add("a", 1)
    in_shard: Asked[int] = Asked(lambda code: -int(code))
    counting.runtime.shard_of("a").waiting.append(in_shard)
    counting.runtime.stop()
    assert answered(queued) == answered(in_shard.answer) == -ErrorCode.NOT_COORDINATOR
    with pytest.raises(KafkaError, match="NOT_COORDINATOR"):
        counting.runtime.shard_of("a")


def test_the_engine_needs_no_group():
    code = (
        "import sys, ottla.broker.coordinators.engine.runtime\n"
        "assert not [name for name in sys.modules if 'coordinators.groups' in name or 'messages.group' in name]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
