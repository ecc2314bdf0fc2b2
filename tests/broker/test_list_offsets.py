"""ListOffsets and OffsetForLeaderEpoch, as Apache 4.3.1 answered the same requests."""

import pytest

from ottla.broker.handlers.fetch import (
    EARLIEST,
    EARLIEST_LOCAL,
    EARLIEST_PENDING_UPLOAD,
    FIRST_VERSIONS,
    LATEST,
    LATEST_TIERED,
    MAX_TIMESTAMP,
)
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.fetch import ListOffsetsRequest, OffsetForLeaderEpochRequest
from tests.stage.clients import batch_of, new_topic, produce

pytestmark = pytest.mark.over_slow_logs_too

NONE = ErrorCode.NONE
NOTHING = (-1, -1, -1)
NEWEST = 11
START = 1_700_000_000_000
Topic = ListOffsetsRequest.Topic
Epochs = OffsetForLeaderEpochRequest.Topic


def code(answer):
    return ErrorCode(answer.error_code)


def find(broker, timestamp, *, topic="topic", partition=0, version=NEWEST, isolation_level=0, **options):
    asked = Topic.Partition(partition_index=partition, timestamp=timestamp, **options)
    request = ListOffsetsRequest(
        replica_id=-1, isolation_level=isolation_level, topics=[Topic(name=topic, partitions=[asked])]
    )
    return broker.ask(request, version).topics[0].partitions[0]


def found(broker, timestamp, **options):
    """Timestamp, offset and leader epoch of an answer without error."""
    answer = find(broker, timestamp, **options)
    assert code(answer) == NONE
    return answer.timestamp, answer.offset, answer.leader_epoch


@pytest.fixture
def filled(broker):
    """A broker whose topic has two batches of three records, a millisecond apart: 0 to 2, then 10 to 12."""
    new_topic(broker)
    for start in (START, START + 10):
        produce(broker, batch_of([b"a", b"b", b"c"], timestamp=start))
    return broker


@pytest.mark.parametrize("version", range(1, 12))
def test_the_first_and_the_next_offset_are_known_in_every_version(filled, version):
    filled.cluster.topics.partition("topic", 0).delete_records(2)
    epoch = 0 if version >= 4 else -1
    assert found(filled, LATEST, version=version) == (-1, 6, epoch)
    assert found(filled, EARLIEST, version=version) == (-1, 2, epoch)


@pytest.mark.parametrize("version", range(1, 12))
def test_a_timestamp_finds_a_record_inside_of_its_batch(filled, version):
    epoch = 0 if version >= 4 else -1
    assert found(filled, START + 1, version=version) == (START + 1, 1, epoch)


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (0, (START, 0, 0)),
        (START, (START, 0, 0)),
        (START + 2, (START + 2, 2, 0)),
        (START + 3, (START + 10, 3, 0)),
        (START + 12, (START + 12, 5, 0)),
        (START + 13, NOTHING),
    ],
)
def test_a_timestamp_finds_the_first_record_that_is_not_older(filled, timestamp, expected):
    assert found(filled, timestamp) == expected


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_records_are_found_in_compressed_batches(broker, codec):
    new_topic(broker)
    produce(broker, batch_of([b"a", b"b", b"c"], timestamp=START, codec=codec))
    assert found(broker, START + 1) == (START + 1, 1, 0)


def test_the_greatest_timestamp_is_where_it_is(broker):
    new_topic(broker)
    for start in (START + 100, START):
        produce(broker, batch_of([b"a", b"b"], timestamp=start))
    assert found(broker, MAX_TIMESTAMP) == (START + 101, 1, 0)


def test_nothing_is_tiered(filled):
    assert found(filled, EARLIEST_LOCAL) == (-1, 0, 0)
    assert found(filled, LATEST_TIERED) == NOTHING
    assert found(filled, EARLIEST_PENDING_UPLOAD) == NOTHING


@pytest.mark.slow
@pytest.mark.parametrize("special", sorted(FIRST_VERSIONS))
@pytest.mark.parametrize("version", range(1, 12))
def test_each_special_timestamp_has_its_first_version(filled, version, special):
    expected = NONE if version >= FIRST_VERSIONS[special] else ErrorCode.UNSUPPORTED_VERSION
    assert code(find(filled, special, version=version)) == expected


@pytest.mark.parametrize("unknown", [-7, -100])
def test_other_negative_timestamps_mean_nothing(filled, unknown):
    assert code(find(filled, unknown)) == ErrorCode.UNSUPPORTED_VERSION


def test_an_empty_partition_begins_and_ends_at_0(broker):
    new_topic(broker)
    for special in (LATEST, EARLIEST, EARLIEST_LOCAL):
        assert find(broker, special).offset == 0
    for timestamp in (MAX_TIMESTAMP, 0, START):
        assert found(broker, timestamp) == NOTHING


def test_both_isolation_levels_end_at_what_is_committed(filled):
    assert found(filled, LATEST, isolation_level=1) == found(filled, LATEST, isolation_level=0)


def test_unknown_partitions_are_told(filled):
    for where in ({"topic": "nope"}, {"partition": 9}, {"partition": -1}):
        answer = find(filled, LATEST, **where)
        assert code(answer) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert (answer.timestamp, answer.offset, answer.leader_epoch) == NOTHING


def test_the_clients_leader_epoch_must_be_ours(filled):
    assert code(find(filled, LATEST, current_leader_epoch=0)) == NONE
    assert code(find(filled, LATEST, current_leader_epoch=1)) == ErrorCode.UNKNOWN_LEADER_EPOCH
    filled.cluster.topics.partition("topic", 0).leader_epoch = 3
    assert code(find(filled, LATEST, current_leader_epoch=1)) == ErrorCode.FENCED_LEADER_EPOCH


def test_a_partition_named_twice_is_an_invalid_request(broker):
    new_topic(broker, partitions=2)
    asked = [Topic.Partition(partition_index=index, timestamp=LATEST) for index in (0, 1, 0)]
    request = ListOffsetsRequest(replica_id=-1, topics=[Topic(name="topic", partitions=asked)])
    [topic] = broker.ask(request, NEWEST).topics
    assert {each.partition_index: code(each) for each in topic.partitions} == {0: ErrorCode.INVALID_REQUEST, 1: NONE}


# --- OffsetForLeaderEpoch


def epoch_end(broker, epoch, *, topic="topic", partition=0, version=4, **options):
    asked = Epochs.Partition(partition=partition, leader_epoch=epoch, **options)
    request = OffsetForLeaderEpochRequest(topics=[Epochs(topic=topic, partitions=[asked])])
    answer = broker.ask(request, version).topics[0].partitions[0]
    return code(answer), answer.leader_epoch, answer.end_offset


@pytest.mark.parametrize("version", [2, 3, 4])
def test_the_current_epoch_ends_at_the_logs_end(filled, version):
    assert epoch_end(filled, 0, version=version) == (NONE, 0, 6)


def test_an_older_epoch_ends_where_the_next_began(filled):
    partition = filled.cluster.topics.partition("topic", 0)
    partition.leader_epoch = 5
    partition.log.begin_leader_epoch(5)
    produce(filled)
    assert epoch_end(filled, 0) == (NONE, 0, 6)
    assert epoch_end(filled, 3) == (NONE, 0, 6)
    assert epoch_end(filled, 5) == (NONE, 5, 7)


@pytest.mark.parametrize("epoch", [1, 5, -1])
def test_an_epoch_that_has_not_been_is_undefined(filled, epoch):
    assert epoch_end(filled, epoch) == (NONE, -1, -1)


def test_epochs_of_unknown_partitions_are_told(filled):
    unknown = (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1, -1)
    assert epoch_end(filled, 0, topic="nope") == unknown
    assert epoch_end(filled, 0, partition=9) == unknown


def test_the_asker_must_know_the_current_leader(filled):
    assert epoch_end(filled, 0, current_leader_epoch=1) == (ErrorCode.UNKNOWN_LEADER_EPOCH, -1, -1)
