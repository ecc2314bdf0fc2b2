"""Produce and InitProducerId, with the error codes that Apache 4.3.1 gave for the same requests.

producing/append and producing/answer do the work; tests/broker/test_slow_logs.py has them over slow logs.
"""

import pytest

from ottla.broker.handlers.produce import produce as produce_handler
from ottla.scheduling.promise import Promise
from ottla.wire.batch import MAX_TIMESTAMP_OFFSET, read_header, write_crc
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import ProtocolError
from ottla.wire.messages.produce import InitProducerIdRequest, ProduceRequest
from tests.stage.clients import batch_of, fetch_one, new_topic, produce
from tests.stage.single_broker import Broker

pytestmark = pytest.mark.over_slow_logs_too

NONE = ErrorCode.NONE
Topic = ProduceRequest.Topic
Partition = Topic.Partition
ALL_VERSIONS = range(3, 14)
DAY_MS = 86_400_000


def code(answer):
    return ErrorCode(answer.error_code)


def end_offset(broker, topic="topic", partition=0):
    return broker.cluster.topics.partition(topic, partition).high_watermark


def max_timestamp(broker):
    return read_header(bytes(fetch_one(broker).records)).max_timestamp


def patched(batch, position, value):
    """A batch with one byte changed and a good CRC."""
    batch[position] = value
    write_crc(batch)
    return batch


@pytest.mark.parametrize("version", ALL_VERSIONS)
def test_a_batch_is_appended_in_every_version(broker, version):
    topic = new_topic(broker)
    broker.append("topic", 3)
    by_id = {"topic": "", "topic_id": topic.id} if version >= 13 else {}
    answer = produce(broker, batch_of([b"a", b"b"]), version=version, **by_id)
    assert (code(answer), answer.base_offset) == (NONE, 3)
    assert answer.log_start_offset == (0 if version >= 5 else -1)
    assert end_offset(broker) == 5


def test_the_stored_batch_is_numbered_and_else_as_it_came(broker):
    new_topic(broker)
    broker.append("topic", 3)
    batch = batch_of([b"a", b"b"])
    produce(broker, batch)
    data = bytes(fetch_one(broker, 3).records)
    assert read_header(data).base_offset == 3
    assert data[16:] == batch[16:]


def test_partitions_fail_each_for_itself(broker):
    new_topic(broker, partitions=2)
    request = ProduceRequest(
        acks=-1,
        timeout_ms=1000,
        topic_data=[
            Topic(name="nope", partition_data=[Partition(index=0, records=batch_of())]),
            Topic(name="topic", partition_data=[Partition(index=each, records=batch_of()) for each in (7, 1, -1)]),
        ],
    )
    answers = broker.ask(request, 12).responses
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert [(topic.name, [(each.index, code(each)) for each in topic.partition_responses]) for topic in answers] == [
        ("nope", [(0, unknown)]),
        ("topic", [(7, unknown), (1, NONE), (-1, unknown)]),
    ]
    assert end_offset(broker, partition=1) == 1


def test_a_partition_named_twice_takes_the_last_batch(broker):
    new_topic(broker)
    data = [Partition(index=0, records=batch_of([b"first"])), Partition(index=0, records=batch_of([b"a", b"b", b"c"]))]
    request = ProduceRequest(acks=-1, timeout_ms=1000, topic_data=[Topic(name="topic", partition_data=data)])
    [answer] = broker.ask(request, 12).responses[0].partition_responses
    assert (code(answer), answer.base_offset) == (NONE, 0)
    assert end_offset(broker) == 3


def test_an_unknown_id_has_its_own_error(broker):
    new_topic(broker)
    answer = produce(broker, topic="", topic_id=b"?" * 16, version=13)
    assert code(answer) == ErrorCode.UNKNOWN_TOPIC_ID


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda batch: batch[:40], ErrorCode.INVALID_RECORD),
        (lambda batch: b"", ErrorCode.INVALID_RECORD),
        (lambda batch: batch + batch, ErrorCode.INVALID_RECORD),
        (lambda batch: patched(batch, 16, 1), ErrorCode.INVALID_RECORD),
        (lambda batch: batch[:20] + b"\0" + batch[21:], ErrorCode.CORRUPT_MESSAGE),
        (lambda batch: batch[:-1] + b"!", ErrorCode.CORRUPT_MESSAGE),
        (lambda batch: patched(batch, 7, 1), ErrorCode.INVALID_RECORD),
        (lambda batch: patched(batch, 60, 7), ErrorCode.INVALID_RECORD),
        (lambda batch: patched(batch, 22, 0x20), ErrorCode.INVALID_RECORD),
    ],
    ids=["cut", "empty", "two batches", "old format", "crc", "payload", "base offset", "count", "control batch"],
)
def test_what_is_not_one_good_batch_is_refused(broker, spoil, expected):
    new_topic(broker)
    answer = produce(broker, bytes(spoil(batch_of([b"some value"]))))
    assert (code(answer), answer.base_offset) == (expected, -1)
    assert end_offset(broker) == 0


def test_records_null_are_an_invalid_record(broker):
    # Apache itself never answers this.
    new_topic(broker)
    request = ProduceRequest(
        acks=1,
        timeout_ms=1000,
        topic_data=[Topic(name="topic", partition_data=[Partition(index=0, records=None)])],
    )
    for version in ALL_VERSIONS[:-1]:
        answer = broker.ask(request, version).responses[0].partition_responses[0]
        assert code(answer) == ErrorCode.INVALID_RECORD


def test_a_batch_over_the_topics_limit_is_too_large(broker):
    new_topic(broker, max_message_bytes="1000")
    assert code(produce(broker, batch_of([b"x" * 2000]))) == ErrorCode.MESSAGE_TOO_LARGE
    assert code(produce(broker, batch_of([b"x" * 500]))) == NONE


def test_a_batch_over_the_segments_size_is_too_large(broker):
    new_topic(broker, segment_bytes=str(1 << 20), max_message_bytes=str(2 << 20))
    assert code(produce(broker, batch_of([b"x" * (1 << 20)]))) == ErrorCode.RECORD_LIST_TOO_LARGE


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_every_codec_is_stored_as_it_came(broker, codec):
    new_topic(broker)
    assert code(produce(broker, batch_of([b"value"] * 3, codec=codec))) == NONE
    assert end_offset(broker) == 3


def test_zstd_needs_version_7(broker):
    new_topic(broker)
    zstd = batch_of(codec=4)
    assert code(produce(broker, zstd, version=6)) == ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
    assert code(produce(broker, zstd, version=7)) == NONE


# --- acks


@pytest.mark.parametrize("acks", [2, -2, 100])
def test_other_acks_than_0_1_and_all_are_refused(broker, acks):
    new_topic(broker)
    assert code(produce(broker, acks=acks)) == ErrorCode.INVALID_REQUIRED_ACKS
    assert code(produce(broker, acks=acks, topic="nope")) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert end_offset(broker) == 0


def test_acks_all_needs_no_more_replicas_than_there_are(broker):
    new_topic(broker, min_insync_replicas="2")
    assert code(produce(broker, acks=-1)) == NONE
    assert broker.cluster.topics.partition("topic", 0).high_watermark == 1


def send_unacknowledged(broker, topic):
    data = Partition(index=0, records=memoryview(batch_of()))
    broker.context.api_version = 12
    request = ProduceRequest(acks=0, timeout_ms=0, topic_data=[Topic(name=topic, partition_data=[data])])
    answer = produce_handler(broker.context, request)
    broker.settle()
    return answer.value if isinstance(answer, Promise) else answer


def test_acks_0_has_no_answer(broker):
    new_topic(broker)
    assert send_unacknowledged(broker, "topic") is None
    assert end_offset(broker) == 1


def test_an_error_with_acks_0_closes_the_connection(broker):
    with pytest.raises(ProtocolError, match=r"acks=0 to partition 0 of 'no\\npe' got UNKNOWN_TOPIC_OR_PARTITION"):
        send_unacknowledged(broker, "no\npe")


@pytest.mark.parametrize("acks", [0, 1, -1])
def test_clients_do_not_write_to_internal_topics(broker, acks):
    broker.cluster.topics.ensure_internal("__consumer_offsets")
    if acks:
        assert code(produce(broker, topic="__consumer_offsets", acks=acks)) == ErrorCode.INVALID_TOPIC_EXCEPTION
    else:
        with pytest.raises(ProtocolError, match="INVALID_TOPIC_EXCEPTION"):
            send_unacknowledged(broker, "__consumer_offsets")


# --- timestamps


def test_create_time_is_the_producers(broker):
    new_topic(broker)
    answer = produce(broker, batch_of(timestamp=12_345))
    assert (code(answer), answer.log_append_time_ms) == (NONE, -1)
    assert max_timestamp(broker) == 12_345


def test_a_greatest_timestamp_that_was_left_out_is_taken_from_the_records(broker):
    new_topic(broker)
    batch = batch_of([b"a", b"b", b"c"], timestamp=12_345)
    batch[MAX_TIMESTAMP_OFFSET : MAX_TIMESTAMP_OFFSET + 8] = (-1).to_bytes(8, signed=True)
    write_crc(batch)
    assert code(produce(broker, batch)) == NONE
    stored = bytes(fetch_one(broker).records)
    assert stored[16:] == bytes(batch_of([b"a", b"b", b"c"], timestamp=12_345))[16:]


def test_log_append_time_is_the_brokers(broker):
    new_topic(broker, message_timestamp_type="LogAppendTime")
    answer = produce(broker, batch_of([b"a", b"b"], timestamp=12_345))
    now = broker.clock.wall_ms()
    assert (code(answer), answer.log_append_time_ms) == (NONE, now)
    assert max_timestamp(broker) == now


def test_a_timestamp_too_far_ahead_is_refused_with_the_logs_start(broker):
    new_topic(broker)
    answer = produce(broker, batch_of(timestamp=broker.clock.wall_ms() + DAY_MS))
    assert (code(answer), answer.log_start_offset) == (ErrorCode.INVALID_TIMESTAMP, 0)


def test_a_timestamp_too_old_for_the_topic_is_refused_record_by_record(broker):
    new_topic(broker, message_timestamp_before_max_ms=str(DAY_MS))
    now = broker.clock.wall_ms()
    answer = produce(broker, batch_of([b"a", b"b"], timestamp=now - DAY_MS - 1))
    assert code(answer) == ErrorCode.INVALID_TIMESTAMP
    assert [each.batch_index for each in answer.record_errors] == [0]
    assert answer.log_start_offset == 0
    assert code(produce(broker, batch_of(timestamp=now - DAY_MS + 1000))) == NONE


def test_records_without_a_key_do_not_go_into_a_compacted_topic(broker):
    new_topic(broker, cleanup_policy="compact")
    answer = produce(broker, batch_of([b"a", b"b"], key=None))
    assert code(answer) == ErrorCode.INVALID_RECORD
    assert [each.batch_index for each in answer.record_errors] == [0, 1]
    assert code(produce(broker, batch_of([b"a", None]))) == NONE
    assert end_offset(broker) == 2


def test_null_values_and_null_keys_are_ordinary(broker):
    new_topic(broker)
    assert code(produce(broker, batch_of([None, b"", None], key=None))) == NONE
    assert end_offset(broker) == 3


# --- idempotence (KIP-98)


def send(broker, sequence, count=1, *, epoch=0, producer_id=7):
    answer = produce(broker, batch_of([b"value"] * count, producer=(producer_id, epoch, sequence)))
    return code(answer), answer.base_offset


OUT_OF_ORDER = (ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)
FENCED = (ErrorCode.INVALID_PRODUCER_EPOCH, -1)


def test_a_duplicate_is_answered_with_the_offset_of_the_first_copy(broker):
    new_topic(broker)
    assert send(broker, 0, 3) == (NONE, 0)
    assert send(broker, 3, 2) == (NONE, 3)
    assert send(broker, 0, 3) == (NONE, 0)
    assert send(broker, 3, 2) == (NONE, 3)
    assert end_offset(broker) == 5


def test_a_gap_is_refused_with_the_logs_start(broker):
    new_topic(broker)
    send(broker, 0)
    answer = produce(broker, batch_of(producer=(7, 0, 2)))
    assert (code(answer), answer.log_start_offset) == (ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, 0)
    assert send(broker, 1) == (NONE, 1)


def test_only_the_last_five_batches_are_known_as_duplicates(broker):
    new_topic(broker)
    for sequence in range(6):
        send(broker, sequence)
    assert send(broker, 1) == (NONE, 1)
    assert send(broker, 0) == OUT_OF_ORDER


def test_part_of_a_batch_is_no_duplicate(broker):
    new_topic(broker)
    send(broker, 0, 3)
    assert send(broker, 0, 2) == OUT_OF_ORDER


def test_a_new_epoch_begins_at_0_and_fences_the_old_one(broker):
    new_topic(broker)
    send(broker, 0)
    assert send(broker, 1, epoch=1) == OUT_OF_ORDER
    assert send(broker, 0, epoch=1) == (NONE, 1)
    assert send(broker, 1, epoch=0) == FENCED


def test_an_unknown_producer_may_begin_anywhere(broker):
    new_topic(broker)
    assert send(broker, 5) == (NONE, 0)


def test_sequences_go_on_at_0_after_the_greatest(broker):
    new_topic(broker)
    assert send(broker, 2**31 - 1, 2) == (NONE, 0)
    assert send(broker, 1) == (NONE, 2)


def test_a_producer_needs_a_sequence(broker):
    new_topic(broker)
    assert send(broker, -1) == (ErrorCode.INVALID_RECORD, -1)


def test_producers_do_not_know_of_each_other(broker):
    new_topic(broker, partitions=2)
    assert send(broker, 0, producer_id=7) == (NONE, 0)
    assert send(broker, 0, producer_id=8) == (NONE, 1)


def test_the_state_of_producers_survives_a_restart(tmp_path):
    broker = Broker(tmp_path)
    new_topic(broker)
    send(broker, 0, 3)
    broker.close()
    again = Broker(tmp_path)
    assert send(again, 0, 3) == (NONE, 0)
    assert send(again, 4) == OUT_OF_ORDER
    assert send(again, 3) == (NONE, 3)
    again.close()


# --- InitProducerId


def init(broker, version=4, **given):
    return broker.ask(
        InitProducerIdRequest(**{"transactional_id": None, "transaction_timeout_ms": 1000, **given}), version
    )


@pytest.mark.parametrize("version", range(6))
def test_every_producer_gets_an_id_of_its_own(broker, version):
    answers = [init(broker, version) for _ in range(3)]
    assert [(code(each), each.producer_epoch) for each in answers] == [(NONE, 0)] * 3
    assert len({each.producer_id for each in answers}) == 3


def test_ids_are_not_given_out_again_after_a_restart(tmp_path):
    broker = Broker(tmp_path)
    first = init(broker).producer_id
    broker.close()
    again = Broker(tmp_path)
    assert init(again).producer_id > first
    again.close()


@pytest.mark.parametrize(
    ("producer_id", "epoch", "expected"),
    [
        (5, 0, NONE),
        (-1, -1, NONE),
        (5, -1, ErrorCode.INVALID_REQUEST),
        (-1, 0, ErrorCode.INVALID_REQUEST),
    ],
)
def test_id_and_epoch_come_together(broker, producer_id, epoch, expected):
    assert code(init(broker, producer_id=producer_id, producer_epoch=epoch)) == expected


def test_a_transactional_producer_is_refused_for_good(broker, caplog):
    answer = init(broker, transactional_id="mine")
    assert code(answer) not in {NONE, ErrorCode.UNKNOWN_SERVER_ERROR}
    assert not code(answer).retriable
    assert "transactions are not served yet" in caplog.text


def test_a_transactional_id_is_not_empty(broker):
    assert code(init(broker, transactional_id="")) == ErrorCode.INVALID_REQUEST
