"""The checksum in the header of LZ4 frames, right and as message format v0 has it (KAFKA-3160)."""

import lz4.frame
import pytest

from ottla.wire.lz4_header import with_checksum_of_v0, with_right_checksum, xxh32_of_few


@pytest.mark.parametrize(
    ("data", "checksum"), [(b"", 0x02CC5D05), (b"a", 0x550D7456), (b"abc", 0x32D153FF), (b"message digest", 0x7C948494)]
)
def test_xxh32_is_as_its_authors_publish_it(data, checksum):
    assert xxh32_of_few(data) == checksum


@pytest.mark.parametrize("store_size", [False, True])
def test_a_frame_of_the_library_has_the_right_checksum_already(store_size):
    frame = lz4.frame.compress(b"value" * 100, store_size=store_size)
    assert bytes(with_right_checksum(frame)) == frame


def test_a_frame_of_v0_is_what_a_library_refuses_until_its_checksum_is_put_right():
    frame = lz4.frame.compress(b"value" * 100, store_size=False)
    old = bytes(with_checksum_of_v0(frame))
    assert [old[i] == frame[i] for i in range(len(frame))].count(False) == 1
    with pytest.raises(RuntimeError, match="headerChecksum"):
        lz4.frame.decompress(old)
    assert lz4.frame.decompress(bytes(with_right_checksum(old))) == b"value" * 100


@pytest.mark.parametrize("data", [b"", b"\x04\x22\x4d\x18", b"\x04\x22\x4d\x18\x08\x40\x00"])
def test_bytes_that_are_no_whole_header_come_back_as_they_are(data):
    assert with_right_checksum(data) is data
    assert with_checksum_of_v0(data) is data
