"""The header checksum of LZ4 frames, right and as Kafka had it in message format v0.

Kafka's first LZ4 counted the frame's magic number in, where the frame format leaves it out (KAFKA-3160). Its producers
write, and its consumers expect, the wrong checksum in v0 for good; Apache's brokers do not look at it there.

A frame begins: magic number (4 bytes), flags, block descriptor, content size (8 bytes, if flag 3 is set), dictionary id
(4 bytes, if flag 0 is set), checksum (the second byte of the XXH32 of all since the flags).
"""

from ottla.wire.primitives import Buffer

_MAGIC_SIZE = 4
_CONTENT_SIZE_FLAG = 0x08
_DICTIONARY_FLAG = 0x01
_SMALLEST_HEADER = 7

_PRIMES = (2654435761, 2246822519, 3266489917, 668265263, 374761393)
_MASK = 0xFFFFFFFF
_STRIPE = 16


def with_right_checksum(frame: Buffer) -> Buffer:
    """The frame with the checksum that any LZ4 library expects; what is no frame comes back as it is."""
    return _with_checksum(frame, counted_from=_MAGIC_SIZE)


def with_checksum_of_v0(frame: Buffer) -> Buffer:
    """The frame as consumers of message format v0 expect it."""
    return _with_checksum(frame, counted_from=0)


def _with_checksum(frame: Buffer, *, counted_from: int) -> Buffer:
    if len(frame) < _SMALLEST_HEADER:
        return frame
    flags = frame[_MAGIC_SIZE]
    end = _MAGIC_SIZE + 2 + (8 if flags & _CONTENT_SIZE_FLAG else 0) + (4 if flags & _DICTIONARY_FLAG else 0)
    if len(frame) <= end or end - counted_from >= _STRIPE:
        return frame
    corrected = bytearray(frame)
    corrected[end] = xxh32_of_few(bytes(corrected[counted_from:end])) >> 8 & 0xFF
    return corrected


def xxh32_of_few(data: bytes) -> int:
    """XXH32 with seed 0, of less than 16 bytes."""
    first, second, third, fourth, fifth = _PRIMES
    value = fifth + len(data)
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little")
        value = _rotated(value + word * third, 17) * fourth
    for byte in data[whole:]:
        value = _rotated(value + byte * fifth, 11) * first
    value &= _MASK
    value = (value ^ value >> 15) * second & _MASK
    value = (value ^ value >> 13) * third & _MASK
    return value ^ value >> 16


def _rotated(value: int, bits: int) -> int:
    value &= _MASK
    return (value << bits | value >> 32 - bits) & _MASK
