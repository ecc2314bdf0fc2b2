"""Requests of a producer and a consumer, in the words of the tests."""

import struct
from collections.abc import Sequence
from typing import Any

from ottla.broker.topics.topic import Topic
from ottla.wire.messages.fetch import FetchRequest
from ottla.wire.messages.produce import ProduceRequest
from ottla.wire.records import Record, build_batch
from ottla.wire.schema import ZERO_UUID
from tests.stage.single_broker import Broker

NEWEST_PRODUCE = 12
NEWEST_FETCH = 12
"""The newest versions that name topics; later ones use ids."""

FetchPartition = FetchRequest.Topic.Partition


def new_topic(broker: Broker, name: str = "topic", partitions: int = 1, **configs: str) -> Topic:
    """A topic on the broker; underscores stand for dots in the names of settings."""
    return broker.cluster.topics.create(
        name,
        assignments=[[1]] * partitions,
        configs={key.replace("_", "."): value for key, value in configs.items()},
    )


def batch_of(
    values: Sequence[bytes | None] = (b"value",),
    *,
    key: bytes | None = b"key",
    timestamp: int | None = None,
    producer: tuple[int, int, int] = (-1, -1, -1),
    **options: Any,
) -> bytearray:
    """A batch as a producer sends it; ``producer`` is id, epoch, first sequence. Timestamps rise by a millisecond."""
    producer_id, epoch, sequence = producer
    first = 1_700_000_000_000 if timestamp is None else timestamp
    return build_batch(
        [Record(0, first + index, key, value) for index, value in enumerate(values)],
        producer_id=producer_id,
        producer_epoch=epoch,
        base_sequence=sequence,
        **options,
    )


def produce(
    broker: Broker,
    batch: bytes | bytearray | None = None,
    *,
    topic: str = "topic",
    topic_id: bytes = ZERO_UUID,
    partition: int = 0,
    acks: int = -1,
    version: int = NEWEST_PRODUCE,
) -> Any:
    """Produce one batch; the partition's answer."""
    data = ProduceRequest.Topic.Partition(index=partition, records=batch_of() if batch is None else batch)
    request = ProduceRequest(
        acks=acks,
        timeout_ms=1000,
        topic_data=[ProduceRequest.Topic(name=topic, topic_id=topic_id, partition_data=[data])],
    )
    return broker.ask(request, version).responses[0].partition_responses[0]


def fetch_request(
    *positions: tuple[Any, ...],
    max_wait_ms: int = 0,
    min_bytes: int = 0,
    max_bytes: int = 1 << 20,
    session: tuple[int, int] = (0, -1),
    forget: Sequence[tuple[str, int]] = (),
    isolation_level: int = 0,
    replica_id: int = -1,
    **partition: int,
) -> FetchRequest:
    """A fetch of (topic name or id, partition, offset[, max bytes]); ``session`` is its id and epoch."""
    topics: dict[Any, list[Any]] = {}
    for name, index, offset, *rest in positions:
        limit = rest[0] if rest else 1 << 20
        topics.setdefault(name, []).append(
            FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=limit, **partition)
        )
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        session_id=session[0],
        session_epoch=session[1],
        isolation_level=isolation_level,
        replica_id=replica_id,
        topics=[FetchRequest.Topic(**_named(name), partitions=each) for name, each in topics.items()],
        forgotten_topics_data=[
            FetchRequest.ForgottenTopic(**_named(name), partitions=[index]) for name, index in forget
        ],
    )


def _named(topic: str | bytes) -> dict[str, Any]:
    return {"topic": topic} if isinstance(topic, str) else {"topic_id": topic}


def fetch(broker: Broker, *positions: tuple[Any, ...], version: int = NEWEST_FETCH, **options: Any) -> Any:
    """Fetch, and answer the whole response."""
    return broker.ask(fetch_request(*positions, **options), version)


def fetch_one(broker: Broker, offset: int = 0, *, topic: Any = "topic", partition: int = 0, **options: Any) -> Any:
    """Fetch one partition; its answer."""
    return fetch(broker, (topic, partition, offset), **options).responses[0].partitions[0]


def partitions_of(response: Any) -> dict[tuple[Any, int], Any]:
    """The partitions of a fetch response by topic (name, or id where there is none) and index."""
    return {
        (topic.topic or topic.topic_id, each.partition_index): each
        for topic in response.responses
        for each in topic.partitions
    }


def request_bytes(api_key: int, version: int, body: bytes = b"", client: bytes = b"\0\4test") -> bytearray:
    """A request without its size: the header, with the client's id as it goes over the wire, then ``body``."""
    return bytearray(struct.pack(">hhi", api_key, version, 7) + client + body)
