"""Records deleted, offsets by time, leader epochs."""

from __future__ import annotations

from compat.apache.base import own_topic
from compat.apache.cases.produce import START_MS, batch, produce
from compat.apache.sequence import Ask, Sequence, Steps
from compat.apache.sequences.topic_reads import fetch, offsets_at, read
from compat.apache.side import Side
from ottla.wire.messages.fetch import OffsetForLeaderEpochRequest
from ottla.wire.messages.log_dirs import DescribeLogDirsRequest
from ottla.wire.messages.topics import DeleteRecordsRequest

Shortened = DeleteRecordsRequest.Topic
Asked = OffsetForLeaderEpochRequest.Topic


def shorten(_: Side, topic: str, offset: int, *, partition: int = 0) -> DeleteRecordsRequest:
    """Drop what lies before an offset."""
    partitions = [Shortened.Partition(partition_index=partition, offset=offset)]
    return DeleteRecordsRequest(topics=[Shortened(name=topic, partitions=partitions)], timeout_ms=10_000)


def _deleted_records(side: Side) -> Steps:
    own_topic(side)
    for _ in range(4):
        yield Ask(produce(side, side.topic, batch(3)))
    for offset in (4, 3, 4, 5, 13, 12, -2, -1, 0):
        yield Ask(shorten(side, side.topic, offset))
        for timestamp in (-2, -1, -3, -4, START_MS + 1):
            yield Ask(offsets_at(side.topic, timestamp))
        for first in (0, 4, 5, 11, 12, 13):
            yield Ask(read(side, side.topic, offset=first))
    yield Ask(produce(side, side.topic, batch(3)))
    yield Ask(read(side, side.topic, offset=12))
    partitions = [DescribeLogDirsRequest.Topic(topic=side.topic, partitions=[0, 1])]
    yield Ask(DescribeLogDirsRequest(topics=partitions))


def _offsets_by_time(side: Side) -> Steps:
    own_topic(side)
    for values in (1, 3, 2):
        yield Ask(produce(side, side.topic, batch(values, codec=values % 2)))
    for timestamp in (0, *range(START_MS - 1, START_MS + 4), 2**62, -1, -2, -3, -4, -5, -6, -7):
        yield Ask(offsets_at(side.topic, timestamp))


def epoch_end(side: Side, epoch: int, current: int = -1) -> OffsetForLeaderEpochRequest:
    """Ask where an epoch of the case's topic ended."""
    partitions = [Asked.Partition(partition=0, leader_epoch=epoch, current_leader_epoch=current)]
    return OffsetForLeaderEpochRequest(replica_id=-1, topics=[Asked(topic=side.topic, partitions=partitions)])


def _leader_epochs(side: Side) -> Steps:
    own_topic(side)
    yield Ask(epoch_end(side, 0))
    for _ in range(2):
        yield Ask(produce(side, side.topic, batch()))
    for epoch, current in ((0, -1), (0, 0), (1, 0), (-1, 0), (0, 1), (5, -1), (0, -2), (-2, -1)):
        yield Ask(epoch_end(side, epoch, current))
    for current, last in ((0, -1), (1, -1), (-1, 0), (-1, 1), (0, 0), (-2, -2), (7, 0)):
        request = fetch(side, {side.topic: {0: 2}})
        partition = request.topics[0].partitions[0]
        partition.current_leader_epoch, partition.last_fetched_epoch = current, last
        yield Ask(request)
        offsets = offsets_at(side.topic, -1)
        for each in offsets.topics[0].partitions:
            each.current_leader_epoch = current
        yield Ask(offsets)
    yield Ask(shorten(side, side.topic, 3))
    yield Ask(epoch_end(side, 0))


SEQUENCES = (
    Sequence("records deleted, then offsets listed", _deleted_records, old=True),
    Sequence("offsets by time", _offsets_by_time, old=True),
    Sequence("leader epochs", _leader_epochs),
)
