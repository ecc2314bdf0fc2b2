"""Makes batches of records that come one by one: new ones, and those that compaction has taken records out of.

Both are built alike: ``add`` the records, compress ``data``, and hand what comes of it to ``finish``.
"""

from ottla.wire.batch import (
    CODEC_MASK,
    DELETE_HORIZON_BIT,
    HEADER,
    HEADER_SIZE,
    LENGTH_OVERHEAD,
    LOG_APPEND_TIME,
    MAGIC,
    BatchHeader,
    write_crc,
)
from ottla.wire.primitives import Buffer
from ottla.wire.records import Record, write_record

NONE = -1
"""No timestamp, producer, epoch or sequence."""


class BatchBuilder:
    """A new batch, without a producer's id, whose records are numbered from 0. At least one record must be added."""

    def __init__(self) -> None:
        self.data = bytearray()
        """The records, uncompressed."""
        self._count = 0
        self._base_timestamp = NONE
        self._max_timestamp = NONE

    def add(self, timestamp: int, key: bytes | None, value: bytes | None) -> None:
        """Add the next record; ``timestamp`` in milliseconds, -1 for none."""
        if not self._count:
            self._base_timestamp = timestamp
        self._max_timestamp = max(self._max_timestamp, timestamp)
        write_record(
            self.data,
            Record(self._count, timestamp, key, value),
            offset_delta=self._count,
            timestamp_delta=timestamp - self._base_timestamp,
        )
        self._count += 1

    def finish(self, codec: int, payload: Buffer) -> bytearray:
        """Return the whole batch; ``payload`` is ``data`` in ``codec``."""
        return _batch(
            BatchHeader(
                base_offset=0,
                length=HEADER_SIZE - LENGTH_OVERHEAD + len(payload),
                partition_leader_epoch=NONE,
                magic=MAGIC,
                crc=0,
                attributes=codec,
                last_offset_delta=self._count - 1,
                base_timestamp=self._base_timestamp,
                max_timestamp=self._max_timestamp,
                producer_id=NONE,
                producer_epoch=NONE,
                base_sequence=NONE,
                record_count=self._count,
            ),
            payload,
        )


class RebuiltBatch:
    """The batch of ``header`` with the records that compaction keeps. At least one record must be added.

    It follows Apache's ``MemoryRecords.filterTo``: first and last offset, producer, epoch and base sequence stay those
    of the whole batch, so that neither consumers nor producers see a difference; only the count of records tells.

    ``delete_horizon_ms``: when its tombstones or its marker may go (KIP-534), or None. It takes the place of the base
    timestamp.
    """

    def __init__(self, header: BatchHeader, delete_horizon_ms: int | None) -> None:
        self._header = header
        self._horizon_ms = delete_horizon_ms
        self._base_timestamp = delete_horizon_ms
        self._max_timestamp = NONE
        self._count = 0
        self.data = bytearray()
        """The records, uncompressed."""

    def add(self, record: Record) -> None:
        """Keep a record; records come in the order of their offsets."""
        timestamp = record.timestamp
        if self._base_timestamp is None:
            self._base_timestamp = timestamp
        self._max_timestamp = max(self._max_timestamp, timestamp)
        self._count += 1
        write_record(
            self.data,
            record,
            offset_delta=record.offset - self._header.base_offset,
            timestamp_delta=timestamp - self._base_timestamp,
        )

    def finish(self, payload: Buffer) -> bytearray:
        """Return the whole batch; ``payload`` is ``data`` in the header's codec."""
        header = self._header
        attributes = header.attributes & ~DELETE_HORIZON_BIT
        if self._horizon_ms is not None:
            attributes |= DELETE_HORIZON_BIT
        append_time = header.timestamp_type == LOG_APPEND_TIME
        return _batch(
            header._replace(
                length=HEADER_SIZE - LENGTH_OVERHEAD + len(payload),
                attributes=attributes,
                base_timestamp=NONE if self._base_timestamp is None else self._base_timestamp,
                max_timestamp=header.max_timestamp if append_time else self._max_timestamp,
                record_count=self._count,
            ),
            payload,
        )


def emptied(header: BatchHeader) -> bytearray:
    """Return the batch without any record: its last offset and its producer's last sequence are still to be known."""
    return _batch(
        header._replace(
            length=HEADER_SIZE - LENGTH_OVERHEAD,
            attributes=header.attributes & ~(DELETE_HORIZON_BIT | CODEC_MASK),
            base_timestamp=NONE,
            record_count=0,
        ),
        b"",
    )


def _batch(header: BatchHeader, payload: Buffer) -> bytearray:
    batch = bytearray(HEADER_SIZE)
    HEADER.pack_into(batch, 0, *header)
    batch += payload
    write_crc(batch)
    return batch
