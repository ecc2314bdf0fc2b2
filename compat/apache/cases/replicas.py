"""Leaders elected, replicas moved, and what a partition knows of its producers."""

from __future__ import annotations

from compat.apache.base import FIXED, Base, own_topic
from compat.apache.cases.produce import batch, produce
from compat.apache.side import Side
from ottla.wire.messages.replicas import (
    AlterPartitionReassignmentsRequest,
    DescribeProducersRequest,
    ElectLeadersRequest,
    ListPartitionReassignmentsRequest,
)

Elected = ElectLeadersRequest.Topic
Moved = AlterPartitionReassignmentsRequest.Topic
Listed = ListPartitionReassignmentsRequest.Topic
Described = DescribeProducersRequest.Topic


def _elect(kind: int) -> Base:
    request = ElectLeadersRequest(
        election_type=kind, topic_partitions=[Elected(topic=FIXED, partitions=[0, 1])], timeout_ms=10_000
    )
    return Base(f"ElectLeaders, kind {kind}", lambda _: request, keep="timeout_ms", mutate=False)


def _elect_one(_: Side) -> ElectLeadersRequest:
    return ElectLeadersRequest(topic_partitions=[Elected(topic=FIXED, partitions=[0])], timeout_ms=10_000)


def _move(side: Side, replicas: list[int] | None) -> AlterPartitionReassignmentsRequest:
    partitions = [Moved.Partition(partition_index=0, replicas=replicas)]
    return AlterPartitionReassignmentsRequest(timeout_ms=10_000, topics=[Moved(name=side.topic, partitions=partitions)])


def _listed(_: Side) -> ListPartitionReassignmentsRequest:
    return ListPartitionReassignmentsRequest(timeout_ms=10_000, topics=[Listed(name=FIXED, partition_indexes=[0, 1])])


def _written(side: Side) -> None:
    own_topic(side)
    for sequence in (0, 2):
        side.ask(produce(side, side.topic, batch(sequence=sequence)))


def producers(side: Side) -> DescribeProducersRequest:
    """Ask two partitions of the case's topic for their producers."""
    return DescribeProducersRequest(topics=[Described(name=side.topic, partition_indexes=[0, 1])])


BASES = (
    Base("ElectLeaders", _elect_one, keep="timeout_ms"),
    *map(_elect, (0, 1, 2)),
    Base("AlterPartitionReassignments", lambda side: _move(side, [1]), before=own_topic, keep="timeout_ms"),
    Base("AlterPartitionReassignments, cancelled", lambda side: _move(side, None), before=own_topic, mutate=False),
    Base("AlterPartitionReassignments, nobody", lambda side: _move(side, []), before=own_topic, mutate=False),
    Base("AlterPartitionReassignments, twice", lambda side: _move(side, [1, 1]), before=own_topic, mutate=False),
    Base("AlterPartitionReassignments, unknown", lambda side: _move(side, [1, 7]), before=own_topic, mutate=False),
    Base("ListPartitionReassignments", _listed, keep="timeout_ms"),
    Base("DescribeProducers", producers, before=_written),
)
