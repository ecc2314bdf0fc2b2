"""Compares what writers were told with what a partition holds: a broker that says "acknowledged" is held to it.

A record is known by its value, which no writer uses twice. A ``Ledger`` is one writer's book, a ``Journal`` is what has
been read of one partition so far; later looks must find all of it unchanged.
"""

import threading
from collections.abc import Iterable

from ottla.wire.batch import BatchHeader, read_header
from ottla.wire.records import read_records
from tests.stage.logs import split

NAMED = 40
"""Length of the beginning of a value that names it, in bytes."""
PATCHED_BYTES = 16
"""The base offset, the length and the leader epoch stand before the part of a batch that nobody may touch."""


class BrokenPromiseError(AssertionError):
    """The partition does not hold what was acknowledged."""


class Ledger:
    """One writer's book for one partition. ``sent`` says in which order, ``acknowledged`` at which offset."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: dict[bytes, int] = {}
        self.acknowledged: dict[bytes, int] = {}
        self.batches: dict[bytes, bytes] = {}
        """The bytes that must be kept, by the value of a batch's first record: for writers who see them."""
        self._lock = threading.Lock()

    def send(self, values: Iterable[bytes], batch: bytes | bytearray | None = None) -> None:
        """Note what goes out, before it does."""
        values = list(values)
        for value in values:
            self.sent[value] = len(self.sent)
        if batch is not None:
            self.batches[values[0]] = bytes(batch[PATCHED_BYTES:])

    def acknowledge(self, values: Iterable[bytes], base_offset: int) -> None:
        """Note what came back."""
        for offset, value in enumerate(values, base_offset):
            with self._lock:  # of clients that call from threads of their own
                known = self.acknowledged.setdefault(value, offset)
            if known != offset:
                raise BrokenPromiseError(
                    f"{self.name}: {value[:NAMED]!r} was acknowledged at {known}, and again at {offset}"
                )

    def promised(self) -> dict[bytes, int]:
        """The records acknowledged by now."""
        with self._lock:
            return dict(self.acknowledged)


class Journal:
    """The content of one partition, as far as it was read; ``values[offset]`` is a record's value."""

    def __init__(self, topic: str, partition: int = 0) -> None:
        self.topic = topic
        self.partition = partition
        self.ledgers: list[Ledger] = []
        self.values: list[bytes] = []
        self._offsets: dict[bytes, int] = {}
        self._last_sent: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"{self.topic}-{self.partition}"

    def ledger(self, name: str) -> Ledger:
        """A new writer's book."""
        ledger = Ledger(name)
        self.ledgers.append(ledger)
        return ledger

    def take(self, data: bytes) -> None:
        """Take in the batches that were read from the end of what is known. Raises BrokenPromiseError."""
        for batch in split(data):
            header = read_header(batch)
            if header.base_offset != len(self.values):
                raise BrokenPromiseError(f"{self}: offset {header.base_offset} comes after {len(self.values) - 1}")
            values = [record.value or b"" for record in read_records(batch)]
            writer = self._writer_of(values[0])
            self._compare_bytes(writer, values, batch, header)
            for value in values:
                self._take_one(writer, value)

    def _writer_of(self, value: bytes) -> Ledger:
        for ledger in self.ledgers:
            if value in ledger.sent:
                return ledger
        raise BrokenPromiseError(f"{self}: nobody sent {value[:NAMED]!r}")

    def _compare_bytes(self, writer: Ledger, values: list[bytes], batch: bytes, header: BatchHeader) -> None:
        if writer.batches and writer.batches.get(values[0]) != batch[PATCHED_BYTES:]:
            raise BrokenPromiseError(
                f"{self}: the batch at {header.base_offset} is not the one that {writer.name} sent"
            )

    def _take_one(self, writer: Ledger, value: bytes) -> None:
        offset = len(self.values)
        if value in self._offsets:
            raise BrokenPromiseError(
                f"{self}: {value[:NAMED]!r} of {writer.name} lies at {self._offsets[value]} and at {offset}"
            )
        if writer.sent[value] <= self._last_sent.get(writer.name, -1):
            raise BrokenPromiseError(f"{self}: {value[:NAMED]!r} of {writer.name} at {offset} is out of order")
        self._last_sent[writer.name] = writer.sent[value]
        self._offsets[value] = offset
        self.values.append(value)

    def promised(self) -> dict[bytes, int]:
        """Return the values that have been acknowledged by now, with their offsets."""
        return {value: offset for ledger in self.ledgers for value, offset in ledger.promised().items()}

    def check(self, promised: dict[bytes, int]) -> None:
        """Find each of these records at its offset. Raises BrokenPromiseError."""
        for value, offset in promised.items():
            if self._offsets.get(value) != offset:
                raise BrokenPromiseError(
                    f"{self}: {value[:NAMED]!r} was acknowledged at {offset}, and lies at {self._offsets.get(value)}; "
                    f"the log ends at {len(self.values)}"
                )
