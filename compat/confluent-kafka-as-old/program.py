"""Runs librdkafka against a broker that it takes for an old one, in every codec of that time."""

from __future__ import annotations

import time
from typing import Any

from compat_program import Job, check, check_equal, main
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE, Consumer, Message, Producer, TopicPartition

COUNT = 300
CODECS = ("none", "gzip", "snappy", "lz4")
RECORDS = [
    (b"k%d" % number if number % 3 else None, b"v%d" % number if number % 5 else None) for number in range(COUNT)
]
WAIT_S = 30.0


def speak(version: str) -> Any:
    """A scenario in which the broker is said to be of that version, and not asked."""

    def scenario(job: Job) -> None:
        settings = {
            "bootstrap.servers": job.bootstrap,
            "api.version.request": "false",
            "broker.version.fallback": version,
        }
        for codec in CODECS:
            start = int(time.time() * 1000)
            write(settings | {"compression.codec": codec}, f"{job.topic}-{codec}")
            consumer = Consumer(
                settings
                | {"group.id": f"{job.group}-{codec}", "auto.offset.reset": "earliest", "enable.auto.commit": False}
            )
            read(consumer, TopicPartition(f"{job.topic}-{codec}", 0), start, tuple(map(int, version.split("."))))
            consumer.close()

    return scenario


def write(settings: dict[str, str], topic: str) -> None:
    """The records; their offsets are counted from 0."""
    offsets: list[int] = []
    errors: list[object] = []

    def delivered(error: object, message: Message) -> None:
        if error:
            errors.append(error)
        else:
            offsets.append(message.offset())

    producer = Producer(settings | {"linger.ms": "20"})
    for key, value in RECORDS:
        producer.produce(topic, key=key, value=value, on_delivery=delivered)
    check_equal(producer.flush(WAIT_S), 0, "records that were not acknowledged")
    check_equal(errors, [], "the errors")
    check_equal(offsets, list(range(COUNT)), "the offsets")


def read(consumer: Consumer, partition: TopicPartition, start: int, version: tuple[int, ...]) -> None:
    """All records in a group, with a commit; and the offset of a time where it may be asked for."""
    consumer.subscribe([partition.topic])
    found: list[Message] = []
    deadline = time.monotonic() + WAIT_S
    while len(found) < COUNT:
        check(time.monotonic() < deadline, f"{len(found)} of {COUNT} records within {WAIT_S:.0f} s")
        message = consumer.poll(0.5)
        if message is not None:
            check(message.error() is None, str(message.error()))
            found.append(message)
    check_equal([message.offset() for message in found], list(range(COUNT)), "the offsets that were read")
    check_equal([(message.key(), message.value()) for message in found], RECORDS, "the records")
    check_times([message.timestamp() for message in found], start, version)
    consumer.commit(asynchronous=False)
    check_equal(consumer.committed([partition], WAIT_S)[0].offset, COUNT, "the committed offset")
    check_equal(consumer.get_watermark_offsets(partition, WAIT_S), (0, COUNT), "the log's start and end")
    if version >= (0, 10, 2):
        (place,) = consumer.offsets_for_times([TopicPartition(partition.topic, partition.partition, start)], WAIT_S)
        check_equal(place.offset, 0, "the offset of the first record's time")


def check_times(times: list[tuple[int, int]], start: int, version: tuple[int, ...]) -> None:
    """Messages of v0 have no times; those of v1 have the producer's."""
    kinds = {kind for kind, _ in times}
    if version < (0, 10):
        check_equal(kinds, {TIMESTAMP_NOT_AVAILABLE}, "the times of messages of v0")
    else:
        check_equal(kinds, {TIMESTAMP_CREATE_TIME}, "the kind of times")
        check(all(start <= at <= time.time() * 1000 for _, at in times), "a record's time is not of this run")


if __name__ == "__main__":
    main({f"as-to-{version}": speak(version) for version in ("0.9.0", "0.10.0", "0.10.2")})
