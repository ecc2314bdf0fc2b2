"""Every codec reads what others write, and nothing grows beyond its bound."""

import gzip
import random
import subprocess
import sys
import tracemalloc

import cramjam
import lz4.frame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import codec as kafka_python

from ottla.wire.codes import ErrorCode
from ottla.wire.compression import GZIP, LZ4, SNAPPY, ZSTD, compress, decompress
from ottla.wire.errors import KafkaError
from tests.wire.refusals import or_refused_with

CODECS = [GZIP, SNAPPY, LZ4, ZSTD]
THEIRS = {
    GZIP: (kafka_python.gzip_encode, kafka_python.gzip_decode),
    SNAPPY: (kafka_python.snappy_encode, kafka_python.snappy_decode),
    LZ4: (kafka_python.lz4_encode, kafka_python.lz4_decode),
    ZSTD: (kafka_python.zstd_encode, kafka_python.zstd_decode),
}
data_strategy = st.binary(max_size=2000) | st.builds(
    lambda part, times: part * times, st.binary(max_size=9), st.integers(0, 20_000)
)


def refusal(codec: int, data: bytes, limit: int = 1 << 20) -> ErrorCode:
    with pytest.raises(KafkaError) as caught:
        decompress(codec, data, limit)
    return caught.value.code


@pytest.mark.parametrize("codec", [0, *CODECS])
@given(data=data_strategy)
@settings(max_examples=30)
def test_data_survives(codec: int, data: bytes) -> None:
    assert decompress(codec, memoryview(compress(codec, data)), len(data)) == data


@pytest.mark.parametrize("codec", CODECS)
@given(data=data_strategy.filter(bool))
@settings(max_examples=20)
def test_kafka_python_reads_and_writes_the_same(codec: int, data: bytes) -> None:
    encode, decode = THEIRS[codec]
    assert bytes(decode(compress(codec, data))) == data
    assert decompress(codec, encode(data)) == data


@given(data=st.binary(min_size=1, max_size=2000))
def test_snappy_without_framing_is_read(data: bytes) -> None:
    assert decompress(SNAPPY, bytes(cramjam.snappy.compress_raw(data))) == data


def test_snappy_is_framed_in_blocks_as_java_does() -> None:
    framed = compress(SNAPPY, bytes(100_000))
    assert framed.startswith(b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")
    sizes, position = [], 16
    while position < len(framed):
        size = int.from_bytes(framed[position : position + 4])
        block = framed[position + 4 : position + 4 + size]
        sizes.append(len(bytes(cramjam.snappy.decompress_raw(block))))
        position += 4 + size
    assert sizes == [32768, 32768, 32768, 1696]


def test_lz4_has_independent_blocks_as_java_writes_and_linked_ones_are_read() -> None:
    info = lz4.frame.get_frame_info(compress(LZ4, bytes(100_000)))
    assert (info["block_linked"], info["content_checksum"], info["block_size"]) == (False, False, 65536)
    assert decompress(LZ4, lz4.frame.compress(b"abc" * 100_000, block_linked=True)) == b"abc" * 100_000


def test_lz4_frames_of_many_steps_are_read() -> None:
    data = bytes(range(256)) * 20_000
    assert decompress(LZ4, compress(LZ4, data)) == data
    assert decompress(LZ4, compress(LZ4, bytes(1 << 20)), 1 << 20) == bytes(1 << 20)


def test_gzip_members_follow_each_other() -> None:
    assert decompress(GZIP, gzip.compress(b"one ") + gzip.compress(b"two") + b"not gzip") == b"one two"


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, ZSTD])
def test_streams_that_follow_each_other_are_read(codec: int) -> None:
    streams = [bytes(random.Random(size).randbytes(size)) for size in (0, 1, 20, 65_500, 65_536, 200_000, 3)]
    followed = b"".join(compress(codec, stream) for stream in streams)
    assert decompress(codec, followed) == b"".join(streams)
    assert decompress(codec, compress(codec, b"a") * 5000) == b"a" * 5000


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [1, 1000, 1 << 20, (1 << 20) + 1])
def test_the_limit_is_inclusive(codec: int, size: int) -> None:
    data = compress(codec, bytes(size))
    assert len(decompress(codec, data, size)) == size
    assert refusal(codec, data, size - 1) == ErrorCode.MESSAGE_TOO_LARGE


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_costs_no_more_than_the_limit(codec: int) -> None:
    limit = 1 << 20
    bomb = compress(codec, bytes(64 << 20))
    decompress(codec, compress(codec, b"load the library"))
    tracemalloc.start()
    try:
        assert refusal(codec, bomb, limit) == ErrorCode.MESSAGE_TOO_LARGE
        assert tracemalloc.get_traced_memory()[1] < 4 * limit + len(bomb)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", CODECS)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_decompressed_or_refused_by_name(codec: int, data: bytes) -> None:
    with or_refused_with(ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.MESSAGE_TOO_LARGE):
        decompress(codec, data, 1 << 16)


@pytest.mark.parametrize("codec", CODECS)
@given(data=st.data())
def test_damaged_bytes_are_decompressed_or_refused_by_name(codec: int, data: st.DataObject) -> None:
    damaged = bytearray(compress(codec, b"some records " * 20))
    position = data.draw(st.integers(0, len(damaged) - 1))
    damaged[position] = data.draw(st.integers(0, 255))
    with or_refused_with(ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.MESSAGE_TOO_LARGE):
        decompress(codec, damaged[: data.draw(st.integers(0, len(damaged)))], 1 << 16)


def test_a_snappy_block_cannot_claim_what_it_cannot_hold() -> None:
    claim = b"\xff\xff\xff\xff\x07"
    assert refusal(SNAPPY, claim + b"abc", 1 << 40) == ErrorCode.UNKNOWN_SERVER_ERROR


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_there_is_no_such_codec(codec: int) -> None:
    assert refusal(codec, b"") == ErrorCode.UNKNOWN_SERVER_ERROR


def test_codec_libraries_are_loaded_on_first_use() -> None:
    libraries = ("cramjam", "lz4", "backports.zstd", "compression.zstd")
    program = f"import sys, ottla.wire.records; print([name for name in {libraries} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
