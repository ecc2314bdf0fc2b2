"""Promises what every log of a partition does. The broker sees this and no file, so another kind of log can stand in.

Every call answers at once or with a ``Promise``. Calls that change a log take effect, and are answered, in the order
in which they are made; a read may be overtaken by others. Records may be read once their append is answered; while it
is under way, readers see nothing of it, and ``acknowledged_offset`` does not count it, though ``log_end_offset`` may.
An error, raised at once or by the promise, changes nothing; but a log whose disk has failed is replaced by an
``OfflineLog``. No log keeps a buffer: it may be used again when the call returns, whenever the answer comes.

``tests/storage/test_log_conformance.py`` holds any log to this.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from ottla.scheduling.promise import Promise
from ottla.scheduling.steps import Steps
from ottla.storage.appends import UNVERIFIED, Appended, AppendOrigin
from ottla.storage.log_config import LogConfig
from ottla.storage.open_transactions import AbortedTransaction
from ottla.storage.slices import RecordSlice
from ottla.wire.batch import BatchHeader


class FoundOffset(NamedTuple):
    """A record found by its timestamp. ``leader_epoch`` is -1 if the batch has none."""

    timestamp: int
    offset: int
    leader_epoch: int


class EpochEnd(NamedTuple):
    """The greatest known epoch not above the one asked for, and the offset at which it ended (exclusive); -1, -1."""

    leader_epoch: int
    end_offset: int


class ProducerView(Protocol):
    """A producer as a log remembers it (DescribeProducers); not to be changed. -1 means none."""

    @property
    def epoch(self) -> int:
        """The producer's epoch."""
        ...

    @property
    def last_sequence(self) -> int:
        """The sequence of its last record."""
        ...

    @property
    def last_timestamp(self) -> int:
        """The timestamp of its last batch, in milliseconds."""
        ...

    @property
    def coordinator_epoch(self) -> int:
        """The epoch of the coordinator that wrote its last marker."""
        ...

    @property
    def transaction_offset(self) -> int:
        """The first offset of its transaction under way."""
        ...


class Log(Protocol):
    """An ordered, append-only sequence of record batches, with offsets from ``log_start_offset``."""

    @property
    def log_start_offset(self) -> int:
        """The first offset that may be read."""
        ...

    @property
    def log_end_offset(self) -> int:
        """The offset that the next record gets (exclusive end)."""
        ...

    @property
    def acknowledged_offset(self) -> int:
        """The end (exclusive) of what has been acknowledged: appends that are not answered yet lie beyond it.

        It never moves back while the log is open.
        """
        ...

    @property
    def size_bytes(self) -> int:
        """Bytes of all batches."""
        ...

    @property
    def config(self) -> LogConfig:
        """The topic's settings."""
        ...

    def configure(self, config: LogConfig) -> None:
        """Use other settings from now on."""
        ...

    def append(
        self,
        batch: memoryview,
        header: BatchHeader,
        leader_epoch: int,
        now_ms: int,
        origin: AppendOrigin = AppendOrigin.CLIENT,
        *,
        transaction_version: int = UNVERIFIED,
    ) -> "Appended | Promise[Appended]":
        """Append one whole checked batch, verbatim but for what is patched in place: its offset and epoch.

        ``batch`` is writable and may be reused when the call returns; ``header`` is the batch's own. With
        LogAppendTime the timestamp is patched too. Raises KafkaError: RECORD_LIST_TOO_LARGE (over ``segment.bytes``),
        INVALID_TIMESTAMP (outside ``message.timestamp.*.max.ms`` by the header's figures),
        OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, and KAFKA_STORAGE_ERROR (nothing was
        kept). Not checked here: ``max.message.bytes``, the CRC, keys of compacted topics.

        A client's batch that begins a transaction here needs the ``transaction_version`` (KIP-890) under which its
        coordinator has said that the transaction is open; without it, INVALID_TXN_STATE. A transaction marker comes
        from a COORDINATOR, with its version; it may be refused with TRANSACTION_COORDINATOR_FENCED.

        With ``flush.messages`` the answer may be a promise, resolved when the batch survives a power cut. It fails
        with KAFKA_STORAGE_ERROR if the disk did: then the log is offline, and what is kept is known at the next start.
        """
        ...

    def read(
        self, offset: int, max_bytes: int, *, end_offset: int, minimum_one_batch: bool
    ) -> "RecordSlice | Promise[RecordSlice]":
        """Return bytes of one segment from the batch with ``offset`` on, cut at ``max_bytes`` even inside a batch.

        Nothing at or beyond ``end_offset`` (exclusive) is returned. If the first batch alone exceeds ``max_bytes``:
        the whole of it with ``minimum_one_batch``, else nothing. Raises KafkaError: OFFSET_OUT_OF_RANGE below
        ``log_start_offset`` or above ``log_end_offset``, KAFKA_STORAGE_ERROR.
        """
        ...

    def last_stable_offset(self, high_watermark: int) -> int:
        """Return the first offset of an undecided transaction, or the high watermark: there ``read_committed`` ends.

        A transaction is undecided until its marker is below the high watermark.
        """
        ...

    def has_open_transaction(self, producer_id: int, producer_epoch: int) -> bool:
        """Return whether a transaction of this producer and epoch has records here and no marker yet."""
        ...

    def aborted_transactions(
        self, offset: int, size: int
    ) -> "Sequence[AbortedTransaction] | Promise[Sequence[AbortedTransaction]]":
        """Return the aborted transactions that have records in what ``read`` gave for ``offset``: ``size`` bytes.

        There may be some more, which end after it and begin soon after it. Raises KafkaError KAFKA_STORAGE_ERROR.
        """
        ...

    def offset_for_timestamp(self, timestamp_ms: int) -> "FoundOffset | Promise[FoundOffset | None] | None":
        """Return the first record, by offset, whose timestamp is ``timestamp_ms`` or later."""
        ...

    def max_timestamp(self) -> "FoundOffset | Promise[FoundOffset | None] | None":
        """Return the first record that has the greatest timestamp of the log (ListOffsets -3)."""
        ...

    def begin_leader_epoch(self, leader_epoch: int) -> None:
        """Note that a leader epoch starts at the log's end, so that it is known before its first record."""
        ...

    def leader_epoch_at(self, offset: int) -> int:
        """Return the leader epoch of the record at ``offset``; -1 if unknown. For the log's end: the latest epoch."""
        ...

    def offset_for_leader_epoch(self, leader_epoch: int) -> EpochEnd:
        """Return where an epoch ended: followers and consumers find out so where they diverged (KIP-101, KIP-320)."""
        ...

    def delete_records(self, before_offset: int) -> "int | Promise[int]":
        """Move the log's start up to ``before_offset``, if it lies below; returns the new start.

        Raises KafkaError: OFFSET_OUT_OF_RANGE above ``log_end_offset``.
        """
        ...

    def apply_retention(self, now_ms: int, high_watermark: int) -> Steps[bool]:
        """Remove old records, as the topic's settings say, in steps (``scheduling.steps``).

        Nothing at or beyond ``high_watermark`` (exclusive) goes. Returns whether the log's start moved.
        """
        ...

    def active_producers(self) -> Iterable[tuple[int, ProducerView]]:
        """Return each producer id that is remembered, with the state of that producer."""
        ...

    def expire_producers(self, now_ms: int, expiration_ms: int) -> None:
        """Forget producers whose last batch is that old (``producer.id.expiration.ms``)."""
        ...

    def flush(self) -> "Promise[None] | None":
        """Make everything appended so far survive a power cut."""
        ...
