"""Decides what a producer with an id may append. Follows Apache's ``ProducerStateManager`` and ``ProducerAppendInfo``.

The ``check`` methods decide and change nothing; the ``record`` methods note a batch that has been written.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ottla.storage.appends import NO_EPOCH, NO_OFFSET, NO_TIMESTAMP, UNVERIFIED, AppendOrigin
from ottla.storage.open_transactions import AbortedTransaction, Transactions
from ottla.wire.batch import TRANSACTIONAL_BIT, BatchHeader
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.markers import Marker, read_marker
from ottla.wire.primitives import Buffer

REMEMBERED_BATCHES = 5
"""Maximum number of batches that a producer may have in flight: any of them may come again."""

NO_SEQUENCE = -1
LAST_SEQUENCE = (1 << 31) - 1
LAST_EPOCH = (1 << 15) - 1
_EPOCH_BUMPS = 2
"""The transaction version from which each transaction has an epoch of its own (KIP-890)."""
_SEQUENCE_SPAN = 1 << 31

_new_tuple = tuple.__new__


class RememberedBatch(NamedTuple):
    """One of a producer's last batches; sequences and offsets inclusive."""

    base_sequence: int
    last_sequence: int
    base_offset: int
    last_offset: int
    timestamp: int


class ProducerState:
    """One producer as its log remembers it."""

    __slots__ = ("batches", "coordinator_epoch", "epoch", "last_sequence", "last_timestamp", "transaction_offset")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.batches: deque[RememberedBatch] = deque(maxlen=REMEMBERED_BATCHES)
        self.last_sequence = NO_SEQUENCE
        self.last_timestamp = NO_TIMESTAMP
        self.coordinator_epoch = NO_EPOCH
        self.transaction_offset = NO_OFFSET
        """First offset of the transaction under way."""

    def begin_epoch(self, epoch: int) -> None:
        """Go on with another epoch: sequences start anew."""
        if epoch != self.epoch:
            self.epoch = epoch
            self.batches.clear()
            self.last_sequence = NO_SEQUENCE

    def find(self, header: BatchHeader) -> RememberedBatch | None:
        """Return the remembered batch that this one repeats, if there is one."""
        if header.producer_epoch == self.epoch:
            sequence, last_sequence = header.base_sequence, header.last_sequence
            for batch in self.batches:
                if batch.base_sequence == sequence and batch.last_sequence == last_sequence:
                    return batch
        return None

    def remember(self, batch: RememberedBatch) -> None:
        """Add the newest batch."""
        self.batches.append(batch)
        self.last_sequence = batch.last_sequence
        self.last_timestamp = batch.timestamp


class Producers:
    """The producers of one log, and their transactions."""

    __slots__ = ("_states", "transactions")

    def __init__(self) -> None:
        self._states: dict[int, ProducerState] = {}
        self.transactions = Transactions()

    def __len__(self) -> int:
        return len(self._states)

    def items(self) -> Iterator[tuple[int, ProducerState]]:
        """Return each producer id with its state."""
        return iter(self._states.items())

    def get(self, producer_id: int) -> ProducerState | None:
        """Return the state of one producer."""
        return self._states.get(producer_id)

    def put_all(self, states: Mapping[int, ProducerState]) -> None:
        """Take over states that were read from a snapshot."""
        self._states.update(states)
        self.transactions.begin_all(
            (state.transaction_offset, producer_id)
            for producer_id, state in states.items()
            if state.transaction_offset >= 0
        )

    def has_open_transaction(self, producer_id: int, epoch: int) -> bool:
        """Return whether a transaction of this producer and epoch has records here and no marker yet."""
        state = self._states.get(producer_id)
        return state is not None and state.transaction_offset >= 0 and state.epoch == epoch

    # Before a batch is written.

    def check(self, header: BatchHeader, origin: AppendOrigin) -> RememberedBatch | None:
        """Decide whether a producer's data batch may be appended; for a duplicate, return the batch that it repeats.

        Raises KafkaError: OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE. A producer that is
        not known (new, expired, or its records deleted) may start at any sequence (KIP-360).
        """
        state = self._states.get(header.producer_id)
        if state is None:
            return None
        epoch = header.producer_epoch
        if origin is AppendOrigin.CLIENT:
            sequence = header.base_sequence
            if epoch == state.epoch:
                last = state.last_sequence
                if sequence != last + 1 and not (sequence == 0 and last == LAST_SEQUENCE):
                    repeated = state.find(header)
                    if repeated is not None:
                        return repeated
                    if epoch != NO_EPOCH:
                        raise _out_of_order(header, f"{last} was the last in epoch {epoch}")
            elif epoch > state.epoch and sequence != 0 and state.epoch != NO_EPOCH:
                raise _out_of_order(header, f"epoch {epoch}, after {state.epoch}, starts with 0")
        if epoch < state.epoch:
            raise _fenced(header, state.epoch)
        if state.transaction_offset >= 0 and not header.attributes & TRANSACTIONAL_BIT:
            raise KafkaError(
                ErrorCode.INVALID_TXN_STATE,
                f"Producer {header.producer_id} writes outside its open transaction",
            )
        return None

    def check_transactional(
        self, header: BatchHeader, batch: Buffer, origin: AppendOrigin, transaction_version: int
    ) -> RememberedBatch | None:
        """Like ``check``, for a transaction's batch or marker. A client's transaction has to be known to be open.

        Raises KafkaError as ``check`` does, and for markers INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED.
        """
        state = self._states.get(header.producer_id)
        if header.is_control:
            marker = read_marker(batch)
            if marker is not None and state is not None:
                _check_marker(header, marker, state, transaction_version)
            return None
        if origin is AppendOrigin.CLIENT:
            repeated = state.find(header) if state is not None else None
            if repeated is not None:
                return repeated
            if not self.has_open_transaction(header.producer_id, header.producer_epoch):
                _check_beginning(header, state, transaction_version)
        return self.check(header, origin)

    # After a batch was written.

    def record(self, header: BatchHeader, base_offset: int, last_offset: int, timestamp: int) -> None:
        """Note a data batch with a producer id, written at these offsets (inclusive)."""
        state = self._states.get(header.producer_id)
        if state is None:
            state = self._states[header.producer_id] = ProducerState(header.producer_epoch)
        elif state.epoch != header.producer_epoch:
            state.begin_epoch(header.producer_epoch)
        sequence = header.base_sequence
        last_sequence = (sequence + last_offset - base_offset) & LAST_SEQUENCE if sequence >= 0 else NO_SEQUENCE
        state.batches.append(
            _new_tuple(RememberedBatch, (sequence, last_sequence, base_offset, last_offset, timestamp))
        )
        state.last_sequence = last_sequence
        state.last_timestamp = timestamp

    def record_transactional(
        self, header: BatchHeader, batch: Buffer, base_offset: int, last_offset: int, timestamp: int
    ) -> AbortedTransaction | None:
        """Note a transaction's batch or marker, written at these offsets; returns the transaction that it aborts."""
        if not header.is_control:
            self.record(header, base_offset, last_offset, timestamp)
            state = self._states[header.producer_id]
            if state.transaction_offset < 0 and header.is_transactional:
                state.transaction_offset = base_offset
                self.transactions.begin(base_offset, header.producer_id)
            return None
        marker = read_marker(batch)
        return None if marker is None else self._record_marker(header, marker, base_offset, timestamp)

    def _record_marker(
        self, header: BatchHeader, marker: Marker, offset: int, timestamp: int
    ) -> AbortedTransaction | None:
        state = self._states.get(header.producer_id)
        if state is None:
            state = self._states[header.producer_id] = ProducerState(header.producer_epoch)
        state.begin_epoch(header.producer_epoch)
        state.coordinator_epoch = marker.coordinator_epoch
        state.last_timestamp = timestamp
        first_offset, state.transaction_offset = state.transaction_offset, NO_OFFSET
        if first_offset < 0:
            return None  # A marker without records before it decides nothing.
        stable_offset = self.transactions.end(first_offset, offset)
        return None if marker.commits else AbortedTransaction(header.producer_id, first_offset, offset, stable_offset)

    def expire(self, now_ms: int, expiration_ms: int) -> None:
        """Forget producers whose last batch is ``expiration_ms`` old, but those with an open transaction."""
        expired = [
            producer_id
            for producer_id, state in self._states.items()
            if state.transaction_offset < 0 and now_ms - state.last_timestamp >= expiration_ms
        ]
        for producer_id in expired:
            del self._states[producer_id]


def sequence_before(sequence: int, count: int) -> int:
    """Return the sequence that is ``count`` before another: below 0 it goes on from 2^31 - 1."""
    return (sequence - count) % _SEQUENCE_SPAN


def _check_marker(header: BatchHeader, marker: Marker, state: ProducerState, transaction_version: int) -> None:
    epoch = header.producer_epoch
    if transaction_version >= _EPOCH_BUMPS and epoch == state.epoch:
        # The epoch has grown with each marker. One that comes again finds its transaction ended; the last stays.
        if state.transaction_offset >= 0 and epoch != LAST_EPOCH:
            raise _fenced(header, state.epoch)
    elif epoch < state.epoch:
        raise _fenced(header, state.epoch)
    if marker.coordinator_epoch < state.coordinator_epoch:
        raise KafkaError(
            ErrorCode.TRANSACTION_COORDINATOR_FENCED,
            f"Coordinator epoch {marker.coordinator_epoch} is older than {state.coordinator_epoch}",
        )


def _check_beginning(header: BatchHeader, state: ProducerState | None, transaction_version: int) -> None:
    """Refuse a client's batch that may not begin a transaction here. Raises KafkaError."""
    if state is not None and header.producer_epoch < state.epoch:
        raise _fenced(header, state.epoch)
    if transaction_version == UNVERIFIED:
        raise KafkaError(
            ErrorCode.INVALID_TXN_STATE,
            f"Producer {header.producer_id} has no open transaction that its coordinator has confirmed",
        )
    if transaction_version >= _EPOCH_BUMPS and header.base_sequence != 0 and (state is None or not state.batches):
        raise _out_of_order(header, "the producer is not known here, so 0 is expected")


def _fenced(header: BatchHeader, epoch: int) -> KafkaError:
    return KafkaError(
        ErrorCode.INVALID_PRODUCER_EPOCH,
        f"Producer {header.producer_id} writes with epoch {header.producer_epoch}; {epoch} is known",
    )


def _out_of_order(header: BatchHeader, reason: str) -> KafkaError:
    return KafkaError(
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        f"Producer {header.producer_id} sends sequence {header.base_sequence}; {reason}",
    )
