"""Faust: an agent that counts words in a table."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter

import faust
from aiokafka import AIOKafkaProducer
from compat_program import Job, check, check_equal, main

LINES = ["to be or not to be", "that is the question", "to sleep or to dream"]


class WordCount:
    """One worker of the application, in this process, with its table in memory."""

    def __init__(self, job: Job, folder: str) -> None:
        self.app = faust.App(
            job.group,
            broker=f"kafka://{job.bootstrap}",
            store="memory://",
            datadir=folder,
            topic_partitions=2,
            topic_replication_factor=1,
            broker_commit_interval=0.5,
            web_enabled=False,
            consumer_auto_offset_reset="earliest",
        )
        self.counts = self.app.Table("counts", default=int)
        self.seen = 0
        lines = self.app.topic(job.topic, value_type=bytes, value_serializer="raw")
        words = self.app.topic(f"{job.topic}-words", key_type=str, value_type=str, internal=True)

        @self.app.agent(lines)
        async def split(stream: faust.Stream[bytes]) -> None:
            async for line in stream:
                for word in line.decode().split():
                    await words.send(key=word, value=word)

        @self.app.agent(words)
        async def count(stream: faust.Stream[str]) -> None:
            async for word in stream:
                self.counts[word] += 1
                self.seen += 1

    async def run_until(self, wanted: int) -> Counter[str]:
        """Until `wanted` words have come, and a moment longer; the table then."""
        async with self.app:
            deadline = time.monotonic() + 60
            while self.seen < wanted:
                check(time.monotonic() < deadline, f"{self.seen} of {wanted} words within 60 s")
                await asyncio.sleep(0.1)
            await asyncio.sleep(2)
            check_equal(self.seen, wanted, "words counted")
            return Counter(dict(self.counts.items()))


async def produce(job: Job) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=job.bootstrap)
    await producer.start()
    for line in LINES:
        await producer.send_and_wait(job.topic, line.encode())
    await producer.stop()


def word_count(job: Job) -> None:
    expected = Counter(word for line in LINES for word in line.split())
    with tempfile.TemporaryDirectory() as folder:

        async def whole() -> Counter[str]:
            await produce(job)
            return await WordCount(job, folder).run_until(sum(expected.values()))

        check_equal(asyncio.run(whole()), expected, "counts")


if __name__ == "__main__":
    main({"word-count": word_count})
