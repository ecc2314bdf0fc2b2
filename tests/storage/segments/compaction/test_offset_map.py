"""The newest offset of each key, whatever the keys are, up to as many as fit."""

from hashlib import blake2b

from ottla.storage.segments.compaction.offset_map import ENTRY_BYTES, OffsetMap


def test_the_newest_offset_of_a_key_counts() -> None:
    offsets = OffsetMap(1 << 20, 0.9)
    for offset, key in enumerate([b"a", b"b", b"a", b""]):
        offsets.put(key, offset)
    assert [offsets.get(key) for key in (b"a", b"b", b"", b"c")] == [2, 1, 3, -1]
    assert len(offsets) == 3


def test_long_keys_are_told_apart_and_found() -> None:
    offsets = OffsetMap(1 << 20, 0.9)
    keys = [b"k" * 1000 + b"%d" % number for number in range(100)]
    for offset, key in enumerate(keys):
        offsets.put(key, offset)
    assert [offsets.get(key) for key in keys] == list(range(100))


def test_a_key_that_is_the_digest_of_another_is_another() -> None:
    offsets = OffsetMap(1 << 20, 0.9)
    long_key = b"x" * 100
    digest = blake2b(long_key, digest_size=16).digest()
    offsets.put(long_key, 1)
    assert offsets.get(digest) == -1
    offsets.put(digest, 2)
    assert (offsets.get(long_key), offsets.get(digest)) == (1, 2)


def test_the_map_is_full_by_the_share_of_its_memory() -> None:
    offsets = OffsetMap(10 * ENTRY_BYTES, 0.5)
    assert offsets.capacity == 5
    for number in range(5):
        assert not offsets.is_full
        offsets.put(b"%d" % number, number)
        offsets.put(b"%d" % number, number)
    assert offsets.is_full


def test_there_is_always_room_for_one_key() -> None:
    assert OffsetMap(0, 0.9).capacity == 1
