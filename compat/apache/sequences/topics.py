"""Topics made, grown, deleted and made again under the same name."""

from __future__ import annotations

from compat.apache.base import KEEP_ALL, create_topic, own_topic
from compat.apache.cases.produce import batch, produce
from compat.apache.sequence import Ask, Sequence, Steps
from compat.apache.sequences.topic_reads import all_offsets, describe_topic, read
from compat.apache.side import Side
from ottla.wire.messages.topics import CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest

Created = CreateTopicsRequest.Topic
Grown = CreatePartitionsRequest.Topic


def create(side: Side, name: str = "", *, partitions: int = 2, validate_only: bool = False) -> CreateTopicsRequest:
    """Make the case's topic, or one of another name."""
    topic = Created(
        name=name or side.topic,
        num_partitions=partitions,
        replication_factor=1,
        assignments=[],
        configs=[Created.Config(name=key, value=value) for key, value in KEEP_ALL.items()],
    )
    return CreateTopicsRequest(topics=[topic], timeout_ms=30_000, validate_only=validate_only)


def delete(side: Side) -> DeleteTopicsRequest:
    """Delete the case's topic by its name."""
    topic = DeleteTopicsRequest.Topic(name=side.topic, topic_id=bytes(16))
    return DeleteTopicsRequest(topics=[topic], topic_names=[side.topic], timeout_ms=30_000)


def delete_by_id(side: Side, topic_id: bytes) -> DeleteTopicsRequest:
    """Delete whatever topic has this id."""
    topic = DeleteTopicsRequest.Topic(name=None, topic_id=topic_id)
    return DeleteTopicsRequest(topics=[topic], timeout_ms=30_000)


def grow(side: Side, count: int, *, validate_only: bool = False) -> CreatePartitionsRequest:
    """Let the case's topic have so many partitions."""
    return CreatePartitionsRequest(
        topics=[Grown(name=side.topic, count=count, assignments=None)], timeout_ms=30_000, validate_only=validate_only
    )


def wait_until_gone(side: Side) -> None:
    """Until metadata knows the case's topic no more."""
    side.ask_until(describe_topic(side), lambda answer: bool(answer.topics[0].error_code))


def recreate(side: Side) -> None:
    """Make the case's topic again, once it is gone."""
    wait_until_gone(side)
    create_topic(side, side.topic, 2)


def _a_life(side: Side) -> Steps:
    yield Ask(create(side, validate_only=True))
    yield Ask(describe_topic(side))
    yield Ask(create(side))
    side.settle(side.topic)
    yield Ask(create(side))
    yield Ask(create(side, validate_only=True))
    yield Ask(describe_topic(side))
    yield Ask(describe_topic(side, by_id=True), 12)
    for count, validate_only in ((4, True), (2, False), (1, False), (4, False), (4, False)):
        yield Ask(grow(side, count, validate_only=validate_only))
        if count == 4 and not validate_only:
            side.ask_until(describe_topic(side), lambda answer: len(answer.topics[0].partitions) == 4)
            side.settle(side.topic)
        yield Ask(describe_topic(side))
    yield Ask(produce(side, side.topic, batch(), partition=3))
    yield Ask(read(side, side.topic, partition=3))
    yield Ask(delete(side))
    wait_until_gone(side)
    yield Ask(describe_topic(side))
    yield Ask(describe_topic(side, by_id=True), 12)
    yield Ask(delete(side))
    yield Ask(grow(side, 8))


def _another_of_the_name(side: Side) -> Steps:
    own_topic(side)
    yield Ask(produce(side, side.topic, batch()))
    old = side.topic_id(side.topic)
    to_old = produce(side, side.topic, batch())
    read_old = read(side, side.topic)
    describe_old = describe_topic(side, by_id=True)
    yield Ask(delete_by_id(side, old), 6)
    recreate(side)
    yield Ask(describe_topic(side))
    yield Ask(describe_old, 12)
    yield Ask(to_old)
    yield Ask(read_old)
    yield Ask(to_old, 12)  # by name, it is the new one
    yield Ask(read_old, 12)
    yield Ask(delete_by_id(side, old), 6)
    yield Ask(all_offsets(side, side.topic))
    yield Ask(delete_by_id(side, side.topic_id(side.topic)), 6)
    wait_until_gone(side)
    yield Ask(delete_by_id(side, side.topic_id(side.topic)), 6)


def _names_that_collide(side: Side) -> Steps:
    dotted, underscored = f"{side.topic}.a.b", f"{side.topic}.a_b"
    for name in (dotted, underscored, dotted, f"{side.topic}.A.b", ".", "..", "a" * 249, "a" * 250, "with space"):
        yield Ask(create(side, name, validate_only=len(name) > 100))
    both = create(side, f"{side.topic}-c")
    both.topics.append(create(side, f"{side.topic}_c").topics[0])
    yield Ask(both)
    twice = create(side, f"{side.topic}-d")
    twice.topics.append(create(side, f"{side.topic}-d", partitions=3).topics[0])
    yield Ask(twice)


SEQUENCES = (
    Sequence("a topic's life", _a_life),
    Sequence("another topic of the same name", _another_of_the_name),
    Sequence("names that collide", _names_that_collide, old=True),
)
