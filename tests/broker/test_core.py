"""ApiVersions, Metadata, DescribeCluster, DescribeTopicPartitions, as Apache 4.3.1 answered the same requests."""

import struct

import pytest

from ottla.broker.requests.dispatch import handle
from ottla.wire import frames
from ottla.wire.codes import ApiKey, ErrorCode
from ottla.wire.messages.core import (
    ApiVersionsRequest,
    ApiVersionsResponse,
    DescribeClusterRequest,
    DescribeTopicPartitionsRequest,
    MetadataRequest,
)
from ottla.wire.schema import ZERO_UUID
from tests.stage.clients import new_topic
from tests.stage.single_broker import Broker

NONE = ErrorCode.NONE
UNKNOWN_ID = b"?" * 16
ALL_TOPIC_OPERATIONS = 3576
NOT_ASKED = -(2**31)


def metadata(broker, *names, version=12, **options):
    topics = [MetadataRequest.Topic(name=name) for name in names]
    return broker.ask(MetadataRequest(topics=topics, **options), version)


def metadata_by_id(broker, *ids, version=12):
    topics = [MetadataRequest.Topic(name=None, topic_id=each) for each in ids]
    return broker.ask(MetadataRequest(topics=topics), version)


def codes(response):
    return [(topic.name, ErrorCode(topic.error_code)) for topic in response.topics]


# --- ApiVersions


@pytest.mark.parametrize("version", range(5))
def test_api_versions_lists_each_api_in_every_version(broker, version):
    request = ApiVersionsRequest(client_software_name="test", client_software_version="1")
    response = broker.ask(request, version)
    assert response.error_code == NONE
    produce = next(each for each in response.api_keys if each.api_key == ApiKey.PRODUCE)
    assert (produce.min_version, produce.max_version) == (0, 13)


@pytest.mark.parametrize("version", [-32768, -1, 5, 32767])
def test_an_unknown_version_is_answered_in_version_0_with_our_own_range(broker, version):
    request = bytearray(struct.pack(">hhih", ApiKey.API_VERSIONS, version, 9, -1) + b"\0\2a\2a\0")
    reply = handle(broker.context, request, 0, len(request))
    correlation_id, response = frames.decode_response(ApiVersionsResponse, reply[4:], 0)
    assert correlation_id == 9
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert [(each.api_key, each.min_version, each.max_version) for each in response.api_keys] == [
        (ApiKey.API_VERSIONS, 0, 4)
    ]


@pytest.mark.parametrize(
    ("name", "software_version"),
    [
        ("", "1"),
        ("a", ""),
        ("a b", "1"),
        ("-a", "1"),
        ("a-", "1"),
        ("é", "1"),
        ("a_b", "1"),
        ("a", "1\n"),
        ("a\n", "1"),
    ],
)
def test_a_bad_name_of_the_clients_software_is_refused(broker, name, software_version):
    request = ApiVersionsRequest(client_software_name=name, client_software_version=software_version)
    response = broker.ask(request, 3)
    assert response.error_code == ErrorCode.INVALID_REQUEST
    assert response.api_keys == []


def test_the_clients_software_is_remembered(broker):
    request = ApiVersionsRequest(client_software_name="apache-kafka.java", client_software_version="4.3.1")
    assert broker.ask(request, 4).error_code == NONE
    assert broker.context.client.software_name == "apache-kafka.java"
    assert broker.context.client.software_version == "4.3.1"


# --- Metadata


@pytest.mark.parametrize("version", range(14))
def test_metadata_describes_brokers_and_a_topic_in_every_version(broker, version):
    topic = new_topic(broker, partitions=2)
    response = metadata(broker, "topic", version=version)
    assert [(each.node_id, each.host, each.port) for each in response.brokers] == [(1, "broker.example", 9092)]
    [answer] = response.topics
    assert (answer.error_code, answer.name, answer.is_internal) == (NONE, "topic", False)
    assert answer.topic_id == (topic.id if version >= 10 else ZERO_UUID)
    assert [(each.partition_index, each.leader_id) for each in answer.partitions] == [(0, 1), (1, 1)]
    assert [each.leader_epoch for each in answer.partitions] == ([0, 0] if version >= 7 else [-1, -1])
    assert response.controller_id == (1 if version >= 1 else -1)


def test_no_list_of_topics_means_all_of_them(broker):
    new_topic(broker, "a")
    new_topic(broker, "b")
    response = broker.ask(MetadataRequest(topics=None), 12)
    assert sorted(codes(response)) == [("a", NONE), ("b", NONE)]


def test_an_empty_list_means_none_but_in_version_0(broker):
    new_topic(broker, "a")
    assert metadata(broker, version=1).topics == []
    assert codes(metadata(broker, version=0)) == [("a", NONE)]


def test_a_topic_that_is_asked_for_is_made(broker):
    assert codes(metadata(broker, "new")) == [("new", NONE)]
    assert len(broker.cluster.topics.by_name["new"].partitions) == 1


def test_a_topic_is_not_made_for_a_client_that_does_not_want_it(broker):
    response = metadata(broker, "new", allow_auto_topic_creation=False)
    assert codes(response) == [("new", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)]
    assert not broker.cluster.topics.by_name


def test_versions_before_4_cannot_refuse_a_new_topic(broker):
    assert codes(metadata(broker, "new", version=3)) == [("new", NONE)]


def test_a_topic_is_not_made_where_the_broker_does_not_allow_it(tmp_path):
    broker = Broker(tmp_path, auto_create_topics_enable="false")
    assert codes(metadata(broker, "new")) == [("new", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)]
    broker.close()


@pytest.mark.parametrize("may_create", [True, False])
@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "a\0b", "é", "x" * 250])
def test_what_is_no_topics_name_is_an_invalid_topic(broker, name, may_create):
    response = metadata(broker, name, allow_auto_topic_creation=may_create)
    assert codes(response) == [(name, ErrorCode.INVALID_TOPIC_EXCEPTION)]


def test_the_longest_name_is_a_name(broker):
    assert codes(metadata(broker, "x" * 249)) == [("x" * 249, NONE)]


def test_a_name_that_collides_stays_unknown(broker):
    new_topic(broker, "a.b")
    assert codes(metadata(broker, "a_b")) == [("a_b", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)]


def test_internal_topics_are_marked_even_when_they_are_not_there(broker):
    [answer] = metadata(broker, "__transaction_state", allow_auto_topic_creation=False).topics
    assert (answer.error_code, answer.is_internal) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, True)


@pytest.mark.parametrize("name", ["__consumer_offsets", "__transaction_state", "__share_group_state"])
def test_an_internal_topic_is_made_with_its_own_settings(broker, name):
    [answer] = metadata(broker, name).topics
    assert (answer.error_code, answer.is_internal, len(answer.partitions)) == (NONE, True, 50)
    assert broker.cluster.topics.by_name[name].log_config.segment_bytes == 104_857_600


def test_a_topic_named_twice_is_described_once(broker):
    new_topic(broker)
    assert codes(metadata(broker, "topic", "topic")) == [("topic", NONE)]


def test_topics_that_are_there_come_first(broker):
    new_topic(broker, "a")
    new_topic(broker, "b")
    response = metadata(broker, "b", "nope", "a", allow_auto_topic_creation=False)
    assert codes(response) == [("b", NONE), ("a", NONE), ("nope", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)]


@pytest.mark.parametrize("version", [12, 13])
def test_topics_are_found_by_id(broker, version):
    topic = new_topic(broker)
    response = metadata_by_id(broker, UNKNOWN_ID, topic.id, topic.id, version=version)
    assert codes(response) == [("topic", NONE), (None, ErrorCode.UNKNOWN_TOPIC_ID)]
    assert response.topics[1].topic_id == UNKNOWN_ID


def test_where_there_is_an_id_names_do_not_count(broker):
    topic = new_topic(broker)
    new_topic(broker, "other")
    asked = [MetadataRequest.Topic(name="other", topic_id=topic.id), MetadataRequest.Topic(name="other")]
    assert codes(broker.ask(MetadataRequest(topics=asked), 12)) == [("topic", NONE)]


@pytest.mark.parametrize("version", [10, 11])
def test_versions_10_and_11_find_no_topic_by_id(broker, version):
    topic = new_topic(broker)
    response = metadata_by_id(broker, topic.id, version=version)
    assert codes(response) == [("", ErrorCode.INVALID_REQUEST)]
    assert response.brokers == []


def test_neither_name_nor_id_is_an_error_of_the_whole_request(broker):
    response = metadata_by_id(broker, ZERO_UUID, version=13)
    assert response.error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    assert codes(response) == [("", ErrorCode.UNKNOWN_SERVER_ERROR)]


def test_operations_are_told_when_asked_for(broker):
    new_topic(broker)
    asked = metadata(
        broker,
        "topic",
        version=10,
        include_topic_authorized_operations=True,
        include_cluster_authorized_operations=True,
    )
    assert (asked.topics[0].topic_authorized_operations, asked.cluster_authorized_operations) == (3576, 8096)
    plain = metadata(broker, "topic", version=10)
    assert plain.topics[0].topic_authorized_operations == plain.cluster_authorized_operations == NOT_ASKED


# --- DescribeCluster


@pytest.mark.parametrize("version", range(3))
def test_describe_cluster_names_the_brokers(broker, version):
    response = broker.ask(DescribeClusterRequest(include_cluster_authorized_operations=True), version)
    assert response.error_code == NONE
    assert response.cluster_id == broker.cluster.id
    assert response.controller_id == 1
    assert [(each.broker_id, each.host, each.port) for each in response.brokers] == [(1, "broker.example", 9092)]
    assert response.cluster_authorized_operations == 8096


@pytest.mark.parametrize(
    ("endpoint_type", "code"), [(2, ErrorCode.MISMATCHED_ENDPOINT_TYPE), (3, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE)]
)
def test_a_broker_does_not_speak_for_controllers(broker, endpoint_type, code):
    request = DescribeClusterRequest(include_cluster_authorized_operations=False, endpoint_type=endpoint_type)
    assert broker.ask(request, 1).error_code == code


# --- DescribeTopicPartitions


def pages(broker, *names, limit=2000, cursor=None):
    request = DescribeTopicPartitionsRequest(
        topics=[DescribeTopicPartitionsRequest.Topic(name=name) for name in names],
        response_partition_limit=limit,
        cursor=cursor and DescribeTopicPartitionsRequest.Cursor(topic_name=cursor[0], partition_index=cursor[1]),
    )
    response = broker.ask(request, 0)
    found = [(topic.name, [each.partition_index for each in topic.partitions]) for topic in response.topics]
    following = response.next_cursor
    return found, following and (following.topic_name, following.partition_index)


def page_codes(broker, *names, cursor=None):
    request = DescribeTopicPartitionsRequest(
        topics=[DescribeTopicPartitionsRequest.Topic(name=name) for name in names],
        cursor=cursor and DescribeTopicPartitionsRequest.Cursor(topic_name=cursor[0], partition_index=cursor[1]),
    )
    return codes(broker.ask(request, 0))


@pytest.fixture
def three(broker):
    """A broker with topics a, b and c of three partitions each."""
    for name in "cab":
        new_topic(broker, name, partitions=3)
    return broker


def test_topics_come_in_the_order_of_their_names(three):
    everything = [("a", [0, 1, 2]), ("b", [0, 1, 2]), ("c", [0, 1, 2])]
    assert pages(three, "c", "a", "b") == (everything, None)
    assert pages(three) == (everything, None)


def test_a_page_ends_within_a_topic_and_the_next_one_begins_there(three):
    assert pages(three, limit=4) == ([("a", [0, 1, 2]), ("b", [0])], ("b", 1))
    assert pages(three, limit=4, cursor=("b", 1)) == ([("b", [1, 2]), ("c", [0, 1])], ("c", 2))
    assert pages(three, limit=4, cursor=("c", 2)) == ([("c", [2])], None)


def test_a_page_that_ends_with_a_topic_points_at_the_next_one(three):
    assert pages(three, limit=3) == ([("a", [0, 1, 2])], ("b", 0))
    assert pages(three, "c", limit=3) == ([("c", [0, 1, 2])], None)


@pytest.mark.parametrize("limit", [0, -1, 1])
def test_a_page_holds_at_least_one_partition(three, limit):
    assert pages(three, limit=limit) == ([("a", [0])], ("a", 1))


def test_without_a_list_the_cursor_may_stand_between_topics(three):
    assert pages(three, cursor=("bb", 2)) == ([("c", [0, 1, 2])], None)
    assert pages(three, cursor=("z", 0)) == ([], None)


def test_with_a_list_the_cursor_must_stand_at_one_of_its_topics(three):
    refused = [("b", ErrorCode.INVALID_REQUEST), ("a", ErrorCode.INVALID_REQUEST)]
    assert page_codes(three, "b", "a", cursor=("c", 0)) == refused
    assert page_codes(three, "b", "a", cursor=("a", -1)) == refused


def test_a_cursor_behind_the_last_partition_shows_an_empty_topic(three):
    assert pages(three, "a", "b", cursor=("a", 9)) == ([("a", []), ("b", [0, 1, 2])], None)


def test_unknown_topics_take_no_place_on_a_page(three):
    assert page_codes(three, "zz", "a", "a b") == [
        ("a", NONE),
        ("a b", ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("zz", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ]


def test_a_described_partition_names_leader_and_replicas(broker):
    topic = new_topic(broker)
    [answer] = broker.ask(DescribeTopicPartitionsRequest(topics=[]), 0).topics
    assert (answer.topic_id, answer.topic_authorized_operations) == (topic.id, ALL_TOPIC_OPERATIONS)
    [partition] = answer.partitions
    assert (partition.leader_id, partition.leader_epoch, partition.replica_nodes, partition.isr_nodes) == (
        1,
        0,
        [1],
        [1],
    )
    assert (partition.eligible_leader_replicas, partition.last_known_elr, partition.offline_replicas) == ([], [], [])
