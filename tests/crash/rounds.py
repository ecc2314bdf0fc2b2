"""Rounds of work and murder: a broker under load is killed at some moment, started again, and held to its word.

What is looked at after each start: every acknowledged record at the offset that was told, once, in its writer's order,
in batches with the bytes that were sent; nothing that nobody sent; no gap; the last acknowledged commit of each group.
"""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from ottla.testing import BrokerFailedError, Ottla
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.topics import CreateTopicsRequest
from tests.crash.gate import Gate
from tests.crash.group_consumer import GroupConsumer
from tests.crash.journal import BrokenPromiseError, Journal
from tests.crash.stock_clients import KafkaPythonProducer, LibrdkafkaProducer
from tests.crash.workers import BytesProducer, Committer, Worker
from tests.stage.clients import fetch_request
from tests.stage.raw import RawClient

FETCH_VERSION = 12
SMALL_SEGMENTS = {"retention.ms": "-1", "internal.segment.bytes": "65536", "index.interval.bytes": "512"}
TOPICS = {
    "cached": {},
    "synced": {"flush.messages": "1"},
    "timed": {"flush.ms": "20", "flush.messages": "500"},
}
"""One for each policy."""
MOST_RECORDS = 2000
LONGEST_START_S = 0.6
LONGEST_STOP_S = 0.05


class Rounds:
    """A broker with its data, those who work on it, and what they were told."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._random = Random(seed)
        self.broker = Ottla(data_dir=folder, config={"log.flush.offset.checkpoint.interval.ms": 200})
        self.journals = [Journal(topic, partition) for topic in TOPICS for partition in (0, 1)]
        self.workers: list[Worker] = []
        self.committers: list[Committer] = []
        self.kinds: dict[str, int] = {}
        """Counts how often the broker ended in each way."""

    def run(self, rounds: int) -> Iterator[int]:
        """Do so many rounds; yields after each how many records are there. Raises BrokenPromiseError."""
        with self._running():
            self._make_topics()
            gate = self._hire()
            consumer = GroupConsumer(self.broker, gate, [each for each in self.journals if each.topic == "cached"])
            consumer.start()
            with self._stock_producers(gate):
                for _ in range(rounds):
                    self._round(gate)
                    yield sum(len(journal.values) for journal in self.journals)
                gate.open_until(1)
                gate.end()
                for worker in self.workers:
                    worker.thread.join()
            self._look()
            consumer.end()
            self._look_at_everything_again()
            self.broker.restart()
            self._look_at_everything_again()
            if gate.trouble:
                raise gate.trouble[0]

    @contextmanager
    def _running(self) -> Iterator[None]:
        self.broker.start()
        try:
            yield
        finally:
            self.broker.kill()
            self.broker.close()

    def _make_topics(self) -> None:
        topics = [
            CreateTopicsRequest.Topic(
                name=name,
                num_partitions=2,
                replication_factor=1,
                assignments=[],
                configs=[
                    CreateTopicsRequest.Topic.Config(name=key, value=value)
                    for key, value in {**SMALL_SEGMENTS, **configs}.items()
                ],
            )
            for name, configs in TOPICS.items()
        ]
        with RawClient(self.broker) as client:
            answers = client.ask(CreateTopicsRequest(topics=topics), 4).topics
        assert {each.error_code for each in answers} == {0}, answers

    def _hire(self) -> Gate:
        """In partition 0 of each topic, producers of bytes, one alone and idempotent, two more where they meet."""
        gate = Gate(3 * len(TOPICS))
        for topic in TOPICS:
            alone, shared = (each for each in self.journals if each.topic == topic)
            self.workers += [
                BytesProducer(self.broker, gate, alone, name=f"{topic}-idempotent", idempotent=True),
                BytesProducer(self.broker, gate, shared, name=f"{topic}-plain", idempotent=False),
            ]
            self.committers.append(Committer(self.broker, gate, name=f"group-{topic}", topic=topic))
        self.workers += self.committers
        for worker in self.workers:
            worker.thread.start()
        return gate

    @contextmanager
    def _stock_producers(self, gate: Gate) -> Iterator[None]:
        """Two clients of other people's, in partitions that a plain producer writes to as well."""
        shared = {each.topic: each for each in self.journals if each.partition == 1}
        clients: Sequence[KafkaPythonProducer | LibrdkafkaProducer] = (
            KafkaPythonProducer(self.broker, gate, shared["cached"]),
            LibrdkafkaProducer(self.broker, gate, shared["synced"]),
        )
        for client in clients:
            client.start()
        yield
        for client in clients:
            client.end()

    # One round.

    def _round(self, gate: Gate) -> None:
        gate.open_until(self._random.randint(1, MOST_RECORDS))
        gate.close()
        promised = [journal.promised() for journal in self.journals]
        self._end_the_broker()
        gate.wait_for_all()
        self._start_again()
        self._look()
        for journal, acknowledged in zip(self.journals, promised, strict=True):
            journal.check(acknowledged)

    def _end_the_broker(self) -> None:
        """Kill it; sometimes while it stops."""
        if self._random.random() < 0.8:
            self._note("killed at work")
        else:
            self._note("killed while it stopped")
            os.kill(self.broker.pid, signal.SIGTERM)
            threading.Event().wait(self._random.random() * LONGEST_STOP_S)  # the moment is what is tried
        self.broker.kill()

    def _start_again(self) -> None:
        """Start it; sometimes it is killed before it is ready, while it recovers."""
        if self._random.random() < 0.2:
            self._note("killed while it started")
            patience, self.broker.start_timeout = self.broker.start_timeout, self._random.random() * LONGEST_START_S
            with suppress(BrokerFailedError):
                self.broker.start()
            self.broker.start_timeout = patience
            self.broker.kill()
        self.broker.start()

    def _note(self, kind: str) -> None:
        self.kinds[kind] = self.kinds.get(kind, 0) + 1

    # Looking.

    def _look(self) -> None:
        """Read what is new in each partition, and what each group has committed."""
        with RawClient(self.broker) as client:
            for journal in self.journals:
                self._read_on(client, journal)
            for committer in self.committers:
                committer.check(client)

    def _read_on(self, client: RawClient, journal: Journal) -> None:
        while True:
            request = fetch_request((journal.topic, journal.partition, len(journal.values)))
            [answer] = client.ask(request, FETCH_VERSION).responses[0].partitions
            if answer.error_code:
                raise BrokenPromiseError(f"{journal} cannot be read: {ErrorCode(answer.error_code).name}")
            if not answer.records:
                return
            journal.take(bytes(answer.records))

    def _look_at_everything_again(self) -> None:
        """Read all partitions from their start and compare with what was read before."""
        with RawClient(self.broker) as client:
            for journal in self.journals:
                again = Journal(journal.topic, journal.partition)
                again.ledgers = journal.ledgers
                self._read_on(client, again)
                again.check(journal.promised())
                if again.values != journal.values:
                    raise BrokenPromiseError(
                        f"{journal} has {len(again.values)} records; they are not the {len(journal.values)}"
                    )
