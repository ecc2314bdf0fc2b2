"""The record formats before batches: what is read is what was written by hand, and what is refused says why."""

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.wire.codes import ErrorCode
from ottla.wire.compression import GZIP, LZ4, NONE, SNAPPY, compress
from ottla.wire.errors import KafkaError
from ottla.wire.lz4_header import with_checksum_of_v0, with_right_checksum, xxh32_of_few
from ottla.wire.message_sets import (
    MessageSetBuilder,
    decompressed,
    magic_of,
    message_size,
    read_inner_messages,
    read_messages,
)
from ottla.wire.records import Record
from tests.wire.old_messages import Old, message, numbered, read_set, wrapper

FORMATS = pytest.mark.parametrize("magic", [0, 1])
some_bytes = st.none() | st.binary(max_size=20)
records = st.lists(st.tuples(st.integers(-1, 2**62), some_bytes, some_bytes), min_size=1, max_size=8)


def inner_of(data, limit=1 << 20):
    [outer] = read_messages(data)
    return list(read_inner_messages(outer, decompressed(outer, limit)))


def refusal(data):
    try:
        for outer in read_messages(data):
            if outer.codec:
                list(read_inner_messages(outer, decompressed(outer)))
    except KafkaError as error:
        return error.code
    return None


@FORMATS
def test_messages_are_read_with_nulls_and_times(magic):
    data = message(b"one", magic=magic, offset=7, timestamp=5) + message(None, key=None, magic=magic, offset=9)
    first, second = read_messages(data)
    assert (first.offset, first.key, first.value, first.timestamp) == (7, b"key", b"one", 5 if magic else -1)
    assert (second.offset, second.key, second.value) == (9, None, None)
    assert first.size + second.size == len(data)


@FORMATS
def test_a_message_that_is_cut_off_is_the_end(magic):
    whole = message(magic=magic)
    for size in range(len(whole)):
        assert len(list(read_messages(whole + whole[:size]))) == 1


@FORMATS
@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4])
def test_compressed_messages_are_read(magic, codec):
    inner = numbered([b"one", b"two"], magic=magic)
    value = compress(codec, inner)
    if codec == LZ4 and magic == 0:
        value = with_checksum_of_v0(value)
    found = inner_of(message(value, key=None, magic=magic, attributes=codec, offset=1))
    assert [each.value for each in found] == [b"one", b"two"]


def test_the_right_lz4_checksum_is_taken_in_v0_too():
    value = compress(LZ4, message(magic=0))
    assert len(inner_of(message(value, magic=0, attributes=LZ4))) == 1


def test_the_time_of_a_wrapper_that_the_broker_marked_is_that_of_all_in_it():
    data = wrapper(numbered([b"one", b"two"], timestamp=3), codec=GZIP | 8, offset=1, timestamp=99)
    assert [each.timestamp for each in inner_of(data)] == [99, 99]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (message(crc=1), ErrorCode.CORRUPT_MESSAGE),
        (message() + message(magic=0), ErrorCode.INVALID_RECORD),
        (message(magic=3), ErrorCode.CORRUPT_MESSAGE),
        (message()[:8] + b"\0\0\0\x0d" + message()[12:], ErrorCode.CORRUPT_MESSAGE),
        (wrapper(message(crc=1)), ErrorCode.CORRUPT_MESSAGE),
        (wrapper(b""), ErrorCode.INVALID_RECORD),
        (wrapper(message(magic=0)), ErrorCode.INVALID_RECORD),
        (wrapper(wrapper(message())), ErrorCode.INVALID_RECORD),
        (wrapper(numbered([b"one", b"two", b"three"]), offset=1), ErrorCode.INVALID_RECORD),
        (message(None, attributes=GZIP), ErrorCode.INVALID_RECORD),
        (message(b"not gzip", attributes=GZIP), ErrorCode.UNKNOWN_SERVER_ERROR),
        (message(b"", attributes=4), ErrorCode.INVALID_RECORD),
    ],
    ids=[
        "a wrong checksum",
        "two formats",
        "an unknown format",
        "a size too small",
        "a wrong checksum inside",
        "an empty wrapper",
        "an older format inside",
        "a wrapper in a wrapper",
        "offsets that go below zero",
        "a wrapper without a value",
        "no gzip",
        "an unknown codec",
    ],
)
def test_what_is_wrong_is_refused(data, code):
    assert refusal(data) == code


def test_librdkafkas_wrapper_without_an_offset_is_taken():
    assert len(inner_of(wrapper(numbered([b"one", b"two"]), offset=0))) == 2


def test_a_message_above_the_topics_limit_is_refused():
    with pytest.raises(KafkaError) as caught:
        list(read_messages(message(bytes(1000)), 500))
    assert caught.value.code == ErrorCode.MESSAGE_TOO_LARGE


@given(data=st.binary(max_size=200), magic=st.integers(0, 2))
def test_any_bytes_are_messages_or_refused(data, magic):
    for hostile in (data, message(data, magic=0)[:-3] + data, data[:16] + bytes((magic,)) + data[16:]):
        try:
            for outer in read_messages(hostile):
                if outer.codec:
                    list(read_inner_messages(outer, decompressed(outer, 1 << 16)))
        except KafkaError:
            pass


@pytest.mark.slow
@FORMATS
@pytest.mark.parametrize("codec", [NONE, GZIP, SNAPPY, LZ4])
@given(given_records=records)
def test_what_is_built_is_read_back_under_its_offsets(magic, codec, given_records):
    builder = MessageSetBuilder(magic=magic, codec=codec, timestamp_type=0)
    for number, (timestamp, key, value) in enumerate(given_records):
        builder.add(Record(100 + 2 * number, timestamp, key, value))
    assert len(builder.data) == sum(message_size(Record(0, *each), magic) for each in given_records)
    data = builder.finish(compress(codec, builder.data))
    assert magic_of(data) == magic
    found = read_set(bytes(data))
    assert [old._replace(attributes=0) for old in found] == [
        Old(100 + 2 * number, timestamp if magic else -1, key, value)
        for number, (timestamp, key, value) in enumerate(given_records)
    ]


def test_the_wrapper_has_the_last_offset_the_greatest_time_and_the_timestamp_type():
    builder = MessageSetBuilder(magic=1, codec=GZIP, timestamp_type=1)
    for offset, timestamp in ((5, 70), (6, 90), (7, 80)):
        builder.add(Record(offset, timestamp, None, b""))
    [outer] = read_messages(builder.finish(compress(GZIP, builder.data)))
    assert (outer.offset, outer.timestamp, outer.timestamp_type, outer.key) == (7, 90, 1, None)


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0x02CC5D05),
        (b"a", 0x550D7456),
        (b"abc", 0x32D153FF),
        (b"ottla", 0xE0E31A31),
        (b"123456789012345", 0xDA7B17E8),
    ],
)
def test_the_checksum_is_xxh32(data, checksum):
    """As the xxhash library computes it."""
    assert xxh32_of_few(data) == checksum


@pytest.mark.parametrize("options", [{}, {"store_size": True}])
def test_the_wrong_checksum_and_back(options):
    frame = lz4.frame.compress(b"some bytes", **options)
    wrong = with_checksum_of_v0(frame)
    assert with_right_checksum(frame) == frame
    assert with_right_checksum(wrong) == frame
    if not options:
        with pytest.raises(RuntimeError):
            lz4.frame.decompress(wrong)
