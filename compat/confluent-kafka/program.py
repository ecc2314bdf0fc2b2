"""confluent-kafka's (librdkafka's) scenarios and roles."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, ResourceType

# librdkafka's own names; it has no eager sticky assignor.
ASSIGNORS = {"eager": "range", "cooperative": "cooperative-sticky"}
TEN_MEGABYTES = 10 * 1024 * 1024
CREATE_TIME = 1


def settings_of(job: Job, settings: dict[str, Any]) -> dict[str, Any]:
    return {"bootstrap.servers": job.bootstrap} | settings


def make_admin(job: Job) -> AdminClient:
    return AdminClient(settings_of(job, {}))


def make_producer(job: Job, **settings: Any) -> Producer:
    return Producer(settings_of(job, {name.replace("_", "."): value for name, value in settings.items()}))


def make_consumer(job: Job, **settings: Any) -> Consumer:
    defaults = {"group.id": job.group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    return Consumer(settings_of(job, defaults | {name.replace("_", "."): value for name, value in settings.items()}))


def create_topic(job: Job, partitions: int = 1, configs: dict[str, str] | None = None) -> None:
    admin = make_admin(job)
    configs = configs or job.get("configs", {})
    topic = NewTopic(job.topic, num_partitions=partitions, replication_factor=1, config=configs or {})
    admin.create_topics([topic])[job.topic].result(30)

    def visible() -> bool:
        found = admin.list_topics(topic=job.topic, timeout=5).topics[job.topic]
        return found.error is None and len(found.partitions) == partitions

    eventually(visible, "the new topic is visible")


def partitions_of(job: Job, count: int, offset: int = OFFSET_BEGINNING) -> list[TopicPartition]:
    return [TopicPartition(job.topic, partition, offset) for partition in range(count)]


def poll_until(consumer: Consumer, count: int, timeout: float = 30.0) -> list[Any]:
    """`count` records."""
    records: list[Any] = []
    deadline = time.monotonic() + timeout
    while len(records) < count:
        check(time.monotonic() < deadline, f"{len(records)} of {count} records within {timeout:.0f} s")
        for message in consumer.consume(count - len(records), timeout=0.2):
            if message.error():
                raise KafkaException(message.error())
            records.append(message)
    return records


def read_from_start(job: Job, count: int, partitions: int = 1, **settings: Any) -> list[Any]:
    """The topic's records, of which there are `count` and no more."""
    consumer = make_consumer(job, **settings)
    consumer.assign(partitions_of(job, partitions))
    records = poll_until(consumer, count)
    check_equal(consumer.consume(1, timeout=0.3), [], "further records")
    consumer.close()
    return records


class Delivered:
    """Collects delivery reports: value (or the given mark) -> message."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.errors: list[Any] = []

    def __call__(self, error: Any, message: Any) -> None:
        if error is None:
            self.messages.append(message)
        else:
            self.errors.append(error)

    def flush(self, producer: Producer, count: int) -> None:
        producer.flush(60)
        check_equal(self.errors, [], "delivery errors")
        check_equal(len(self.messages), count, "deliveries")


def send_numbered(job: Job, count: int, partitions: int = 1, start_time: int | None = None, **settings: Any) -> None:
    producer, delivered = make_producer(job, **settings), Delivered()
    for number in range(count):
        timestamp = {} if start_time is None else {"timestamp": start_time + number * 1000}
        producer.produce(
            job.topic, str(number).encode(), partition=number % partitions, on_delivery=delivered, **timestamp
        )
        producer.poll(0)
    delivered.flush(producer, count)


def produce(job: Job, codec: str) -> None:
    create_topic(job, partitions=3)
    sent = expected_records(job.get("records", 100), job.get("value_bytes", 1000))
    producer = make_producer(job, compression_type=codec, linger_ms=20)
    places: dict[int, tuple[int, int]] = {}
    for number, record in enumerate(sent):

        def delivered(error: Any, message: Any, number: int = number) -> None:
            check(error is None, f"delivery: {error}")
            places[number] = (message.partition(), message.offset())

        producer.produce(
            job.topic,
            record["value"],
            key=record["key"],
            headers=record["headers"],
            timestamp=record["timestamp"],
            on_delivery=delivered,
        )
    producer.flush(30)
    check_equal(len(places), len(sent), "deliveries")
    received = {(message.partition(), message.offset()): message for message in read_from_start(job, len(sent), 3)}
    for number, record in enumerate(sent):
        back = received[places[number]]
        check_equal(back.key(), record["key"], "key")
        check_equal(back.value(), record["value"], "value")
        check_equal(back.headers() or [], record["headers"], "headers")
        check_equal(back.timestamp(), (CREATE_TIME, record["timestamp"]), "timestamp")
    keyed = {(message.key(), message.partition()) for message in received.values() if message.key()}
    check_equal(len(keyed), len({key for key, _ in keyed}), "partitions per key")


def consume_from_start(job: Job) -> None:
    create_topic(job, partitions=2)
    send_numbered(job, 100, partitions=2)
    values = [message.value() for message in read_from_start(job, 100, partitions=2)]
    check_equal(sorted(values, key=int), [str(number).encode() for number in range(100)], "values")


def consume_from_end(job: Job) -> None:
    create_topic(job)
    send_numbered(job, 50)
    consumer = make_consumer(job, auto_offset_reset="latest", enable_partition_eof=True)
    consumer.assign([TopicPartition(job.topic, 0)])
    message = consumer.poll(20)
    check(message is not None and message.error(), "the end of the partition is reached")
    check_equal((message.error().code(), message.offset()), (KafkaError._PARTITION_EOF, 50), "end of the partition")
    send_numbered(job, 10)
    offsets: list[int] = []
    deadline = time.monotonic() + 20
    while len(offsets) < 10 and time.monotonic() < deadline:
        offsets += [message.offset() for message in consumer.consume(20, timeout=0.2) if not message.error()]
    consumer.close()
    check_equal(offsets, list(range(50, 60)), "offsets")


def consume_from_timestamp(job: Job) -> None:
    create_topic(job)
    start = an_hour_ago()
    send_numbered(job, 50, start_time=start, linger_ms=50)
    consumer = make_consumer(job)
    for timestamp, offset in ((start - 5, 0), (start + 25_000, 25), (start + 25_001, 26), (start + 50_000, -1)):
        found = consumer.offsets_for_times([TopicPartition(job.topic, 0, timestamp)], timeout=20)[0]
        # librdkafka's -1 (OFFSET_END): no record at or after that time.
        check_equal(found.offset, offset, f"offset at {timestamp - start}")
    consumer.assign([TopicPartition(job.topic, 0, 25)])
    check_equal(poll_until(consumer, 1)[0].value(), b"25", "first value")
    consumer.close()


def idempotent_produce(job: Job) -> None:
    create_topic(job)
    send_numbered(job, 1000, enable_idempotence=True, batch_num_messages=10, linger_ms=0)
    values = [message.value() for message in read_from_start(job, 1000)]
    check_equal(values, [str(number).encode() for number in range(1000)], "values")


def topics(job: Job) -> None:
    admin = make_admin(job)
    create_topic(job, partitions=3, configs={"retention.ms": "123456789"})
    found = admin.list_topics(timeout=10).topics
    check(job.topic in found, "the topic is listed")
    check_equal(len(found[job.topic].partitions), 3, "partitions")
    check(all(partition.leader >= 0 for partition in found[job.topic].partitions.values()), "leaders")
    resource = ConfigResource(ResourceType.TOPIC, job.topic)
    configs = admin.describe_configs([resource])[resource].result(10)
    check_equal(configs["retention.ms"].value, "123456789", "retention.ms")
    try:
        admin.create_topics([NewTopic(job.topic, 1, 1)])[job.topic].result(10)
        raise AssertionError("created twice")
    except KafkaException as error:
        check_equal(error.args[0].code(), KafkaError.TOPIC_ALREADY_EXISTS, "code")
    send_numbered(job, 5)
    admin.delete_topics([job.topic])[job.topic].result(20)
    eventually(lambda: job.topic not in admin.list_topics(timeout=10).topics, "the topic is gone")

    def recreate() -> bool:
        create_topic(job, partitions=5)
        return True

    eventually(recreate, "the topic is created again")
    send_numbered(job, 1)
    read_from_start(job, 1, partitions=5)


def auto_create_topic(job: Job) -> None:
    send_numbered(job, 3)
    read_from_start(job, 3)


def large_record(job: Job) -> None:
    create_topic(job, configs={"max.message.bytes": str(12 * 1024 * 1024)})
    value = os.urandom(TEN_MEGABYTES)
    producer, delivered = make_producer(job, message_max_bytes=12 * 1024 * 1024), Delivered()
    producer.produce(job.topic, value, partition=0, on_delivery=delivered)
    delivered.flush(producer, 1)
    records = read_from_start(job, 1, fetch_message_max_bytes=12 * 1024 * 1024)
    check(records[0].value() == value, "the value comes back equal")


def thousand_partitions(job: Job) -> None:
    create_topic(job, partitions=1000)
    admin = make_admin(job)
    found = admin.list_topics(topic=job.topic, timeout=20).topics[job.topic]
    check(all(partition.leader >= 0 for partition in found.partitions.values()), "leaders")
    chosen = (0, 1, 499, 999)
    producer, delivered = make_producer(job), Delivered()
    for partition in chosen:
        producer.produce(job.topic, b"x", partition=partition, on_delivery=delivered)
    delivered.flush(producer, len(chosen))
    records = read_from_start(job, len(chosen), partitions=1000)
    check_equal(sorted(message.partition() for message in records), list(chosen), "partitions with records")
    admin.delete_topics([job.topic])[job.topic].result(30)


def commit_metadata(job: Job) -> None:
    create_topic(job, partitions=3)
    send_numbered(job, 30, partitions=3)
    consumer = make_consumer(job)
    with_metadata = TopicPartition(job.topic, 0, 7, metadata="où en étions-nous")
    done = consumer.commit(offsets=[with_metadata, TopicPartition(job.topic, 1, 3)], asynchronous=False)
    check_equal([partition.error for partition in done], [None, None], "errors")
    consumer.close()
    consumer = make_consumer(job)
    first, second, third = consumer.committed(partitions_of(job, 3), timeout=20)
    check_equal((first.offset, first.metadata), (7, "où en étions-nous"), "commit")
    check_equal((second.offset, second.metadata or ""), (3, ""), "commit without metadata")
    check(third.offset < 0, "no commit")
    consumer.assign([TopicPartition(job.topic, 0)])
    check_equal(poll_until(consumer, 1)[0].offset(), 7, "resumes at the commit")
    consumer.close()


def admin_groups(job: Job) -> None:
    create_topic(job, partitions=2)
    send_numbered(job, 10, partitions=2)
    admin = make_admin(job)
    consumer = make_consumer(job)
    consumer.subscribe([job.topic])
    poll_until(consumer, 10)
    consumer.commit(asynchronous=False)

    def listed(**filters: Any) -> set[str]:
        answer = admin.list_consumer_groups(**filters).result(20)
        check_equal(answer.errors, [], "errors")
        return {group.group_id for group in answer.valid}

    def described() -> Any:
        return admin.describe_consumer_groups([job.group])[job.group].result(20)

    check(job.group in listed(), "the group is listed")
    check_equal((described().state, len(described().members)), (ConsumerGroupState.STABLE, 1), "while it runs")
    assigned = described().members[0].assignment.topic_partitions
    check_equal(sorted(partition.partition for partition in assigned), [0, 1], "assignment")
    consumer.close()
    check_equal((described().state, described().members), (ConsumerGroupState.EMPTY, []), "after its member left")
    check(job.group in listed(states={ConsumerGroupState.EMPTY}), "listed among the empty ones")
    check(job.group not in listed(states={ConsumerGroupState.STABLE}), "not listed among the stable ones")
    admin.delete_consumer_groups([job.group])[job.group].result(20)
    check(job.group not in listed(), "the group is gone")


def consumer_lag(job: Job) -> None:
    from confluent_kafka.admin import OffsetSpec  # 2.0 has none

    create_topic(job)
    send_numbered(job, 20)
    consumer = make_consumer(job)
    consumer.commit(offsets=[TopicPartition(job.topic, 0, 5)], asynchronous=False)
    consumer.close()
    admin = make_admin(job)
    request = ConsumerGroupTopicPartitions(job.group)
    committed = admin.list_consumer_group_offsets([request])[job.group].result(20).topic_partitions[0].offset
    partition = TopicPartition(job.topic, 0)
    end = admin.list_offsets({partition: OffsetSpec.latest()})[partition].result(20).offset
    check_equal(end - committed, 15, "lag")


def delete_records(job: Job) -> None:
    create_topic(job)
    send_numbered(job, 20)
    partition = TopicPartition(job.topic, 0, 10)
    admin = make_admin(job)  # its answers stop when it is garbage
    answer = admin.delete_records([partition])[partition].result(20)
    check_equal(answer.low_watermark, 10, "low watermark")
    consumer = make_consumer(job)
    check_equal(consumer.get_watermark_offsets(partition, timeout=20), (10, 20), "watermarks")
    consumer.close()
    offsets = [message.offset() for message in read_from_start(job, 10)]
    check_equal(offsets, list(range(10, 20)), "offsets")


# Roles


def role_create(job: Job) -> None:
    create_topic(job, partitions=job.partitions)


def role_delete(job: Job) -> None:
    admin = make_admin(job)
    admin.delete_topics([job.topic])[job.topic].result(20)
    eventually(lambda: job.topic not in admin.list_topics(timeout=10).topics, "the topic is gone")


def role_grow(job: Job) -> None:
    admin = make_admin(job)
    admin.create_partitions([NewPartitions(job.topic, job.partitions)])[job.topic].result(20)


def role_reset(job: Job) -> None:
    admin = make_admin(job)
    offsets = [TopicPartition(job.topic, int(number), offset) for number, offset in job.options["offsets"].items()]
    done = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(job.group, offsets)])[job.group].result(20)
    check_equal([partition.error for partition in done.topic_partitions], [None] * len(offsets), "errors")


def age_setting(job: Job) -> dict[str, Any]:
    """How often metadata is asked for; topics that are gone are then noticed as soon."""
    age = job.get("metadata_max_age_ms", None)
    return {"topic_metadata_refresh_interval_ms": age, "topic_metadata_propagation_max_ms": age} if age else {}


def role_producer(job: Job) -> None:
    job.listen()
    producer = make_producer(
        job, enable_idempotence=True, reconnect_backoff_max_ms=1000, linger_ms=5, **age_setting(job)
    )
    pause = 1 / job.get("rate", 100)
    sent = 0

    def delivered(error: Any, message: Any) -> None:
        if error is None:
            emit("acked", partition=message.partition(), offset=message.offset(), value=message.value().decode())
        else:
            emit("refused", error=str(error))

    while not job.stopped.is_set():
        value = numbered_value(job, sent).encode()
        try:
            producer.produce(job.topic, value, partition=sent % job.partitions, on_delivery=delivered)
        except KafkaException as error:  # a partition that it does not know yet
            emit("refused", error=str(error))
        sent += 1
        following = time.monotonic() + pause
        while (left := following - time.monotonic()) > 0 and not job.stopped.is_set():
            producer.poll(min(left, 0.2))
    producer.flush(50)
    emit("done", sent=sent)


def emit_record(message: Any) -> None:
    emit(
        "record",
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        value=message.value().decode(),
        headers={name: value.decode() for name, value in message.headers() or []},
    )


class DeadLetters:
    """Sends the records that the program cannot take to another topic; does nothing when none is named."""

    def __init__(self, job: Job) -> None:
        self.topic = job.get("dead_letter", None)
        self.producer = make_producer(job) if self.topic else None

    def take(self, message: Any) -> None:
        if self.producer and message.value().endswith(b"7"):
            headers = dead_letter_headers(message.topic(), message.partition(), message.offset())
            delivered = Delivered()
            self.producer.produce(self.topic, message.value(), headers=headers, on_delivery=delivered)
            delivered.flush(self.producer, 1)


class Member:
    """One consumer of a group; says what it owns, under its number when there are several."""

    def __init__(self, job: Job, number: int | None = None) -> None:
        settings = {"group_instance_id": job.options["instance_id"]} if job.get("instance_id", None) else {}
        if wait := job.get("max_wait_ms", None):
            settings |= {"fetch_wait_max_ms": wait, "socket_timeout_ms": 2 * wait}
        self.job = job
        self.fields = {} if number is None else {"member": number}
        self.owned: set[int] = set()
        self.paused = False
        self.letters = DeadLetters(job)
        self.consumer = make_consumer(
            job,
            session_timeout_ms=job.get("session_timeout_ms", 6000),
            max_poll_interval_ms=300_000,
            heartbeat_interval_ms=500 if number is None else 3000,
            reconnect_backoff_max_ms=1000,
            partition_assignment_strategy=ASSIGNORS[job.get("assignor", "eager")],
            **age_setting(job),
            **settings,
        )
        topic = job.get("pattern", job.topic)
        self.consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def _report(self) -> None:
        emit("assignment", partitions=sorted(self.owned), **self.fields)

    def _assigned(self, _: Any, partitions: list[Any]) -> None:
        self.owned.update(partition.partition for partition in partitions)
        self._report()

    def _revoked(self, _: Any, partitions: list[Any]) -> None:
        self.owned.difference_update(partition.partition for partition in partitions)
        self._report()

    def follow_pauses(self) -> None:
        if self.job.paused != self.paused:
            self.paused = self.job.paused
            (self.consumer.pause if self.paused else self.consumer.resume)(self.consumer.assignment())
            emit("paused" if self.paused else "resumed")

    def turn(self, timeout: float = 0.1) -> None:
        """One poll, and the commit of what it gave."""
        self.follow_pauses()
        offsets: dict[tuple[str, int], int] = {}
        for message in self.consumer.consume(100, timeout=timeout):
            if message.error():
                emit("poll-error", error=str(message.error()))
                continue
            offsets[message.topic(), message.partition()] = message.offset() + 1
            self.letters.take(message)
            emit_record(message)
        if offsets:
            wanted = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
            try:
                self.consumer.commit(offsets=wanted, asynchronous=False)
            except KafkaException as error:
                emit("not-committed", error=str(error))
            else:
                emit("committed", offsets={partition: offset for (_, partition), offset in offsets.items()})


def role_member(job: Job) -> None:
    job.listen()
    member = Member(job)
    while not job.stopped.is_set():
        member.turn()
    member.consumer.close()


def role_crowd(job: Job) -> None:
    job.listen()
    members = [Member(job, number) for number in range(job.options["members"])]
    while not job.stopped.is_set():
        for member in members:
            member.turn(timeout=0.005)
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda member: member.consumer.close(), members))


def role_read(job: Job) -> None:
    consumer = make_consumer(job)
    partitions = [
        TopicPartition(job.topic, number, OFFSET_BEGINNING) for number in job.get("only", range(job.partitions))
    ]
    left = 0
    for partition in partitions:
        low, high = consumer.get_watermark_offsets(partition, timeout=20)
        left += high - low
    consumer.assign(partitions)
    for message in poll_until(consumer, left):
        emit_record(message)
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
            "crowd": role_crowd,
            "producer": role_producer,
            "member": role_member,
            "read": role_read,
        },
        [("produce-", produce)],
    )
