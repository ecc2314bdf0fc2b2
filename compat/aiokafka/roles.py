"""Roles of the harness: a changer of topics and offsets, a steady producer, members, a reader of all."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from compat_program import Job, dead_letter_headers, emit, numbered_value
from connect import admin_client, create_topic, delete_topic, errors, make_consumer, make_producer

try:
    from aiokafka.admin import NewPartitions
    from aiokafka.coordinator.assignors.range import RangePartitionAssignor
    from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
except ImportError:
    from kafka.admin import NewPartitions
    from kafka.coordinator.assignors.range import RangePartitionAssignor
    from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

ASSIGNORS = {"eager": RangePartitionAssignor, "sticky": StickyPartitionAssignor}


async def create(job: Job) -> None:
    await create_topic(job, partitions=job.partitions, configs=job.get("configs", {}))


async def grow(job: Job) -> None:
    async with admin_client(job) as admin:
        await admin.create_partitions({job.topic: NewPartitions(job.partitions)})


async def reset(job: Job) -> None:
    offsets = {TopicPartition(job.topic, int(number)): offset for number, offset in job.options["offsets"].items()}
    async with make_consumer(job, group_id=job.group) as consumer:
        consumer.assign(list(offsets))
        await consumer.commit(offsets)


def reversed_partitioner(key: bytes, partitions: list[int], available: list[int]) -> int:
    """The number that is the key, counted from the last partition."""
    return sorted(partitions)[-1 - int(key) % len(partitions)]


async def producer(job: Job) -> None:
    job.listen()
    custom = job.get("partitioner", None) == "reversed"
    more: dict[str, Any] = {"partitioner": reversed_partitioner} if custom else {}
    if age := job.get("metadata_max_age_ms", None):
        more["metadata_max_age_ms"] = age
    pause, sent = 1 / job.get("rate", 100), 0
    deliveries: set[asyncio.Task[None]] = set()

    async def delivered(future: Any, value: str) -> None:
        try:
            place = await future
        except errors.KafkaError as error:
            emit("refused", error=repr(error))
        else:
            emit("acked", partition=place.partition, offset=place.offset, value=value)

    async with make_producer(job, enable_idempotence=True, request_timeout_ms=50_000, **more) as client:
        while not job.stopped.is_set():
            value = numbered_value(job, sent)
            place = {"key": str(sent).encode()} if custom else {"partition": sent % job.partitions}
            try:
                future = await client.send(job.topic, value.encode(), **place)
            except (AssertionError, errors.KafkaError) as error:  # a partition that it does not know yet
                emit("refused", error=repr(error))
            else:
                task = asyncio.create_task(delivered(future, value))
                deliveries.add(task)
                task.add_done_callback(deliveries.discard)
            sent += 1
            left = pause
            while left > 0 and not job.stopped.is_set():
                await asyncio.sleep(min(left, 0.2))
                left -= 0.2
        await asyncio.wait_for(asyncio.gather(*deliveries), 50)
    emit("done", sent=sent)


def emit_record(record: Any) -> None:
    emit(
        "record",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        value=record.value.decode(),
        headers={name: value.decode() for name, value in record.headers},
    )


class Member(ConsumerRebalanceListener):  # type: ignore[misc]
    """One consumer of a group; says what it owns, under its number when there are several."""

    def __init__(self, job: Job, number: int | None = None) -> None:
        self.job = job
        self.fields = {} if number is None else {"member": number}
        self.settings: dict[str, Any] = {
            "group_id": job.group,
            "session_timeout_ms": job.get("session_timeout_ms", 6000),
            "rebalance_timeout_ms": 60_000,
            "heartbeat_interval_ms": 500 if number is None else 3000,
            "partition_assignment_strategy": (ASSIGNORS[job.get("assignor", "eager")],),
        }
        if instance := job.get("instance_id", None):  # 0.8 does not know it
            self.settings["group_instance_id"] = instance
        if age := job.get("metadata_max_age_ms", None):
            self.settings["metadata_max_age_ms"] = age
        if wait := job.get("max_wait_ms", None):
            self.settings |= {"fetch_max_wait_ms": wait, "request_timeout_ms": 2 * wait}
        self.paused = False

    async def on_partitions_revoked(self, revoked: Any) -> None:
        emit("assignment", partitions=[], **self.fields)

    async def on_partitions_assigned(self, assigned: Any) -> None:
        emit("assignment", partitions=sorted(partition.partition for partition in assigned), **self.fields)

    async def run(self) -> None:
        """Until the harness says stop."""
        async with AsyncExitStack() as stack:
            consumer = await stack.enter_async_context(make_consumer(self.job, **self.settings))
            letters = None
            if self.job.get("dead_letter", None):
                letters = await stack.enter_async_context(make_producer(self.job))
            if pattern := self.job.get("pattern", None):
                consumer.subscribe(pattern=pattern, listener=self)
            else:
                consumer.subscribe([self.job.topic], listener=self)
            while not self.job.stopped.is_set():
                self._follow_pauses(consumer)
                try:
                    batches = await consumer.getmany(timeout_ms=100, max_records=100)
                except errors.KafkaError as error:  # the topic is gone
                    emit("poll-error", error=repr(error))
                    continue
                await self._take(consumer, letters, batches)

    async def _take(self, consumer: Any, letters: Any, batches: dict[Any, list[Any]]) -> None:
        offsets = {}
        for partition, batch in batches.items():
            for record in batch:
                if letters and record.value.endswith(b"7"):
                    headers = dead_letter_headers(record.topic, record.partition, record.offset)
                    await letters.send_and_wait(self.job.get("dead_letter", ""), record.value, headers=headers)
                emit_record(record)
                offsets[partition] = record.offset + 1
        if not offsets:
            return
        try:
            await consumer.commit(offsets)
        except errors.KafkaError as error:
            emit("not-committed", error=repr(error))
        else:
            emit("committed", offsets={partition.partition: offset for partition, offset in offsets.items()})

    def _follow_pauses(self, consumer: Any) -> None:
        if self.job.paused != self.paused:
            self.paused = self.job.paused
            (consumer.pause if self.paused else consumer.resume)(*consumer.assignment())
            emit("paused" if self.paused else "resumed")


async def member(job: Job) -> None:
    job.listen()
    await Member(job).run()


async def crowd(job: Job) -> None:
    job.listen()
    await asyncio.gather(*(Member(job, number).run() for number in range(job.options["members"])))


async def read(job: Job) -> None:
    partitions = [TopicPartition(job.topic, number) for number in job.get("only", range(job.partitions))]
    async with make_consumer(job) as consumer:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning()
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                for record in batch:
                    emit_record(record)


ROLES = {
    "create": create,
    "delete": delete_topic,
    "grow": grow,
    "reset": reset,
    "producer": producer,
    "member": member,
    "crowd": crowd,
    "read": read,
}
