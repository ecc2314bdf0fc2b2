"""A member of a group, by librdkafka, that reads and commits through all rounds, and notes what it was given.

What a consumer has seen must stay what it is, whatever becomes of the broker; and it goes on where its group has
committed, so that nothing is left out.
"""

import threading
from collections.abc import Sequence

from confluent_kafka import Consumer

from ottla.testing import Ottla
from tests.crash.gate import Gate
from tests.crash.journal import NAMED, BrokenPromiseError, Journal

BACKOFF_MS = 100
PATIENCE_S = 60.0


class GroupConsumer:
    """Reads the partitions of one topic."""

    def __init__(self, broker: Ottla, gate: Gate, journals: Sequence[Journal]) -> None:
        self._gate = gate
        self._name = f"consumer of {journals[0].topic}"
        self._journals = {each.partition: each for each in journals}
        self._seen: dict[int, list[bytes]] = {each.partition: [] for each in journals}
        self._ends: dict[int, int] | None = None
        self._consumer = Consumer(
            {
                "bootstrap.servers": broker.bootstrap,
                "group.id": self._name,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": 6000,
                "heartbeat.interval.ms": 500,
                "retry.backoff.ms": BACKOFF_MS,
                "reconnect.backoff.ms": BACKOFF_MS,
                "reconnect.backoff.max.ms": BACKOFF_MS,
                "log_level": 0,
            }
        )
        self._consumer.subscribe([journals[0].topic])
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Return when all that the journals hold has been read; compare it. Raises BrokenPromiseError."""
        self._ends = {partition: len(journal.values) for partition, journal in self._journals.items()}
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            read = {partition: len(seen) for partition, seen in self._seen.items()}
            raise BrokenPromiseError(f"the {self._name} has read {read} of {self._ends} in {PATIENCE_S} s")
        self._consumer.close()
        for partition, journal in self._journals.items():
            if self._seen[partition] != journal.values:
                raise BrokenPromiseError(f"the {self._name} was given something else than {journal} holds")

    def _run(self) -> None:
        try:
            while self._ends is None or any(len(self._seen[each]) < end for each, end in self._ends.items()):
                messages = self._consumer.consume(500, timeout=0.2)
                for message in messages:
                    if message.error() is None:
                        self._take(message.partition() or 0, message.offset() or 0, message.value() or b"")
                if messages:
                    self._consumer.commit(asynchronous=True)
        except BaseException as error:
            self._gate.fail(error, waits=False)

    def _take(self, partition: int, offset: int, value: bytes) -> None:
        seen = self._seen[partition]
        if offset > len(seen):
            raise BrokenPromiseError(f"the {self._name} was given {offset} of {partition} after {len(seen) - 1}")
        if offset == len(seen):
            seen.append(value)
        elif seen[offset] != value:
            before, now = seen[offset][:NAMED], value[:NAMED]
            raise BrokenPromiseError(f"the {self._name} was given {before!r} at {offset} of {partition}, then {now!r}")
