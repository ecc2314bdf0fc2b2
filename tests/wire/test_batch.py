"""The header of a batch: what it says, and what may be changed without touching records."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.wire.batch import (
    ATTRIBUTES_OFFSET,
    HEADER_SIZE,
    BatchHeader,
    check_produced,
    read_header,
    set_log_append_time,
    set_max_timestamp,
    set_offsets,
)
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.records import Record, build_batch, read_records
from tests.wire.produced_batches import GOOD, patched
from tests.wire.refusals import or_refused_with

GOLDEN = {
    name: bytes.fromhex(batch)
    for name, batch in (
        line.split()
        for line in (Path(__file__).parent / "golden" / "apache-batches.hex").read_text("utf-8").splitlines()
        if not line.startswith("#")
    )
}
TIME = 1_700_000_000_000


def code_of(records: bytes | bytearray, **options: int) -> ErrorCode:
    with pytest.raises(KafkaError) as caught:
        check_produced(memoryview(records), **options)
    assert caught.value.message
    return caught.value.code


def test_apaches_header_is_read_field_by_field() -> None:
    batch = GOLDEN["gzip-large"]
    header = read_header(b"before" + batch, 6)
    assert header == BatchHeader(
        base_offset=0,
        length=len(batch) - 12,
        partition_leader_epoch=7,
        magic=2,
        crc=struct.unpack_from(">I", batch, 17)[0],
        attributes=0x11,
        last_offset_delta=99,
        base_timestamp=TIME,
        max_timestamp=TIME + 99_000,
        producer_id=5001,
        producer_epoch=3,
        base_sequence=40,
        record_count=100,
    )
    assert header.size == len(batch)
    assert (header.last_offset, header.next_offset, header.last_sequence) == (99, 100, 139)
    assert (header.codec, header.timestamp_type) == (1, 0)
    assert header.is_transactional
    assert not header.is_control
    assert header.delete_horizon is None


def test_attributes_of_markers_and_of_append_time() -> None:
    marker = read_header(GOLDEN["commit-marker"])
    assert marker.is_control
    assert marker.is_transactional
    assert marker.last_sequence == -1
    assert read_header(GOLDEN["log-append-time"]).timestamp_type == 1


def test_an_empty_batch_of_a_compacted_log_is_read() -> None:
    header = read_header(GOLDEN["compacted-to-nothing"])
    assert (header.base_offset, header.last_offset, header.record_count, header.size) == (100, 120, 0, HEADER_SIZE)
    assert list(read_records(GOLDEN["compacted-to-nothing"])) == []


def test_delete_horizon_stands_in_the_base_timestamp() -> None:
    assert read_header(patched(GOOD, attributes=0x40, base_timestamp=5)).delete_horizon == 5


@pytest.mark.parametrize(
    ("base_sequence", "delta", "last"),
    [(0, 0, 0), (2**31 - 1, 0, 2**31 - 1), (2**31 - 1, 1, 0), (2**31 - 3, 9, 6), (-1, 5, -1)],
)
def test_sequence_numbers_wrap_to_zero(base_sequence: int, delta: int, last: int) -> None:
    header = read_header(patched(GOOD, base_sequence=base_sequence, last_offset_delta=delta))
    assert header.last_sequence == last


def test_offset_and_epoch_are_patched_outside_the_crc() -> None:
    batch = bytearray(GOOD)
    set_offsets(batch, 2**40, 77)
    header = read_header(batch)
    assert (header.base_offset, header.partition_leader_epoch) == (2**40, 77)
    set_offsets(batch, 0, -1)
    assert batch == GOOD
    assert check_produced(memoryview(batch)).record_count == 3


def test_append_time_becomes_every_records_timestamp() -> None:
    batch = bytearray(GOOD)
    set_log_append_time(memoryview(batch), TIME + 99)
    header = check_produced(memoryview(batch))
    assert (header.timestamp_type, header.max_timestamp) == (1, TIME + 99)
    assert [record.timestamp for record in read_records(batch)] == [TIME + 99] * 3


def test_a_batch_with_the_right_timestamps_is_not_changed() -> None:
    batch = bytearray(patched(GOOD, attributes=0x7F00))
    before = bytes(batch)
    set_max_timestamp(batch, 0, TIME + 2)
    assert batch == before


def test_bytes_behind_the_batch_are_not_part_of_it() -> None:
    header = check_produced(memoryview(GOOD + GOOD[:30]))
    assert header.size == len(GOOD)


def test_the_topics_greatest_size_is_allowed() -> None:
    assert check_produced(memoryview(GOOD), max_bytes=len(GOOD)).size == len(GOOD)
    assert code_of(GOOD, max_bytes=len(GOOD) - 1) == ErrorCode.MESSAGE_TOO_LARGE


@pytest.mark.parametrize("name", [name for name in GOLDEN if name.endswith(("small", "large"))])
def test_apaches_batches_pass_but_for_their_offset(name: str) -> None:
    batch = bytearray(GOLDEN[name])
    set_offsets(batch, 0, -1)
    assert check_produced(memoryview(batch)).record_count in {4, 100}
    set_offsets(batch, 1, -1)
    assert code_of(batch) == ErrorCode.INVALID_RECORD


@given(position=st.integers(ATTRIBUTES_OFFSET, len(GOOD) - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_that_the_crc_covers_is_detected(position: int, bit: int) -> None:
    batch = bytearray(GOOD)
    batch[position] ^= 1 << bit
    assert code_of(batch) == ErrorCode.CORRUPT_MESSAGE


@given(
    records=st.binary(max_size=200)
    | st.tuples(st.binary(max_size=8), st.integers(0, len(GOOD)), st.integers(0, len(GOOD))).map(
        lambda cut: GOOD[: cut[1]] + cut[0] + GOOD[cut[2] :]
    )
)
def test_any_bytes_give_a_header_or_a_named_error(records: bytes) -> None:
    with or_refused_with(ErrorCode.INVALID_RECORD, ErrorCode.CORRUPT_MESSAGE, ErrorCode.UNKNOWN_SERVER_ERROR):
        header = check_produced(memoryview(records))
        # The checksum leaves out the leader epoch, which the leader fills in.
        assert records[:12] + records[16 : header.size] == GOOD[:12] + GOOD[16:]


@given(
    fields=st.fixed_dictionaries(
        {},
        optional={
            "base_offset": st.integers(-1, 1),
            "attributes": st.integers(-(2**15), 2**15 - 1),
            "last_offset_delta": st.integers(-2, 5),
            "record_count": st.integers(-2, 5),
            "producer_id": st.integers(-2, 2),
            "base_sequence": st.integers(-2, 2),
            "magic": st.integers(0, 3),
        },
    )
)
def test_a_header_is_accepted_exactly_when_no_rule_is_broken(fields: dict[str, int]) -> None:
    batch = patched(GOOD, **fields)
    header = read_header(batch)
    wanted = (
        header.magic == 2
        and header.base_offset == 0
        and header.record_count == header.last_offset_delta + 1 > 0
        and header.codec <= 4
        and not header.is_control
        and (header.producer_id < 0 or header.base_sequence >= 0)
    )
    try:
        assert check_produced(memoryview(batch)) == header
    except KafkaError:
        assert not wanted
    else:
        assert wanted


def test_a_checked_batch_is_the_one_that_was_built() -> None:
    batch = build_batch([Record(0, TIME, b"k", b"v")], producer_id=9, producer_epoch=2, base_sequence=7)
    header = check_produced(memoryview(batch))
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (9, 2, 7)
