"""Batches of producers, careless and hostile ones too: named, built without the code under test.

``golden/produce-answers.tsv`` has Apache's answer to each.
"""

import struct
from collections.abc import Iterator

from crc32c import crc32c

from ottla.wire.compression import GZIP, LZ4, NONE, SNAPPY, ZSTD, compress

TIME = 1_700_000_000_000
FUTURE = 4_102_444_800_000
HEADER = ">qiibIhiqqqhii"
FIELDS = {
    "base_offset": (0, ">q"),
    "length": (8, ">i"),
    "leader_epoch": (12, ">i"),
    "magic": (16, ">b"),
    "crc": (17, ">I"),
    "attributes": (21, ">h"),
    "last_offset_delta": (23, ">i"),
    "base_timestamp": (27, ">q"),
    "max_timestamp": (35, ">q"),
    "producer_id": (43, ">q"),
    "producer_epoch": (51, ">h"),
    "base_sequence": (53, ">i"),
    "record_count": (57, ">i"),
}
LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1
INT_MIN, INT_MAX = -(2**31), 2**31 - 1

TOPICS = {
    "plain": {},
    "appended": {"message.timestamp.type": "LogAppendTime"},
    "compacted": {"cleanup.policy": "compact"},
    "small": {"max.message.bytes": "100"},
}


def varint(value: int) -> bytes:
    raw = (value << 1) ^ (value >> 63)
    encoded = bytearray()
    while raw > 0x7F:
        encoded.append(raw & 0x7F | 0x80)
        raw >>= 7
    return bytes([*encoded, raw])


def sized(value: bytes | None) -> bytes:
    return varint(-1) if value is None else varint(len(value)) + value


def body(timestamp: int = 0, offset: int = 0, *, key: bytes = sized(b"k"), value: bytes = sized(b"v" * 10),
         headers: bytes = varint(0), attributes: int = 0) -> bytes:  # fmt: skip
    return bytes([attributes]) + varint(timestamp) + varint(offset) + key + value + headers


def record(timestamp: int = 0, offset: int = 0, size: int | None = None, **parts: bytes | int) -> bytes:
    content = body(timestamp, offset, **parts)  # type: ignore[arg-type]
    return varint(len(content) if size is None else size) + content


def batch(payload: bytes, count: int, codec: int = NONE, **fields: int) -> bytes:
    """A batch of ``count`` records as declared, with some fields of the header replaced, and the CRC right for them."""
    length = len(payload) + 49
    header = struct.pack(HEADER, 0, length, -1, 2, 0, codec, count - 1, TIME, TIME + count - 1, -1, -1, -1, count)
    return patched(header + payload, **fields)


def patched(original: bytes, **fields: int) -> bytes:
    buffer = bytearray(original)
    for name, value in fields.items():
        position, form = FIELDS[name]
        struct.pack_into(form, buffer, position, value)
    if "crc" not in fields:
        struct.pack_into(">I", buffer, 17, crc32c(bytes(buffer[21:])))
    return bytes(buffer)


THREE = [record(index, index) for index in range(3)]
GOOD = batch(b"".join(THREE), 3)


def cases() -> Iterator[tuple[str, str, bytes]]:
    """Name, topic, bytes."""
    for name, records in framings():
        yield name, "plain", records
    for name, records in headers():
        yield name, "plain", records
        yield name, "appended", records
    for name in ("good", "wrong crc", "base offset 1"):
        yield name, "small", dict([*framings(), *headers()])[name]
    for codec in (NONE, GZIP, SNAPPY, LZ4, ZSTD):
        for name, records in contents(codec):
            yield f"codec {codec} {name}", "plain", records
    for codec in (NONE, ZSTD):
        for name, records in keys(codec):
            yield f"codec {codec} {name}", "compacted", records
    for codec in (GZIP, SNAPPY, LZ4, ZSTD):
        for name, payload in payloads(codec):
            yield f"codec {codec} {name}", "plain", batch(payload, 3, codec)
    for name, payload in snappy_payloads():
        yield f"snappy {name}", "plain", batch(payload, 3, SNAPPY)
    for name, payload in lz4_payloads():
        yield f"lz4 {name}", "plain", batch(payload, 3, LZ4)


def framings() -> Iterator[tuple[str, bytes]]:
    """Whether there is one whole batch."""
    yield "good", GOOD
    for size in (0, 1, 11, 12, 16, 17, 60, 61, len(GOOD) - 1):
        yield f"first {size} bytes", GOOD[:size]
    yield "1 byte after", GOOD + b"x"
    yield "11 bytes after", GOOD + b"x" * 11
    yield "12 zeros after", GOOD + bytes(12)
    yield "12 bytes after", GOOD + b"x" * 12
    yield "17 bytes after", GOOD + b"x" * 17
    yield "half a batch after", GOOD + GOOD[:40]
    yield "two batches", GOOD + GOOD
    for length in (-1, 0, 13, 14, 48, 49, len(GOOD) - 13, len(GOOD) - 11, INT_MAX - 12, INT_MAX - 11, INT_MAX):
        yield f"length {length}", patched(GOOD, length=length)
    for magic in (-1, 0, 1, 3):
        yield f"magic {magic}", patched(GOOD, magic=magic)
        yield f"magic {magic} in 20 bytes", patched(GOOD, magic=magic)[:20]


def headers() -> Iterator[tuple[str, bytes]]:
    """Fields of the header that contradict each other, the records or the rules."""
    yield "wrong crc", patched(GOOD, crc=1)
    for value in (-1, 1, LONG_MAX):
        yield f"base offset {value}", patched(GOOD, base_offset=value)
    yield "base offset 1, wrong crc", patched(GOOD, base_offset=1, crc=1)
    yield "leader epoch 9", patched(GOOD, leader_epoch=9)
    for attributes in (5, 6, 7, 8, 32, 37, 64, 0x7F80, -0x8000):
        yield f"attributes {attributes}", patched(GOOD, attributes=attributes)
    yield "codec 5, wrong crc", patched(GOOD, attributes=5, crc=1)
    for delta, count in (
        (1, 3),
        (3, 3),
        (-1, 3),
        (2, 2),
        (2, 4),
        (2, 0),
        (-1, 0),
        (2, -1),
        (3, 4),
        (1, 2),
        (INT_MAX, INT_MIN),
    ):
        yield f"delta {delta}, count {count}", patched(GOOD, last_offset_delta=delta, record_count=count)
    yield "base timestamp + 5", patched(GOOD, base_timestamp=TIME + 5)
    for value in (-1, -9):
        yield f"base timestamp {value}", patched(GOOD, base_timestamp=value)
    yield "base timestamp in the future", patched(GOOD, base_timestamp=FUTURE)
    for value in (0, -1, -5, FUTURE, LONG_MAX):
        yield f"max timestamp {value}", patched(GOOD, max_timestamp=value)
    yield "attributes 8, base timestamp -1, max -1", patched(GOOD, attributes=8, base_timestamp=-1, max_timestamp=-1)
    for producer_id, epoch, sequence in ((-1, -1, 5), (-2, -1, -1), (5, -1, -1), (6, 0, -2)):
        yield (
            f"producer {producer_id} {epoch} {sequence}",
            patched(GOOD, producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence),
        )


def contents(codec: int) -> Iterator[tuple[str, bytes]]:
    """Records that contradict their sizes, their order or the header."""

    def of(*records: bytes, count: int | None = None, **fields: int) -> bytes:
        payload = compress(codec, b"".join(records))
        return batch(payload, len(records) if count is None else count, codec, **fields)

    yield "good", of(*THREE)
    yield "one record too few", of(*THREE, count=4)
    yield "one record too many", of(*THREE, count=2)
    yield "a byte too many", of(*THREE, b"\0", count=3)
    yield "no bytes", of(count=1)
    for offsets in ((0, 0, 0), (1, 2, 3), (0, 2, 1), (-1,), (INT_MAX,)):
        yield f"offsets {offsets}", of(*(record(0, offset) for offset in offsets))
    yield "null value", of(record(value=sized(None)))
    yield "value size -2", of(record(value=varint(-2)))
    yield "value too long", of(record(value=varint(100)))
    yield "key too long", of(record(key=varint(1000)))
    yield "key of 2 GiB", of(record(key=varint(INT_MAX)))
    for size in (INT_MIN, -1, 0, 16, 18, INT_MAX):
        yield f"record size {size}", of(record(size=size))
    yield "a byte after the headers", of(record(headers=varint(0) + b"x"))
    yield "record attributes 255", of(record(attributes=255))
    yield "headers", of(record(headers=varint(2) + sized(b"a") + sized(b"1") + sized(b"") + sized(None)))
    yield "header name not UTF-8", of(record(headers=varint(1) + sized(b"\xff\xfe") + sized(b"1")))
    yield "header without name", of(record(headers=varint(1) + sized(None) + sized(b"1")))
    yield "header value size -2", of(record(headers=varint(1) + sized(b"a") + varint(-2)))
    for count in (-1, 1, 2**30):
        yield f"{count} headers that are not there", of(record(headers=varint(count)))
    yield "varint of 6 bytes", of(b"\x80" * 5 + bytes(11), count=1)
    yield "varint cut off", of(b"\x80", count=1)
    yield "varlong of 11 bytes", of(varint(20) + b"\0" + b"\x80" * 10 + bytes(9), count=1)
    parts = bytes(2) + b"\x80\x80\x80\x80\x70" + sized(b"k") + sized(b"v") + varint(0)
    yield "bits beyond 32 in a varint", of(varint(len(parts)) + parts)
    yield "no timestamps", of(record(), record(0, 1), base_timestamp=-1, max_timestamp=-1)
    yield "second record in the future", of(record(), record(FUTURE, 1))
    yield "timestamp overflows", of(record(LONG_MAX))
    yield "timestamp underflows", of(record(LONG_MIN))


def keys(codec: int) -> Iterator[tuple[str, bytes]]:
    """Records with and without keys."""

    def of(*records: bytes) -> bytes:
        return batch(compress(codec, b"".join(records)), len(records), codec)

    without = sized(None)
    yield "keys", of(*THREE)
    yield "no key", of(record(key=without))
    yield "empty key", of(record(key=sized(b"")))
    yield "key size -2", of(record(key=varint(-2)))
    yield "two of four without key", of(record(), record(0, 1, key=without), record(0, 2), record(0, 3, key=without))
    yield "no key, next in the future", of(record(key=without), record(FUTURE, 1))
    yield "no key, next too long", of(record(key=without), record(0, 1, value=varint(100)))


def payloads(codec: int) -> Iterator[tuple[str, bytes]]:
    """Compressed bytes of three records that are damaged or unusual."""
    good = compress(codec, b"".join(THREE))
    yield "garbage", b"garbage garbage garbage"
    yield "zeros", bytes(40)
    yield "not compressed", b"".join(THREE)
    for size in (0, 1, len(good) // 2, len(good) - 3):
        yield f"first {size} bytes", good[:size]
    yield "other bytes after", good + b"xyz"
    yield "twice", good + good
    yield "two streams", compress(codec, THREE[0]) + compress(codec, THREE[1] + THREE[2])
    yield "last byte changed", good[:-1] + bytes([good[-1] ^ 1])


def snappy_payloads() -> Iterator[tuple[str, bytes]]:
    import cramjam

    records = b"".join(THREE)
    framed = compress(SNAPPY, records)
    start, block = framed[:16], framed[16:]
    raw = bytes(cramjam.snappy.compress_raw(records))
    yield "raw", raw
    yield "raw, cut off", raw[:-1]
    yield "raw, claims 2 GiB", b"\xff\xff\xff\xff\x07" + raw[1:]
    yield "raw, bytes after", raw + b"zz"
    yield "frame without blocks", start
    yield "block twice", framed + block
    yield "block size -1", start + b"\xff\xff\xff\xff"
    yield "block size 2 GiB", start + b"\x7f\xff\xff\xff"
    yield "empty block", start + bytes(4) + block
    yield "other version", framed[:8] + b"\0\0\0\2\0\0\0\2" + block
    yield "framing of the format's authors", bytes(cramjam.snappy.compress(records))


def lz4_payloads() -> Iterator[tuple[str, bytes]]:
    import lz4.frame

    records = b"".join(THREE)
    yield "linked blocks", lz4.frame.compress(records, block_linked=True)
    yield "content checksum", lz4.frame.compress(records, content_checksum=True)
    yield "block checksum", lz4.frame.compress(records, block_checksum=True, block_linked=False)
    yield "content size", lz4.frame.compress(records, store_size=True, block_linked=False)
    yield "blocks of 4 MiB", lz4.frame.compress(records, block_size=7, block_linked=False)
    yield "no end mark", compress(LZ4, records)[:-4]
