"""Transaction markers as Apache Kafka 4.3.1 wrote them (apache-4.3.1-transactions, beside the tests of recovery)."""

import pytest

from ottla.wire.batch import read_header
from ottla.wire.markers import Marker, build_marker, read_marker
from ottla.wire.records import Record, build_batch

COMMIT = bytes.fromhex(
    "0000000000000003000000420000000002529f4443003000000000000001a1fc98a6cc000001a1fc98a6cc"
    "00000000000000010001ffffffff000000012000000008000000010c00000000000000"
)
ABORT = bytes.fromhex(
    "0000000000000008000000420000000002394b4740003000000000000001a1fc98a701000001a1fc98a701"
    "00000000000000010002ffffffff000000012000000008000000000c00000000000000"
)


@pytest.mark.parametrize(("batch", "commits"), [(COMMIT, True), (ABORT, False)])
def test_apaches_markers_are_read_and_built_byte_for_byte(batch: bytes, commits: bool) -> None:
    marker = Marker(commits, 0)
    header = read_header(batch)
    assert read_marker(batch) == marker
    built = build_marker(
        marker,
        producer_id=header.producer_id,
        producer_epoch=header.producer_epoch,
        timestamp_ms=header.max_timestamp,
        base_offset=header.base_offset,
    )
    assert bytes(built[16:]) == batch[16:]  # The log sets the bytes before that, the leader epoch among them.


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"\0\0\0\2", b"\0\0\0\0\0\0"),
        (b"\0\0\0\7", b"\0\0\0\0\0\0"),
        (b"\0\0\0", b"\0\0\0\0\0\0"),
        (b"\0\0\0\1", b"\0\0\0\0\0"),
        (None, None),
    ],
    ids=["another control record", "an unknown one", "a short key", "a short value", "nothing"],
)
def test_what_is_no_end_of_a_transaction_says_nothing(key: bytes | None, value: bytes | None) -> None:
    batch = build_batch([Record(0, 0, key, value)], producer_id=1, producer_epoch=0, is_control=True)
    assert read_marker(batch) is None


def test_a_marker_may_carry_a_later_version_with_more_in_it() -> None:
    batch = build_batch([Record(0, 0, b"\0\1\0\1x", b"\0\1\0\0\0\7more")], is_control=True)
    assert read_marker(batch) == Marker(True, 7)
