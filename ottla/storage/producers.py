"""Decides what an idempotent producer may append. Follows Apache's ``ProducerStateManager`` and ``ProducerAppendInfo``.

``check`` decides and changes nothing; ``record`` notes a batch that has been written.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from ottla.storage.files import Buffer
from ottla.storage.log import NO_EPOCH, NO_OFFSET, NO_TIMESTAMP, AppendOrigin
from ottla.wire.batch import CONTROL_BIT, TRANSACTIONAL_BIT, BatchHeader
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.records import read_records

REMEMBERED_BATCHES = 5
"""As many as a producer may have in flight: any of them may come again."""

NO_SEQUENCE = -1
LAST_SEQUENCE = (1 << 31) - 1
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
    """What a log knows of one producer."""

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

    def remember(self, batch: RememberedBatch) -> None:
        """Add the newest batch."""
        self.batches.append(batch)
        self.last_sequence = batch.last_sequence
        self.last_timestamp = batch.timestamp


class Producers:
    """The producers of one log. ``end_offset``: every batch below it has been taken into account."""

    __slots__ = ("_states", "end_offset")

    def __init__(self) -> None:
        self._states: dict[int, ProducerState] = {}
        self.end_offset = 0

    def __len__(self) -> int:
        return len(self._states)

    def items(self) -> Iterator[tuple[int, ProducerState]]:
        """Each producer id with its state."""
        return iter(self._states.items())

    def get(self, producer_id: int) -> ProducerState | None:
        """The state of one producer."""
        return self._states.get(producer_id)

    def put(self, producer_id: int, state: ProducerState) -> None:
        """Take over a state that was read from a snapshot."""
        self._states[producer_id] = state

    def check(self, header: BatchHeader, origin: AppendOrigin) -> RememberedBatch | None:
        """Whether a batch with a producer id may be appended; for a duplicate, the batch that it repeats.

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
                    last_sequence = header.last_sequence
                    for batch in state.batches:
                        if batch.base_sequence == sequence and batch.last_sequence == last_sequence:
                            return batch
                    if epoch != NO_EPOCH:
                        raise _out_of_order(header, f"{last} was the last in epoch {epoch}")
            elif epoch > state.epoch and sequence != 0 and state.epoch != NO_EPOCH:
                raise _out_of_order(header, f"epoch {epoch}, after {state.epoch}, starts with 0")
        if epoch < state.epoch:
            raise KafkaError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"Producer {header.producer_id} writes with epoch {epoch}; {state.epoch} is known",
            )
        if state.transaction_offset >= 0 and not header.attributes & (TRANSACTIONAL_BIT | CONTROL_BIT):
            raise KafkaError(
                ErrorCode.INVALID_TXN_STATE,
                f"Producer {header.producer_id} writes outside its open transaction",
            )
        return None

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
        if state.transaction_offset < 0 and header.attributes & TRANSACTIONAL_BIT:
            state.transaction_offset = base_offset

    def record_marker(self, header: BatchHeader, coordinator_epoch: int) -> None:
        """Note a transaction marker: the producer's transaction is over."""
        state = self._states.get(header.producer_id)
        if state is None:
            state = self._states[header.producer_id] = ProducerState(header.producer_epoch)
        state.begin_epoch(header.producer_epoch)
        state.coordinator_epoch = coordinator_epoch
        state.last_timestamp = header.max_timestamp
        state.transaction_offset = NO_OFFSET

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
    """The sequence that is ``count`` before another: below 0 it goes on from 2^31 - 1."""
    return (sequence - count) % _SEQUENCE_SPAN


def coordinator_epoch_of(marker: Buffer) -> int:
    """The epoch in a transaction marker's value: int16 version, int32 coordinator epoch. -1 if it has none."""
    for record in read_records(marker):
        if record.value is not None and len(record.value) >= 6:
            return int.from_bytes(record.value[2:6], "big", signed=True)
    return NO_EPOCH


def _out_of_order(header: BatchHeader, reason: str) -> KafkaError:
    return KafkaError(
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        f"Producer {header.producer_id} sends sequence {header.base_sequence}; {reason}",
    )
