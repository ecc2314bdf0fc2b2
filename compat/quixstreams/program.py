"""Quix Streams: a stateful word count."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections import Counter
from typing import Any

from compat_program import Job, check, check_equal, main
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from quixstreams import Application, State

LINES = ["to be or not to be", "that is the question", "to sleep or to dream"]
QUIET = 6.0  # seconds without a record after which the work is done


def create_topics(job: Job, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": job.bootstrap})
    for name in (job.topic, counts_topic(job)):
        admin.create_topics([NewTopic(name, partitions, 1)])[name].result(30)


def counts_topic(job: Job) -> str:
    return f"{job.topic}-counts"


def produce(job: Job, lines: list[str], partitions: int = 1) -> None:
    producer = Producer({"bootstrap.servers": job.bootstrap})
    for number, line in enumerate(lines):
        producer.produce(job.topic, line.encode(), partition=number % partitions)
    check_equal(producer.flush(30), 0, "records not sent")


def count(row: dict[str, Any], state: State) -> dict[str, Any]:
    total = state.get("total", 0) + 1
    state.set("total", total)
    return {"word": row["word"], "count": total}


def application(job: Job, state_folder: str) -> Application:
    """Counts the words of the topic's lines into the topic of counts."""
    app = Application(
        broker_address=job.bootstrap,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        commit_interval=0.5,
        state_dir=state_folder,
    )
    lines = app.topic(job.topic, value_deserializer="str")
    counts = app.topic(counts_topic(job), value_serializer="json")
    frame = app.dataframe(lines)
    frame = frame.apply(lambda line: [{"word": word} for word in line.split()], expand=True)
    frame.group_by("word").apply(count, stateful=True).to_topic(counts)
    return app


def run_until_quiet(job: Job) -> None:
    """One instance with a state folder of its own, which is empty."""
    with tempfile.TemporaryDirectory() as folder:
        application(job, folder).run(timeout=QUIET)


def read_counts(job: Job, partitions: int = 1) -> tuple[Counter[str], int]:
    """The highest count of each word, and how many counts there are."""
    consumer = Consumer({"bootstrap.servers": job.bootstrap, "group.id": f"{job.group}-reader"})
    wanted, left = [], 0
    for number in range(partitions):
        partition = TopicPartition(counts_topic(job), number, OFFSET_BEGINNING)
        low, high = consumer.get_watermark_offsets(partition, timeout=20)
        wanted.append(partition)
        left += high - low
    consumer.assign(wanted)
    found: Counter[str] = Counter()
    records, deadline = left, time.monotonic() + 30
    while left and time.monotonic() < deadline:
        for message in consumer.consume(100, timeout=0.5):
            check(not message.error(), str(message.error()))
            row = json.loads(message.value())
            found[row["word"]] = max(found[row["word"]], row["count"])
            left -= 1
    consumer.close()
    check_equal(left, 0, "counts left to read")
    return found, records


def words(lines: list[str]) -> Counter[str]:
    return Counter(word for line in lines for word in line.split())


def check_counts(job: Job, lines: list[str], partitions: int = 1) -> None:
    found, records = read_counts(job, partitions)
    check_equal(found, words(lines), "counts")
    # A clean stop commits, so that nothing is counted twice.
    check_equal(records, sum(words(lines).values()), "records with counts")


def word_count(job: Job) -> None:
    create_topics(job, 1)
    produce(job, LINES)
    run_until_quiet(job)
    check_counts(job, LINES)


def state_restored(job: Job) -> None:
    word_count(job)
    produce(job, LINES)
    run_until_quiet(job)
    check_counts(job, 2 * LINES)


def scaled_out(job: Job) -> None:
    create_topics(job, 4)
    lines = 10 * LINES
    produce(job, lines, partitions=4)
    with tempfile.TemporaryDirectory() as folder:
        first, second = (application(job, f"{folder}/{name}") for name in ("first", "second"))
        other = threading.Thread(target=second.run, kwargs={"timeout": 2 * QUIET})
        other.start()
        first.run(timeout=2 * QUIET)
        other.join(60)
        check(not other.is_alive(), "the second instance ends")
    found, _ = read_counts(job, partitions=4)
    check(all(found[word] >= total for word, total in words(lines).items()), f"counts {found}")


if __name__ == "__main__":
    main({"word-count": word_count, "state-restored": state_restored, "scaled-out": scaled_out})
