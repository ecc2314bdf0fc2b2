"""Fetch without sessions (fetching/delayed_fetch): what is read, how much of it, and how it waits. As Apache 4.3.1."""

import pytest

from ottla.wire.codes import ErrorCode
from tests.stage.clients import batch_of, fetch, fetch_one, fetch_request, new_topic, partitions_of, produce
from tests.stage.logs import offsets
from tests.stage.single_broker import Broker

pytestmark = pytest.mark.over_slow_logs_too

NONE = ErrorCode.NONE
BATCH = len(batch_of([b"x" * 100]))


def code(answer):
    return ErrorCode(answer.error_code)


@pytest.fixture
def filled(broker):
    """A broker whose topic has two partitions with three batches of one record each."""
    new_topic(broker, partitions=2)
    for partition in (0, 1):
        for _ in range(3):
            produce(broker, batch_of([b"x" * 100]), partition=partition)
    return broker


def watchers(broker, topic="topic"):
    return sum(len(each.watchers) for each in broker.cluster.topics.by_name[topic].partitions)


def is_timed(broker):
    """Tell whether a timer runs out soon; the coordinators' regular ones are far away."""
    deadline = broker.cluster.timers.next_deadline()
    return deadline is not None and deadline < broker.clock.now + 60


def nothing_is_left_behind(broker):
    return watchers(broker) == 0 and not is_timed(broker)


# --- what is read


@pytest.mark.parametrize("version", range(4, 19))
def test_batches_come_back_in_every_version(filled, version):
    topic = filled.cluster.topics.by_name["topic"]
    name = topic.id if version >= 13 else "topic"
    answer = fetch_one(filled, 1, topic=name, version=version)
    assert (code(answer), answer.high_watermark, answer.last_stable_offset) == (NONE, 3, 3)
    assert answer.log_start_offset == (0 if version >= 5 else -1)
    assert offsets(bytes(answer.records)) == [1, 2]


def test_an_offset_inside_a_batch_gives_the_whole_batch(broker):
    new_topic(broker)
    produce(broker, batch_of([b"a", b"b", b"c"]))
    assert offsets(bytes(fetch_one(broker, 2).records)) == [0]


def test_at_the_end_there_is_nothing(filled):
    answer = fetch_one(filled, 3)
    assert (code(answer), bytes(answer.records)) == (NONE, b"")


@pytest.mark.parametrize("offset", [4, 99, -1])
def test_an_offset_outside_of_the_log_is_out_of_range(filled, offset):
    answer = fetch_one(filled, offset, max_wait_ms=10_000, min_bytes=1)
    assert code(answer) == ErrorCode.OFFSET_OUT_OF_RANGE
    assert (answer.high_watermark, answer.last_stable_offset, answer.log_start_offset) == (-1, -1, -1)


def test_what_was_deleted_is_out_of_range(filled):
    filled.cluster.topics.partition("topic", 0).delete_records(2)
    assert code(fetch_one(filled, 1)) == ErrorCode.OFFSET_OUT_OF_RANGE
    answer = fetch_one(filled, 2)
    assert (code(answer), answer.log_start_offset, offsets(bytes(answer.records))) == (NONE, 2, [2])


def test_unknown_topics_partitions_and_ids_are_told_at_once(filled):
    waiting = {"max_wait_ms": 10_000, "min_bytes": 1}
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    answers = partitions_of(fetch(filled, ("nope", 0, 0), ("topic", 7, 0), ("topic", -1, 0), **waiting))
    assert {key: code(each) for key, each in answers.items()} == {
        ("nope", 0): unknown,
        ("topic", 7): unknown,
        ("topic", -1): unknown,
    }
    assert code(fetch_one(filled, topic=b"?" * 16, version=13, **waiting)) == ErrorCode.UNKNOWN_TOPIC_ID
    assert nothing_is_left_behind(filled)


def test_both_isolation_levels_read_what_is_committed(filled):
    uncommitted, committed = (fetch_one(filled, isolation_level=level) for level in (0, 1))
    assert bytes(uncommitted.records) == bytes(committed.records) != b""
    assert uncommitted.aborted_transactions is None
    assert committed.aborted_transactions == []


@pytest.mark.parametrize("level", [-1, 2, 127])
@pytest.mark.parametrize(("version", "told"), [(12, [ErrorCode.UNKNOWN_SERVER_ERROR]), (13, [])])
def test_an_unknown_isolation_level_fails_the_whole_fetch(filled, level, version, told):
    topic = filled.cluster.topics.by_name["topic"].id if version >= 13 else "topic"
    answer = fetch(filled, (topic, 0, 0), version=version, isolation_level=level)
    assert code(answer) is ErrorCode.UNKNOWN_SERVER_ERROR
    assert [code(each) for each in partitions_of(answer).values()] == told


def test_nobody_replicates_from_here(filled):
    assert code(fetch_one(filled, replica_id=7, version=12)) is ErrorCode.NOT_LEADER_OR_FOLLOWER


# --- how much


def test_a_negative_limit_is_an_error_where_there_is_something_to_read(filled):
    assert code(fetch_one(filled, max_bytes=-1)) is ErrorCode.UNKNOWN_SERVER_ERROR
    assert code(fetch_one(filled, 3, max_bytes=-1)) is NONE


def sizes(response):
    return {key[1]: len(each.records) for key, each in partitions_of(response).items()}


def test_one_batch_comes_whatever_its_size(filled):
    assert sizes(fetch(filled, ("topic", 0, 0), ("topic", 1, 0), max_bytes=1)) == {0: BATCH, 1: 0}
    assert sizes(fetch(filled, ("topic", 0, 0, 1), ("topic", 1, 0, 1))) == {0: BATCH, 1: 0}


def test_the_one_batch_is_of_the_first_partition_that_has_any(filled):
    assert sizes(fetch(filled, ("topic", 0, 3), ("topic", 1, 0), max_bytes=1)) == {0: 0, 1: BATCH}


def test_a_partitions_limit_may_cut_a_batch(filled):
    assert sizes(fetch(filled, ("topic", 0, 0, BATCH + 10))) == {0: BATCH + 10}


def test_a_fetchs_limit_holds_for_all_partitions_together(filled):
    limit = 3 * BATCH + 10
    assert sizes(fetch(filled, ("topic", 0, 0), ("topic", 1, 0), max_bytes=limit)) == {0: 3 * BATCH, 1: 0}
    limit = 4 * BATCH + 10
    assert sizes(fetch(filled, ("topic", 0, 0), ("topic", 1, 0), max_bytes=limit)) == {0: 3 * BATCH, 1: BATCH + 10}


def test_the_broker_bounds_what_a_fetch_may_ask_for(tmp_path):
    broker = Broker(tmp_path, fetch_max_bytes="1024")
    new_topic(broker)
    for _ in range(3):
        produce(broker, batch_of([b"x" * 500]))
    assert len(fetch_one(broker).records) == 1024
    broker.close()


# --- waiting


WAITING = {"max_wait_ms": 500, "min_bytes": 1}


def test_a_fetch_waits_and_wakes_at_once_on_new_data(filled):
    answer = filled.begin(fetch_request(("topic", 0, 3), ("topic", 1, 3), **WAITING), 12)
    assert not answer.done
    filled.append("topic", 2, partition=1)
    assert {key[1]: each.high_watermark for key, each in partitions_of(answer.response()).items()} == {0: 3, 1: 5}
    assert nothing_is_left_behind(filled)


def test_a_fetch_gives_up_waiting_at_its_deadline(filled):
    answer = filled.begin(fetch_request(("topic", 0, 3), **WAITING), 12)
    filled.clock.now += 0.499
    filled.cluster.timers.run_due(filled.clock.now)
    assert not answer.done
    filled.clock.now += 0.001
    filled.cluster.timers.run_due(filled.clock.now)
    assert sizes(answer.response()) == {0: 0}
    assert nothing_is_left_behind(filled)


def test_a_fetch_waits_until_there_are_enough_bytes(filled):
    request = fetch_request(("topic", 0, 2), ("topic", 1, 3), max_wait_ms=500, min_bytes=3 * BATCH)
    answer = filled.begin(request, 12)
    produce(filled, batch_of([b"x" * 100]), partition=0)
    assert not answer.done
    produce(filled, batch_of([b"x" * 100]), partition=1)
    assert sizes(answer.response()) == {0: 2 * BATCH, 1: BATCH}


def test_enough_bytes_are_answered_at_once(filled):
    assert sizes(fetch(filled, ("topic", 0, 0), max_wait_ms=500, min_bytes=3 * BATCH)) == {0: 3 * BATCH}


def test_nobody_waits_for_more_than_may_be_answered(filled):
    response = fetch(filled, ("topic", 0, 0), max_wait_ms=500, min_bytes=1 << 20, max_bytes=BATCH)
    assert sizes(response) == {0: BATCH}


@pytest.mark.parametrize("options", [{"min_bytes": 0}, {"max_wait_ms": 0}, {"max_wait_ms": -1}])
def test_who_does_not_want_to_wait_is_answered_at_once(filled, options):
    assert sizes(fetch(filled, ("topic", 0, 3), **{**WAITING, **options})) == {0: 0}
    assert nothing_is_left_behind(filled)


def test_a_fetch_of_nothing_is_answered_at_once(filled):
    assert fetch(filled, **WAITING).responses == []


def test_a_fetch_does_not_wait_while_there_is_an_error_to_tell(filled):
    response = fetch(filled, ("topic", 0, 3), ("nope", 0, 0), **WAITING)
    assert {key[0] for key in partitions_of(response)} == {"topic", "nope"}
    assert nothing_is_left_behind(filled)


def test_a_client_that_goes_away_leaves_nothing_behind(filled):
    answer = filled.begin(fetch_request(("topic", 0, 3), ("topic", 1, 3), **WAITING), 12)
    assert watchers(filled) == 2
    answer.abandon()
    assert nothing_is_left_behind(filled)
    filled.append("topic", 1)


@pytest.mark.parametrize("version", [12, 13])
def test_a_fetch_that_waits_is_told_that_its_topic_is_deleted(filled, version):
    topic = filled.cluster.topics.by_name["topic"]
    name = topic.id if version >= 13 else "topic"
    answer = filled.begin(fetch_request((name, 0, 3), (name, 1, 3), **WAITING), version)
    filled.cluster.topics.delete(topic)
    expected = [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION] * 2  # though topics have ids: the request has found it before
    assert [code(each) for each in partitions_of(answer.response()).values()] == expected
    assert [each.watchers for each in topic.partitions] == [{}, {}]
    assert not is_timed(filled)


def test_many_fetches_may_wait_for_one_partition(filled):
    answers = [filled.begin(fetch_request(("topic", 0, 3), **WAITING), 12) for _ in range(10)]
    filled.append("topic", 1)
    assert [sizes(each.response())[0] > 0 for each in answers] == [True] * 10
    assert nothing_is_left_behind(filled)


def test_fetches_that_are_answered_early_leave_no_timers(filled):
    for offset in range(3, 1003):
        answer = filled.begin(fetch_request(("topic", 0, offset), max_wait_ms=30_000, min_bytes=1), 12)
        filled.append("topic", 1)
        assert answer.done
    assert len(filled.cluster.timers) < 200


# --- leader epochs (KIP-320, KIP-595)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [(0, NONE), (-1, NONE), (-2, NONE), (1, ErrorCode.UNKNOWN_LEADER_EPOCH)],
)
def test_the_clients_leader_epoch_must_be_ours(filled, epoch, expected):
    assert code(fetch_one(filled, current_leader_epoch=epoch, **WAITING)) == expected


def test_an_old_leader_epoch_is_fenced(filled):
    filled.cluster.topics.partition("topic", 0).leader_epoch = 2
    assert code(fetch_one(filled, current_leader_epoch=1)) == ErrorCode.FENCED_LEADER_EPOCH


def test_a_client_that_read_what_is_not_in_the_log_learns_where_they_part(filled):
    partition = filled.cluster.topics.partition("topic", 0)
    partition.leader_epoch = 4
    partition.log.begin_leader_epoch(4)
    produce(filled, batch_of([b"x" * 100]))
    answer = fetch_one(filled, 4, last_fetched_epoch=2, **WAITING)
    assert (answer.diverging_epoch.epoch, answer.diverging_epoch.end_offset) == (0, 3)
    assert (code(answer), bytes(answer.records)) == (NONE, b"")
    assert nothing_is_left_behind(filled)


def test_a_client_that_read_the_same_log_reads_on(filled):
    answer = fetch_one(filled, 1, last_fetched_epoch=0)
    assert answer.diverging_epoch.epoch == -1
    assert offsets(bytes(answer.records)) == [1, 2]


def test_an_epoch_that_never_was_is_out_of_range(broker):
    new_topic(broker)
    assert code(fetch_one(broker, last_fetched_epoch=5)) == ErrorCode.OFFSET_OUT_OF_RANGE


def test_a_large_answer_is_a_piece_of_a_file(broker):
    new_topic(broker)
    batch = batch_of([b"x" * 100_000])
    produce(broker, batch)
    assert len(fetch_one(broker).records) == len(batch)
