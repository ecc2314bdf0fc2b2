"""The notation (wire/schema, wire/compiler): what a declaration can say, shown on messages that Kafka does not have."""

import linecache
import traceback
from typing import ClassVar

import pytest

from ottla.wire.errors import ProtocolError
from ottla.wire.schema import (
    ZERO_UUID,
    Data,
    Struct,
    f64,
    field,
    i8,
    i16,
    i32,
    i64,
    since,
    tagged,
    u16,
    u32,
    uuid,
)


class Everything(Data, versions=(0, 1), flexible=1):
    """Arrays of each type: plain in version 0, compact in version 1."""

    bools: list[bool]
    bytes_1: list[i8]
    shorts: list[i16]
    ints: list[i32]
    longs: list[i64]
    unsigned_shorts: list[u16]
    unsigned_ints: list[u32]
    doubles: list[f64]
    ids: list[uuid]
    texts: list[str]
    blobs: list[bytes] | None


class Inner(Struct):
    number: i32 = 7


class Versioned(Data, versions=(0, 3), flexible=3):
    """Fields that come, go, and may be null only later."""

    constant: ClassVar[int] = 3
    always: i8 = 1
    early: i8 = field(until=1, default=2)
    middle: i8 = field(since=1, until=2, default=3)
    later: str | None = since(1, default="x", nullable=2)
    inner: Inner = tagged(0, 3, default=Inner)
    numbers: list[i32] | None = tagged(1, 3, default=[])


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 126, 127, 300])
def test_arrays_of_every_type_and_length_come_back(length: int, version: int) -> None:
    each = range(length)
    message = Everything(
        bools=[number % 2 == 0 for number in each],
        bytes_1=[number % 256 - 128 for number in each],
        shorts=[-number for number in each],
        ints=[number - 2**31 for number in each],
        longs=[2**63 - 1 - number for number in each],
        unsigned_shorts=[2**16 - 1 - number for number in each],
        unsigned_ints=[2**32 - 1 - number for number in each],
        doubles=[number / 3 for number in each],
        ids=[number.to_bytes(16, "big") for number in each],
        texts=["ä" * number for number in each],
        blobs=[bytes(number) for number in each],
    )
    encoded = message.encode(version)
    assert Everything.decode(encoded, version) == message
    assert Everything.decode_from(b"x" + encoded + b"x", version, 1, 1 + len(encoded)) == (message, 1 + len(encoded))
    for end in {len(encoded) - 1, len(encoded) // 2}:
        with pytest.raises(ProtocolError):
            Everything.decode(encoded[:end], version)


@pytest.mark.parametrize(
    ("version", "encoded"),
    [(0, b"\1\2"), (1, b"\1\2\3\0\1x"), (2, b"\1\3\0\1x"), (3, b"\1\2x\0")],
)
def test_a_version_carries_its_own_fields(version: int, encoded: bytes) -> None:
    assert Versioned().encode(version) == encoded
    assert Versioned.decode(encoded, version) == Versioned()


def test_null_is_refused_before_the_version_that_has_it() -> None:
    assert Versioned(later=None).encode(2) == b"\1\3\xff\xff"
    assert Versioned.decode(b"\1\3\xff\xff", 2).later is None
    with pytest.raises(ProtocolError, match="later is null"):
        Versioned.decode(b"\1\2\3\xff\xff", 1)


def test_a_tagged_null_list_differs_from_its_empty_default() -> None:
    message = Versioned(numbers=None)
    assert message.encode(3) == b"\1\2x" + b"\1\1\1\0"
    assert Versioned.decode(message.encode(3), 3).numbers is None


def test_a_tagged_struct_is_written_when_it_differs_from_its_default() -> None:
    message = Versioned(inner=Inner(number=8), numbers=[5])
    assert message.encode(3) == b"\1\2x" + b"\2" + b"\0\5\0\0\0\x08\0" + b"\1\5\2\0\0\0\5"
    assert Versioned(inner=Inner(number=7)).encode(3) == Versioned().encode(3)


def test_an_instance_has_no_other_attributes_than_its_fields() -> None:
    with pytest.raises(AttributeError):
        Versioned().allways = 1  # type: ignore[attr-defined]


def test_messages_are_compared_by_their_fields_and_shown_with_them() -> None:
    assert Inner(number=1) == Inner(number=1) != Inner(number=2)
    assert repr(Versioned(inner=Inner(number=1))) == (
        "Versioned(always=1, early=2, middle=3, later='x', inner=Inner(number=1), numbers=[])"
    )


def test_the_generated_source_stands_in_tracebacks() -> None:
    message = Versioned(later=3)  # type: ignore[arg-type]
    with pytest.raises(AttributeError) as caught:
        message.encode(3)
    assert "<ottla encode Versioned v3>" in linecache.cache
    assert ".encode()" in "".join(traceback.format_exception(caught.value))


def test_a_declaration_that_the_protocol_cannot_carry_is_refused() -> None:
    class Nested(Data, versions=(0, 0)):
        grid: list[list[i32]]

    class Untyped(Data, versions=(0, 0)):
        anything: int

    for message in (Nested, Untyped):
        with pytest.raises(TypeError):
            message.fields()


def test_an_id_has_a_default_of_zeros() -> None:
    class WithId(Data, versions=(0, 0)):
        topic_id: uuid = ZERO_UUID

    assert WithId().encode(0) == bytes(16)
