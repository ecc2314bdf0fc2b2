"""aiokafka's scenarios; its roles stand in roles.py."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import roles
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from compat_program import Job, an_hour_ago, check, check_equal, expected_records, main
from connect import (
    admin_client,
    create_topic,
    delete_topic,
    errors,
    make_consumer,
    make_producer,
    partitions_of,
    poll_until,
    read_from_start,
    send_numbered,
)

try:
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
    from aiokafka.structs import OffsetAndMetadata
except ImportError:
    from kafka.admin.config_resource import ConfigResource, ConfigResourceType
    from kafka.structs import OffsetAndMetadata

TEN_MEGABYTES = 10 * 1024 * 1024


async def produce(job: Job, codec: str) -> None:
    await create_topic(job, partitions=3)
    sent = expected_records(job.get("records", 100), job.get("value_bytes", 1000))
    async with make_producer(job, compression_type=None if codec == "none" else codec, linger_ms=20) as producer:
        futures = [
            await producer.send(
                job.topic,
                record["value"],
                key=record["key"],
                headers=record["headers"],
                timestamp_ms=record["timestamp"],
            )
            for record in sent
        ]
        places = [(place.partition, place.offset) for place in await asyncio.gather(*futures)]
    received = {(one.partition, one.offset): one for one in await read_from_start(job, len(sent), partitions=3)}
    for place, record in zip(places, sent, strict=True):
        back = received[place]
        check_equal(back.key, record["key"], "key")
        check_equal(back.value, record["value"], "value")
        check_equal([tuple(header) for header in back.headers], record["headers"], "headers")
        check_equal(back.timestamp, record["timestamp"], "timestamp")
    keyed = {(record.key, record.partition) for record in received.values() if record.key}
    check_equal(len(keyed), len({key for key, _ in keyed}), "partitions per key")


async def consume_from_start(job: Job) -> None:
    await create_topic(job, partitions=2)
    await send_numbered(job, 100, partitions=2)
    values = [record.value for record in await read_from_start(job, 100, partitions=2)]
    check_equal(sorted(values, key=int), [str(number).encode() for number in range(100)], "values")


async def consume_from_end(job: Job) -> None:
    await create_topic(job)
    await send_numbered(job, 50)
    async with make_consumer(job, auto_offset_reset="latest") as consumer:
        consumer.assign(partitions_of(job, 1))
        check_equal(await consumer.position(TopicPartition(job.topic, 0)), 50, "position")
        await send_numbered(job, 10)
        offsets = [record.offset for record in await poll_until(consumer, 10)]
    check_equal(offsets, list(range(50, 60)), "offsets")


async def consume_from_timestamp(job: Job) -> None:
    await create_topic(job)
    start = an_hour_ago()
    await send_numbered(job, 50, start=start, linger_ms=50)
    partition = TopicPartition(job.topic, 0)
    async with make_consumer(job) as consumer:
        consumer.assign([partition])
        for timestamp, offset in ((start - 5, 0), (start + 25_000, 25), (start + 25_001, 26)):
            found = (await consumer.offsets_for_times({partition: timestamp}))[partition]
            check_equal(found.offset, offset, f"offset at {timestamp - start}")
            check_equal(found.timestamp, start + offset * 1000, f"timestamp at {timestamp - start}")
        check_equal((await consumer.offsets_for_times({partition: start + 50_000}))[partition], None, "after the last")
        consumer.seek(partition, 25)
        check_equal((await poll_until(consumer, 1))[0].value, b"25", "first value")


async def idempotent_produce(job: Job) -> None:
    await create_topic(job)
    await send_numbered(job, 1000, enable_idempotence=True, max_batch_size=200)
    values = [record.value for record in await read_from_start(job, 1000)]
    check_equal(values, [str(number).encode() for number in range(1000)], "values")


async def retention_of(admin: AIOKafkaAdminClient, topic: str) -> str | None:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    for answer in await admin.describe_configs([resource]):
        for _code, _message, _type, _name, entries in answer.resources:
            for name, value, *_ in entries:
                if name == "retention.ms":
                    return str(value)
    return None


async def topics(job: Job) -> None:
    await create_topic(job, partitions=3, configs={"retention.ms": "123456789"})
    async with admin_client(job) as admin:
        check(job.topic in await admin.list_topics(), "the topic is listed")
        described = (await admin.describe_topics([job.topic]))[0]
        check_equal(len(described["partitions"]), 3, "partitions")
        check_equal(await retention_of(admin, job.topic), "123456789", "retention.ms")
    try:
        await create_topic(job)
        raise AssertionError("created twice")
    except errors.TopicAlreadyExistsError:
        pass
    await send_numbered(job, 5)
    await delete_topic(job)
    await create_topic(job, partitions=5)
    await send_numbered(job, 1)
    await read_from_start(job, 1, partitions=5)


async def auto_create_topic(job: Job) -> None:
    await send_numbered(job, 3)
    await read_from_start(job, 3)


async def large_record(job: Job) -> None:
    await create_topic(job, configs={"max.message.bytes": str(12 * 1024 * 1024)})
    value = os.urandom(TEN_MEGABYTES)
    settings = {"max_request_size": 12 * 1024 * 1024, "max_batch_size": 12 * 1024 * 1024}
    async with make_producer(job, **settings) as producer:
        await producer.send_and_wait(job.topic, value, partition=0)
    records = await read_from_start(job, 1, max_partition_fetch_bytes=12 * 1024 * 1024)
    check(records[0].value == value, "the value comes back equal")


async def thousand_partitions(job: Job) -> None:
    await create_topic(job, partitions=1000)
    chosen = (0, 1, 499, 999)
    async with make_producer(job) as producer:
        for partition in chosen:
            place = await producer.send_and_wait(job.topic, b"x", partition=partition)
            check_equal(place.offset, 0, "offset")
    records = await read_from_start(job, len(chosen), partitions=1000)
    check_equal(sorted(record.partition for record in records), list(chosen), "partitions with records")
    await delete_topic(job)


async def commit_metadata(job: Job) -> None:
    await create_topic(job, partitions=3)
    await send_numbered(job, 30, partitions=3)
    first, second, third = partitions_of(job, 3)
    async with make_consumer(job, group_id=job.group) as consumer:
        consumer.assign([first, second, third])
        await consumer.commit({first: (7, "où en étions-nous"), second: 3})
    async with admin_client(job) as admin:
        back = await admin.list_consumer_group_offsets(job.group)
    check_equal(back[first], OffsetAndMetadata(7, "où en étions-nous"), "commit")
    check_equal(back[second], OffsetAndMetadata(3, ""), "commit without metadata")
    async with make_consumer(job, group_id=job.group) as consumer:
        consumer.assign([first, second, third])
        check_equal(await consumer.committed(third), None, "no commit")
        lowest: dict[int, int] = {}
        for record in await poll_until(consumer, 3 + 7 + 10):
            lowest.setdefault(record.partition, record.offset)
    check_equal(lowest, {0: 7, 1: 3, 2: 0}, "resumes at the commits")


async def admin_groups(job: Job) -> None:
    await create_topic(job, partitions=2)
    await send_numbered(job, 10, partitions=2)
    async with admin_client(job) as admin:

        async def described() -> tuple[str, int]:
            (answer,) = await admin.describe_consumer_groups([job.group])
            code, group, state, _type, _protocol, members, *_ = answer.groups[0]
            check_equal((code, group), (0, job.group), "description")
            return state, len(members)

        async with make_consumer(job, group_id=job.group) as consumer:
            consumer.subscribe([job.topic])
            await poll_until(consumer, 10)
            await consumer.commit()
            check(job.group in {group for group, *_ in await admin.list_consumer_groups()}, "the group is listed")
            check_equal(await described(), ("Stable", 1), "while it runs")
        check_equal(await described(), ("Empty", 0), "after its member left")


async def consumer_lag(job: Job) -> None:
    await create_topic(job)
    await send_numbered(job, 20)
    partition = TopicPartition(job.topic, 0)
    async with make_consumer(job, group_id=job.group) as consumer:
        consumer.assign([partition])
        await consumer.commit({partition: 5})
        async with admin_client(job) as admin:
            committed = (await admin.list_consumer_group_offsets(job.group))[partition].offset
        end = (await consumer.end_offsets([partition]))[partition]
    check_equal(end - committed, 15, "lag")


async def delete_records(job: Job) -> None:
    from aiokafka.admin import RecordsToDelete

    await create_topic(job)
    await send_numbered(job, 20)
    partition = TopicPartition(job.topic, 0)
    async with admin_client(job) as admin:
        answer = await admin.delete_records({partition: RecordsToDelete(10)})
    check_equal(answer[partition], 10, "low watermark")
    async with make_consumer(job) as consumer:
        check_equal((await consumer.beginning_offsets([partition]))[partition], 10, "first offset")
    offsets = [record.offset for record in await read_from_start(job, 10)]
    check_equal(offsets, list(range(10, 20)), "offsets")


Scenario = Callable[[Job], Awaitable[None]]


def as_plain(scenario: Scenario) -> Callable[[Job], None]:
    """A coroutine behind the names that the harness' protocol calls."""

    def run(job: Job) -> None:
        async def whole() -> None:
            await scenario(job)

        asyncio.run(whole())

    return run


SCENARIOS: dict[str, Scenario] = {
    "consume-from-start": consume_from_start,
    "consume-from-end": consume_from_end,
    "consume-from-timestamp": consume_from_timestamp,
    "idempotent-produce": idempotent_produce,
    "topics": topics,
    "auto-create-topic": auto_create_topic,
    "large-record": large_record,
    "thousand-partitions": thousand_partitions,
    "commit-metadata": commit_metadata,
    "admin-groups": admin_groups,
    "consumer-lag": consumer_lag,
    "delete-records": delete_records,
}

if __name__ == "__main__":
    main(
        {name: as_plain(scenario) for name, scenario in (SCENARIOS | roles.ROLES).items()},
        [("produce-", lambda job, codec: as_plain(lambda same: produce(same, codec))(job))],
    )
