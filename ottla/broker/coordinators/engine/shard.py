"""What the engine asks of a coordinator: its records, and the state of one partition that they make."""

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from ottla.broker.coordinators.engine.decision import Decision, Now
from ottla.scheduling.promise import Promise
from ottla.storage.appends import Appended
from ottla.wire.codes import ErrorCode

Record = TypeVar("Record")


class Shard(Protocol[Record]):
    """The state of one partition of a coordinator's topic. A key is what decides alone: a group, a transactional id.

    State changes only by ``apply`` and ``end_transaction``, live and on load alike; what lives beside it (members that
    wait, deadlines) is brought in line by decisions' ``on_applied`` and by ``revive``.
    """

    def encode(self, record: Record) -> tuple[bytes, bytes | None]:
        """Return a record's key and value as they stand in the log."""
        ...

    def decode(self, key: bytes | None, value: bytes | None) -> Record | int:
        """Read a record; one of an unknown type gives the number of the type. Raises ProtocolError."""
        ...

    def replay(self, record: Record, *, record_offset: int, producer_id: int) -> None:
        """Take over a record of the log on load; ``producer_id`` is -1 where it belongs to no transaction."""
        ...

    def apply(self, record: Record, *, record_offset: int) -> None:
        """Take over a record that was just written."""
        ...

    def end_transaction(self, producer_id: int, *, committed: bool) -> None:
        """Take over the marker that ends a producer's transaction."""
        ...

    def keys(self) -> Iterable[str]:
        """Return all keys of the state."""
        ...

    def revive(self, key: str, now: Now) -> Decision[Record]:
        """Let a key live that was loaded."""
        ...

    def wake_at(self, key: str) -> float | None:
        """Return when ``expire`` is to be called for a key, infinity for never, None for a key that is gone."""
        ...

    def expire(self, key: str, now: Now) -> Decision[Record]:
        """Act on a key's deadlines."""
        ...

    def close(self, code: ErrorCode) -> None:
        """Refuse everybody who waits: another coordinator decides from now on, or nobody."""
        ...


class RecordTopic(Protocol):
    """A coordinator's topic: the logs of its partitions, made when they are first needed."""

    name: str

    def ensure(self) -> Promise[None] | None:
        """Create the topic if it does not exist, once for all who ask meanwhile; None if it is there."""
        ...

    def append(self, partition: int, batch: bytearray) -> Appended | Promise[Appended]:
        """Append a batch; raises KafkaError or gives a promise that does."""
        ...

    def read_all(self, partition: int) -> Iterable[bytes | bytearray | memoryview | Promise[Any]]:
        """Yield every batch of a partition, from its start, and what must be done before the next can be read."""
        ...
