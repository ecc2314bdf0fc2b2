"""Zig-zag varints as Java and kafka-python write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.util import decode_varint, encode_varint

from ottla.wire.errors import ProtocolError
from ottla.wire.primitives import read_varint, read_varlong, write_varint

int32 = st.integers(-(2**31), 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)


def written(value: int) -> bytes:
    buffer = bytearray()
    write_varint(buffer, value)
    return bytes(buffer)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (-1, "01"), (1, "02"), (63, "7e"), (-64, "7f"), (64, "8001"), (-65, "8101"), (8191, "fe7f"),
     (8192, "808001"), (2**31 - 1, "feffffff0f"), (-(2**31), "ffffffff0f")],
)  # fmt: skip
def test_known_varints(value: int, encoded: str) -> None:
    assert written(value).hex() == encoded
    assert read_varint(bytes.fromhex(encoded), 0) == (value, len(encoded) // 2)


@given(value=int32, before=st.binary(max_size=3), after=st.binary(max_size=3))
def test_varints_are_read_where_they_stand(value: int, before: bytes, after: bytes) -> None:
    encoded = written(value)
    assert read_varint(before + encoded + after, len(before)) == (value, len(before) + len(encoded))


@given(value=int64, before=st.binary(max_size=3), after=st.binary(max_size=3))
def test_varlongs_are_read_where_they_stand(value: int, before: bytes, after: bytes) -> None:
    encoded = written(value)
    assert read_varlong(memoryview(before + encoded + after), len(before)) == (value, len(before) + len(encoded))


@given(value=int64)
def test_kafka_python_writes_and_reads_the_same(value: int) -> None:
    theirs = bytearray()
    encode_varint(value, theirs.append)
    assert written(value) == theirs
    assert decode_varint(written(value)) == (value, len(theirs))


@given(value=int64)
def test_a_varint_cut_off_is_refused(value: int) -> None:
    encoded = written(value)
    for size in range(len(encoded)):
        with pytest.raises(ProtocolError, match="cut off"):
            read_varlong(encoded[:size], 0)


def test_a_varint_too_long_is_refused() -> None:
    with pytest.raises(ProtocolError, match="too long"):
        read_varint(b"\x80" * 5 + b"\0", 0)
    with pytest.raises(ProtocolError, match="too long"):
        read_varlong(b"\x80" * 10 + b"\0", 0)


@given(data=st.binary(max_size=12))
def test_any_bytes_are_a_value_in_range_or_an_error(data: bytes) -> None:
    for read, bits in ((read_varint, 31), (read_varlong, 63)):
        try:
            value, position = read(data, 0)
        except ProtocolError:
            continue
        assert -(2**bits) <= value < 2**bits
        assert 0 < position <= len(data)
