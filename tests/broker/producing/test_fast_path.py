"""The commonest Produce request is answered from its bytes as the handler would; all others are left to the handler."""

import pytest

from ottla.broker.producing.fast_path import produce_straight
from ottla.scheduling.promise import Promise
from ottla.wire import frames
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.produce import ProduceRequest, ProduceResponse
from tests.stage.clients import batch_of, new_topic
from tests.stage.single_broker import SlowBroker

BY_ID = 13
Topic = ProduceRequest.Topic
Partition = Topic.Partition


def request(topic, *records, acks=-1, transactional_id=None, partition=0):
    data = [Partition(index=partition + number, records=each) for number, each in enumerate(records)]
    named = Topic(topic_id=topic.id, partition_data=data)
    return ProduceRequest(transactional_id=transactional_id, acks=acks, timeout_ms=1000, topic_data=[named])


def straight(broker, asked, *, more=b"", less=0):
    """Give the body of a request to the fast path; what the connection has behind it must not matter."""
    body = bytearray(asked.encode(BY_ID))
    end = len(body) - less + len(more)
    return produce_straight(BY_ID)(broker.context, 7, body[: len(body) - less] + more + b"the next request", 0, end)


def decoded(answer):
    correlation_id, response = frames.decode_response(ProduceResponse, bytes(answer)[frames.SIZE.size :], BY_ID)
    assert correlation_id == 7
    return response


def appended(broker, name="topic", partition=0):
    return broker.cluster.topics.partition(name, partition).log.log_end_offset


@pytest.mark.parametrize("acks", [-1, 1])
def test_one_batch_for_one_partition_is_answered_as_by_the_handler(broker, acks):
    fast, slow = new_topic(broker, "fast", 2), new_topic(broker, "slow", 2)
    for count in (2, 3):
        sent = [batch_of([b"value"] * count) for _ in range(2)]
        response = decoded(straight(broker, request(fast, sent[0], acks=acks, partition=1)))
        expected = broker.ask(request(slow, bytes(sent[1]), acks=acks, partition=1), BY_ID)
        [answer], [like] = response.responses[0].partition_responses, expected.responses[0].partition_responses
        assert answer == like
        assert response.responses[0].topic_id == fast.id
    assert appended(broker, "fast", 1) == appended(broker, "slow", 1) == 5


def test_the_brokers_time_and_the_logs_start_are_in_the_answer(broker):
    topic = new_topic(broker, message_timestamp_type="LogAppendTime")
    straight(broker, request(topic, batch_of([b"a", b"b"])))
    topic.partitions[0].delete_records(1)
    [answer] = decoded(straight(broker, request(topic, batch_of()))).responses[0].partition_responses
    assert (answer.base_offset, answer.log_start_offset) == (2, 1)
    assert answer.log_append_time_ms == broker.clock.wall_ms()


def test_an_append_that_takes_its_time_is_answered_later(tmp_path):
    broker = SlowBroker(tmp_path)
    topic = new_topic(broker)
    broker.settle()
    pending = straight(broker, request(topic, batch_of()))
    assert isinstance(pending, Promise)
    assert not pending.done
    broker.settle()
    assert pending.result().responses[0].partition_responses[0].base_offset == 0
    broker.close()


@pytest.mark.parametrize(
    "options",
    [{"acks": 0}, {"acks": 2}, {"transactional_id": "t"}, {"partition": 9}],
    ids=["no acks", "wrong acks", "a transaction", "no such partition"],
)
def test_a_request_that_is_not_common_or_not_right_is_left_to_the_handler(broker, options):
    assert straight(broker, request(new_topic(broker), batch_of(), **options)) is None
    assert appended(broker) == 0


def test_another_shape_of_request_is_left_to_the_handler(broker):
    topic = new_topic(broker, partitions=2)
    assert straight(broker, request(topic, batch_of(), batch_of())) is None
    assert straight(broker, request(topic, None)) is None
    assert straight(broker, request(topic, b"")) is None
    assert straight(broker, request(topic, batch_of()), more=b"\0") is None
    assert straight(broker, request(topic, batch_of()), less=1) is None
    topic.id = b"another topic..."
    assert straight(broker, request(topic, batch_of())) is None
    assert appended(broker) == appended(broker, partition=1) == 0


def test_a_bad_batch_is_left_to_the_handler_which_says_what_is_wrong(broker):
    topic = new_topic(broker)
    bad = batch_of()
    bad[-1] ^= 1
    assert straight(broker, request(topic, bad)) is None
    [answer] = broker.ask(request(topic, bytes(bad)), BY_ID).responses[0].partition_responses
    assert answer.error_code == ErrorCode.CORRUPT_MESSAGE
    assert appended(broker) == 0


def test_versions_that_name_topics_have_no_fast_path():
    assert [version for version in range(14) if produce_straight(version) is not None] == [BY_ID]
