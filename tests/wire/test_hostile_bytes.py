"""Any bytes give a message or a ProtocolError, nothing else, and take memory in proportion to their number."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ottla.wire.errors import ProtocolError
from ottla.wire.messages.core import ApiVersionsRequest, MetadataRequest
from ottla.wire.messages.fetch import FetchRequest
from ottla.wire.messages.produce import ProduceRequest
from ottla.wire.schema import Message
from tests.wire.declarations import pair_id, pairs
from tests.wire.values import full

PAIRS = pairs()
# Lengths that no frame can hold: plain, of both widths, and compact, with the five bytes of a varint.
HUGE = (b"\x7f\xff\xff\xff", b"\x7f\xff", b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x08")
NEGATIVE = (b"\xff\xff\xff\xfe", b"\x80\x00\x00\x00", b"\xff\xfe")
# Beyond five bytes a varint is no length of the protocol.
ENDLESS = (b"\xff" * 12,)


def survives(message: type[Message], version: int, hostile: bytes) -> None:
    try:
        decoded = message.decode(hostile, version)
    except ProtocolError:
        return
    assert isinstance(decoded, message)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(pair=st.sampled_from(PAIRS), hostile=st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_protocol_error(pair: tuple[type[Message], int], hostile: bytes) -> None:
    survives(*pair, hostile)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(pair=st.sampled_from(PAIRS), data=st.data())
def test_a_good_message_with_some_bytes_replaced_is_a_message_or_a_protocol_error(
    pair: tuple[type[Message], int], data: st.DataObject
) -> None:
    message, version = pair
    good = full(message, version).encode(version)
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 6)))
    survives(message, version, good[:start] + data.draw(st.binary(max_size=6)) + good[end:])


@pytest.mark.slow
@pytest.mark.parametrize(("message", "version"), PAIRS, ids=pair_id)
def test_huge_and_negative_lengths_anywhere_allocate_nothing(message: type[Message], version: int) -> None:
    good = full(message, version).encode(version)
    survives(message, version, good)  # compiles the decoder, whose memory is not the message's
    step = 1 + len(good) // 25
    tracemalloc.start()
    try:
        for position in range(0, len(good), step):
            for wrong in HUGE + NEGATIVE + ENDLESS:
                survives(message, version, good[:position] + wrong + good[position + len(wrong) :])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000


def test_a_count_of_elements_that_cannot_be_there_is_refused() -> None:
    with pytest.raises(ProtocolError, match="topics has 2147483647 elements"):
        MetadataRequest.decode(b"\x7f\xff\xff\xff" + bytes(20), 1)


@pytest.mark.parametrize("count", [-1, -2, -(2**31)])
def test_any_negative_count_is_null_as_it_is_for_apache(count: int) -> None:
    encoded = count.to_bytes(4, "big", signed=True)
    assert MetadataRequest.decode(encoded, 1).topics is None
    with pytest.raises(ProtocolError, match="topics is null"):
        MetadataRequest.decode(encoded, 0)


def test_a_count_is_held_against_the_least_that_its_elements_can_take() -> None:
    # Twenty bytes may hold twenty booleans, but not three topics of sixteen bytes of id and more.
    with pytest.raises(ProtocolError, match="topics has 3 elements"):
        MetadataRequest.decode(b"\4" + bytes(20), 12)


def test_a_string_longer_than_a_plain_one_can_be_is_refused_in_the_compact_form_too() -> None:
    too_long = b"\x81\x80\x02" + b"x" * 32768 + b"\1\0"
    with pytest.raises(ProtocolError, match="length 32768"):
        ApiVersionsRequest.decode(too_long, 3)


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(ProtocolError, match="utf-8"):
        ApiVersionsRequest.decode(b"\3\xff\xfe\1\0", 3)


def test_a_tag_whose_content_ends_elsewhere_is_refused() -> None:
    body = bytes(4) * 3 + b"\x7f\xff\xff\xff" + b"\0" + bytes(4) + b"\xff\xff\xff\xff" + b"\1\1\1"
    assert FetchRequest.decode(body + b"\1\0\2\2c", 12).cluster_id == "c"
    for tags in (b"\1\0\3\2cc", b"\1\0\1\2c", b"\1\0\x7f\2c"):
        with pytest.raises(ProtocolError):
            FetchRequest.decode(body + tags, 12)


def test_a_message_ends_where_its_limit_says_even_when_the_buffer_goes_on() -> None:
    encoded = ProduceRequest(acks=1, timeout_ms=1, topic_data=[]).encode(9)
    for limit in range(len(encoded)):
        with pytest.raises(ProtocolError):
            ProduceRequest.decode_from(encoded + bytes(100), 9, 0, limit)
