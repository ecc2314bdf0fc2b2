"""Runs an old kafka-python against a broker that it takes for an old one, in every codec of that time."""

from __future__ import annotations

from typing import Any

from compat_program import Job, check_equal, main
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

COUNT = 300
CODECS = (None, "gzip", "snappy", "lz4")
NEWEST = (0, 11)
"""The newest words that are tried: in these, what was written in the older ones is read once more."""


def speak(version: str) -> Any:
    """A scenario in which the broker is said to be of that version."""
    api_version = tuple(map(int, version.split(".")))

    def scenario(job: Job) -> None:
        for codec in CODECS:
            if codec == "lz4" and api_version < (0, 8, 2):
                continue
            records = write(job, f"{job.topic}-{codec}", api_version, codec)
            read(job, f"{job.topic}-{codec}", api_version, records)
            if api_version < NEWEST:
                read(job, f"{job.topic}-{codec}", NEWEST, records)

    return scenario


def write(job: Job, topic: str, api_version: tuple[int, ...], codec: str | None) -> list[tuple[Any, Any]]:
    """Records with and without keys and values; their offsets are counted from 0."""
    records = [
        (b"k%d" % number if number % 3 or not number % 5 else None, b"v%d" % number if number % 5 else None)
        for number in range(COUNT)
    ]
    producer = KafkaProducer(
        bootstrap_servers=job.bootstrap, api_version=api_version, compression_type=codec, linger_ms=20
    )
    futures = [producer.send(topic, key=key, value=value) for key, value in records]
    check_equal([future.get(30).offset for future in futures], list(range(COUNT)), "the offsets")
    producer.close()
    return records


def read(job: Job, topic: str, api_version: tuple[int, ...], records: list[tuple[Any, Any]]) -> None:
    """All records, in a group where there are groups, with a commit; and the log's end where it may be asked for."""
    has_groups, has_commits = api_version >= (0, 9), api_version >= (0, 8, 2)
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(
        bootstrap_servers=job.bootstrap,
        api_version=api_version,
        group_id=f"{topic}-{'.'.join(map(str, api_version))}" if has_commits else None,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=10_000,
    )
    if has_groups:
        consumer.subscribe([topic])
    else:
        consumer.assign([partition])
    found = [message for _, message in zip(range(COUNT), consumer, strict=False)]
    check_equal([message.offset for message in found], list(range(COUNT)), "the offsets that were read")
    check_equal([(message.key, message.value) for message in found], records, "the records")
    if api_version < (0, 10):
        check_equal({message.timestamp for message in found}, {None}, "the times of messages of v0")
    if has_commits:
        consumer.commit()
        check_equal(consumer.committed(partition), COUNT, "the committed offset")
    if api_version >= (0, 10, 1):
        check_equal(consumer.end_offsets([partition]), {partition: COUNT}, "the log's end")
    consumer.close()


if __name__ == "__main__":
    main({f"as-to-{version}": speak(version) for version in ("0.8.1", "0.8.2", "0.9", "0.10.0", "0.10.2", "0.11")})
