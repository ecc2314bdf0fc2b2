"""Requests that sequences of several subjects use: what lies in a topic, and a change of one of its settings."""

from __future__ import annotations

from compat.apache.base import MARKED
from compat.apache.side import Side
from ottla.wire.messages.configs import DescribeConfigsRequest, IncrementalAlterConfigsRequest
from ottla.wire.messages.core import MetadataRequest
from ottla.wire.messages.fetch import FetchRequest, ListOffsetsRequest

TOPIC = 2
_Altered = IncrementalAlterConfigsRequest.Resource
_Fetched = FetchRequest.Topic
_Listed = ListOffsetsRequest.Topic


def read(side: Side, topic: str, *, offset: int = 0, partition: int = 0) -> FetchRequest:
    """A fetch without a session that is answered at once."""
    return fetch(side, {topic: {partition: offset}})


def fetch(
    side: Side,
    offsets: dict[str, dict[int, int]],
    *,
    session_id: int = 0,
    epoch: int = -1,
    forget: dict[str, list[int]] | None = None,
) -> FetchRequest:
    """A fetch of partitions from their offsets, by topic, that is answered at once."""
    return FetchRequest(
        max_wait_ms=0,
        min_bytes=1,
        session_id=session_id,
        session_epoch=epoch,
        topics=[
            _Fetched(
                topic=topic,
                topic_id=side.topic_id(topic),
                partitions=[
                    _Fetched.Partition(partition=index, fetch_offset=offset, partition_max_bytes=100_000)
                    for index, offset in partitions.items()
                ],
            )
            for topic, partitions in offsets.items()
        ],
        forgotten_topics_data=[
            FetchRequest.ForgottenTopic(topic=topic, topic_id=side.topic_id(topic), partitions=partitions)
            for topic, partitions in (forget or {}).items()
        ],
    )


def offsets_at(topic: str, timestamp: int, partitions: tuple[int, ...] = (0, 1)) -> ListOffsetsRequest:
    """Offsets by a timestamp, or by one of the numbers that stand for one."""
    asked = [_Listed.Partition(partition_index=index, timestamp=timestamp) for index in partitions]
    return ListOffsetsRequest(replica_id=-1, topics=[_Listed(name=topic, partitions=asked)], timeout_ms=1_000)


def all_offsets(_: Side, topic: str) -> ListOffsetsRequest:
    """The ends of two partitions."""
    return offsets_at(topic, -1)


def describe_topic(side: Side, *, by_id: bool = False) -> MetadataRequest:
    """Metadata of the case's own topic."""
    named = MetadataRequest.Topic(name=side.topic)
    if by_id:
        named = MetadataRequest.Topic(name=None, topic_id=side.topic_id(side.topic))
    return MetadataRequest(topics=[named], allow_auto_topic_creation=False)


def alter(
    name: str, key: str, value: str | None, *, operation: int = 0, kind: int = TOPIC, validate_only: bool = False
) -> IncrementalAlterConfigsRequest:
    """One setting set (0), deleted (1), appended to (2) or subtracted from (3)."""
    config = _Altered.Config(name=key, config_operation=operation, value=value)
    resource = _Altered(resource_type=kind, resource_name=name, configs=[config])
    return IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate_only)


def let_changes_arrive(side: Side) -> None:
    """Wait until the broker has heard of all that was changed: it follows its controller, change by change.

    What it shows of the second mark was published after all that came before the first was in force.
    """
    for _ in range(2):
        side.marks += 1
        mark = str(1_000_000 + side.marks)
        side.ask(alter(MARKED, "retention.ms", mark))
        side.ask_until(
            describe_configs(MARKED, "retention.ms"),
            lambda answer, mark=mark: answer.results[0].configs[0].value == mark,
        )


def describe_configs(name: str, *keys: str, kind: int = TOPIC) -> DescribeConfigsRequest:
    """Settings with all places that their values may come from."""
    resource = DescribeConfigsRequest.Resource(
        resource_type=kind, resource_name=name, configuration_keys=list(keys) or None
    )
    return DescribeConfigsRequest(resources=[resource], include_synonyms=True)
