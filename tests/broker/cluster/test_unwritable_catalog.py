"""A catalog that cannot be written: whoever wants a change is refused, nothing changes, and the broker serves on.

Walks everything that writes to the catalog. Each write is refused first, then done.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest

from ottla.broker import server
from ottla.broker.control.node_commands import NodeCommands
from ottla.broker.settings.addresses import Address
from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.settings.operations import Operation
from ottla.broker.user_errors import CommandError, StartError
from ottla.broker.versions.features import ELIGIBLE_LEADER_REPLICAS
from ottla.scheduling.background import Inline
from ottla.scheduling.stepper import Stepper
from ottla.scheduling.timers import Timers
from ottla.storage.catalogs.sqlite import FILE_NAME, SqliteCatalog
from ottla.wire.codes import ErrorCode, ResourceType
from ottla.wire.errors import KafkaError
from ottla.wire.messages.configs import AlterConfigsRequest, IncrementalAlterConfigsRequest
from ottla.wire.messages.core import DescribeClusterRequest, MetadataRequest
from ottla.wire.messages.produce import InitProducerIdRequest
from ottla.wire.messages.quorum import UpdateFeaturesRequest
from ottla.wire.messages.quotas import AlterClientQuotasRequest
from ottla.wire.messages.replicas import AlterPartitionReassignmentsRequest, ElectLeadersRequest
from ottla.wire.messages.security import AlterUserScramCredentialsRequest
from ottla.wire.messages.topics import CreatePartitionsRequest, DeleteTopicsRequest
from ottla.wire.schema import ZERO_UUID
from tests.stage.clock import SteppedClock
from tests.stage.failing_catalog import FailingCatalog
from tests.stage.several_nodes import ThreeNodes

NONE = ErrorCode.NONE
STORAGE_ERROR = ErrorCode.KAFKA_STORAGE_ERROR


class Nodes(ThreeNodes):
    catalog_class = FailingCatalog

    @property
    def catalog(self) -> Any:
        return self.cluster.catalog


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path)
    yield nodes
    nodes.catalog.writes_left = None
    nodes.close()


# --- everything that writes: each returns the error code that the client gets


def create_topic(nodes: Nodes) -> int:
    return nodes.create("new", [1, 2], [2, 3])


def create_synced_topic(nodes: Nodes) -> int:
    return nodes.create("new", [1, 2], flush_messages="1")


def create_on_demand(nodes: Nodes) -> int:
    asked = MetadataRequest(topics=[MetadataRequest.Topic(name="new")], allow_auto_topic_creation=True)
    return nodes.ask(asked, 12).topics[0].error_code


def create_internal_topic(nodes: Nodes) -> int:
    asked = MetadataRequest(topics=[MetadataRequest.Topic(name="__consumer_offsets")], allow_auto_topic_creation=True)
    return nodes.ask(asked, 12).topics[0].error_code


def create_partitions(nodes: Nodes) -> int:
    topic = CreatePartitionsRequest.Topic(name="topic", count=5, assignments=None)
    return (
        nodes.ask(CreatePartitionsRequest(topics=[topic], timeout_ms=1000, validate_only=False), 3)
        .results[0]
        .error_code
    )


def delete_topic(nodes: Nodes) -> int:
    topic = DeleteTopicsRequest.Topic(name="topic", topic_id=ZERO_UUID)
    return nodes.ask(DeleteTopicsRequest(topics=[topic], timeout_ms=1000), 6).responses[0].error_code


def alter_configs_of(resource_type: ResourceType, name: str, **configs: str) -> Callable[[Nodes], int]:
    def alter(nodes: Nodes) -> int:
        resource = AlterConfigsRequest.Resource(
            resource_type=resource_type,
            resource_name=name,
            configs=[
                AlterConfigsRequest.Resource.Config(name=key.replace("_", "."), value=value)
                for key, value in configs.items()
            ],
        )
        return nodes.ask(AlterConfigsRequest(resources=[resource], validate_only=False), 2).responses[0].error_code

    return alter


def alter_topic_configs_incrementally(nodes: Nodes) -> int:
    kind = IncrementalAlterConfigsRequest.Resource
    resource = kind(
        resource_type=ResourceType.TOPIC,
        resource_name="topic",
        configs=[kind.Config(name="retention.ms", config_operation=Operation.SET, value="7")],
    )
    request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=False)
    return nodes.ask(request, 1).responses[0].error_code


def alter_quotas(nodes: Nodes) -> int:
    kind = AlterClientQuotasRequest.Entry
    entry = kind(
        entity=[kind.Entity(entity_type="client-id", entity_name="other")],
        ops=[kind.Op(key="producer_byte_rate", value=5.0, remove=False)],
    )
    return nodes.ask(AlterClientQuotasRequest(entries=[entry], validate_only=False), 1).entries[0].error_code


def put_credential(nodes: Nodes) -> int:
    kind = AlterUserScramCredentialsRequest.Upsertion
    put = kind(name="ada", mechanism=1, iterations=4096, salt=b"salt", salted_password=b"password")
    request = AlterUserScramCredentialsRequest(deletions=[], upsertions=[put])
    return nodes.ask(request, 0).results[0].error_code


def delete_credential(nodes: Nodes) -> int:
    kind = AlterUserScramCredentialsRequest.Deletion
    request = AlterUserScramCredentialsRequest(deletions=[kind(name="bob", mechanism=1)], upsertions=[])
    return nodes.ask(request, 0).results[0].error_code


def update_features(nodes: Nodes) -> int:
    update = UpdateFeaturesRequest.FeatureUpdate(feature=ELIGIBLE_LEADER_REPLICAS, max_version_level=0, upgrade_type=2)
    return nodes.ask(UpdateFeaturesRequest(feature_updates=[update]), 1).error_code


def init_producer_id(nodes: Nodes) -> int:
    return nodes.ask(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000), 4).error_code


def elect_preferred(nodes: Nodes) -> int:
    topics = [ElectLeadersRequest.Topic(topic="moved", partitions=[0])]
    response = nodes.ask(ElectLeadersRequest(election_type=0, topic_partitions=topics), 2)
    return response.replica_election_results[0].partition_result[0].error_code


def elect_all_preferred(nodes: Nodes) -> int:
    response = nodes.ask(ElectLeadersRequest(election_type=0, topic_partitions=None), 2)
    codes = [each.error_code for topic in response.replica_election_results for each in topic.partition_result]
    assert len(codes) == 1
    return codes[0]


def reassign(nodes: Nodes) -> int:
    kind = AlterPartitionReassignmentsRequest.Topic
    topic = kind(name="topic", partitions=[kind.Partition(partition_index=0, replicas=[2, 3])])
    response = nodes.ask(AlterPartitionReassignmentsRequest(topics=[topic]), 1)
    return response.responses[0].partitions[0].error_code


def raising(act: Callable[[Nodes], None]) -> Callable[[Nodes], int]:
    """Make a write of what the broker does by itself or is told at the control socket: its error is raised."""

    def run(nodes: Nodes) -> int:
        try:
            act(nodes)
        except KafkaError as error:
            return error.code
        return NONE

    return run


WRITES: dict[str, Callable[[Nodes], int]] = {
    "create a topic": create_topic,
    "create a topic whose appends are synced": create_synced_topic,
    "create a topic on demand": create_on_demand,
    "create an internal topic": create_internal_topic,
    "create partitions": create_partitions,
    "delete a topic": delete_topic,
    "alter a topic's configs": alter_configs_of(ResourceType.TOPIC, "topic", retention_ms="7"),
    "alter a topic's configs incrementally": alter_topic_configs_incrementally,
    "alter a node's configs": alter_configs_of(ResourceType.BROKER, "1", log_retention_ms="7"),
    "alter all nodes' configs": alter_configs_of(
        ResourceType.BROKER, "", log_retention_ms="7", min_insync_replicas="1"
    ),
    "alter a group's configs": alter_configs_of(ResourceType.GROUP, "g", consumer_session_timeout_ms="50000"),
    "alter a subscription": alter_configs_of(ResourceType.CLIENT_METRICS, "m", interval_ms="5000"),
    "alter quotas": alter_quotas,
    "put a credential": put_credential,
    "delete a credential": delete_credential,
    "update features": update_features,
    "allocate a producer id": init_producer_id,
    "elect the preferred leader": elect_preferred,
    "elect all preferred leaders": elect_all_preferred,
    "reassign replicas": reassign,
    "stop a node": raising(lambda nodes: nodes.stop(2)),
    "start a node": raising(lambda nodes: nodes.start(3)),
    "elect preferred leaders by time": raising(lambda nodes: nodes.cluster.elections.elect_preferred()),
}


def prepare(nodes: Nodes) -> None:
    """Have something that each write can change: node 3 is stopped, and led ``moved`` before."""
    assert nodes.create("topic", [1, 2], [2, 1]) == NONE
    assert nodes.create("moved", [3, 1]) == NONE
    nodes.stop(3)
    nodes.cluster.scram_credentials.put("bob", 1, iterations=4096, salt=b"salt", salted_password=b"password")


class Image(NamedTuple):
    """What is known in memory, above the catalog."""

    topics: Any
    nodes: Any
    configs: Any
    quotas: Any
    credentials: Any
    features: Any


def image(nodes: Nodes) -> Image:
    cluster = nodes.cluster
    return Image(
        {
            name: (topic.id, dict(topic.config.overrides), [state_in_memory(each) for each in topic.partitions])
            for name, topic in cluster.topics.by_name.items()
        },
        {node.id: (node.runs, node.is_registered) for node in cluster.nodes.by_id.values()},
        {
            node.id: (dict(node.config.dynamic), dict(node.config.dynamic_defaults))
            for node in cluster.nodes.by_id.values()
        },
        list(cluster.quotas.describe([], strict=False)),
        {user: cluster.scram_credentials.describe(user) for user in cluster.scram_credentials.users()},
        list(cluster.features.in_force()),
    )


def state_in_memory(partition: Any) -> Any:
    return tuple(partition.replicas), tuple(partition.isr), partition.leader, partition.leader_epoch


def check_agreement(nodes: Nodes, folder: Path) -> None:
    """Memory says of topics what the catalog says, and the catalog what its file says."""
    stored = SqliteCatalog(folder / FILE_NAME, cluster_id=nodes.catalog.cluster_id)
    try:
        assert dict(stored.topics) == dict(nodes.catalog.topics)
        assert stored.metadata_offset == nodes.catalog.metadata_offset
    finally:
        stored.close()
    assert {
        name: [(state.replicas, state.isr, state.leader, state.leader_epoch) for state in topic.partitions]
        for name, topic in stored.topics.items()
    } == {
        name: [state_in_memory(each) for each in topic.partitions]
        for name, topic in nodes.cluster.topics.by_name.items()
    }
    assert {name: dict(topic.configs) for name, topic in stored.topics.items()} == {
        name: dict(topic.config.overrides) for name, topic in nodes.cluster.topics.by_name.items()
    }


def check_service(nodes: Nodes) -> None:
    assert nodes.produce("topic", 1).error_code == NONE
    assert nodes.fetched("topic", 1).error_code == NONE
    assert nodes.ask(DescribeClusterRequest(include_cluster_authorized_operations=False), 0).error_code == NONE


@pytest.mark.parametrize("name", WRITES)
def test_a_write_that_is_refused_changes_nothing_and_is_done_later(nodes: Nodes, tmp_path: Path, name: str) -> None:
    prepare(nodes)
    if name.startswith("elect"):
        nodes.start(3)
    before = image(nodes)
    nodes.catalog.writes_left = 0
    assert WRITES[name](nodes) == STORAGE_ERROR
    assert nodes.catalog.refused
    assert image(nodes) == before
    check_agreement(nodes, tmp_path)
    check_service(nodes)
    nodes.catalog.writes_left = None
    assert WRITES[name](nodes) == NONE
    check_agreement(nodes, tmp_path)
    if name != "delete a topic":
        check_service(nodes)


def test_the_walk_comes_by_every_kind_of_write(nodes: Nodes) -> None:
    prepare(nodes)
    nodes.start(3)
    nodes.catalog.writes_left = 0
    for write in WRITES.values():
        write(nodes)
    assert set(nodes.catalog.refused) == {
        "create_topics",
        "replace_topics",
        "delete_topics",
        "replace_configs",
        "change_entries",
        "allocate_producer_ids",
    }


def test_settings_are_in_force_though_leaders_cannot_follow_them_yet(
    nodes: Nodes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert nodes.create("eligible", [1, 3], min_insync_replicas="2") == NONE
    nodes.stop(3)
    assert nodes.describe("eligible").eligible_leader_replicas == [3]
    nodes.catalog.writes_left = 1
    assert alter_configs_of(ResourceType.TOPIC, "eligible", min_insync_replicas="1")(nodes) == NONE
    assert nodes.catalog.refused == ["replace_topics"]
    assert "Leaders do not follow the changed settings before the next election" in caplog.text
    assert nodes.describe("eligible").eligible_leader_replicas == [3]
    check_agreement(nodes, tmp_path)
    nodes.catalog.writes_left = None
    nodes.cluster.elections.elect_unclean()
    assert not nodes.describe("eligible").eligible_leader_replicas
    check_agreement(nodes, tmp_path)


def test_of_several_credentials_each_is_answered_for_itself(nodes: Nodes) -> None:
    prepare(nodes)
    put = AlterUserScramCredentialsRequest.Upsertion
    delete = AlterUserScramCredentialsRequest.Deletion
    request = AlterUserScramCredentialsRequest(
        deletions=[delete(name="bob", mechanism=1)],
        upsertions=[put(name="ada", mechanism=1, iterations=4096, salt=b"salt", salted_password=b"password")],
    )
    nodes.catalog.writes_left = 1
    results = {each.user: each.error_code for each in nodes.ask(request, 0).results}
    assert results == {"bob": NONE, "ada": STORAGE_ERROR}
    assert nodes.cluster.scram_credentials.users() == []


class FakeDoor:
    def __init__(self) -> None:
        self.advertised = Address("broker.example", 9092)
        self.listening = (self.advertised,)
        self.is_open = self.is_listening = True

    def open(self) -> None:
        self.is_open = True

    def listen(self, *_: Any) -> None:
        self.is_listening = True

    def close(self) -> None:
        self.is_open = self.is_listening = False


class FakeLoop:
    connections: dict[int, Any] = {}  # noqa: RUF012


def test_a_command_says_why_a_node_is_neither_stopped_nor_started(nodes: Nodes) -> None:
    assert nodes.create("topic", [2, 1]) == NONE
    doors: Any = {node_id: FakeDoor() for node_id in nodes.cluster.nodes.by_id}
    commands = NodeCommands(nodes.cluster, cast("Any", FakeLoop()), doors)
    nodes.catalog.writes_left = 0
    with pytest.raises(CommandError, match="node 2 runs on: The catalog cannot be written"):
        commands.stop(2)
    assert doors[2].is_open
    assert nodes.describe("topic").leader_id == 2
    nodes.catalog.writes_left = None
    commands.stop(2)
    nodes.catalog.writes_left = 0
    with pytest.raises(CommandError, match="node 2 stays stopped: The catalog cannot be written"):
        commands.start(2)
    assert not doors[2].is_open
    assert not doors[2].is_listening
    nodes.catalog.writes_left = None
    commands.start(2)
    assert doors[2].is_listening
    assert nodes.cluster.nodes.by_id[2].runs


def test_a_start_that_cannot_settle_leaders_is_refused_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ThreeNodes(tmp_path)
    assert before.create("topic", [2, 1]) == NONE
    before.close()
    monkeypatch.setattr("ottla.broker.server.SqliteCatalog", FailingCatalog)
    monkeypatch.setattr(FailingCatalog, "writes_left", 0)
    options: Any = SimpleNamespace(
        config=BrokerConfig(), data_dir=tmp_path, ephemeral=False, more_nodes=(), release=None
    )
    clock, timers = SteppedClock(), Timers()
    stepper = Stepper(timers=timers, stopwatch=clock.monotonic, background=Inline())
    for _ in range(2):  # and the folder is free for the next
        with pytest.raises(StartError, match="cannot be used: The catalog cannot be written"):
            server._open_cluster(options, cast("Any", clock), timers, stepper)
