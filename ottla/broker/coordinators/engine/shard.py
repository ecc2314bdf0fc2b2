"""The interface of a coordinator to the engine: its records, and the state of one partition that they make."""

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from ottla.broker.coordinators.engine.decision import Decision, Now
from ottla.scheduling.promise import Promise
from ottla.storage.appends import Appended
from ottla.wire.codes import ErrorCode

Record = TypeVar("Record")


class Shard(Protocol[Record]):
    """The state of one partition of a coordinator's topic. A key (group, transactional id) is decided about by itself.

    State changes only by ``apply`` and ``end_transaction``, live and on load alike; soft state beside it (members that
    wait, deadlines) is brought in line by decisions' ``on_applied`` and by ``revive``.
    """

    def encode(self, record: Record) -> tuple[bytes, bytes | None]:
        """Return a record's key and value as they stand in the log."""
        ...

    def decode(self, key: bytes | None, value: bytes | None) -> Record | int:
        """Return the record of a key and value, or the number of its type if that is unknown. Raises ProtocolError."""
        ...

    def replay(self, record: Record, *, record_offset: int, producer_id: int) -> None:
        """Apply a record of the log on load; ``producer_id`` is -1 if it belongs to no transaction."""
        ...

    def apply(self, record: Record, *, record_offset: int) -> None:
        """Apply a record that was just written."""
        ...

    def end_transaction(self, producer_id: int, *, committed: bool) -> None:
        """Apply the marker that ends a producer's transaction."""
        ...

    def keys(self) -> Iterable[str]:
        """Return all keys of the state."""
        ...

    def revive(self, key: str, now: Now) -> Decision[Record]:
        """Begin to watch the deadlines of a key that was loaded."""
        ...

    def wake_at(self, key: str) -> float | None:
        """Return the time to call ``expire`` for a key: infinity for never, None for a key that is gone."""
        ...

    def expire(self, key: str, now: Now) -> Decision[Record]:
        """Act on a key's deadlines."""
        ...

    def close(self, code: ErrorCode) -> None:
        """Refuse all clients that wait: this coordinator no longer decides."""
        ...


class RecordTopic(Protocol):
    """A coordinator's topic: the logs of its partitions, made when they are first needed."""

    name: str

    def ensure(self) -> Promise[None] | None:
        """Create the topic if it does not exist, once for all callers meanwhile; None if it exists."""
        ...

    def append(self, partition: int, batch: bytearray) -> Appended | Promise[Appended]:
        """Append a batch. Raises KafkaError, or returns a promise that may."""
        ...

    def read_all(self, partition: int) -> Iterable[bytes | bytearray | memoryview | Promise[Any]]:
        """Yield every batch of a partition, from its start, and reads to wait for before the next batch."""
        ...
