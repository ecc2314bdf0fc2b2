"""``compression.type``: which codec a topic's batches have in the log, whatever their producer chose."""

import pytest

from ottla.wire.batch import HEADER_SIZE, read_header, write_crc
from ottla.wire.codes import ErrorCode
from ottla.wire.compression import GZIP, LZ4, NONE, SNAPPY, ZSTD
from ottla.wire.records import read_records
from tests.stage.clients import batch_of, fetch_one, new_topic, produce
from tests.stage.held import Held

pytestmark = pytest.mark.over_slow_logs_too

CODECS = {"uncompressed": NONE, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}
VALUES = [b"value %d" % number * 20 for number in range(20)]
LARGE = [bytes([number % 7]) * 1000 + b"%d" % number for number in range(100)]


def stored(broker, offset=0):
    return bytes(fetch_one(broker, offset).records)


def set_config(broker, **configs):
    topic = broker.cluster.topics.by_name["topic"]
    broker.cluster.topics.configure(topic, {key.replace("_", "."): value for key, value in configs.items()})


@pytest.mark.parametrize("values", [VALUES, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("source", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize("target", CODECS)
def test_a_batch_gets_the_topics_codec_and_keeps_its_records(broker, source, target, values):
    new_topic(broker, compression_type=target)
    sent = batch_of(values, codec=source, producer=(7, 3, 0))
    assert produce(broker, sent).base_offset == 0
    batch = stored(broker)
    assert read_header(batch).codec == CODECS[target]
    assert list(read_records(batch)) == list(read_records(sent))
    before, after = read_header(sent)._asdict(), read_header(batch)._asdict()
    assert {key: after[key] for key in before if after[key] != before[key]}.keys() <= {
        "attributes",
        "crc",
        "length",
        "partition_leader_epoch",
    }
    assert produce(broker, batch_of([b"next"], codec=source, producer=(7, 3, len(values)))).base_offset == len(values)


@pytest.mark.parametrize(("target", "source"), [("producer", ZSTD), ("producer", NONE), ("lz4", LZ4)])
def test_a_batch_that_has_the_codec_already_is_kept_verbatim(broker, target, source):
    new_topic(broker, compression_type=target)
    sent = batch_of(LARGE, codec=source)
    produce(broker, sent)
    assert stored(broker)[16:] == sent[16:]


def test_a_change_is_in_force_for_the_next_batch(broker):
    new_topic(broker)
    for number, target in enumerate(["gzip", "uncompressed", "zstd", "producer"]):
        set_config(broker, compression_type=target)
        produce(broker, batch_of([b"x" * 100], codec=SNAPPY))
        assert read_header(stored(broker, number)).codec == CODECS.get(target, SNAPPY)


@pytest.mark.parametrize(("codec", "low", "high"), [("gzip", "1", "9"), ("lz4", "9", "12"), ("zstd", "-50", "19")])
def test_a_level_is_heeded_and_changed_like_the_codec(broker, codec, low, high):
    new_topic(broker)
    sizes = []
    text = b"".join(b"%d little words in %d rows " % (number * number, number) for number in range(2000))
    for level in (low, high):
        set_config(broker, compression_type=codec, **{f"compression_{codec}_level": level})
        offset = produce(broker, batch_of([text])).base_offset
        sizes.append(len(stored(broker, offset)))
    assert sizes[0] > 1.02 * sizes[1]


def test_a_batch_that_is_too_large_in_the_topics_codec_is_refused(broker):
    new_topic(broker, compression_type="uncompressed", max_message_bytes="2000")
    answer = produce(broker, batch_of([bytes(1000)] * 3, codec=GZIP))
    assert answer.error_code == ErrorCode.MESSAGE_TOO_LARGE
    answer = produce(broker, batch_of([bytes(100_000)] * 3, codec=GZIP))
    assert answer.error_code == ErrorCode.MESSAGE_TOO_LARGE
    assert broker.cluster.topics.partition("topic", 0).high_watermark == 0


@pytest.mark.parametrize("size", [1000, 100_000])
def test_records_that_are_not_what_their_header_says_are_refused(broker, size):
    new_topic(broker, compression_type="zstd")
    batch = batch_of([bytes(size)], codec=NONE)
    batch[22] |= GZIP
    write_crc(batch)
    assert produce(broker, batch).error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    assert broker.cluster.topics.partition("topic", 0).high_watermark == 0


def test_log_append_time_marks_a_recompressed_batch_too(broker):
    new_topic(broker, compression_type="gzip", message_timestamp_type="LogAppendTime")
    now = broker.clock.wall_ms()
    assert produce(broker, batch_of(VALUES)).log_append_time_ms == now
    header = read_header(stored(broker))
    assert (header.codec, header.timestamp_type, header.max_timestamp) == (GZIP, 1, now)


def test_a_producers_repeated_batch_is_told_from_a_new_one(broker):
    new_topic(broker, compression_type="lz4")
    first = produce(broker, batch_of(VALUES, producer=(7, 0, 0)))
    again = produce(broker, batch_of(VALUES, producer=(7, 0, 0)))
    assert (again.error_code, again.base_offset) == (0, first.base_offset)
    assert broker.cluster.topics.partition("topic", 0).high_watermark == len(VALUES)


def test_attributes_without_a_meaning_are_cleared(broker):
    new_topic(broker, compression_type="lz4")
    batch = batch_of(VALUES)
    batch[21] |= 0x40
    write_crc(batch)
    produce(broker, batch)
    assert read_header(stored(broker)).attributes == LZ4


def test_a_large_batch_is_compressed_in_the_background(broker):
    topic = new_topic(broker, partitions=2, compression_type="gzip")
    broker.cluster.stepper.background = disk = Held()
    batch = batch_of(LARGE)
    answer = begin(broker, batch)
    assert not answer.done
    batch[HEADER_SIZE:] = bytes(len(batch) - HEADER_SIZE)
    assert produce(broker, batch_of(VALUES), partition=1).error_code == 0  # A small one is done at once.
    assert len(disk.jobs) == 1
    disk.work()
    broker.settle()
    assert answer.response().responses[0].partition_responses[0].error_code == 0
    assert [record.value for record in read_records(stored(broker))] == LARGE
    assert topic.partitions[1].high_watermark == len(VALUES)


def test_a_topic_that_goes_while_its_batch_is_compressed_takes_none(broker):
    topic = new_topic(broker, compression_type="gzip")
    broker.cluster.stepper.background = disk = Held()
    answer = begin(broker, batch_of(LARGE))
    broker.cluster.topics.delete(topic)
    disk.work()
    assert answer.response().responses[0].partition_responses[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def begin(broker, batch):
    from ottla.wire.messages.produce import ProduceRequest

    data = [ProduceRequest.Topic.Partition(index=0, records=batch)]
    topics = [ProduceRequest.Topic(name="topic", partition_data=data)]
    return broker.begin(ProduceRequest(acks=-1, timeout_ms=1000, topic_data=topics), 9)


def test_record_validation_full_reads_every_record(tmp_path):
    from tests.stage.single_broker import Broker

    broker = Broker(tmp_path, **{"record.validation": "full"})
    new_topic(broker)
    batch = batch_of([b"a"])
    batch[HEADER_SIZE] += 2
    write_crc(batch)
    assert produce(broker, batch).error_code == ErrorCode.INVALID_RECORD
    broker.close()
