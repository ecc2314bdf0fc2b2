"""Fetch, ListOffsets, OffsetForLeaderEpoch."""

from __future__ import annotations

from compat.apache.base import FIXED, Base
from compat.apache.side import Side
from ottla.wire.messages.fetch import FetchRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest

Fetched = FetchRequest.Topic
Listed = ListOffsetsRequest.Topic
Asked = OffsetForLeaderEpochRequest.Topic


def fetch(side: Side, offset: int, *, partition: int = 0, session_id: int = 0, epoch: int = -1) -> FetchRequest:
    """A request for one partition that is answered at once."""
    return FetchRequest(
        max_wait_ms=0,
        min_bytes=1,
        session_id=session_id,
        session_epoch=epoch,
        topics=[
            Fetched(
                topic=FIXED,
                topic_id=side.topic_id(FIXED),
                partitions=[Fetched.Partition(partition=partition, fetch_offset=offset, partition_max_bytes=100_000)],
            )
        ],
    )


def _open_session(side: Side) -> None:
    side.memory["session"] = side.ask(fetch(side, 5, epoch=0)).session_id


def _in_session(epoch: int) -> Base:
    def make(side: Side) -> FetchRequest:
        request = fetch(side, 0, session_id=side.memory["session"], epoch=epoch)
        request.topics = []
        return request

    return Base(f"Fetch, epoch {epoch} of a session", make, before=_open_session, first_version=7, mutate=False)


def _forgetting(side: Side) -> FetchRequest:
    request = fetch(side, 3, partition=1, session_id=side.memory["session"], epoch=1)
    request.forgotten_topics_data = [
        FetchRequest.ForgottenTopic(topic=FIXED, topic_id=side.topic_id(FIXED), partitions=[0])
    ]
    return request


def _list_offsets(timestamp: int) -> ListOffsetsRequest:
    partitions = [Listed.Partition(partition_index=0, timestamp=timestamp)]
    return ListOffsetsRequest(replica_id=-1, topics=[Listed(name=FIXED, partitions=partitions)], timeout_ms=1_000)


def _from(offset: int) -> Base:
    return Base(f"Fetch from {offset}", lambda side: fetch(side, offset), mutate=False)


def _at(timestamp: int) -> Base:
    return Base(f"ListOffsets {timestamp}", lambda _: _list_offsets(timestamp), mutate=timestamp == -1)


def _leader_epoch(_: Side) -> OffsetForLeaderEpochRequest:
    partitions = [Asked.Partition(partition=0, leader_epoch=0)]
    return OffsetForLeaderEpochRequest(replica_id=-1, topics=[Asked(topic=FIXED, partitions=partitions)])


TIMES = (-1, -2, -3, -4, -5, -6, -7, 0, 1_750_000_000_000, 1_750_000_000_005, 1_900_000_000_000)

BASES = (
    Base("Fetch", lambda side: fetch(side, 5)),
    *map(_from, (0, 1, 2, 9, 10, 11, 1_000)),
    Base("Fetch, a new session", lambda side: fetch(side, 5, epoch=0), first_version=7),
    *map(_in_session, (-1, 0, 1, 2, 7)),
    Base("Fetch, forgetting a partition", _forgetting, before=_open_session, first_version=7),
    *map(_at, TIMES),
    Base("OffsetForLeaderEpoch", _leader_epoch),
)
