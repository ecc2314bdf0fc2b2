"""Where a frame ends, as far as its bytes have come."""

import struct

import pytest

from ottla.broker.network.frame_reader import frame_end
from ottla.wire.errors import ProtocolError

LIMIT = 1000


def framed(size, before=0):
    return bytearray(bytes(before) + struct.pack(">i", size) + bytes(10))


@pytest.mark.parametrize("before", [0, 7])
@pytest.mark.parametrize("size", [0, 1, 6, LIMIT])
def test_the_end_is_told_whether_the_frame_has_come_or_not(size, before):
    buffer = framed(size, before)
    for stop in range(before + 4, len(buffer) + 1):
        assert frame_end(buffer, before, stop, LIMIT) == before + 4 + size


@pytest.mark.parametrize("came", range(4))
def test_without_its_size_a_frame_ends_behind_what_has_come(came):
    assert frame_end(framed(-1), 0, came, LIMIT) > came


@pytest.mark.parametrize("size", [-1, -(2**31), LIMIT + 1, 2**31 - 1])
def test_a_size_that_cannot_be_is_refused_as_soon_as_it_is_known(size):
    with pytest.raises(ProtocolError, match=rf"a frame of {size} bytes \(socket.request.max.bytes is 1000\)"):
        frame_end(framed(size), 0, 4, LIMIT)


@pytest.mark.parametrize(
    ("said", "meant"),
    [(b"\x16\x03\x01\x02\x00\x01", "TLS"), (b"GET / HTTP/1.1", "HTTP"), (b"POST /topics", "HTTP"), (b"HEAD /", "HTTP")],
)
def test_other_protocols_are_named(said, meant):
    with pytest.raises(ProtocolError, match=f"look like {meant}"):
        frame_end(bytearray(said), 0, len(said), LIMIT)
