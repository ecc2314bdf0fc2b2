"""Idempotent producers, and what a topic's settings let in."""

from __future__ import annotations

from compat.apache.base import create_topic, own_topic
from compat.apache.cases.produce import batch, produce
from compat.apache.cases.replicas import producers
from compat.apache.sequence import Ask, Sequence, Steps
from compat.apache.sequences.topic_reads import all_offsets, alter, fetch, let_changes_arrive, read
from compat.apache.side import Side
from ottla.wire.messages.produce import InitProducerIdRequest


def init(producer_id: int = -1, epoch: int = -1) -> InitProducerIdRequest:
    """A request for a producer id, or for the next epoch of one."""
    return InitProducerIdRequest(
        transactional_id=None, transaction_timeout_ms=60_000, producer_id=producer_id, producer_epoch=epoch
    )


def _one_producer(side: Side) -> Steps:
    own_topic(side)
    producer_id = (yield Ask(init())).producer_id
    for sequence in (0, 2, 2, 0, 4, 10, 6, 5, 6):  # duplicates, a gap, a part of what is there
        yield Ask(produce(side, side.topic, batch(sequence=sequence, producer_id=producer_id)))
    yield Ask(all_offsets(side, side.topic))
    yield Ask(producers(side))
    for sequence, epoch in ((8, 1), (0, 1), (8, 0), (2, 1), (0, 3), (2, 2), (2, 3)):
        yield Ask(produce(side, side.topic, batch(sequence=sequence, epoch=epoch, producer_id=producer_id)))
    yield Ask(producers(side))
    yield Ask(read(side, side.topic))


def _two_producers(side: Side) -> Steps:
    own_topic(side)
    first = (yield Ask(init())).producer_id
    second = (yield Ask(init())).producer_id
    for partition in (0, 1):
        for producer_id in (first, second):
            for sequence in (0, 2, 0):
                records = batch(sequence=sequence, producer_id=producer_id)
                yield Ask(produce(side, side.topic, records, partition=partition))
    yield Ask(producers(side))
    yield Ask(all_offsets(side, side.topic))


def _epochs_of_an_id(side: Side) -> Steps:
    known = yield Ask(init())
    yield Ask(init(known.producer_id, known.producer_epoch))
    yield Ask(init(known.producer_id, known.producer_epoch + 7))
    yield Ask(init(known.producer_id, -1))
    yield Ask(init(-1, 0))


def _sequences_that_wrap(side: Side) -> Steps:
    own_topic(side)
    producer_id = (yield Ask(init())).producer_id
    last = 2**31 - 1
    yield Ask(produce(side, side.topic, batch(4, sequence=0, producer_id=producer_id)))
    yield Ask(produce(side, side.topic, batch(sequence=last - 1, producer_id=producer_id)))
    other = (yield Ask(init())).producer_id
    for values, sequence in ((2, last - 2), (3, last), (2, 2), (2, 2), (3, last), (1, 0)):
        yield Ask(produce(side, side.topic, batch(values, sequence=sequence, producer_id=other)))
    yield Ask(producers(side))


def _after_deleted_records(side: Side) -> Steps:
    from compat.apache.sequences.logs import shorten

    own_topic(side)
    producer_id = (yield Ask(init())).producer_id
    for sequence in (0, 2):
        yield Ask(produce(side, side.topic, batch(sequence=sequence, producer_id=producer_id)))
    yield Ask(shorten(side, side.topic, 4))
    yield Ask(producers(side))
    for sequence in (2, 6, 4):
        yield Ask(produce(side, side.topic, batch(sequence=sequence, producer_id=producer_id)))
    yield Ask(read(side, side.topic, offset=4))


def _acknowledgements(side: Side) -> Steps:
    own_topic(side)
    for acks in (1, -1, 2, -2, 1):
        yield Ask(produce(side, side.topic, batch(), acks=acks))
    yield Ask(all_offsets(side, side.topic))


def _set(side: Side, key: str, value: str | None, *, operation: int = 0) -> Steps:
    """A setting of the topic, in force when what follows is asked."""
    yield Ask(alter(side.topic, key, value, operation=operation))
    let_changes_arrive(side)


def _bounds_of_a_topic(side: Side) -> Steps:
    own_topic(side)
    yield from _set(side, "max.message.bytes", "200")
    for size in (1, 10, 2):
        yield Ask(produce(side, side.topic, batch(size)))
    yield from _set(side, "max.message.bytes", None, operation=1)
    yield Ask(produce(side, side.topic, batch(10)))
    yield from _set(side, "cleanup.policy", "compact")
    yield Ask(produce(side, side.topic, batch(2)))
    yield Ask(produce(side, side.topic, batch(2, keys=False)))
    yield from _set(side, "message.timestamp.before.max.ms", "1000")
    yield Ask(produce(side, side.topic, batch(2)))
    yield from _set(side, "message.timestamp.before.max.ms", None, operation=1)
    yield from _set(side, "min.insync.replicas", "2")
    for acks in (-1, 1):
        yield Ask(produce(side, side.topic, batch(2), acks=acks))
    yield Ask(all_offsets(side, side.topic))


def _compression_of_a_topic(side: Side) -> Steps:
    create_topic(side, side.topic)
    for kind in ("producer", "gzip", "snappy", "lz4", "zstd", "uncompressed"):
        yield from _set(side, "compression.type", kind)
        for codec in (0, 1, 4):
            yield Ask(produce(side, side.topic, batch(5, codec=codec)))
    yield Ask(all_offsets(side, side.topic))


def _fetched_from_a_topic_in_zstd(side: Side) -> Steps:
    """Until 3.9, Apache gave nothing of a topic that has zstd as its codec to who did not know that."""
    create_topic(side, side.topic, 2)
    for kind in ("producer", "zstd"):
        yield from _set(side, "compression.type", kind)
        for version in (4, 6, 9, 10):
            yield Ask(fetch(side, {side.topic: {1: 0}}), version)  # nothing lies there
        yield Ask(produce(side, side.topic, batch(5, codec=4)))
        for version in (4, 6, 9, 10):
            for offset in (0, 5, 1_000):
                yield Ask(read(side, side.topic, offset=offset), version)
            yield Ask(fetch(side, {side.topic: {0: 0, 1: 0, 99: 0}}), version)


SEQUENCES = (
    Sequence("a producer with gaps, duplicates and epochs", _one_producer, old=True),
    Sequence("two producers on two partitions", _two_producers, old=True),
    Sequence("epochs of a producer id", _epochs_of_an_id),
    Sequence("sequences that wrap", _sequences_that_wrap),
    Sequence("a producer whose records were deleted", _after_deleted_records),
    Sequence("acknowledgements", _acknowledgements, old=True),
    Sequence("what a topic's settings let in", _bounds_of_a_topic),
    Sequence("compression by the topic's setting", _compression_of_a_topic),
    Sequence("a topic in zstd and who does not know that", _fetched_from_a_topic_in_zstd),
)
