"""Message sets as old clients make and read them: written by hand from the format, not by the code that is tested."""

import gzip
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ottla.wire.compression import GZIP, LZ4, NONE, decompress
from ottla.wire.lz4_header import with_right_checksum


class Old(NamedTuple):
    """A message that a client got."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    attributes: int = 0


def message(
    value: bytes | None = b"value",
    *,
    key: bytes | None = b"key",
    magic: int = 1,
    offset: int = 0,
    timestamp: int = 1_700_000_000_000,
    attributes: int = 0,
    crc: int | None = None,
) -> bytes:
    body = struct.pack(">bb", magic, attributes)
    if magic == 1:
        body += struct.pack(">q", timestamp)
    for each in (key, value):
        body += struct.pack(">i", -1) if each is None else struct.pack(">i", len(each)) + each
    checksum = zlib.crc32(body) if crc is None else crc
    return struct.pack(">qiI", offset, 4 + len(body), checksum) + body


def wrapper(inner: bytes, *, magic: int = 1, offset: int = 0, codec: int = GZIP, **options: int) -> bytes:
    """A compressed message, in gzip by default."""
    return message(gzip.compress(inner), key=None, magic=magic, offset=offset, attributes=codec, **options)


def numbered(values: Sequence[bytes | None], **options: int) -> bytes:
    """Messages with offsets from 0."""
    return b"".join(message(value, offset=number, **options) for number, value in enumerate(values))


def read_set(data: bytes) -> list[Old]:
    """Read a set as a consumer does: absolute offsets, the wrappers opened."""
    found: list[Old] = []
    for each in _shallow(data):
        magic, old = each
        codec = old.attributes & 7
        if codec == NONE:
            found.append(old)
            continue
        assert old.value is not None
        broken = codec == LZ4 and magic == 0
        if broken:
            assert with_right_checksum(old.value) != old.value, "an old consumer would refuse the right checksum"
        inner = [
            message
            for _, message in _shallow(decompress(codec, with_right_checksum(old.value) if broken else old.value))
        ]
        base = old.offset - inner[-1].offset if magic else 0
        append_time = bool(old.attributes & 8)
        found += [
            one._replace(offset=base + one.offset, timestamp=old.timestamp if append_time else one.timestamp)
            for one in inner
        ]
    return found


def _shallow(data: bytes) -> Iterator[tuple[int, Old]]:
    position = 0
    while position < len(data):
        offset, size, crc = struct.unpack_from(">qiI", data, position)
        body = data[position + 16 : position + 12 + size]
        assert zlib.crc32(body) == crc
        assert len(body) == size - 4
        magic, attributes = struct.unpack_from(">bb", body)
        timestamp, start = -1, 2
        if magic == 1:
            (timestamp,) = struct.unpack_from(">q", body, 2)
            start = 10
        parts: list[bytes | None] = []
        for _ in range(2):
            (length,) = struct.unpack_from(">i", body, start)
            start += 4
            parts.append(None if length < 0 else body[start : start + length])
            start += max(length, 0)
        assert start == len(body)
        yield magic, Old(offset, timestamp, parts[0], parts[1], attributes)
        position += 12 + size
