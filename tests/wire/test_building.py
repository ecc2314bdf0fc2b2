"""Batches made of records that come one by one are what a reader expects; compacted ones keep what others rely on."""

import pytest

from ottla.wire.batch import LOG_APPEND_TIME, TIMESTAMP_TYPE_BIT, BatchHeader, check_produced, read_header
from ottla.wire.building import BatchBuilder, RebuiltBatch, emptied
from ottla.wire.compression import GZIP, NONE, compress
from ottla.wire.records import Record, build_batch, read_records

RECORDS = [Record(100 + number, 1000 + number, b"k%d" % number, b"v%d" % number) for number in range(4)]


def whole(**fields: int) -> BatchHeader:
    """The header of a producer's batch of four records, as it lies in a log."""
    header = read_header(build_batch(RECORDS))
    return header._replace(
        base_offset=100, partition_leader_epoch=3, producer_id=7, producer_epoch=2, base_sequence=40, **fields
    )


@pytest.mark.parametrize("codec", [NONE, GZIP])
def test_a_new_batch_is_one_that_a_producer_could_have_sent(codec: int) -> None:
    builder = BatchBuilder()
    for timestamp, key in ((20, b"a"), (30, None), (10, b"c")):
        builder.add(timestamp, key, b"value")
    batch = builder.finish(codec, compress(codec, builder.data) if codec else builder.data)
    header = check_produced(batch)
    assert (header.base_timestamp, header.max_timestamp, header.last_offset_delta, header.codec) == (20, 30, 2, codec)
    assert header.producer_id == header.base_sequence == -1
    assert [record[:4] for record in read_records(batch)] == [
        (0, 20, b"a", b"value"),
        (1, 30, None, b"value"),
        (2, 10, b"c", b"value"),
    ]


def test_what_compaction_keeps_has_the_offsets_and_the_producer_of_the_whole_batch() -> None:
    header = whole()
    rebuilt = RebuiltBatch(header, None)
    for record in (RECORDS[1], RECORDS[2]):
        rebuilt.add(record)
    batch = rebuilt.finish(rebuilt.data)
    after = read_header(batch)
    assert after[:1] == (100,)
    assert (after.last_offset, after.base_sequence, after.last_sequence) == (103, 40, 43)
    assert (after.producer_id, after.producer_epoch, after.partition_leader_epoch) == (7, 2, 3)
    assert (after.base_timestamp, after.max_timestamp, after.record_count) == (1001, 1002, 2)
    assert list(read_records(batch)) == RECORDS[1:3]


def test_a_delete_horizon_takes_the_place_of_the_base_timestamp() -> None:
    rebuilt = RebuiltBatch(whole(), 5000)
    rebuilt.add(RECORDS[3])
    batch = rebuilt.finish(rebuilt.data)
    after = read_header(batch)
    assert (after.delete_horizon, after.base_timestamp, after.max_timestamp) == (5000, 5000, 1003)
    assert list(read_records(batch)) == [RECORDS[3]]


def test_the_time_of_the_append_stays() -> None:
    header = whole(attributes=TIMESTAMP_TYPE_BIT, max_timestamp=9000)
    rebuilt = RebuiltBatch(header, None)
    rebuilt.add(RECORDS[0])
    after = read_header(rebuilt.finish(rebuilt.data))
    assert (after.timestamp_type, after.max_timestamp) == (LOG_APPEND_TIME, 9000)


def test_an_emptied_batch_still_tells_the_last_offset_and_sequence() -> None:
    batch = emptied(whole(attributes=GZIP))
    after = read_header(batch)
    assert (after.last_offset, after.last_sequence, after.record_count, after.codec) == (103, 43, 0, NONE)
    assert list(read_records(batch)) == []
