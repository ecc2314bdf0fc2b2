"""Transaction markers: the control batch that ends a producer's transaction in one partition.

It holds one record: key int16 version, int16 type (0 abort, 1 commit); value int16 version, int32 coordinator epoch.
"""

from struct import Struct, error
from typing import NamedTuple

from ottla.wire.primitives import Buffer
from ottla.wire.records import Record, build_batch, read_records

ABORT = 0
COMMIT = 1
_VERSION = 0
_KEY = Struct(">hh")
_VALUE = Struct(">hi")


class Marker(NamedTuple):
    """A marker; ``coordinator_epoch`` is the leader epoch of the coordinator's partition of its topic."""

    commits: bool
    coordinator_epoch: int


def build_marker(
    marker: Marker, *, producer_id: int, producer_epoch: int, timestamp_ms: int, base_offset: int = 0
) -> bytearray:
    """The control batch, as Apache's ``MemoryRecords.withEndTransactionMarker`` makes it."""
    key = _KEY.pack(_VERSION, COMMIT if marker.commits else ABORT)
    value = _VALUE.pack(_VERSION, marker.coordinator_epoch)
    return build_batch(
        [Record(0, timestamp_ms, key, value)],
        base_offset=base_offset,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        is_transactional=True,
        is_control=True,
    )


def read_marker(batch: Buffer) -> Marker | None:
    """Read the marker in a control batch; None if compaction has emptied it, or it is a control batch of another kind.

    Raises KafkaError as ``read_records`` does.
    """
    for record in read_records(batch):
        try:
            _, kind = _KEY.unpack_from(record.key or b"")
            _, coordinator_epoch = _VALUE.unpack_from(record.value or b"")
        except error:
            return None
        return Marker(kind == COMMIT, coordinator_epoch) if kind in {ABORT, COMMIT} else None
    return None
