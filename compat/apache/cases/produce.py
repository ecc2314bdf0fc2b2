"""Produce and InitProducerId. What may stand inside a batch is compared by `tests/wire/record_produce_answers.py`."""

from __future__ import annotations

from collections.abc import Callable

from compat.apache.base import Base, own_topic
from compat.apache.side import Side
from ottla.wire.messages.produce import InitProducerIdRequest, ProduceRequest
from ottla.wire.records import Record, build_batch

PRODUCER_ID = 4_000_000
START_MS = 1_750_000_000_000


def batch(
    values: int = 2,
    *,
    codec: int = 0,
    sequence: int = -1,
    epoch: int = 0,
    producer_id: int = PRODUCER_ID,
    keys: bool = True,
) -> bytes:
    """A batch of so many records, of an idempotent producer if it has a sequence."""
    records = [
        Record(0, START_MS + number, b"key-%d" % number if keys else None, b"value-%d" % number)
        for number in range(values)
    ]
    if sequence < 0:
        return bytes(build_batch(records, codec=codec))
    return bytes(
        build_batch(records, codec=codec, producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence)
    )


def produce(side: Side, topic: str, records: bytes | None, *, acks: int = -1, partition: int = 0) -> ProduceRequest:
    """A request with one batch."""
    return ProduceRequest(
        acks=acks,
        timeout_ms=1_000,
        topic_data=[
            ProduceRequest.Topic(
                name=topic,
                topic_id=side.topic_id(topic),
                partition_data=[ProduceRequest.Topic.Partition(index=partition, records=records)],
            )
        ],
    )


def _after(*batches: bytes) -> Callable[[Side], None]:
    def before(side: Side) -> None:
        own_topic(side)
        for each in batches:
            side.ask(produce(side, side.topic, each))

    return before


def _sequence(name: str, records: bytes, *before: bytes) -> Base:
    return Base(
        f"Produce, {name}",
        lambda side: produce(side, side.topic, records),
        before=_after(*before),
        first_version=13,
        mutate=False,
    )


def _codec(codec: int) -> Base:
    return Base(
        f"Produce, codec {codec}",
        lambda side: produce(side, side.topic, batch(3, codec=codec)),
        before=own_topic,
        mutate=False,
    )


BASES = (
    Base("Produce", lambda side: produce(side, side.topic, batch()), before=own_topic),
    *map(_codec, (1, 2, 3, 4)),
    _sequence("first sequence", batch(sequence=0)),
    _sequence("first sequence is not 0", batch(sequence=5)),
    _sequence("next sequence", batch(sequence=2), batch(sequence=0)),
    _sequence("a duplicate", batch(sequence=0), batch(sequence=0)),
    _sequence("a duplicate of the batch before the last", batch(sequence=0), batch(sequence=0), batch(sequence=2)),
    _sequence(
        "a duplicate of the fifth but last", batch(sequence=0), *(batch(sequence=2 * number) for number in range(5))
    ),
    _sequence("a duplicate that is forgotten", batch(sequence=0), *(batch(sequence=2 * number) for number in range(6))),
    _sequence("a gap", batch(sequence=3), batch(sequence=0)),
    _sequence("a part of a known batch", batch(1, sequence=0), batch(sequence=0)),
    _sequence("next epoch from 0", batch(sequence=0, epoch=1), batch(sequence=0)),
    _sequence("next epoch not from 0", batch(sequence=2, epoch=1), batch(sequence=0)),
    _sequence("an old epoch", batch(sequence=2, epoch=1), batch(sequence=0, epoch=2)),
    _sequence("another producer", batch(sequence=0, producer_id=PRODUCER_ID + 1), batch(sequence=0)),
    Base(
        "InitProducerId",
        lambda _: InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000),
    ),
)
