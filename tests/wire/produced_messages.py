"""Message sets of producers from before Kafka 0.11, careless and hostile ones too, each with a name.

``golden/message-answers.tsv`` has the answer of Apache 3.9.1 to each, the last release that took them.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator

from ottla.wire.compression import GZIP, LZ4, SNAPPY, ZSTD, compress
from ottla.wire.lz4_header import with_checksum_of_v0
from tests.wire.old_messages import message
from tests.wire.produced_batches import FUTURE, GOOD, INT_MAX, INT_MIN, LONG_MAX, LONG_MIN, TIME

HOUR_MS = "3600000"

TOPICS = {
    "plain": {"message.timestamp.after.max.ms": HOUR_MS},
    "appended": {"message.timestamp.type": "LogAppendTime"},
    "compacted": {"cleanup.policy": "compact"},
    "small": {"max.message.bytes": "100"},
    "gzipped": {"compression.type": "gzip", "message.timestamp.after.max.ms": HOUR_MS},
    "zstandard": {"compression.type": "zstd"},
    "uncompressed": {"compression.type": "uncompressed"},
}
APPEND_TIME = 8


def cases() -> Iterator[tuple[str, str, int, bytes]]:
    """Name, topic, Produce's version, bytes."""
    for magic in (0, 1):
        for name, records in [*framings(magic), *messages(magic)]:
            yield f"v{magic} {name}", "plain", 1 + magic, records
        for name, records in times(magic):
            for topic in ("plain", "appended", "gzipped"):
                yield f"v{magic} {name}", topic, 1 + magic, records
        for codec in (GZIP, SNAPPY, LZ4):
            for name, records in wrappers(magic, codec):
                yield f"v{magic} codec {codec} {name}", "plain", 1 + magic, records
        for name, records in wrapped_times(magic):
            for topic in ("plain", "appended"):
                yield f"v{magic} {name}", topic, 1 + magic, records
        for name, records in unusual_codecs(magic):
            for topic in ("plain", "gzipped", "zstandard", "uncompressed"):
                yield f"v{magic} {name}", topic, 1 + magic, records
        for name, records in keys(magic):
            yield f"v{magic} {name}", "compacted", 1 + magic, records
        for name, records in sizes(magic):
            yield f"v{magic} {name}", "small", 1 + magic, records
        for topic in TOPICS:
            yield f"v{magic} good", topic, 0, message(magic=magic, timestamp=TIME)
            yield f"v{magic} good in gzip", topic, 0, wrapper(message(magic=magic, timestamp=TIME), magic)


def wrapper(inner: bytes, magic: int, codec: int = GZIP, **options: int | bytes | None) -> bytes:
    """A compressed message whose offset is that of the last message in there."""
    value = gzip.compress(inner) if codec == GZIP else compress(codec, inner)
    if codec == LZ4 and not magic:
        value = with_checksum_of_v0(value)
    return of_value(value, magic, codec, **options)


def of_value(value: bytes | None, magic: int, codec: int, **options: int | bytes | None) -> bytes:
    given = {"key": None, "timestamp": TIME, "attributes": codec} | options
    return message(value, magic=magic, **given)  # type: ignore[arg-type]


def numbered(magic: int, *offsets: int, **options: int) -> bytes:
    return b"".join(message(magic=magic, offset=offset, timestamp=TIME, **options) for offset in offsets)


def with_crc(data: bytes) -> bytes:
    """``data`` with the CRC right for it."""
    return data[:12] + struct.pack(">I", zlib.crc32(data[16:])) + data[16:]


def sized(data: bytes, size: int) -> bytes:
    return data[:8] + struct.pack(">i", size) + data[12:]


def framings(magic: int) -> Iterator[tuple[str, bytes]]:
    """Whether there are whole messages of one format."""
    good = message(magic=magic, timestamp=TIME)
    for size in (0, 1, 11, 12, 16, 17, 20, len(good) - 1):
        yield f"first {size} bytes", good[:size]
        yield f"{size} bytes of another", good + good[:size]
    for count in (1, 11, 12, 17, 40):
        yield f"{count} zeros after", good + bytes(count)
    yield "40 bytes after", good + b"x" * 40
    for size in (INT_MIN, -1, 0, 13, 14, len(good) - 13, len(good) - 11, INT_MAX - 12, INT_MAX - 11, INT_MAX):
        yield f"size {size}", sized(good, size)
    for other in (-1, 2, 3, 1 - magic):
        changed = with_crc(good[:16] + struct.pack(">b", other) + good[17:])
        yield f"magic {other}", changed
        yield f"magic {other} after", good + changed
    yield "a batch after", good + GOOD
    yield "the other format after", good + message(magic=1 - magic, timestamp=TIME)


def messages(magic: int) -> Iterator[tuple[str, bytes]]:
    """One message, or the second of two, that contradicts itself."""
    good = message(magic=magic, timestamp=TIME)
    key_at = 18 + 8 * magic
    yield "wrong crc", message(magic=magic, crc=1)
    yield "second has a wrong crc", good + message(magic=magic, crc=1)
    yield "offset 5", message(magic=magic, offset=5)
    yield "offset -1", message(magic=magic, offset=-1)
    yield "offsets that fall", numbered(magic, 2, 1, 0)
    for attributes in (16, 32, 64, -128, 0x78):
        yield f"attributes {attributes}", message(magic=magic, timestamp=TIME, attributes=attributes)
    yield "null key and value", message(None, key=None, magic=magic, timestamp=TIME)
    yield "empty key and value", message(b"", key=b"", magic=magic, timestamp=TIME)
    for size in (INT_MIN, -2, -1, 0, 2, 4, 8, 100, INT_MAX):
        yield f"key size {size}", with_crc(good[:key_at] + struct.pack(">i", size) + good[key_at + 4 :])
        yield f"value size {size}", with_crc(good[: key_at + 7] + struct.pack(">i", size) + good[key_at + 11 :])
    yield "a byte after the value", with_crc(sized(good + b"x", len(good) - 11))
    for size in range(14, 14 + 8 * magic):
        yield f"whole in size {size}", with_crc(sized(good[: 12 + size], size))


def times(magic: int) -> Iterator[tuple[str, bytes]]:
    """A time that the producer gives, or must not give."""
    for kind in (0, APPEND_TIME):
        for time in (TIME, -1, -2, 0, FUTURE, LONG_MAX, LONG_MIN):
            yield f"attributes {kind}, time {time}", message(magic=magic, attributes=kind, timestamp=time)
    later = message(magic=magic, offset=1, attributes=APPEND_TIME, timestamp=TIME)
    yield "second has attributes 8", message(magic=magic, timestamp=TIME) + later
    late = message(magic=magic, offset=1, timestamp=FUTURE)
    yield "second in the future", message(magic=magic, timestamp=TIME) + late


def wrappers(magic: int, codec: int) -> Iterator[tuple[str, bytes]]:
    """Compressed messages."""
    good = wrapper(numbered(magic, 0, 1, 2), magic, codec, offset=2)
    compressed = compress(codec, numbered(magic, 0, 1, 2))
    yield "good", good
    yield "with a key", wrapper(numbered(magic, 0), magic, codec, key=b"key")
    yield "null value", of_value(None, magic, codec)
    yield "empty value", of_value(b"", magic, codec)
    yield "garbage", of_value(b"garbage garbage garbage", magic, codec)
    for size in (1, len(compressed) // 2, len(compressed) - 3):
        yield f"first {size} bytes", of_value(compressed[:size], magic, codec, offset=2)
    yield "other bytes after", of_value(compressed + b"xyz", magic, codec, offset=2)
    yield "nothing inside", wrapper(b"", magic, codec)
    yield "wrong crc", of_value(compressed, magic, codec, crc=1)
    yield "wrong crc inside", wrapper(numbered(magic, 0, crc=1), magic, codec)
    yield (
        "second inside has a wrong crc",
        wrapper(numbered(magic, 0) + numbered(magic, 1, crc=1), magic, codec, offset=1),
    )
    yield "the other format inside", wrapper(numbered(1 - magic, 0), magic, codec)
    yield "both formats inside", wrapper(numbered(magic, 0) + numbered(1 - magic, 1), magic, codec, offset=1)
    yield "a batch inside", wrapper(GOOD, magic, codec)
    yield "wrapper inside", wrapper(wrapper(numbered(magic, 0), magic, codec), magic, codec)
    yield (
        "wrapper inside after another",
        wrapper(numbered(magic, 0) + wrapper(numbered(magic, 1), magic, codec, offset=1), magic, codec, offset=1),
    )
    yield "cut off inside", wrapper(numbered(magic, 0, 1)[:-1], magic, codec, offset=1)
    yield "nothing whole inside", wrapper(numbered(magic, 0)[:-1], magic, codec)
    yield "zeros inside", wrapper(bytes(40), magic, codec)
    yield "size 3 inside", wrapper(sized(numbered(magic, 0), 3), magic, codec)
    yield (
        "value too long inside",
        wrapper(with_crc(numbered(magic, 0)[:-9] + struct.pack(">i", 100) + b"value"), magic, codec),
    )
    for offset in (-1, 0, 1, 2, 9):
        yield f"offset {offset}", wrapper(numbered(magic, 0, 1, 2), magic, codec, offset=offset)
    for offsets in ((1, 2, 3), (0, 2, 4), (2, 1, 0), (0, 0, 0), (-1, 0, 1), (-3, -2, -1), (LONG_MAX,), (LONG_MIN,)):
        yield f"offsets {offsets}", wrapper(numbered(magic, *offsets), magic, codec, offset=2)
        yield f"offsets {offsets}, its own 0", wrapper(numbered(magic, *offsets), magic, codec)
    yield "two", good + good
    yield "after a message", numbered(magic, 0) + good
    yield "before a message", good + numbered(magic, 0)
    yield "after a message with a wrong crc", numbered(magic, 0, crc=1) + good
    yield "before one with a wrong crc", good + numbered(magic, 0, crc=1)


def wrapped_times(magic: int) -> Iterator[tuple[str, bytes]]:
    """Times of compressed messages, and of what is in them."""
    for outer in (0, APPEND_TIME):
        for inner in (0, APPEND_TIME):
            for time in (TIME, -1):
                name = f"attributes {outer}, {inner} inside, time {time}"
                yield (
                    name,
                    wrapper(numbered(magic, 0, attributes=inner), magic, timestamp=time, attributes=GZIP | outer),
                )
    for time in (-1, FUTURE, LONG_MIN):
        inner_message = message(magic=magic, timestamp=time)
        for outer in (0, APPEND_TIME):
            yield f"attributes {outer}, time {time} inside", wrapper(inner_message, magic, attributes=GZIP | outer)
            name = f"attributes {outer}, time {time} inside and out"
            yield name, wrapper(inner_message, magic, timestamp=time, attributes=GZIP | outer)


def unusual_codecs(magic: int) -> Iterator[tuple[str, bytes]]:
    """Codecs that came later, or never did."""
    inner = numbered(magic, 0)
    yield "zstd", wrapper(inner, magic, ZSTD)
    yield "zstd, null value", of_value(None, magic, ZSTD)
    yield "zstd, wrong crc", of_value(compress(ZSTD, inner), magic, ZSTD, crc=1)
    yield "two in zstd", wrapper(inner, magic, ZSTD) * 2
    yield "zstd after a message", inner + wrapper(inner, magic, ZSTD)
    yield "zstd in gzip", wrapper(wrapper(inner, magic, ZSTD), magic)
    for codec in (5, 6, 7):
        yield f"codec {codec}", of_value(inner, magic, codec)
        yield f"codec {codec}, null value", of_value(None, magic, codec)
    yield "codec 5, wrong crc", of_value(inner, magic, 5, crc=1)
    yield "two of codec 5", of_value(inner, magic, 5) * 2
    yield "codec 5 after gzip", wrapper(inner, magic) + of_value(inner, magic, 5)
    yield "gzip after snappy", wrapper(inner, magic, SNAPPY) + wrapper(inner, magic)
    yield "zstd after gzip", wrapper(inner, magic) + wrapper(inner, magic, ZSTD)
    yield "gzip after zstd", wrapper(inner, magic, ZSTD) + wrapper(inner, magic)


def keys(magic: int) -> Iterator[tuple[str, bytes]]:
    """Messages with and without keys."""
    without = message(key=None, magic=magic, offset=1, timestamp=TIME)
    yield "no key", without
    yield "second without a key", numbered(magic, 0) + without
    yield "empty key", message(key=b"", magic=magic, timestamp=TIME)
    yield "no key in gzip", wrapper(without, magic, offset=1)
    yield "key outside only", wrapper(without, magic, offset=1, key=b"key")
    yield "no key, and a wrong crc", message(key=None, magic=magic, crc=1)


def sizes(magic: int) -> Iterator[tuple[str, bytes]]:
    """Above max.message.bytes as a message, as all of them, or as the batch that they make."""
    large, small = message(bytes(200), magic=magic, timestamp=TIME), numbered(magic, 0)
    yield "too large", large
    yield "too large, and a wrong crc", message(bytes(200), magic=magic, crc=1)
    yield "too large after a good one", small + large
    yield "too large after a wrong crc", message(magic=magic, crc=1) + large
    yield "many", numbered(magic, *range(10))
    yield "too large in gzip", wrapper(message(bytes(2000), magic=magic, timestamp=TIME), magic)
    yield "gzip that is too large", wrapper(message(bytes(range(200)), magic=magic, timestamp=TIME), magic)
    for size in range(100 - 46, 100 - 30):
        yield f"value of {size} bytes", message(bytes(size), key=None, magic=magic, timestamp=TIME)
