"""Batches with some of their records taken away, as compaction leaves them. The others keep offset, time and sequence.

Follows Apache's ``MemoryRecords.filterTo``: first and last offset, producer, epoch and base sequence stay those of the
whole batch, so that neither consumers nor producers see a difference; only the count of records tells.
"""

from ottla.wire.batch import (
    CODEC_MASK,
    DELETE_HORIZON_BIT,
    HEADER,
    HEADER_SIZE,
    LENGTH_OVERHEAD,
    LOG_APPEND_TIME,
    BatchHeader,
    write_crc,
)
from ottla.wire.records import Record, write_record

_NO_TIMESTAMP = -1


class RebuiltBatch:
    """The batch that ``header`` is of, with the records that are added. At least one must be.

    ``delete_horizon_ms``: when its tombstones or its marker may go (KIP-534), or None. It takes the place of the base
    timestamp.
    """

    def __init__(self, header: BatchHeader, delete_horizon_ms: int | None) -> None:
        self._header = header
        self._horizon_ms = delete_horizon_ms
        self._base_timestamp = delete_horizon_ms
        self._max_timestamp = _NO_TIMESTAMP
        self._count = 0
        self.data = bytearray()
        """The records, uncompressed."""

    def add(self, record: Record) -> None:
        """Keep a record. They come in their order."""
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

    def finish(self, payload: bytes | bytearray) -> bytearray:
        """The whole batch; ``payload`` is ``data`` in the header's codec."""
        header = self._header
        attributes = header.attributes & ~DELETE_HORIZON_BIT
        if self._horizon_ms is not None:
            attributes |= DELETE_HORIZON_BIT
        append_time = header.timestamp_type == LOG_APPEND_TIME
        return _batch(
            header._replace(
                length=HEADER_SIZE - LENGTH_OVERHEAD + len(payload),
                attributes=attributes,
                base_timestamp=_NO_TIMESTAMP if self._base_timestamp is None else self._base_timestamp,
                max_timestamp=header.max_timestamp if append_time else self._max_timestamp,
                record_count=self._count,
            ),
            payload,
        )


def emptied(header: BatchHeader) -> bytearray:
    """The batch without any record: its last offset and its producer's last sequence are still to be known."""
    return _batch(
        header._replace(
            length=HEADER_SIZE - LENGTH_OVERHEAD,
            attributes=header.attributes & ~(DELETE_HORIZON_BIT | CODEC_MASK),
            base_timestamp=_NO_TIMESTAMP,
            record_count=0,
        ),
        b"",
    )


def _batch(header: BatchHeader, payload: bytes | bytearray) -> bytearray:
    batch = bytearray(HEADER_SIZE)
    HEADER.pack_into(batch, 0, *header)
    batch += payload
    write_crc(batch)
    return batch
