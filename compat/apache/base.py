"""A good request, and what must have happened before it. Both brokers go through the same steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compat.apache.side import Side, StepError
from ottla.wire.messages.topics import CreateTopicsRequest
from ottla.wire.schema import Request

FIXED = "fixed"
"""A topic of three partitions that no case changes. Partition 0 holds ten records, of which two have been deleted."""

MARKED = "marked"
"""A topic whose settings show how far the broker has followed its controller."""

KEEP_ALL = {"retention.ms": "-1"}
"""The records are from long ago, so that their timestamps are the same at each run."""


@dataclass(frozen=True)
class Base:
    """`make` builds the request for one side; `before` brings that side into the state that it needs."""

    name: str
    make: Callable[[Side], Request]
    before: Callable[[Side], None] | None = None
    first_version: int = 0
    last_version: int = 99
    mutate: bool = True
    keep: str = ""
    """A field that is not changed."""


SPARE_TOPICS = 50
"""Number of topics made at a time: one request of Apache's controller takes as long for many as for one."""


def create_topic(side: Side, name: str, partitions: int = 1) -> None:
    """Make a topic and wait until it is served. Raises StepError if it cannot be made."""
    _create_topics(side, [name], partitions)


def _create_topics(side: Side, names: Sequence[str], partitions: int) -> None:
    topics = [
        CreateTopicsRequest.Topic(
            name=name,
            num_partitions=partitions,
            replication_factor=1,
            assignments=[],
            configs=[CreateTopicsRequest.Topic.Config(name=key, value=value) for key, value in KEEP_ALL.items()],
        )
        for name in names
    ]
    answer = side.ask(CreateTopicsRequest(topics=topics, timeout_ms=30_000))
    if any(topic.error_code for topic in answer.topics):
        raise StepError(f"{side.name}: {answer}")
    side.settle(*names)


def own_topic(side: Side) -> None:
    """Give the case a topic of its own, of two partitions."""
    if not side.spare_topics:
        names = [f"spare-topic-{side.case}-{number}" for number in range(SPARE_TOPICS)]
        _create_topics(side, names, 2)
        side.spare_topics.extend(reversed(names))
    side.use_topic(side.spare_topics.pop())
