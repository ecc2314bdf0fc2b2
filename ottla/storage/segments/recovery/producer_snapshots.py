"""Reads and writes producer snapshots: a log's producers in a ``.snapshot`` file, named by the offset it counts up to.

Apache's format, version 1::

    version int16, CRC-32C uint32 of what follows, number of producers int32, and for each:
    producer id int64, epoch int16, last sequence int32, last offset int64, its batch's offset delta int32,
    timestamp int64, coordinator epoch int32, first offset of the open transaction int64 (-1: none)

A snapshot holds each producer's last batch only; ``older_batches`` keeps those before it.
"""

from struct import Struct, error

from crc32c import crc32c

from ottla.storage.producers import NO_SEQUENCE, Producers, ProducerState, RememberedBatch, sequence_before

_VERSION = 1
_JAVA_SLOTS = 16
_JAVA_LOAD_FACTOR = 0.75
_PREFIX = Struct(">hI")
_COUNT = Struct(">i")
_PRODUCER = Struct(">qhiqiqiq")


class CorruptSnapshotError(Exception):
    """The file is no producer snapshot, or a damaged one. An older one, or the log itself, takes its place."""


def encode_snapshot(producers: Producers) -> bytes:
    """Return the file's content."""
    body = bytearray(_COUNT.pack(len(producers)))
    for producer_id, state in in_java_order(producers):
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
    """Return the producers in a file's content; the offset is in the file's name. Raises CorruptSnapshotError."""
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
    states = {}
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
        states[producer_id] = state
    producers.put_all(states)
    return producers


def in_java_order(producers: Producers) -> list[tuple[int, ProducerState]]:
    """Return the producers as Apache's ``HashMap`` would give them, so that a snapshot is the same byte for byte."""
    slots = _JAVA_SLOTS
    while len(producers) > slots * _JAVA_LOAD_FACTOR:
        slots *= 2
    return sorted(producers.items(), key=lambda item: _java_hash(item[0]) & (slots - 1))


def _java_hash(value: int) -> int:
    code = (value ^ value >> 32) & 0xFFFFFFFF
    return code ^ code >> 16
