"""A round of compaction keeps the newest record of each key and changes nothing else."""

from random import Random

import pytest

from ottla.storage.appends import AppendOrigin
from ottla.storage.segments.compaction.dirtiness import assess
from ottla.storage.segments.compaction.rounds import compact
from ottla.storage.segments.compaction.swap import LogClosedError
from ottla.storage.segments.retention import trim_all
from ottla.storage.slices import FileSlice
from ottla.storage.store import CompactionSettings
from ottla.wire.batch import HEADER_SIZE, read_header
from ottla.wire.compression import GZIP, LZ4, NONE, SNAPPY, ZSTD
from ottla.wire.records import Record, build_batch, read_records
from tests.stage.logs import NOW_MS, append, batch_of, read, read_all
from tests.stage.stepping import take_all, take_measured
from tests.storage.compacting import SMALL, clean, compacted_config, contents, newest, put, put_each, records
from tests.storage.conftest import Disk

CONFIG = compacted_config()


def test_of_each_key_the_newest_record_stays_with_its_offset(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put_each(log, [(b"k%d" % (number % 7), b"v%d" % number) for number in range(60)])
    end = log.log_end_offset
    done = clean(log)
    assert done is not None
    assert done.next_dirty_offset == end
    assert contents(log) == [(number, b"k%d" % (number % 7), b"v%d" % number) for number in range(53, 60)]
    assert (log.log_start_offset, log.log_end_offset) == (0, end)
    assert log.size_bytes == sum(path.stat().st_size for path in disk.folder.glob("*.log"))


@pytest.mark.parametrize("clean_stop", [True, False])
def test_what_was_compacted_is_there_after_a_restart(disk: Disk, clean_stop: bool) -> None:
    log = disk.open(CONFIG)
    put_each(log, [(b"k%d" % (number % 7), b"v%d" % number) for number in range(60)])
    clean(log)
    before = contents(log)
    log = disk.reopen(CONFIG, clean=clean_stop)
    assert contents(log) == before
    assert log.log_end_offset == 60
    for offset in range(60):
        first = next(read_header(batch) for batch in read_all(log, offset))
        assert first.last_offset >= offset
    put(log, (b"k0", b"new"))
    assert contents(log)[-1] == (60, b"k0", b"new")


def test_the_last_segment_is_left_alone(disk: Disk) -> None:
    log = disk.open(compacted_config(segment_bytes=1 << 20))
    put_each(log, [(b"k", b"1"), (b"k", b"2")])
    log.roll()
    put_each(log, [(b"k", b"3"), (b"k", b"4")])
    part = take_all(assess(log, None, NOW_MS, log.log_end_offset))
    assert part is not None
    assert part.first_uncleanable_offset == 2
    take_all(compact(part, SMALL, NOW_MS))
    assert contents(log) == [(1, b"k", b"2"), (2, b"k", b"3"), (3, b"k", b"4")]


def test_a_batch_that_loses_nothing_is_copied_byte_for_byte(disk: Disk) -> None:
    log = disk.open(CONFIG)
    first = put(log, (b"a", b"1"), (b"b", b"1"), codec=ZSTD)
    put(log, (b"c", b"1"))
    second = put(log, (b"c", b"2"), (b"d", b"1"), codec=LZ4)
    clean(log)
    assert read_all(log) == [first, second]


@pytest.mark.parametrize("codec", [NONE, GZIP, SNAPPY, LZ4, ZSTD])
@pytest.mark.parametrize("size", [10, 20_000])
def test_a_batch_that_loses_records_keeps_all_but_them(disk: Disk, codec: int, size: int) -> None:
    log = disk.open(compacted_config(segment_bytes=1 << 20))
    values = [bytes([number]) * size for number in range(5)]
    put(log, *[(b"k%d" % number, value) for number, value in enumerate(values)], codec=codec, time_ms=NOW_MS - 5)
    put(log, (b"k0", b"new"), (b"k3", b"new"))
    before = read_header(read_all(log)[0])
    clean(log)
    (rebuilt, _) = read_all(log)
    after = read_header(rebuilt)
    assert after.record_count == 3
    assert (after.base_offset, after.last_offset, after.codec) == (0, 4, codec)
    assert after._replace(length=0, crc=0, record_count=0) == before._replace(length=0, crc=0, record_count=0)
    assert list(read_records(rebuilt)) == [
        Record(number, NOW_MS - 5, b"k%d" % number, values[number]) for number in (1, 2, 4)
    ]


def test_times_are_those_of_the_records_that_stay(disk: Disk) -> None:
    log = disk.open(CONFIG)
    batch = build_batch([Record(0, NOW_MS - 90 + number, b"k%d" % number, b"v") for number in range(3)])
    log.append(memoryview(batch), read_header(batch), 0, NOW_MS, AppendOrigin.CLIENT)
    put(log, (b"k0", b"new"), (b"k2", b"new"), time_ms=NOW_MS - 200)
    clean(log)
    header = read_header(read_all(log)[0])
    assert (header.base_timestamp, header.max_timestamp) == (NOW_MS - 89, NOW_MS - 89)
    assert [record.timestamp for record in records(log)] == [NOW_MS - 89, NOW_MS - 200, NOW_MS - 200]
    found = log.max_timestamp()
    assert found is not None
    assert found.offset == 1
    found = log.offset_for_timestamp(NOW_MS - 95)
    assert found is not None
    assert found.offset == 1


def test_times_that_the_broker_gave_stay(disk: Disk) -> None:
    log = disk.open(compacted_config(message_timestamp_type="LogAppendTime"))
    put(log, (b"a", b"1"), (b"b", b"1"), time_ms=5)
    put(log, (b"a", b"2"), time_ms=6)
    clean(log)
    assert [record.timestamp for record in records(log)] == [NOW_MS, NOW_MS]


def test_records_without_a_key_go(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put(log, (b"k", b"v"))
    put(log, (None, b"v"))
    put(log, (b"l", b"v"))
    clean(log)
    assert [key for _, key, _ in contents(log)] == [b"k", b"l"]


def test_a_tombstone_stays_for_its_time_and_then_goes(disk: Disk) -> None:
    log = disk.open(compacted_config(delete_retention_ms=1000))
    put(log, (b"a", b"1"), (b"b", b"1"))
    put(log, (b"a", None))
    put(log, (b"c", b"1"))
    clean(log, NOW_MS)
    assert contents(log) == [(1, b"b", b"1"), (2, b"a", None), (3, b"c", b"1")]
    assert [read_header(batch).delete_horizon for batch in read_all(log)] == [None, NOW_MS + 1000, None]
    put(log, (b"d", b"1"))
    clean(log, NOW_MS + 999)
    assert (2, b"a", None) in contents(log)
    assert [read_header(batch).delete_horizon for batch in read_all(log)] == [None, NOW_MS + 1000, None, None]
    assert records(log)[1].timestamp == NOW_MS
    put(log, (b"e", b"1"))
    clean(log, NOW_MS + 1000)
    assert [key for _, key, _ in contents(log)] == [b"b", b"c", b"d", b"e"]


def test_offsets_survive_though_the_last_batch_is_emptied(disk: Disk) -> None:
    log = disk.open(compacted_config(delete_retention_ms=0))
    put(log, (b"a", b"1"))
    put(log, (b"a", None))
    clean(log, NOW_MS)
    put(log, (b"a", None))
    log.roll()
    clean(log, NOW_MS, cleaned_to=2)
    clean(log, NOW_MS + 1)
    (last,) = read_all(log)
    assert (read_header(last).record_count, read_header(last).last_offset) == (0, 2)
    assert len(last) == HEADER_SIZE
    log = disk.reopen(CONFIG, clean=False)
    assert log.log_end_offset == 3


def test_a_producers_last_batch_stays_though_empty_and_its_sequence_is_known(disk: Disk) -> None:
    log = disk.open(CONFIG)
    for sequence in range(3):
        put(log, (b"k", b"%d" % sequence), producer_id=7, producer_epoch=1, base_sequence=sequence)
    put(log, (b"k", b"last"))
    clean(log)
    assert [read_header(batch).record_count for batch in read_all(log)] == [0, 1]
    header = read_header(read_all(log)[0])
    assert (header.producer_id, header.producer_epoch, header.base_sequence, header.last_offset) == (7, 1, 2, 2)
    for path in disk.folder.glob("*.snapshot"):
        path.unlink()
    log = disk.reopen(CONFIG, clean=False)
    put(log, (b"k", b"next"), producer_id=7, producer_epoch=1, base_sequence=3)
    log.producers.expire(1 << 60, 1)
    clean(log)
    assert [read_header(batch).record_count for batch in read_all(log)] == [1]


def test_segments_become_one_as_long_as_it_is_not_too_large(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put_each(log, [(b"k%d" % number, b"v") for number in range(100)])
    put_each(log, [(b"k%d" % number, b"v") for number in range(80)])
    count = len(log.segments)
    clean(log)
    assert len(log.segments) == count + 1  # Each was full by itself.
    size = log.size_bytes
    clean(log)
    assert log.size_bytes == size
    assert len(log.segments) < count - 4
    assert all(segment.size <= 1000 for segment in log.segments)
    assert len(contents(log)) == 100


def test_keys_beyond_the_buffer_take_another_round(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put_each(log, [(b"k%d" % (number % 50), b"%d" % number) for number in range(100)])
    settings = CompactionSettings(dedupe_buffer_bytes=20 * 192, load_factor=1.0)
    cleaned_to = None
    rounds = 0
    while cleaned_to is None or cleaned_to < 100:
        done = clean(log, cleaned_to=cleaned_to, settings=settings)
        assert done is not None
        assert done.next_dirty_offset > (cleaned_to or 0)
        cleaned_to = done.next_dirty_offset
        rounds += 1
    assert rounds == 5
    assert [offset for offset, _, _ in contents(log)] == list(range(50, 100))


def test_long_keys_are_told_apart(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put_each(log, [(b"x" * 300 + b"%d" % (number % 3), b"%d" % number) for number in range(9)])
    clean(log)
    assert [offset for offset, _, _ in contents(log)] == [6, 7, 8]


def test_space_is_given_back_on_the_disk(disk: Disk) -> None:
    log = disk.open(compacted_config(segment_bytes=100_000, file_delete_delay_ms=0))
    put_each(log, [(b"k%d" % (number % 5), b"x" * 1000) for number in range(1000)])
    used = sum(path.stat().st_size for path in disk.folder.iterdir())
    clean(log)
    disk.remove_due()
    left = sum(path.stat().st_size for path in disk.folder.iterdir())
    assert used > 1_000_000
    assert left < 20_000


def test_who_reads_an_old_segment_reads_on(disk: Disk) -> None:
    log = disk.open(compacted_config(file_delete_delay_ms=0))
    put_each(log, [(b"k", b"old"), (b"k", b"new")])
    found = log.read(0, 1 << 20, end_offset=1, minimum_one_batch=True)
    assert isinstance(found, FileSlice)
    clean(log)
    disk.remove_due()
    assert b"old" in found.read()
    found.release()
    assert b"new" in read(log, 0)


def test_a_damaged_batch_is_not_written_anew(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put_each(log, [(b"k", b"%d" % number) for number in range(40)])
    path = disk.folder / f"{0:020d}.log"
    data = bytearray(path.read_bytes())
    data[HEADER_SIZE + 5] ^= 1
    path.write_bytes(data)
    before = log.size_bytes
    with pytest.raises(OSError, match="CRC"):
        clean(log)
    assert log.size_bytes == before
    assert not log.is_being_cleaned
    assert path.read_bytes() == data


def test_a_log_that_is_deleted_meanwhile_stops_its_compaction(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put_each(log, [(b"k", b"%d" % number) for number in range(40)])
    part = take_all(assess(log, None, NOW_MS, 40))
    assert part is not None
    steps = compact(part, SMALL, NOW_MS)
    wanted = next(steps)
    assert callable(wanted)
    data = wanted()
    assert disk.directory is not None
    disk.directory.delete_log("topic", 0)
    with pytest.raises(LogClosedError):
        steps.send(data)


def test_records_deleted_meanwhile_are_gone_afterwards(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put_each(log, [(b"k%d" % number, b"v") for number in range(60)])
    part = take_all(assess(log, None, NOW_MS, 60))
    assert part is not None
    steps = compact(part, SMALL, NOW_MS)
    wanted = next(steps)
    outcome = wanted() if callable(wanted) else None
    third = log.segments[3].base_offset
    assert log.delete_records(third) == third
    take_measured(steps, outcome=outcome)
    take_all(trim_all(log))
    assert contents(log)[0][0] == third
    assert log.segments[0].base_offset == third


def test_the_newest_of_random_keys_stay(disk: Disk) -> None:
    random = Random(4)
    log = disk.open(compacted_config(segment_bytes=3000))
    batches = []
    for number in range(300):
        pairs = [
            (b"k%d" % random.randrange(40), b"%d" % number * random.randrange(9)) for _ in range(random.randrange(1, 9))
        ]
        batches.append(put(log, *pairs, codec=random.randrange(5)))
    clean(log)
    expected = newest(batches)
    assert {key: (offset, value) for offset, key, value in contents(log)} == expected
    assert len(contents(log)) == len(expected)


def test_appending_goes_on_meanwhile(disk: Disk) -> None:
    log = disk.open(CONFIG)
    put_each(log, [(b"k%d" % (number % 4), b"%d" % number) for number in range(60)])
    part = take_all(assess(log, None, NOW_MS, 60))
    assert part is not None
    seen: list[int] = []

    def between(step: int) -> None:
        append(log, batch_of([b"meanwhile"]))
        seen.append(read_header(read(log, 59)).last_offset)

    taken = take_measured(compact(part, SMALL, NOW_MS), between)
    assert taken.steps == len(seen) + 1
    assert log.log_end_offset == 60 + len(seen)
    assert min(seen) >= 59
    assert len([key for _, key, _ in contents(log) if key == b"key"]) == len(seen)
