"""DescribeQuorum, voters, features and UnregisterBroker, as Apache 4.3.1 answered the same requests."""

import pytest

from ottla.wire.codes import ErrorCode
from ottla.wire.messages import quorum as messages
from ottla.wire.messages.core import ApiVersionsRequest
from tests.stage.configs import alter
from tests.stage.single_broker import Broker

NONE, INVALID = ErrorCode.NONE, ErrorCode.INVALID_UPDATE_VERSION
UNKNOWN = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
ELR = "eligible.leader.replicas.version"
UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE = 1, 2, 3


def describe(broker, *topics, version=2):
    Topic = messages.DescribeQuorumRequest.Topic  # noqa: N806
    request = messages.DescribeQuorumRequest(
        topics=[
            Topic(topic_name=name, partitions=[Topic.Partition(partition_index=index) for index in indexes])
            for name, indexes in topics
        ]
    )
    return broker.ask(request, version)


@pytest.mark.parametrize("version", range(3))
def test_the_one_node_is_the_quorum(broker, version):
    response = describe(broker, ("__cluster_metadata", [0]), version=version)
    (topic,) = response.topics
    (partition,) = topic.partitions
    end_offset = broker.cluster.catalog.metadata_offset + 1
    assert (response.error_code, partition.error_code, partition.leader_id) == (NONE, NONE, 1)
    assert partition.high_watermark == end_offset
    (voter,) = partition.current_voters
    assert (voter.replica_id, voter.log_end_offset) == (1, end_offset)
    assert voter.last_caught_up_timestamp == (broker.clock.wall_ms() if version else -1)
    assert partition.observers == []
    assert [(node.node_id, [each.name for each in node.listeners]) for node in response.nodes] == (
        [(1, ["CONTROLLER"])] if version >= 2 else []
    )


@pytest.mark.parametrize(
    "topics",
    [
        [("x", [0])],
        [("__cluster_metadata", [1])],
        [("__cluster_metadata", [0, 0])],
        [("__cluster_metadata", [0]), ("x", [0])],
    ],
)
def test_who_asks_for_anything_else_hears_of_nothing(broker, topics):
    response = describe(broker, *topics)
    assert (response.error_code, response.nodes) == (NONE, [])
    assert {each.error_code for topic in response.topics for each in topic.partitions} == {UNKNOWN}


@pytest.mark.parametrize("topics", [[], [("__cluster_metadata", [])]])
def test_who_asks_for_no_partition_gets_none(broker, topics):
    response = describe(broker, *topics)
    assert [topic.partitions for topic in response.topics] == [[] for _ in topics]
    assert response.nodes == []


@pytest.mark.parametrize(
    ("cluster_id", "voter_id", "directory_id", "code"),
    [
        (None, 2, b"1" * 16, ErrorCode.UNSUPPORTED_VERSION),
        ("nope", 2, b"1" * 16, ErrorCode.INCONSISTENT_CLUSTER_ID),
        (None, -1, bytes(16), ErrorCode.INVALID_REQUEST),
    ],
)
def test_voters_neither_come_nor_go(broker, cluster_id, voter_id, directory_id, code):
    voter = {"cluster_id": cluster_id, "voter_id": voter_id, "voter_directory_id": directory_id}
    assert broker.ask(messages.RemoveRaftVoterRequest(**voter), 0).error_code == code
    listener = messages.AddRaftVoterRequest.Listener(name="CONTROLLER", host="h", port=1)
    for version in (0, 1):
        request = messages.AddRaftVoterRequest(**voter, timeout_ms=1000, listeners=[listener])
        assert broker.ask(request, version).error_code == code


def test_a_voter_needs_an_address(broker):
    request = messages.AddRaftVoterRequest(
        cluster_id=broker.cluster.id, timeout_ms=1, voter_id=2, voter_directory_id=b"1" * 16, listeners=[]
    )
    assert broker.ask(request, 1).error_code == ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    ("broker_id", "code"),
    # docs/deviations.md for the broker that is there
    [(2, ErrorCode.BROKER_ID_NOT_REGISTERED), (-1, ErrorCode.BROKER_ID_NOT_REGISTERED), (1, ErrorCode.INVALID_REQUEST)],
)
def test_no_broker_is_forgotten(broker, broker_id, code):
    assert broker.ask(messages.UnregisterBrokerRequest(broker_id=broker_id), 0).error_code == code


# --- Features


def update(broker, *changes, version=1, validate_only=False):
    Update = messages.UpdateFeaturesRequest.FeatureUpdate  # noqa: N806
    request = messages.UpdateFeaturesRequest(
        feature_updates=[
            Update(feature=name, max_version_level=level, upgrade_type=upgrade_type)
            for name, level, upgrade_type in changes
        ],
        validate_only=validate_only,
    )
    return broker.ask(request, version)


def finalized(broker, version=4):
    response = broker.ask(ApiVersionsRequest(client_software_name="a", client_software_version="1"), version)
    return {each.name: each.max_version_level for each in response.finalized_features}


def test_features_that_begin_at_zero_are_shown_to_clients_that_read_them(broker):
    def supported(version):
        response = broker.ask(ApiVersionsRequest(client_software_name="a", client_software_version="1"), version)
        return {each.name: (each.min_version, each.max_version) for each in response.supported_features}

    assert supported(4) == {"metadata.version": (7, 30), ELR: (0, 1)}
    assert supported(3) == {"metadata.version": (7, 30)}


def test_a_feature_goes_down_and_up_and_stays_there_over_a_restart(tmp_path):
    broker = Broker(tmp_path)
    assert finalized(broker) == {"metadata.version": 30, ELR: 1}
    assert update(broker, (ELR, 0, SAFE_DOWNGRADE), validate_only=True).error_code == NONE
    assert finalized(broker) == {"metadata.version": 30, ELR: 1}
    response = update(broker, (ELR, 0, SAFE_DOWNGRADE))
    assert (response.error_code, [(each.feature, each.error_code) for each in response.results]) == (
        NONE,
        [(ELR, NONE)],
    )
    broker.close()
    broker = Broker(tmp_path)
    assert finalized(broker) == {"metadata.version": 30}
    # Without eligible leader replicas, min.insync.replicas is any broker's own again.
    assert alter(broker, (4, "1", [("min.insync.replicas", 0, "2")])) == [NONE]
    assert update(broker, (ELR, 1, UPGRADE), version=0).error_code == NONE
    assert finalized(broker) == {"metadata.version": 30, ELR: 1}
    broker.close()


@pytest.mark.parametrize("version", range(3))
def test_one_error_is_the_answer_for_all(broker, version):
    response = update(broker, (ELR, 1, UPGRADE), ("nope", 1, UPGRADE), version=version)
    assert (response.error_code, response.results) == (INVALID, [])
    good = update(broker, (ELR, 1, UPGRADE), ("metadata.version", 30, UPGRADE), version=version)
    assert (good.error_code, good.error_message, len(good.results)) == (NONE, None, 0 if version == 2 else 2)


@pytest.mark.parametrize(
    "change",
    [
        ("metadata.version", 31, UPGRADE),
        ("metadata.version", 29, UPGRADE),
        ("metadata.version", 29, SAFE_DOWNGRADE),
        ("metadata.version", 29, UNSAFE_DOWNGRADE),
        ("metadata.version", 6, UNSAFE_DOWNGRADE),
        (ELR, 2, UPGRADE),
        (ELR, -1, UPGRADE),
        (ELR, 0, UPGRADE),
        (ELR, 1, 0),
        (ELR, 1, 9),
        ("", 1, UPGRADE),
    ],
)
def test_a_level_that_cannot_be_is_refused(broker, change):
    before = finalized(broker)
    assert update(broker, change).error_code == INVALID
    assert finalized(broker) == before
