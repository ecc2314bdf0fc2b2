"""Makes one batch of records that come one by one, numbered from 0, without a producer's id."""

from ottla.wire.batch import HEADER, HEADER_SIZE, LENGTH_OVERHEAD, MAGIC, write_crc
from ottla.wire.primitives import Buffer
from ottla.wire.records import Record, write_record

_NONE = -1


class BatchBuilder:
    """At least one record must be added before ``finish``."""

    def __init__(self) -> None:
        self.data = bytearray()
        """The records, uncompressed."""
        self._count = 0
        self._base_timestamp = _NONE
        self._max_timestamp = _NONE

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
        """The whole batch; ``payload`` is ``data`` in ``codec``."""
        batch = bytearray(HEADER_SIZE)
        HEADER.pack_into(
            batch,
            0,
            0,
            HEADER_SIZE - LENGTH_OVERHEAD + len(payload),
            _NONE,
            MAGIC,
            0,
            codec,
            self._count - 1,
            self._base_timestamp,
            self._max_timestamp,
            _NONE,
            _NONE,
            _NONE,
            self._count,
        )
        batch += payload
        write_crc(batch)
        return batch
