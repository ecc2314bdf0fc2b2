"""Elections, reassignments and DescribeProducers, as Apache 4.3.1 answered the same requests."""

import pytest

from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.replicas import (
    AlterPartitionReassignmentsRequest,
    DescribeProducersRequest,
    ElectLeadersRequest,
    ListPartitionReassignmentsRequest,
)
from ottla.wire.records import Record, build_batch

NONE, NOT_NEEDED = ErrorCode.NONE, ErrorCode.ELECTION_NOT_NEEDED
UNKNOWN = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.fixture(autouse=True)
def topic(broker):
    return broker.cluster.topics.create("t", assignments=[[1], [1]], configs={})


# --- ElectLeaders


def elect(broker, topics, *, election_type=0, timeout_ms=60_000, version=2):
    """The code of the whole, and for each topic its codes by partition."""
    asked = None if topics is None else [ElectLeadersRequest.Topic(topic=n, partitions=p) for n, p in topics]
    request = ElectLeadersRequest(election_type=election_type, topic_partitions=asked, timeout_ms=timeout_ms)
    response = broker.ask(request, version)
    return response.error_code, [
        (each.topic, [(one.partition_id, one.error_code) for one in each.partition_result])
        for each in response.replica_election_results
    ]


@pytest.mark.parametrize("version", range(3))
def test_who_is_led_by_its_first_replica_needs_no_election(broker, version):
    assert elect(broker, [("t", [0, 1, 0])], version=version) == (
        NONE,
        [("t", [(0, NOT_NEEDED), (1, NOT_NEEDED), (0, NOT_NEEDED)])],
    )
    assert elect(broker, None, version=version) == (NONE, [("t", [])])


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        ([], []),
        ([("t", [])], [("t", [])]),
        ([("t", [7])], [("t", [(7, UNKNOWN)])]),
        ([("unknown", [0]), ("t", [0])], [("unknown", [(0, UNKNOWN)]), ("t", [(0, NOT_NEEDED)])]),
    ],
)
@pytest.mark.parametrize("election_type", [0, 1])
def test_each_partition_is_answered_for_itself(broker, topics, expected, election_type):
    assert elect(broker, topics, election_type=election_type) == (NONE, expected)


@pytest.mark.parametrize("election_type", [2, -1])
def test_an_election_of_an_unknown_type_is_refused(broker, election_type):
    refused = ErrorCode.INVALID_REQUEST
    assert elect(broker, [("t", [0])], election_type=election_type) == (refused, [("t", [(0, refused)])])
    assert elect(broker, None, election_type=election_type) == (refused, [])
    assert elect(broker, [], election_type=election_type) == (NONE, [])


@pytest.mark.parametrize("timeout_ms", [0, -1])
def test_an_election_without_time_is_too_late(broker, timeout_ms):
    late = ErrorCode.REQUEST_TIMED_OUT
    assert elect(broker, [("t", [0])], timeout_ms=timeout_ms) == (late, [("t", [(0, late)])])


@pytest.mark.parametrize(
    ("election_type", "code"),
    [(0, ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE), (1, ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE)],
)
def test_a_partition_that_nobody_can_lead_is_named_even_where_none_was_asked_for(broker, topic, election_type, code):
    topic.partitions[1].go_offline("the disk is gone")
    assert elect(broker, None, election_type=election_type) == (NONE, [("t", [(1, code)])])


# --- Reassignments


def reassign(broker, topics, *, version=1, **options):
    Topic = AlterPartitionReassignmentsRequest.Topic  # noqa: N806
    request = AlterPartitionReassignmentsRequest(
        topics=[
            Topic(name=name, partitions=[Topic.Partition(partition_index=i, replicas=r) for i, r in partitions])
            for name, partitions in topics
        ],
        **options,
    )
    return broker.ask(request, version)


def codes(response):
    return [(each.name, [one.error_code for one in each.partitions]) for each in response.responses]


@pytest.mark.parametrize("version", [0, 1])
def test_a_partition_may_be_given_the_replicas_that_it_has(broker, version):
    response = reassign(broker, [("t", [(0, [1]), (1, [1])])], version=version)
    assert (response.error_code, codes(response)) == (NONE, [("t", [NONE, NONE])])
    assert broker.ask(ListPartitionReassignmentsRequest(topics=None), 0).topics == []


@pytest.mark.parametrize(
    ("name", "index", "replicas", "code"),
    [
        ("t", 0, [2], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ("t", 0, [], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ("t", 0, [1, 1], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ("t", 0, [1, 2], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ("t", 0, [-1], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ("t", 0, None, ErrorCode.NO_REASSIGNMENT_IN_PROGRESS),
        ("t", 7, [1], UNKNOWN),
        ("t", -1, None, UNKNOWN),
        ("unknown", 0, [1], UNKNOWN),
    ],
)
def test_a_reassignment_that_cannot_be_is_refused(broker, name, index, replicas, code):
    for allow in (True, False):
        response = reassign(
            broker, [(name, [(index, replicas)]), ("t", [(0, [1])])], allow_replication_factor_change=allow
        )
        assert (response.error_code, response.allow_replication_factor_change) == (NONE, allow)
        assert codes(response) == [(name, [code]), ("t", [NONE])]


@pytest.mark.parametrize("timeout_ms", [0, -1])
def test_a_reassignment_without_time_is_too_late(broker, timeout_ms):
    response = reassign(broker, [("t", [(0, [1])])], timeout_ms=timeout_ms)
    late = ErrorCode.REQUEST_TIMED_OUT
    assert (response.error_code, codes(response)) == (late, [("t", [late])])


def test_no_reassignments_are_answered_with_none(broker):
    response = reassign(broker, [])
    assert (response.error_code, response.error_message, response.responses) == (NONE, "", [])


@pytest.mark.parametrize("topics", [[], [("t", [0, 7])], [("unknown", [0])]])
def test_no_reassignment_is_ever_under_way(broker, topics):
    Topic = ListPartitionReassignmentsRequest.Topic  # noqa: N806
    asked = [Topic(name=name, partition_indexes=indexes) for name, indexes in topics]
    response = broker.ask(ListPartitionReassignmentsRequest(topics=asked), 0)
    assert (response.error_code, response.error_message, response.topics) == (NONE, None, [])


# --- DescribeProducers


def producers(broker, name, *indexes):
    Topic = DescribeProducersRequest.Topic  # noqa: N806
    (answer,) = broker.ask(
        DescribeProducersRequest(topics=[Topic(name=name, partition_indexes=list(indexes))]), 0
    ).topics
    assert answer.name == name
    return answer.partitions


def produce(broker, *, sequence, count, producer_id, epoch):
    now_ms = broker.clock.wall_ms()
    batch = build_batch(
        [Record(0, now_ms, b"key", b"value")] * count,
        producer_id=producer_id,
        producer_epoch=epoch,
        base_sequence=sequence,
    )
    broker.cluster.topics.partition("t", 0).append(memoryview(batch), read_header(batch), now_ms)


def test_producers_are_described_with_their_last_sequence(broker):
    broker.append("t", 1)
    produce(broker, sequence=0, count=3, producer_id=777, epoch=0)
    produce(broker, sequence=3, count=2, producer_id=777, epoch=0)
    produce(broker, sequence=0, count=1, producer_id=778, epoch=4)
    here, there = producers(broker, "t", 0, 1)
    assert [
        (
            each.producer_id,
            each.producer_epoch,
            each.last_sequence,
            each.coordinator_epoch,
            each.current_txn_start_offset,
        )
        for each in here.active_producers
    ] == [(777, 0, 4, -1, -1), (778, 4, 0, -1, -1)]
    assert {each.last_timestamp for each in here.active_producers} == {broker.clock.wall_ms()}
    assert (there.error_code, there.active_producers) == (NONE, [])


@pytest.mark.parametrize(
    ("name", "code"),
    [("unknown", UNKNOWN), ("a b", ErrorCode.INVALID_TOPIC_EXCEPTION), ("", ErrorCode.INVALID_TOPIC_EXCEPTION)],
)
def test_a_partition_that_is_not_there_has_no_producers(broker, name, code):
    assert [(each.partition_index, each.error_code) for each in producers(broker, name, 0)] == [(0, code)]
    assert [each.error_code for each in producers(broker, "t", 0, 7, -1)] == [NONE, UNKNOWN, UNKNOWN]
