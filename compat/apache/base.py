"""A good request, and what must have happened before it. Both brokers go through the same steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compat.apache.side import Side
from ottla.wire.messages.topics import CreateTopicsRequest
from ottla.wire.schema import Request

FIXED = "fixed"
"""A topic of three partitions that no case changes. Partition 0 holds ten records, of which two have been deleted."""

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


def create_topic(side: Side, name: str, partitions: int = 1) -> None:
    """Make a topic and wait until it is served. Raises RuntimeError if it cannot be made."""
    topic = CreateTopicsRequest.Topic(
        name=name,
        num_partitions=partitions,
        replication_factor=1,
        assignments=[],
        configs=[CreateTopicsRequest.Topic.Config(name=key, value=value) for key, value in KEEP_ALL.items()],
    )
    answer = side.ask(CreateTopicsRequest(topics=[topic], timeout_ms=30_000))
    if answer.topics[0].error_code:
        raise RuntimeError(f"{side.name}: {answer}")
    side.settle(name)


def own_topic(side: Side) -> None:
    """Make the case's own topic, of two partitions."""
    create_topic(side, side.topic, 2)
