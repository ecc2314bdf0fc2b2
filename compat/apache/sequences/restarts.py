"""Restarts: tells apart what is kept when the broker is stopped and started, and what is not."""

from __future__ import annotations

from compat.apache.base import own_topic
from compat.apache.cases.produce import batch, produce
from compat.apache.cases.replicas import producers
from compat.apache.sequence import Ask, Restart, Sequence, Steps
from compat.apache.sequences import quotas
from compat.apache.sequences.logs import epoch_end, shorten
from compat.apache.sequences.membership import Member, commit, describe_group
from compat.apache.sequences.offsets import committed
from compat.apache.sequences.producers import init
from compat.apache.sequences.topic_reads import (
    all_offsets,
    alter,
    describe_configs,
    describe_topic,
    fetch,
    let_changes_arrive,
    offsets_at,
    read,
)
from compat.apache.side import Side

BROKER = 4


def _served_again(side: Side) -> None:
    side.settle(side.topic)
    side.ask_until(committed(side), lambda answer: not answer.groups[0].error_code)


def _produced(side: Side) -> Steps:
    """Three batches, the first records deleted, a fetch session. Gives the producer's id and the session's."""
    producer_id = (yield Ask(init())).producer_id
    for sequence in (0, 2, 4):
        yield Ask(produce(side, side.topic, batch(sequence=sequence, producer_id=producer_id)))
    yield Ask(shorten(side, side.topic, 3))
    session_id = (yield Ask(fetch(side, {side.topic: {0: 3}}, epoch=0))).session_id
    return producer_id, session_id


def _read_again(side: Side, producer_id: int, session_id: int) -> Steps:
    described = yield Ask(describe_topic(side))
    led_in = described.topics[0].partitions[0].leader_epoch
    yield Ask(fetch(side, {}, session_id=session_id, epoch=1))
    for timestamp in (-1, -2, -3):
        yield Ask(offsets_at(side.topic, timestamp))
    for offset in (0, 2, 3, 6, 7):
        yield Ask(read(side, side.topic, offset=offset))
    yield Ask(producers(side))
    for sequence in (4, 8, 6):
        yield Ask(produce(side, side.topic, batch(sequence=sequence, producer_id=producer_id)))
    for epoch in (-1, led_in, led_in + 1):
        yield Ask(epoch_end(side, epoch, epoch))
        request = fetch(side, {side.topic: {0: 6}})
        request.topics[0].partitions[0].current_leader_epoch = epoch
        yield Ask(request)
    yield Ask(read(side, side.topic, offset=6))
    yield Ask(all_offsets(side, side.topic))


def _group_again(side: Side, member: Member) -> Steps:
    yield Ask(committed(side))
    yield Ask(describe_group(side))
    yield Ask(member.heartbeat())
    yield Ask(member.sync())
    yield Ask(member.commit(6))
    yield Ask(commit(side, {0: 7}))
    member.learn((yield Ask(member.join(anew=True))))
    yield Ask(member.heartbeat())
    yield Ask(member.leave())
    yield Ask(describe_group(side))


def _settings_again(side: Side, entity: quotas.Entity) -> Steps:
    yield Ask(describe_configs(side.topic, "segment.ms", "retention.ms", "max.message.bytes"))
    for name in ("1", ""):
        yield Ask(describe_configs(name, "log.retention.ms", "message.max.bytes", kind=BROKER))
    yield Ask(quotas.describe(("user", quotas.EXACT, entity["user"])))
    yield Ask(quotas.alter(entity, consumer_byte_rate=None))
    yield Ask(alter("", "log.retention.ms", None, operation=1, kind=BROKER))
    yield Ask(alter("1", "message.max.bytes", None, operation=1, kind=BROKER))


def _a_restart(side: Side) -> Steps:
    own_topic(side)
    producer_id, session_id = yield from _produced(side)
    member = Member(side, instance="i-1")
    yield from member.enter()
    yield Ask(member.sync_alone())
    yield Ask(member.commit(5))
    entity: quotas.Entity = {"user": f"user-{side.case}", "client_id": None}
    yield Ask(alter(side.topic, "segment.ms", "700000"))
    yield Ask(alter("", "log.retention.ms", "700000", kind=BROKER))
    yield Ask(alter("1", "message.max.bytes", "700000", kind=BROKER))
    yield Ask(quotas.alter(entity, consumer_byte_rate=quotas.MUCH))
    let_changes_arrive(side)
    yield Restart()
    _served_again(side)
    yield from _read_again(side, producer_id, session_id)
    yield from _group_again(side, member)
    yield from _settings_again(side, entity)


SEQUENCES = (Sequence("a restart", _a_restart),)
