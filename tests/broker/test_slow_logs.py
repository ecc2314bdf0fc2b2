"""Handlers while a log has not answered yet, call by call."""

import pytest

from ottla.scheduling.background import Inline
from ottla.scheduling.clock import stopwatch
from ottla.scheduling.promise import Promise
from ottla.scheduling.stepper import Stepper
from ottla.scheduling.timers import Timers
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import ProtocolError
from ottla.wire.messages.fetch import ListOffsetsRequest
from ottla.wire.messages.produce import ProduceRequest
from ottla.wire.messages.topics import DeleteRecordsRequest
from tests.stage.clients import batch_of, fetch, fetch_request, new_topic, partitions_of, produce
from tests.stage.single_broker import SlowBroker

NONE = ErrorCode.NONE
BATCH = len(batch_of([b"x" * 100]))


@pytest.fixture
def broker(tmp_path):
    broker = SlowBroker(tmp_path)
    yield broker
    broker.settle()
    broker.close()


@pytest.fixture
def filled(broker):
    """Two partitions with three batches of one record each."""
    new_topic(broker, partitions=2)
    for partition in (0, 1):
        for _ in range(3):
            produce(broker, batch_of([b"x" * 100]), partition=partition)
    return broker


def begin_produce(broker, *batches, acks=-1):
    data = [ProduceRequest.Topic.Partition(index=index, records=batch) for index, batch in enumerate(batches)]
    topics = [ProduceRequest.Topic(name="topic", partition_data=data)]
    return broker.begin(ProduceRequest(acks=acks, timeout_ms=1000, topic_data=topics), 9)


def codes(response):
    return [ErrorCode(each.error_code) for topic in response.responses for each in topic.partition_responses]


def test_produce_answers_when_the_slowest_append_is_done(broker):
    new_topic(broker, partitions=2)
    answer = begin_produce(broker, batch_of(), batch_of())
    broker.step()
    assert not answer.done
    broker.step()
    assert codes(answer.response()) == [NONE, NONE]


def test_an_append_refused_later_fails_for_itself(broker):
    new_topic(broker, partitions=2)
    begin_produce(broker, batch_of(producer=(1, 0, 0)), batch_of())
    answer = begin_produce(broker, batch_of(producer=(1, 0, 9)), batch_of())
    broker.settle()
    response = answer.response()
    assert codes(response) == [ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, NONE]
    assert response.responses[0].partition_responses[0].log_start_offset == 0


def test_the_next_request_waits_for_an_append_with_acks_0(broker):
    new_topic(broker)
    deferred = begin_produce(broker, batch_of(), acks=0).reply
    assert not deferred.pending.done
    broker.settle()
    assert deferred.reply() is None
    assert broker.cluster.topics.partition("topic", 0).high_watermark == 1


def test_an_append_with_acks_0_refused_later_closes_the_connection(broker):
    new_topic(broker)
    produce(broker, batch_of(producer=(1, 0, 0)))
    deferred = begin_produce(broker, batch_of(producer=(1, 0, 9)), acks=0).reply
    broker.settle()
    with pytest.raises(ProtocolError, match="OUT_OF_ORDER_SEQUENCE_NUMBER"):
        deferred.reply()


def test_a_consumer_wakes_when_the_append_is_done_and_not_before(broker):
    new_topic(broker)
    waiting = broker.begin(fetch_request(("topic", 0, 0), max_wait_ms=500, min_bytes=1), 12)
    begin_produce(broker, batch_of([b"x" * 100]))
    assert not waiting.done
    broker.settle()
    assert len(waiting.response().responses[0].partitions[0].records) == BATCH


def test_who_begins_to_wait_during_an_append_hears_of_it_too(broker):
    new_topic(broker)
    begin_produce(broker, batch_of([b"x" * 100]))
    waiting = broker.begin(fetch_request(("topic", 0, 0), max_wait_ms=500, min_bytes=1), 12)
    broker.settle()
    assert len(waiting.response().responses[0].partitions[0].records) == BATCH


def test_a_refused_append_wakes_nobody(broker):
    new_topic(broker)
    produce(broker, batch_of(producer=(1, 0, 0)))
    waiting = broker.begin(fetch_request(("topic", 0, 1), max_wait_ms=500, min_bytes=1), 12)
    begin_produce(broker, batch_of(producer=(1, 0, 9)))
    broker.settle()
    assert not waiting.done


def test_a_fetch_answers_when_all_its_logs_have_given_their_bytes(filled):
    answer = filled.begin(fetch_request(("topic", 0, 0, 3 * BATCH), ("topic", 1, 1, 3 * BATCH)), 12)
    filled.step()
    assert not answer.done
    filled.step()
    sizes = {index: len(each.records) for (_, index), each in partitions_of(answer.response()).items()}
    assert sizes == {0: 3 * BATCH, 1: 2 * BATCH}


def test_what_one_log_does_not_fill_is_left_for_the_others(filled):
    answer = filled.begin(fetch_request(("topic", 0, 2), ("topic", 1, 1), max_bytes=2 * BATCH), 12)
    filled.settle()
    sizes = {index: len(each.records) for (_, index), each in partitions_of(answer.response()).items()}
    assert sizes == {0: BATCH, 1: BATCH}


def test_a_client_that_leaves_during_a_read_leaves_no_file_open(filled):
    answer = filled.begin(fetch_request(("topic", 0, 0), ("topic", 1, 0)), 12)
    filled.step()
    answer.abandon()
    filled.settle()
    assert filled.files.open_files.pinned == 0
    assert not filled.cluster.topics.partition("topic", 0).watchers


def test_a_fetch_whose_time_is_up_during_a_read_answers_after_it(filled):
    answer = filled.begin(fetch_request(("topic", 0, 2), max_wait_ms=500, min_bytes=10 * BATCH), 12)
    filled.clock.now += 1
    filled.cluster.timers.run_due(filled.clock.now)
    assert not answer.done
    filled.settle()
    assert len(answer.response().responses[0].partitions[0].records) == BATCH


def test_bytes_that_come_during_a_read_count(filled):
    answer = filled.begin(fetch_request(("topic", 0, 2), max_wait_ms=500, min_bytes=2 * BATCH), 12)
    begin_produce(filled, batch_of([b"x" * 100]))
    filled.settle()
    assert len(answer.response().responses[0].partitions[0].records) == 2 * BATCH


def test_a_session_does_not_miss_what_comes_during_a_read(filled):
    session = fetch(filled, ("topic", 0, 3), ("topic", 1, 2), session=(0, 0)).session_id
    answer = filled.begin(fetch_request(("topic", 0, 3), ("topic", 1, 2, BATCH), session=(session, 1)), 12)
    begin_produce(filled, batch_of())
    filled.step(1)
    assert filled.cluster.topics.partition("topic", 0).high_watermark == 4
    filled.settle()
    assert {index for _, index in partitions_of(answer.response())} == {1}
    third = fetch(filled, ("topic", 1, 3), session=(session, 2))
    assert len(partitions_of(third)["topic", 0].records) == len(batch_of())


def test_offsets_are_listed_when_they_are_found(filled):
    Partition = ListOffsetsRequest.Topic.Partition  # noqa: N806
    asked = [Partition(partition_index=0, timestamp=0), Partition(partition_index=1, timestamp=-3)]
    request = ListOffsetsRequest(
        replica_id=-1, isolation_level=0, topics=[ListOffsetsRequest.Topic(name="topic", partitions=asked)]
    )
    answer = filled.begin(request, 7)
    filled.step()
    assert not answer.done
    filled.step()
    assert [each.offset for each in answer.response().topics[0].partitions] == [0, 0]


def test_records_are_deleted_when_the_log_says_so(filled):
    Partition = DeleteRecordsRequest.Topic.Partition  # noqa: N806
    both = [Partition(partition_index=0, offset=-1), Partition(partition_index=1, offset=2)]
    topics = [DeleteRecordsRequest.Topic(name="topic", partitions=both)]
    answer = filled.begin(DeleteRecordsRequest(topics=topics, timeout_ms=1000), 2)
    filled.step()
    assert not answer.done
    filled.step()
    assert [each.low_watermark for each in answer.response().topics[0].partitions] == [3, 2]


def test_work_in_steps_goes_on_when_what_it_waits_for_is_done():
    done = []
    gate: Promise[None] = Promise()

    def work():
        yield None
        done.append("before")
        yield gate
        done.append("after")

    ended = Stepper(timers=Timers(), stopwatch=stopwatch, background=Inline()).run(work())
    assert done == ["before"]
    assert not ended.done
    gate.resolve(None)
    assert done == ["before", "after"]
    assert ended.done
