"""kafka-python's scenarios and roles."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import api
from compat_program import (
    Job,
    an_hour_ago,
    check,
    check_equal,
    dead_letter_headers,
    emit,
    eventually,
    expected_records,
    main,
    numbered_value,
)
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.consumer.subscription_state import ConsumerRebalanceListener

TEN_MEGABYTES = 10 * 1024 * 1024


def connection(job: Job) -> dict[str, Any]:
    """Where to connect to; `api_version` makes it speak as to a broker of that version."""
    version = job.get("api_version", None)
    return {"bootstrap_servers": job.bootstrap} | ({"api_version": tuple(version)} if version else {})


def admin_client(job: Job) -> KafkaAdminClient:
    return KafkaAdminClient(**connection(job))


def create_topic(job: Job, partitions: int = 1, configs: dict[str, str] | None = None, name: str = "") -> None:
    admin = admin_client(job)
    api.create_topic(admin, name or job.topic, partitions, configs or {})

    def visible() -> bool:
        leaders = api.leaders(admin, name or job.topic)
        return len(leaders) == partitions and min(leaders) >= 0

    eventually(visible, "the new topic is visible")
    admin.close()


def make_producer(job: Job, **settings: Any) -> KafkaProducer:
    return KafkaProducer(**connection(job), **settings)


def make_consumer(job: Job, **settings: Any) -> KafkaConsumer:
    defaults = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
    return KafkaConsumer(**connection(job), **(defaults | settings))


def partitions_of(job: Job, count: int) -> list[TopicPartition]:
    return [TopicPartition(job.topic, partition) for partition in range(count)]


def poll_until(consumer: KafkaConsumer, count: int, timeout: float = 30.0) -> list[Any]:
    """At least `count` records."""
    records: list[Any] = []
    deadline = time.monotonic() + timeout
    while len(records) < count:
        check(time.monotonic() < deadline, f"{len(records)} of {count} records within {timeout:.0f} s")
        # Long polls: kafka-python 3.0 may lose the answer to a SyncGroup that is under way when a poll ends.
        for batch in consumer.poll(timeout_ms=1000).values():
            records += batch
    return records


def read_from_start(job: Job, count: int, partitions: int = 1, **settings: Any) -> list[Any]:
    """The topic's records, of which there are `count` and no more."""
    consumer = make_consumer(job, **settings)
    consumer.assign(partitions_of(job, partitions))
    consumer.seek_to_beginning()
    records = poll_until(consumer, count)
    for batch in consumer.poll(timeout_ms=300).values():
        records += batch
    consumer.close()
    check_equal(len(records), count, "records read")
    return records


def send_numbered(job: Job, count: int, partitions: int = 1, **settings: Any) -> None:
    producer = make_producer(job, **settings)
    futures = [producer.send(job.topic, str(number).encode(), partition=number % partitions) for number in range(count)]
    producer.flush()
    for future in futures:
        future.get(timeout=10)
    producer.close()


def produce(job: Job, codec: str) -> None:
    create_topic(job, partitions=3)
    sent = expected_records(job.get("records", 100), job.get("value_bytes", 1000))
    producer = make_producer(job, compression_type=None if codec == "none" else codec, linger_ms=20)
    futures = []
    for record in sent:
        futures.append(
            producer.send(
                job.topic,
                record["value"],
                key=record["key"],
                headers=record["headers"],
                timestamp_ms=record["timestamp"],
            )
        )
    places = [(future.get(timeout=30).partition, future.get().offset) for future in futures]
    producer.close()
    received = {(record.partition, record.offset): record for record in read_from_start(job, len(sent), partitions=3)}
    for place, record in zip(places, sent, strict=True):
        back = received[place]
        check_equal(back.key, record["key"], "key")
        check_equal(back.value, record["value"], "value")
        check_equal([tuple(header) for header in back.headers], record["headers"], "headers")
        check_equal(back.timestamp, record["timestamp"], "timestamp")
    keyed = {(record.key, record.partition) for record in received.values() if record.key}
    check_equal(len(keyed), len({key for key, _ in keyed}), "partitions per key")


def consume_from_start(job: Job) -> None:
    create_topic(job, partitions=2)
    send_numbered(job, 100, partitions=2)
    values = [record.value for record in read_from_start(job, 100, partitions=2)]
    check_equal(sorted(values, key=int), [str(number).encode() for number in range(100)], "values")


def consume_from_end(job: Job) -> None:
    create_topic(job)
    send_numbered(job, 50)
    consumer = make_consumer(job, auto_offset_reset="latest")
    consumer.assign(partitions_of(job, 1))
    check_equal(consumer.position(TopicPartition(job.topic, 0)), 50, "position")
    send_numbered(job, 10)
    offsets = [record.offset for record in poll_until(consumer, 10)]
    consumer.close()
    check_equal(offsets, list(range(50, 60)), "offsets")


def consume_from_timestamp(job: Job) -> None:
    create_topic(job)
    start = an_hour_ago()
    producer = make_producer(job, linger_ms=50)
    for number in range(50):
        producer.send(job.topic, str(number).encode(), partition=0, timestamp_ms=start + number * 1000)
    producer.flush()
    producer.close()
    partition = TopicPartition(job.topic, 0)
    consumer = make_consumer(job)
    consumer.assign([partition])
    for timestamp, offset in ((start - 5, 0), (start + 25_000, 25), (start + 25_001, 26)):
        found = consumer.offsets_for_times({partition: timestamp})[partition]
        check_equal(found.offset, offset, f"offset at {timestamp - start}")
        check_equal(found.timestamp, start + offset * 1000, f"timestamp at {timestamp - start}")
    check_equal(consumer.offsets_for_times({partition: start + 50_000})[partition], None, "after the last")
    consumer.seek(partition, 25)
    check_equal(poll_until(consumer, 1)[0].value, b"25", "first value")
    consumer.close()


def idempotent_produce(job: Job) -> None:
    create_topic(job)
    send_numbered(job, 1000, **api.IDEMPOTENT, batch_size=200)
    values = [record.value for record in read_from_start(job, 1000)]
    check_equal(values, [str(number).encode() for number in range(1000)], "values")


def topics(job: Job) -> None:
    admin = admin_client(job)
    create_topic(job, partitions=3, configs={"retention.ms": "123456789"})
    check(job.topic in admin.list_topics(), "the topic is listed")
    check_equal(len(api.leaders(admin, job.topic)), 3, "partitions")
    check_equal(api.topic_config(admin, job.topic, "retention.ms"), "123456789", "retention.ms")
    try:
        api.create_topic(admin, job.topic, 1, {})
        raise AssertionError("created twice")
    except kafka_errors.TopicAlreadyExistsError:
        pass
    send_numbered(job, 5)
    admin.delete_topics([job.topic])
    eventually(lambda: job.topic not in admin.list_topics(), "the topic is gone")

    def recreate() -> bool:
        create_topic(job, partitions=5)
        return True

    eventually(recreate, "the topic is created again")
    check_equal(len(api.leaders(admin, job.topic)), 5, "partitions")
    send_numbered(job, 1)
    read_from_start(job, 1, partitions=5)
    admin.close()


def auto_create_topic(job: Job) -> None:
    send_numbered(job, 3)
    read_from_start(job, 3)


def large_record(job: Job) -> None:
    create_topic(job, configs={"max.message.bytes": str(12 * 1024 * 1024)})
    value = os.urandom(TEN_MEGABYTES)
    producer = make_producer(job, max_request_size=12 * 1024 * 1024)
    producer.send(job.topic, value, partition=0).get(timeout=60)
    producer.close()
    records = read_from_start(job, 1, max_partition_fetch_bytes=12 * 1024 * 1024)
    check(records[0].value == value, "the value comes back equal")


def thousand_partitions(job: Job) -> None:
    create_topic(job, partitions=1000)
    admin = admin_client(job)
    check_equal(len(api.leaders(admin, job.topic)), 1000, "partitions")
    chosen = (0, 1, 499, 999)
    producer = make_producer(job, retries=1000)  # 2.0 tries once, and Apache may need some seconds.
    for partition in chosen:
        check_equal(producer.send(job.topic, b"x", partition=partition).get(timeout=30).offset, 0, "offset")
    producer.close()
    records = read_from_start(job, len(chosen), partitions=1000)
    check_equal(sorted(record.partition for record in records), list(chosen), "partitions with records")
    admin.delete_topics([job.topic], timeout_ms=25_000)
    admin.close()


def commit_metadata(job: Job) -> None:
    create_topic(job, partitions=3)
    send_numbered(job, 30, partitions=3)
    first, second, third = partitions_of(job, 3)
    consumer = make_consumer(job, group_id=job.group)
    consumer.assign([first, second, third])
    consumer.commit({first: api.commit(7, "où en étions-nous"), second: api.commit(3)})
    consumer.close()
    consumer = make_consumer(job, group_id=job.group)
    consumer.assign([first, second, third])
    back = consumer.committed(first, metadata=True)
    check_equal((back.offset, back.metadata), (7, "où en étions-nous"), "commit")
    back = consumer.committed(second, metadata=True)
    check_equal((back.offset, back.metadata or ""), (3, ""), "commit without metadata")
    check_equal(consumer.committed(third), None, "no commit")
    records = poll_until(consumer, 13 + 0)
    starts = {partition.partition: consumer.position(partition) for partition in (first, second)}
    check_equal(min(record.offset for record in records if record.partition == 0), 7, "resumes at the commit")
    check(starts[1] >= 3, "position of the second partition")
    consumer.close()


def admin_groups(job: Job) -> None:
    create_topic(job, partitions=2)
    send_numbered(job, 10, partitions=2)
    admin = admin_client(job)
    consumer = make_consumer(job, group_id=job.group)
    consumer.subscribe([job.topic])
    poll_until(consumer, 10)
    consumer.commit()
    check(job.group in api.groups(admin), "the group is listed")
    check_equal(api.described(admin, job.group), ("Stable", 1), "while it runs")
    consumer.close()
    check_equal(api.described(admin, job.group), ("Empty", 0), "after its member left")
    check(job.group in api.groups(admin, "Empty"), "listed among the empty ones")
    api.delete_group(admin, job.group)
    check(job.group not in api.groups(admin), "the group is gone")
    admin.close()


def consumer_lag(job: Job) -> None:
    create_topic(job)
    send_numbered(job, 20)
    partition = TopicPartition(job.topic, 0)
    consumer = make_consumer(job, group_id=job.group)
    consumer.assign([partition])
    consumer.commit({partition: api.commit(5)})
    consumer.close()
    admin = admin_client(job)
    check_equal(api.end(admin, partition) - api.committed(admin, job.group, partition), 15, "lag")
    admin.close()


def delete_records(job: Job) -> None:
    create_topic(job)
    send_numbered(job, 20)
    admin = admin_client(job)
    partition = TopicPartition(job.topic, 0)
    answer = admin.delete_records({partition: 10})[partition]
    check_equal(answer["low_watermark"], 10, "low watermark")
    consumer = make_consumer(job)
    check_equal(consumer.beginning_offsets([partition])[partition], 10, "first offset")
    consumer.close()
    offsets = [record.offset for record in read_from_start(job, 10)]
    check_equal(offsets, list(range(10, 20)), "offsets")
    admin.close()


# Roles


def role_create(job: Job) -> None:
    create_topic(job, partitions=job.partitions, configs=job.get("configs", {}))


def role_delete(job: Job) -> None:
    admin = admin_client(job)
    admin.delete_topics([job.topic])
    eventually(lambda: job.topic not in admin.list_topics(), "the topic is gone")
    admin.close()


def role_grow(job: Job) -> None:
    admin = admin_client(job)
    api.grow(admin, job.topic, job.partitions)
    admin.close()


def role_reset(job: Job) -> None:
    admin = admin_client(job)
    offsets = {TopicPartition(job.topic, int(number)): offset for number, offset in job.options["offsets"].items()}
    api.set_offsets(admin, job.group, offsets)
    admin.close()


def role_producer(job: Job) -> None:
    job.listen()
    custom = job.get("partitioner", None) == "reversed"
    more: dict[str, Any] = {"partitioner": api.ReversedPartitioner()} if custom else {}
    if age := job.get("metadata_max_age_ms", None):
        more["metadata_max_age_ms"] = age
    producer = make_producer(job, acks="all", reconnect_backoff_max_ms=1000, **api.IDEMPOTENT, **more)
    pause = 1 / job.get("rate", 100)
    sent = 0

    def acked(metadata: Any, value: str) -> None:
        emit("acked", partition=metadata.partition, offset=metadata.offset, value=value)

    def refused(error: BaseException) -> None:
        emit("refused", error=repr(error))

    while not job.stopped.wait(pause):
        value = numbered_value(job, sent)
        place = {"key": str(sent).encode()} if custom else {"partition": sent % job.partitions}
        try:
            future = producer.send(job.topic, value.encode(), **place)
        except (AssertionError, ValueError) as error:  # a partition that it does not know yet
            refused(error)
        else:
            future.add_callback(acked, value=value)
            future.add_errback(refused)
        sent += 1
    producer.flush(timeout=50)
    producer.close()
    emit("done", sent=sent)


class Reporter(ConsumerRebalanceListener):  # type: ignore[misc]
    """Marks that the assignment may have changed; called on the client's own thread."""

    def __init__(self) -> None:
        self.rebalances = 0

    def on_partitions_revoked(self, revoked: Any) -> None:
        self.rebalances += 1

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.rebalances += 1


def emit_record(record: Any) -> None:
    emit(
        "record",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        value=record.value.decode(),
        headers={name: value.decode() for name, value in record.headers},
    )


class DeadLetters:
    """Sends the records that the program cannot take to another topic; does nothing when none is named."""

    def __init__(self, job: Job) -> None:
        self.topic = job.get("dead_letter", None)
        self.producer = make_producer(job) if self.topic else None

    def take(self, record: Any) -> None:
        if self.producer and record.value.endswith(b"7"):
            headers = dead_letter_headers(record.topic, record.partition, record.offset)
            self.producer.send(self.topic, record.value, headers=headers).get(timeout=20)


def follow_pauses(job: Job, consumer: KafkaConsumer) -> None:
    if job.paused != bool(consumer.paused()):
        if job.paused:
            consumer.pause(*consumer.assignment())
        else:
            consumer.resume(*consumer.paused())
        emit("paused" if job.paused else "resumed")


def role_member(job: Job) -> None:
    job.listen()
    more: dict[str, Any] = {}
    if age := job.get("metadata_max_age_ms", None):
        more["metadata_max_age_ms"] = age
    if instance := job.get("instance_id", None):
        more["group_instance_id"] = instance
    if wait := job.get("max_wait_ms", None):
        more |= {"fetch_max_wait_ms": wait, "request_timeout_ms": 3 * wait, "connections_max_idle_ms": 4 * wait}
    consumer = make_consumer(
        job,
        group_id=job.group,
        session_timeout_ms=job.get("session_timeout_ms", 6000),
        heartbeat_interval_ms=500,
        reconnect_backoff_max_ms=1000,
        partition_assignment_strategy=(api.ASSIGNORS[job.get("assignor", "eager")],),
        **more,
    )
    reporter, reported, letters = Reporter(), (-1, set()), DeadLetters(job)
    if pattern := job.get("pattern", None):
        consumer.subscribe(pattern=pattern, listener=reporter)
    else:
        # Otherwise it may lead the group before it knows the topic's partitions, assign none, and join again.
        eventually(lambda: consumer.partitions_for_topic(job.topic), "the topic's partitions are known")
        consumer.subscribe([job.topic], listener=reporter)
    while not job.stopped.is_set():
        follow_pauses(job, consumer)
        try:
            # Long, because a poll that ends in the middle of a join can leave this client without heartbeats.
            batches = consumer.poll(timeout_ms=1000)
        except kafka_errors.KafkaError as error:  # the broker restarts, the topic is gone
            emit("poll-error", error=repr(error))
            continue
        owned = {partition.partition for partition in consumer.assignment()}
        if reported != (reporter.rebalances, owned):
            reported = (reporter.rebalances, owned)
            emit("assignment", partitions=sorted(owned))
        for record in records_in(batches):
            letters.take(record)
            emit_record(record)
        if batches:
            offsets = {tp: api.commit(batch[-1].offset + 1) for tp, batch in batches.items()}
            try:
                consumer.commit(offsets)
            except kafka_errors.KafkaError as error:
                emit("not-committed", error=repr(error))
            else:
                emit("committed", offsets={tp.partition: offset.offset for tp, offset in offsets.items()})
    consumer.close()


def records_in(batches: dict[Any, list[Any]]) -> Iterator[Any]:
    for batch in batches.values():
        yield from batch


def role_read(job: Job) -> None:
    consumer = make_consumer(job)
    partitions = [TopicPartition(job.topic, number) for number in job.get("only", range(job.partitions))]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    consumer.seek_to_beginning()
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for record in records_in(consumer.poll(timeout_ms=200)):
            emit_record(record)
    consumer.close()


if __name__ == "__main__":
    main(
        {
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
            "create": role_create,
            "delete": role_delete,
            "grow": role_grow,
            "reset": role_reset,
            "producer": role_producer,
            "member": role_member,
            "read": role_read,
        },
        [("produce-", produce)],
    )
