"""Records in and out of batches: our own, Apache's and kafka-python's."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder

from ottla.wire.batch import HEADER_SIZE, check_produced, read_header, set_offsets
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError, RecordsRefusedError
from ottla.wire.records import Record, build_batch, read_records, validate_records
from tests.wire.produced_batches import GOOD, THREE, cases, patched
from tests.wire.refusals import or_refused_with
from tests.wire.test_batch import GOLDEN, TIME

CODECS = range(5)

keys = st.none() | st.binary(max_size=300)
names = st.text(max_size=20)
records_strategy = st.lists(
    st.builds(
        Record,
        st.just(0),
        st.integers(0, 2**62),
        keys,
        keys,
        st.lists(st.tuples(names, keys), max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=80,
)


def numbered(records: Sequence[Record], base_offset: int = 0) -> list[Record]:
    return [record._replace(offset=base_offset + index) for index, record in enumerate(records)]


SMALL = [
    Record(1234, TIME, b"key", b"value"),
    Record(1235, TIME + 70_000, b"key", None, (("name", "Żółć".encode()), ("none", None), ("ключ", b""))),
    Record(1236, TIME - 5, None, b""),
    Record(1237, TIME + 1, None, None),
]
LARGE = [Record(i, TIME + i * 1000, b"key-%d" % i, b"x" * (i * 20)) for i in range(100)]


@pytest.mark.parametrize("name", [name for name in GOLDEN if name.endswith(("small", "large"))])
def test_apaches_records_are_read(name: str) -> None:
    assert list(read_records(GOLDEN[name])) == (SMALL if name.endswith("small") else LARGE)


@pytest.mark.parametrize("name", [name for name in GOLDEN if name.endswith(("small", "large"))])
def test_apaches_records_are_valid(name: str) -> None:
    assert validate_records(GOLDEN[name]) == read_header(GOLDEN[name]).max_timestamp


def test_uncompressed_batches_are_apaches_byte_by_byte() -> None:
    assert build_batch(SMALL, base_offset=1234, leader_epoch=7) == GOLDEN["none-small"]


@pytest.mark.parametrize(("name", "kind"), [("abort-marker", 0), ("commit-marker", 1)])
def test_markers_are_apaches_byte_by_byte(name: str, kind: int) -> None:
    marker = Record(0, TIME, bytes([0, 0, 0, kind]), bytes([0, 0, 0, 0, 0, 11]))
    built = build_batch(
        [marker],
        base_offset=20 if kind else 21,
        producer_id=5001,
        producer_epoch=3,
        is_transactional=True,
        is_control=True,
        leader_epoch=7,
    )
    assert built == GOLDEN[name]


def test_offsets_in_a_compacted_batch_have_gaps() -> None:
    assert [record.offset for record in read_records(GOLDEN["compacted"])] == [103, 350]


def test_append_time_is_every_records_timestamp() -> None:
    batch = GOLDEN["log-append-time"]
    assert [record.timestamp for record in read_records(batch)] == [TIME + 99] * 2
    assert [record.timestamp for record in read_records(build_batch(SMALL, timestamp_type=1))] == [TIME + 70_000] * 4


def test_a_batch_is_found_at_the_start_of_more_bytes() -> None:
    assert list(read_records(memoryview(GOLDEN["none-small"] + b"more"))) == SMALL


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS)
@given(records=records_strategy)
@settings(max_examples=30)
def test_built_records_are_read_back(codec: int, records: list[Record]) -> None:
    batch = build_batch(records, codec=codec)
    header = check_produced(memoryview(batch))
    assert (header.codec, header.size, header.record_count) == (codec, len(batch), len(records))
    assert list(read_records(batch)) == numbered(records)
    assert validate_records(batch) == max(record.timestamp for record in records)


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS)
@given(records=records_strategy)
@settings(max_examples=20)
def test_kafka_python_reads_what_we_build(codec: int, records: list[Record]) -> None:
    batch = build_batch(records, codec=codec, base_offset=70)
    theirs = MemoryRecords(bytes(batch)).next_batch()
    assert theirs.validate_crc()
    assert [
        Record(record.offset, record.timestamp, record.key, record.value, tuple(record.headers)) for record in theirs
    ] == numbered(records, 70)


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS)
@given(records=records_strategy)
@settings(max_examples=20)
def test_we_read_what_kafka_python_builds(codec: int, records: list[Record]) -> None:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=False,
        producer_id=5,
        producer_epoch=1,
        base_sequence=9,
        batch_size=1 << 20,
    )
    for offset, record in enumerate(records):
        builder.append(offset, record.timestamp, record.key, record.value, list(record.headers))
    batch = builder.build()
    assert list(read_records(batch)) == numbered(records)
    assert check_produced(memoryview(batch)).base_sequence == 9


@given(payload=st.binary(max_size=120), count=st.integers(-1, 5), codec=st.integers(0, 7))
def test_any_records_are_read_or_refused_by_name(payload: bytes, count: int, codec: int) -> None:
    batch = patched(GOOD[:HEADER_SIZE], attributes=codec, record_count=count, length=len(payload) + 49) + payload
    with or_refused_with(ErrorCode.INVALID_RECORD, ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.MESSAGE_TOO_LARGE):
        assert len(list(read_records(batch, limit=1 << 20))) == max(count, 0)


@given(cut=st.integers(0, len(b"".join(THREE))), insert=st.binary(max_size=3), skip=st.integers(0, 20))
def test_damaged_records_are_read_or_refused_by_name(cut: int, insert: bytes, skip: int) -> None:
    good = b"".join(THREE)
    payload = good[:cut] + insert + good[cut + skip :]
    with or_refused_with(ErrorCode.INVALID_RECORD):
        for record in read_records(patched(GOOD[:HEADER_SIZE], length=len(payload) + 49) + payload):
            assert -(2**63) <= record.timestamp < 2**63


def test_all_known_bad_batches_are_read_or_refused_by_name() -> None:
    for _, _, batch in cases():
        if len(batch) >= HEADER_SIZE:
            with or_refused_with(ErrorCode.INVALID_RECORD, ErrorCode.UNKNOWN_SERVER_ERROR):
                list(read_records(batch))


def test_a_header_name_that_is_not_utf8_survives() -> None:
    [(_, _, batch)] = [case for case in cases() if case[0] == "codec 0 header name not UTF-8"]
    records = list(read_records(batch))
    assert records[0].headers[0][0].encode("utf-8", "surrogateescape") == b"\xff\xfe"
    assert list(read_records(build_batch(records))) == records


def test_records_are_refused_one_by_one() -> None:
    batch = build_batch([Record(0, 5, None, b""), Record(0, 50, b"k", b""), Record(0, -1, b"k", b"")])
    with pytest.raises(RecordsRefusedError) as caught:
        validate_records(batch, earliest_timestamp=10, latest_timestamp=49, keys_required=True)
    assert caught.value.code == ErrorCode.INVALID_TIMESTAMP
    assert [index for index, _ in caught.value.record_errors] == [0, 1]
    assert validate_records(batch, earliest_timestamp=5, latest_timestamp=50) == 50


def test_decompressed_records_are_bounded() -> None:
    batch = build_batch([Record(0, TIME, None, bytes(100_000))], codec=4)
    assert len(batch) < 1000
    with pytest.raises(KafkaError) as caught:
        list(read_records(batch, limit=50_000))
    assert caught.value.code == ErrorCode.MESSAGE_TOO_LARGE


def test_records_survive_a_patched_offset() -> None:
    batch = build_batch(SMALL)
    set_offsets(batch, 1234, 3)
    assert list(read_records(batch)) == SMALL
