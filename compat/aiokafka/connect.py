"""How a scenario gets clients of aiokafka, topics and records. Older versions take some of it from kafka-python."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from compat_program import Job, check, check_equal

try:
    from aiokafka import errors
except ImportError:
    from kafka import errors


@asynccontextmanager
async def running(client: Any) -> AsyncIterator[Any]:
    """A client that is started, and stopped at the end."""
    await client.start()
    try:
        yield client
    finally:
        await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())


def admin_client(job: Job) -> Any:
    return running(AIOKafkaAdminClient(bootstrap_servers=job.bootstrap))


def make_producer(job: Job, **settings: Any) -> Any:
    return running(AIOKafkaProducer(bootstrap_servers=job.bootstrap, **settings))


def make_consumer(job: Job, **settings: Any) -> Any:
    defaults = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
    return running(AIOKafkaConsumer(bootstrap_servers=job.bootstrap, **(defaults | settings)))


async def eventually(action: Callable[[], Awaitable[object]], what: str, seconds: float = 20.0) -> None:
    """Until `action` answers something true; errors of Kafka count as not yet."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = await action()
        except errors.KafkaError as error:
            last = error
        else:
            if last:
                return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds:.0f} s, last {last!r}")


def raise_for(answer: Any) -> None:
    """Raise the error that an answer about topics carries; this client leaves that to its user."""
    found = getattr(answer, "topic_errors", None) or getattr(answer, "topic_error_codes", ())
    for _, code, *_ in found:
        if code:
            raise errors.for_code(code)


async def create_topic(job: Job, partitions: int = 1, configs: dict[str, str] | None = None) -> None:
    async with admin_client(job) as admin:
        raise_for(await admin.create_topics([NewTopic(job.topic, partitions, 1, topic_configs=configs or {})]))

        async def visible() -> bool:
            found = (await admin.describe_topics([job.topic]))[0]
            ready = [partition for partition in found["partitions"] if partition["leader"] >= 0]
            return found["error_code"] == 0 and len(ready) == partitions

        await eventually(visible, "the new topic is visible")


async def delete_topic(job: Job) -> None:
    async with admin_client(job) as admin:
        raise_for(await admin.delete_topics([job.topic]))

        async def gone() -> bool:
            return job.topic not in await admin.list_topics()

        await eventually(gone, "the topic is gone")


def partitions_of(job: Job, count: int) -> list[TopicPartition]:
    return [TopicPartition(job.topic, partition) for partition in range(count)]


async def poll_until(consumer: Any, count: int, seconds: float = 30.0) -> list[Any]:
    """At least `count` records."""
    records: list[Any] = []
    deadline = time.monotonic() + seconds
    while len(records) < count:
        check(time.monotonic() < deadline, f"{len(records)} of {count} records within {seconds:.0f} s")
        for batch in (await consumer.getmany(timeout_ms=200)).values():
            records += batch
    return records


async def read_from_start(job: Job, count: int, partitions: int = 1, **settings: Any) -> list[Any]:
    """The topic's records, of which there are `count` and no more."""
    async with make_consumer(job, **settings) as consumer:
        consumer.assign(partitions_of(job, partitions))
        await consumer.seek_to_beginning()
        records = await poll_until(consumer, count)
        for batch in (await consumer.getmany(timeout_ms=300)).values():
            records += batch
    check_equal(len(records), count, "records read")
    return records


async def send_numbered(job: Job, count: int, partitions: int = 1, start: int | None = None, **settings: Any) -> None:
    async with make_producer(job, **settings) as producer:
        futures = [
            await producer.send(
                job.topic,
                str(number).encode(),
                partition=number % partitions,
                timestamp_ms=None if start is None else start + number * 1000,
            )
            for number in range(count)
        ]
        await asyncio.gather(*futures)
