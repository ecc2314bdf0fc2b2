"""Clients from before Kafka 0.11: their messages become batches, and batches become messages for them.

old_clients/produced and old_clients/fetched.
"""

import gzip

import pytest

from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.compression import GZIP, LZ4, NONE, SNAPPY, ZSTD
from ottla.wire.markers import Marker
from ottla.wire.messages.configs import DescribeConfigsRequest
from ottla.wire.messages.fetch import ListOffsetsRequest
from ottla.wire.messages.groups import OffsetCommitRequest, OffsetFetchRequest
from ottla.wire.records import Record, build_batch, read_records
from tests.stage.clients import batch_of, fetch_request, new_topic, produce
from tests.stage.logs import split
from tests.wire.old_messages import message, numbered, read_set, wrapper

pytestmark = pytest.mark.over_slow_logs_too

FORMATS = pytest.mark.parametrize("magic", [0, 1])
VERSION_OF_FORMAT = {0: 0, 1: 2}
TIME = 1_700_000_000_000


def batches(broker, topic="topic"):
    """The log's content, batch by batch."""
    answer = broker.ask(fetch_request((topic, 0, 0)), 12)
    return split(bytes(answer.responses[0].partitions[0].records))


def stored(broker):
    return [record for batch in batches(broker) for record in read_records(batch)]


def fetched(broker, offset=0, *, version=2, limit=1 << 20, **options):
    answer = broker.ask(fetch_request(("topic", 0, offset, limit), **options), version)
    return answer.responses[0].partitions[0]


def messages(broker, offset=0, **options):
    return read_set(bytes(fetched(broker, offset, **options).records))


# --- produce


@FORMATS
@pytest.mark.parametrize("version", [0, 1, 2])
def test_messages_become_one_batch_without_a_producer(broker, magic, version):
    new_topic(broker)
    broker.append("topic", 2)
    answer = produce(broker, numbered([b"one", None, b"three"], magic=magic, timestamp=TIME), version=version)
    assert (answer.error_code, answer.base_offset, answer.log_append_time_ms) == (0, 2, -1)
    header = read_header(batches(broker)[1])
    assert (header.record_count, header.codec, header.producer_id) == (3, NONE, -1)
    time = TIME if magic else -1
    assert stored(broker)[2:] == [
        Record(2 + number, time, b"key", value) for number, value in enumerate((b"one", None, b"three"))
    ]


@FORMATS
def test_a_compressed_message_becomes_a_batch_in_the_same_codec(broker, magic):
    new_topic(broker)
    produce(broker, wrapper(numbered([b"one", b"two"], magic=magic), magic=magic), version=2)
    [batch] = batches(broker)
    assert read_header(batch).codec == GZIP
    assert [record.value for record in stored(broker)] == [b"one", b"two"]


def test_a_topic_with_a_codec_gets_its_own(broker):
    new_topic(broker, compression_type="lz4")
    produce(broker, numbered([b"one"]), version=2)
    produce(broker, wrapper(message(b"two")), version=2)
    assert [read_header(batch).codec for batch in batches(broker)] == [LZ4, LZ4]
    assert [record.value for record in stored(broker)] == [b"one", b"two"]


def test_log_append_time_is_told_from_version_2_on(broker):
    new_topic(broker, message_timestamp_type="LogAppendTime")
    now = broker.clock.wall_ms()
    assert produce(broker, message(), version=2).log_append_time_ms == now
    assert [record.timestamp for record in stored(broker)] == [now]


def test_many_messages_are_taken_in_steps(broker):
    new_topic(broker)
    values = [b"%d" % number for number in range(1000)]
    assert produce(broker, numbered(values), version=2).error_code == ErrorCode.NONE
    assert [record.value for record in stored(broker)] == values


def test_a_set_without_a_whole_message_appends_nothing(broker):
    new_topic(broker)
    answer = produce(broker, message()[:-1], version=2)
    assert (answer.error_code, answer.base_offset) == (0, -1)
    assert batches(broker) == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (message(crc=1), ErrorCode.CORRUPT_MESSAGE),
        (message() + message(crc=1), ErrorCode.CORRUPT_MESSAGE),
        (message() + message(magic=0), ErrorCode.INVALID_RECORD),
        (wrapper(message()) + wrapper(message()), ErrorCode.INVALID_RECORD),
        (message() + wrapper(message()), ErrorCode.INVALID_RECORD),
        (message(b"", attributes=ZSTD), ErrorCode.INVALID_RECORD),
        (message(b"", attributes=5), ErrorCode.UNKNOWN_SERVER_ERROR),
        (message(bytes(2 << 20)), ErrorCode.MESSAGE_TOO_LARGE),
        (numbered([bytes(600_000)] * 2), ErrorCode.MESSAGE_TOO_LARGE),
        (message(timestamp=4_000_000_000_000), ErrorCode.INVALID_TIMESTAMP),
        (message(timestamp=-1, attributes=8), ErrorCode.INVALID_TIMESTAMP),
    ],
)
def test_what_apache_refuses_is_refused_whole(broker, data, code):
    new_topic(broker)
    assert produce(broker, data, version=2).error_code == code
    assert batches(broker) == []


def test_a_compacted_topic_wants_keys(broker):
    new_topic(broker, cleanup_policy="compact")
    assert produce(broker, message(key=None), version=2).error_code == ErrorCode.INVALID_RECORD
    assert produce(broker, message(), version=2).error_code == ErrorCode.NONE


def test_a_batch_may_come_in_an_old_request_but_no_message_in_a_new_one(broker):
    new_topic(broker)
    assert produce(broker, batch_of(), version=2).error_code == ErrorCode.NONE
    assert produce(broker, message(), version=3).error_code == ErrorCode.INVALID_RECORD


# --- fetch


@FORMATS
@pytest.mark.parametrize("codec", [NONE, GZIP, SNAPPY, LZ4])
def test_batches_become_messages_under_their_offsets(broker, magic, codec):
    new_topic(broker)
    broker.append("topic", 1)
    produce(broker, batch_of([b"one", None, b"three"], codec=codec, timestamp=TIME))
    found = messages(broker, 1, version=VERSION_OF_FORMAT[magic])
    assert [(each.offset, each.value) for each in found] == [(1, b"one"), (2, None), (3, b"three")]
    assert [each.timestamp for each in found] == ([TIME, TIME + 1, TIME + 2] if magic else [-1, -1, -1])


def test_headers_are_left_out(broker):
    new_topic(broker)
    produce(broker, build_batch([Record(0, TIME, b"k", b"v", (("h", b"1"),))]))
    assert [(each.key, each.value) for each in messages(broker)] == [(b"k", b"v")]


def test_log_append_time_is_marked(broker):
    new_topic(broker, message_timestamp_type="LogAppendTime")
    produce(broker, batch_of(timestamp=TIME))
    [found] = messages(broker)
    assert (found.timestamp, found.attributes) == (broker.clock.wall_ms(), 8)


def test_what_lies_before_the_offset_is_left_out_unless_it_is_compressed(broker):
    new_topic(broker)
    produce(broker, batch_of([b"0", b"1", b"2"]))
    produce(broker, batch_of([b"3", b"4"], codec=GZIP))
    assert [each.offset for each in messages(broker, 1)] == [1, 2, 3, 4]
    assert [each.offset for each in messages(broker, 4)] == [3, 4]


def test_max_bytes_is_kept_but_a_message_comes_in_any_case(broker):
    new_topic(broker)
    produce(broker, batch_of([bytes(100)] * 10))
    one = len(message(bytes(100)))
    assert len(fetched(broker, limit=3 * one, version=3).records) == 3 * one
    assert len(fetched(broker, limit=3 * one - 1, version=3).records) == 2 * one
    assert len(fetched(broker, limit=1, version=3).records) == one


def test_zstd_is_nothing_for_old_clients(broker):
    new_topic(broker)
    produce(broker, batch_of([b"plain"]))
    produce(broker, batch_of([b"zstd"], codec=ZSTD))
    assert [each.value for each in messages(broker)] == [b"plain"]
    answer = fetched(broker, 1)
    assert answer.error_code == ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
    assert bytes(answer.records) == b""


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_nothing_of_a_topic_in_zstd_is_for_old_clients(broker, version):
    new_topic(broker, compression_type="zstd")
    refused = (ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, -1, b"")
    for _ in range(2):  # while it is empty, too
        for offset in (0, 1, 99):
            answer = fetched(broker, offset, version=version)
            assert (answer.error_code, answer.high_watermark, bytes(answer.records)) == refused
        produce(broker, batch_of([b"plain", b"plain"]))
    assert fetched(broker, version=4).error_code == ErrorCode.NONE
    unknown = broker.ask(fetch_request(("topic", 1, 0)), version).responses[0].partitions[0]
    assert unknown.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_markers_of_transactions_are_passed_over(broker):
    topic = new_topic(broker)
    produce(broker, batch_of([b"before"]))
    for _ in range(3):
        topic.partitions[0].append_end_transaction_marker(
            Marker(True, 0), producer_id=1, producer_epoch=0, transaction_version=2, now_ms=broker.clock.wall_ms()
        )
        broker.settle()
    produce(broker, batch_of([b"behind"]))
    assert [(each.offset, each.value) for each in messages(broker)] == [(0, b"before"), (4, b"behind")]
    assert [each.offset for each in messages(broker, 1, limit=80)] == [4]


def test_a_marker_at_the_end_is_worth_no_answer_at_once(broker):
    topic = new_topic(broker)
    topic.partitions[0].append_end_transaction_marker(
        Marker(True, 0), producer_id=1, producer_epoch=0, transaction_version=2, now_ms=broker.clock.wall_ms()
    )
    broker.settle()
    answer = broker.begin(fetch_request(("topic", 0, 0), max_wait_ms=500, min_bytes=1), 2)
    broker.settle()
    assert not answer.done
    broker.clock.now += 0.5
    broker.cluster.timers.run_due(broker.clock.now)
    assert bytes(answer.response().responses[0].partitions[0].records) == b""


def test_a_fetch_that_waits_gets_messages(broker):
    new_topic(broker)
    answer = broker.begin(fetch_request(("topic", 0, 0), max_wait_ms=500, min_bytes=1), 1)
    broker.settle()
    assert not answer.done
    broker.append("topic", 2)
    assert [each.offset for each in read_set(bytes(answer.response().responses[0].partitions[0].records))] == [0, 1]


def test_who_goes_away_leaves_nobody_waiting(broker):
    topic = new_topic(broker)
    answer = broker.begin(fetch_request(("topic", 0, 0), max_wait_ms=500, min_bytes=1), 1)
    broker.settle()
    answer.abandon()
    broker.append("topic", 2)
    broker.clock.now += 1
    broker.cluster.timers.run_due(broker.clock.now)
    assert not answer.reply.pending.value
    assert not topic.partitions[0].gone


def test_several_partitions_share_max_bytes(broker):
    new_topic(broker, partitions=4)
    for index in range(4):
        produce(broker, batch_of([b""] * 10), partition=index)
    one = len(message(b""))
    request = fetch_request(*(("topic", index, 0) for index in range(4)), max_bytes=500)
    answer = broker.ask(request, 3)
    assert [len(each.records) / one for each in answer.responses[0].partitions] == [10, 3, 1, 0]


def test_a_partition_that_is_not_there_is_no_error_of_the_others(broker):
    new_topic(broker)
    produce(broker, batch_of([b"value"]))
    answer = broker.ask(fetch_request(("topic", 0, 0), ("topic", 7, 0)), 2)
    assert [each.error_code for each in answer.responses[0].partitions] == [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]


# --- offsets


def listed(broker, timestamp, most=1):
    partition = ListOffsetsRequest.Topic.Partition(partition_index=0, timestamp=timestamp, max_num_offsets=most)
    request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsRequest.Topic(name="topic", partitions=[partition])])
    return broker.ask(request, 0).topics[0].partitions[0]


@pytest.mark.parametrize(
    ("timestamp", "most", "offsets"),
    [(-1, 1, [3]), (-1, 5, [3, 0]), (-2, 5, [0]), (TIME + 1, 1, [1]), (TIME + 1, 2, [1, 0]), (TIME + 9, 1, [3])],
)
def test_version_0_lists_offsets_latest_first(broker, timestamp, most, offsets):
    new_topic(broker)
    produce(broker, batch_of([b"0", b"1", b"2"], timestamp=TIME))
    answer = listed(broker, timestamp, most)
    assert (answer.error_code, answer.old_style_offsets) == (0, offsets)


def test_version_0_lists_the_start_of_an_empty_log_once(broker):
    new_topic(broker)
    assert listed(broker, -1, 5).old_style_offsets == [0]


def commit(broker, version, **fields):
    partition = OffsetCommitRequest.Topic.Partition(
        partition_index=0, committed_offset=7, committed_metadata="meta", **fields
    )
    topic = OffsetCommitRequest.Topic(name="topic", partitions=[partition])
    return broker.ask(OffsetCommitRequest(group_id="group", topics=[topic]), version).topics[0].partitions[0]


@pytest.mark.parametrize("version", [0, 1])
def test_offsets_are_committed_and_fetched_by_the_oldest_versions(broker, version):
    new_topic(broker)
    assert commit(broker, version).error_code == ErrorCode.NONE
    topic = OffsetFetchRequest.Topic(name="topic", partition_indexes=[0, 1])
    answer = broker.ask(OffsetFetchRequest(group_id="group", topics=[topic]), version).topics[0]
    found = {
        each.partition_index: (each.committed_offset, each.metadata, each.error_code) for each in answer.partitions
    }
    assert found == {0: (7, "meta", 0), 1: (-1, "", 0)}


@pytest.mark.parametrize(("said", "kept"), [({}, None), ({"commit_timestamp": 12345}, 12345)])
def test_version_1_may_say_when_it_was_committed(broker, said, kept):
    new_topic(broker)
    commit(broker, 1, **said)
    offsets = broker.cluster.nodes.first.groups.runtime.shard_of("group").state.offsets.of_group("group")
    assert offsets["topic"][0].commit_timestamp_ms == (broker.clock.wall_ms() if kept is None else kept)


# --- configurations


def test_version_0_says_what_is_default(broker):
    new_topic(broker, retention_ms="5000")
    resource = DescribeConfigsRequest.Resource(
        resource_type=2, resource_name="topic", configuration_keys=["retention.ms", "cleanup.policy"]
    )
    answer = broker.ask(DescribeConfigsRequest(resources=[resource]), 0).results[0]
    assert {each.name: each.is_default for each in answer.configs} == {"retention.ms": False, "cleanup.policy": True}


def test_gzip_of_another_maker_is_taken(broker):
    new_topic(broker)
    data = message(gzip.compress(message(b"one")) + gzip.compress(b""), key=None, attributes=GZIP)
    assert produce(broker, data, version=2).error_code == ErrorCode.NONE
