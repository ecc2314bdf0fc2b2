"""Fetch sessions (KIP-227): what an incremental answer holds after this and that has changed."""

from __future__ import annotations

from compat.apache.base import own_topic
from compat.apache.cases.produce import batch, produce
from compat.apache.sequence import Ask, Sequence, Steps
from compat.apache.sequences.logs import shorten
from compat.apache.sequences.topic_reads import alter, fetch
from compat.apache.sequences.topics import delete, recreate
from compat.apache.side import Side


def _a_session(side: Side) -> Steps:
    own_topic(side)
    topic = side.topic
    yield Ask(produce(side, topic, batch()))
    session = (yield Ask(fetch(side, {topic: {0: 0, 1: 0}}, epoch=0))).session_id
    yield Ask(fetch(side, {}, session_id=session, epoch=1))
    yield Ask(fetch(side, {topic: {0: 2}}, session_id=session, epoch=2))
    yield Ask(fetch(side, {}, session_id=session, epoch=3))
    yield Ask(produce(side, topic, batch(), partition=1))
    yield Ask(fetch(side, {}, session_id=session, epoch=4))
    yield Ask(fetch(side, {topic: {1: 2}}, session_id=session, epoch=5))
    yield Ask(shorten(side, topic, 1, partition=1))
    yield Ask(fetch(side, {}, session_id=session, epoch=6))
    yield Ask(fetch(side, {}, session_id=session, epoch=7))
    yield Ask(fetch(side, {topic: {0: 9}}, session_id=session, epoch=8))  # out of range
    yield Ask(fetch(side, {}, session_id=session, epoch=9))
    yield Ask(fetch(side, {topic: {0: 2}}, session_id=session, epoch=10))
    yield Ask(fetch(side, {}, session_id=session, epoch=11, forget={topic: [0]}))
    for partition in (0, 1):
        yield Ask(produce(side, topic, batch(), partition=partition))
    yield Ask(fetch(side, {}, session_id=session, epoch=12))
    yield Ask(fetch(side, {topic: {0: 0, 7: 0}}, session_id=session, epoch=13))
    yield Ask(fetch(side, {}, session_id=session, epoch=14))


def _epochs_and_ids(side: Side) -> Steps:
    own_topic(side)
    topic = side.topic
    session = (yield Ask(fetch(side, {topic: {0: 0}}, epoch=0))).session_id
    yield Ask(fetch(side, {}, session_id=session, epoch=2))
    yield Ask(fetch(side, {}, session_id=session, epoch=1))
    yield Ask(fetch(side, {}, session_id=session, epoch=1))
    yield Ask(fetch(side, {}, session_id=session, epoch=3))
    yield Ask(fetch(side, {topic: {0: 0}}, session_id=session, epoch=-1))  # ends it
    yield Ask(fetch(side, {}, session_id=session, epoch=2))
    yield Ask(fetch(side, {}, session_id=7, epoch=1))
    again = (yield Ask(fetch(side, {topic: {0: 0}}, epoch=0))).session_id
    yield Ask(fetch(side, {topic: {0: 0, 1: 0}}, session_id=again, epoch=0))  # another takes its place
    yield Ask(fetch(side, {}, session_id=again, epoch=1))


def _a_topic_that_goes(side: Side) -> Steps:
    own_topic(side)
    topic = side.topic
    yield Ask(produce(side, topic, batch()))
    session = (yield Ask(fetch(side, {topic: {0: 0, 1: 0}}, epoch=0))).session_id
    yield Ask(delete(side))
    yield from _once_gone(side, topic)
    yield Ask(fetch(side, {}, session_id=session, epoch=1))
    yield Ask(fetch(side, {}, session_id=session, epoch=2))
    recreate(side)
    yield Ask(produce(side, topic, batch()))
    yield Ask(fetch(side, {}, session_id=session, epoch=3))
    yield Ask(fetch(side, {topic: {0: 0}}, session_id=session, epoch=4))
    yield Ask(fetch(side, {}, session_id=session, epoch=5))


def _once_gone(side: Side, topic: str) -> Steps:
    """Until the partitions are closed, too: a fetch outside the session tells."""
    side.ask_until(fetch(side, {topic: {0: 0}}), lambda answer: bool(answer.responses[0].partitions[0].error_code))
    yield Ask(fetch(side, {topic: {0: 0}}))


def _limits(side: Side) -> Steps:
    own_topic(side)
    topic = side.topic
    for _ in range(3):
        for partition in (0, 1):
            yield Ask(produce(side, topic, batch(), partition=partition))
    for most, most_of_one in ((1, 100_000), (100_000, 1), (150, 100_000), (0, 0), (200, 110)):
        request = fetch(side, {topic: {0: 0, 1: 2}})
        request.max_bytes = most
        for partition in request.topics[0].partitions:
            partition.partition_max_bytes = most_of_one
        yield Ask(request)
    yield Ask(alter(topic, "max.message.bytes", "10"))
    yield Ask(fetch(side, {topic: {0: 0}}))


SEQUENCES = (
    Sequence("a fetch session", _a_session),
    Sequence("epochs and ids of fetch sessions", _epochs_and_ids),
    Sequence("a fetch session whose topic goes and comes back", _a_topic_that_goes),
    Sequence("limits of a fetch", _limits, old=True),
)
