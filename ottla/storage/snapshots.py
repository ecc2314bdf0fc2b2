"""Producer snapshots: a log's producers in a ``.snapshot`` file named by the offset up to which it counts.

Apache's format, version 1::

    version int16, CRC-32C uint32 of what follows, number of producers int32, and for each:
    producer id int64, epoch int16, last sequence int32, last offset int64, its batch's offset delta int32,
    timestamp int64, coordinator epoch int32, first offset of the open transaction int64 (-1: none)

A snapshot holds each producer's last batch only; older ones are known again only from batches that are scanned.
"""

from struct import Struct, error

from crc32c import crc32c

from ottla.storage.producers import NO_SEQUENCE, Producers, ProducerState, RememberedBatch, sequence_before

_VERSION = 1
_PREFIX = Struct(">hI")
_COUNT = Struct(">i")
_PRODUCER = Struct(">qhiqiqiq")


class CorruptSnapshotError(Exception):
    """The file is no producer snapshot, or a damaged one. An older one, or the log itself, takes its place."""


def encode_snapshot(producers: Producers) -> bytes:
    """The file's content."""
    body = bytearray(_COUNT.pack(len(producers)))
    for producer_id, state in producers.items():
        last = state.batches[-1] if state.batches else None
        body += _PRODUCER.pack(
            producer_id,
            state.epoch,
            last.last_sequence if last else NO_SEQUENCE,
            last.last_offset if last else -1,
            last.last_offset - last.base_offset if last else 0,
            state.last_timestamp,
            state.coordinator_epoch,
            state.transaction_offset,
        )
    return _PREFIX.pack(_VERSION, crc32c(body)) + body


def decode_snapshot(data: bytes) -> Producers:
    """The producers in a file's content; ``end_offset`` is in the file's name. Raises CorruptSnapshotError."""
    producers = Producers()
    try:
        version, crc = _PREFIX.unpack_from(data)
        (count,) = _COUNT.unpack_from(data, _PREFIX.size)
    except error:
        raise CorruptSnapshotError("The file is cut off") from None
    if version != _VERSION:
        raise CorruptSnapshotError(f"Version {version} is not known")
    body = data[_PREFIX.size :]
    if crc32c(body) != crc or len(body) != _COUNT.size + count * _PRODUCER.size:
        raise CorruptSnapshotError("The CRC is wrong")
    for fields in _PRODUCER.iter_unpack(body[_COUNT.size :]):
        (producer_id, epoch, sequence, offset, delta, timestamp, coordinator_epoch, transaction_offset) = fields
        state = ProducerState(epoch)
        if offset >= 0:
            state.remember(
                RememberedBatch(sequence_before(sequence, delta), sequence, offset - delta, offset, timestamp)
            )
        state.last_timestamp = timestamp
        state.coordinator_epoch = coordinator_epoch
        state.transaction_offset = transaction_offset
        producers.put(producer_id, state)
    return producers
