"""The group APIs as a client of each version sees them: requests and responses go through their codecs."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ottla.broker.cluster.cluster import Cluster
from ottla.broker.handlers import groups as handlers
from ottla.broker.requests.context import Contexts
from ottla.broker.settings.addresses import Address
from ottla.broker.settings.broker_config import BrokerConfig
from ottla.scheduling.background import Inline
from ottla.scheduling.promise import Promise
from ottla.scheduling.stepper import Stepper
from ottla.scheduling.timers import Timers
from ottla.storage.catalogs.sqlite import FILE_NAME, SqliteCatalog
from ottla.storage.files.real import RealFiles
from ottla.storage.segments.data_directory import DataDirectory
from ottla.wire.codes import ErrorCode
from ottla.wire.messages import groups as messages
from ottla.wire.messages.groups import (
    DeleteGroupsRequest,
    DescribeGroupsRequest,
    FindCoordinatorRequest,
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    ListGroupsRequest,
    OffsetCommitRequest,
    OffsetDeleteRequest,
    OffsetFetchRequest,
    SyncGroupRequest,
)
from ottla.wire.schema import ZERO_UUID
from tests.stage.clock import SteppedClock
from tests.stage.groups import subscription

pytestmark = pytest.mark.over_slow_logs_too

NOBODY = bytes([1] * 16)
HANDLERS = {
    FindCoordinatorRequest: handlers.find_coordinator,
    JoinGroupRequest: handlers.join_group,
    SyncGroupRequest: handlers.sync_group,
    HeartbeatRequest: handlers.heartbeat,
    LeaveGroupRequest: handlers.leave_group,
    OffsetCommitRequest: handlers.offset_commit,
    OffsetFetchRequest: handlers.offset_fetch,
    OffsetDeleteRequest: handlers.offset_delete,
    DescribeGroupsRequest: handlers.describe_groups,
    ListGroupsRequest: handlers.list_groups,
    DeleteGroupsRequest: handlers.delete_groups,
}
CommitTopic = OffsetCommitRequest.Topic
CommitPartition = CommitTopic.Partition
FetchGroup = OffsetFetchRequest.Group


class Broker:
    """A cluster in a folder, and one client's connection to it."""

    def __init__(self, folder: Path) -> None:
        self.clock = SteppedClock()
        self.timers = Timers()
        config = BrokerConfig({})
        directory = DataDirectory(
            folder, node_id=1, files=RealFiles(durable=False), background=Inline(), random=Random(1)
        )
        catalog = SqliteCatalog(folder / FILE_NAME, cluster_id=directory.identity.cluster_id, synchronous="OFF")
        self.cluster = Cluster(
            config=config,
            directory=directory,
            catalog=catalog,
            clock=self.clock,
            timers=self.timers,
            stepper=Stepper(timers=self.timers, stopwatch=self.clock.monotonic, background=Inline()),
            random_source=Random(2),
        )
        self.cluster.nodes.first.endpoints = [Address("broker.example", 9092)]
        self.context = Contexts(self.cluster).make(self.cluster.nodes.first, "10.0.0.1")
        self.context.client.id = "client"
        for _ in self.cluster.load_groups():
            pass

    def ask(self, request: Any, version: int) -> Any:
        """The response as the client reads it, once timers that are due have run."""
        kind = type(request)
        self.context.api_version = version
        response = HANDLERS[kind](self.context, kind.decode(request.encode(version), version))
        if type(response) is Promise:
            self.timers.run_due(self.clock.now)
            assert response.done
            response = response.value
        name = kind.__name__.replace("Request", "Response")
        return getattr(messages, name).decode(response.encode(version), version)

    def create_topic(self, name: str, partitions: int = 2) -> bytes:
        topic = self.cluster.topics.create(name, assignments=[[1]] * partitions, configs={})
        return topic.id

    def join(self, version: int = 9, *, group_id: str = "group", member_id: str = "", instance: str | None = None):
        request = JoinGroupRequest(
            group_id=group_id,
            session_timeout_ms=10_000,
            rebalance_timeout_ms=20_000,
            member_id=member_id,
            group_instance_id=instance,
            protocol_type="consumer",
            protocols=[JoinGroupRequest.Protocol(name="range", metadata=subscription("topic"))],
        )
        response = self.ask(request, version)
        if response.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            return self.join(version, group_id=group_id, member_id=response.member_id)
        return response

    def stable_member(self) -> str:
        """The only member of a stable group."""
        member_id = self.join().member_id
        self.ask(
            SyncGroupRequest(
                group_id="group",
                generation_id=1,
                member_id=member_id,
                protocol_type="consumer",
                protocol_name="range",
                assignments=[],
            ),
            5,
        )
        return member_id

    def commit(self, version: int, *topics: CommitTopic, group_id: str = "group") -> dict[tuple[Any, int], ErrorCode]:
        request = OffsetCommitRequest(group_id=group_id, member_id="", topics=[*topics])
        response = self.ask(request, version)
        return {
            (topic.name or topic.topic_id, each.partition_index): ErrorCode(each.error_code)
            for topic in response.topics
            for each in topic.partitions
        }


@pytest.fixture
def broker(tmp_path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    broker.cluster.close()


def partition(index: int, offset: int = 5, metadata: str | None = "m") -> CommitPartition:
    return CommitPartition(
        partition_index=index, committed_offset=offset, committed_leader_epoch=3, committed_metadata=metadata
    )


# --- coordinators


@pytest.mark.parametrize("version", range(7))
def test_this_node_coordinates_every_group(broker, version):
    request = FindCoordinatorRequest(key="group", coordinator_keys=["group"] if version >= 4 else [])
    response = broker.ask(request, version)
    found = response.coordinators[0] if version >= 4 else response
    assert (found.error_code, found.node_id, found.host, found.port) == (0, 1, "broker.example", 9092)
    assert len(broker.cluster.topics.by_name["__consumer_offsets"].partitions) == 50


def test_coordinators_of_several_keys_are_found_at_once(broker):
    response = broker.ask(FindCoordinatorRequest(coordinator_keys=["a", "b"]), 6)
    assert [each.key for each in response.coordinators] == ["a", "b"]


def test_transactions_have_a_coordinator_too_since_it_says_what_is_missing(broker):
    assert broker.ask(FindCoordinatorRequest(key="t", key_type=1), 3).node_id == 1
    assert "__consumer_offsets" not in broker.cluster.topics.by_name


@pytest.mark.parametrize(
    ("version", "key_type", "key", "code"),
    [
        (3, 2, "g:AAAAAAAAAAAAAAAAAAAAAQ:0", ErrorCode.INVALID_REQUEST),
        (5, 2, "g:AAAAAAAAAAAAAAAAAAAAAQ:0", ErrorCode.INVALID_REQUEST),
        (6, 2, "g:AAAAAAAAAAAAAAAAAAAAAQ:0", ErrorCode.NONE),
        (6, 2, "nonsense", ErrorCode.INVALID_REQUEST),
        (1, 7, "group", ErrorCode.INVALID_REQUEST),
        (6, 7, "group", ErrorCode.INVALID_REQUEST),
    ],
)
def test_kinds_of_coordinators_that_do_not_exist_are_refused(broker, version, key_type, key, code):
    keys = [key] if version >= 4 else []
    response = broker.ask(FindCoordinatorRequest(key=key, key_type=key_type, coordinator_keys=keys), version)
    found = response.coordinators[0] if version >= 4 else response
    assert found.error_code == code
    assert found.node_id == (-1 if code else 1)


# --- members


@pytest.mark.parametrize("version", range(10))
def test_every_version_joins(broker, version):
    response = broker.join(version)
    assert (response.error_code, response.generation_id, response.protocol_name) == (0, 1, "range")
    assert response.leader == response.member_id
    assert len(response.members) == 1


@pytest.mark.parametrize("version", range(10))
def test_every_version_understands_a_refusal(broker, version):
    response = broker.join(version, group_id="")
    assert response.error_code == ErrorCode.INVALID_GROUP_ID
    assert response.protocol_name == (None if version >= 7 else "")


def test_version_0_knows_one_timeout_for_everything(broker):
    broker.join(0)
    group = broker.cluster.nodes.first.groups.runtime.shard_of("group").groups["group"]
    assert [member.rebalance_timeout_ms for member in group.members] == [10_000]


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("10.0.0.1", "/10.0.0.1"),
        ("::1", "/0:0:0:0:0:0:0:1"),
        ("fe80::a%eth0", "/fe80:0:0:0:0:0:0:a"),
        ("::ffff:10.0.0.1", "/10.0.0.1"),
    ],
)
def test_a_members_host_is_shown_as_java_writes_addresses(broker, host, shown):
    broker.context.client.host = host
    broker.join()
    described = broker.ask(DescribeGroupsRequest(groups=["group"]), 6).groups[0]
    assert [member.client_host for member in described.members] == [shown]


@pytest.mark.parametrize("version", range(6))
def test_every_version_syncs(broker, version):
    member_id = broker.join().member_id
    named = {"protocol_type": "consumer", "protocol_name": "range"} if version >= 5 else {}
    request = SyncGroupRequest(
        group_id="group",
        generation_id=1,
        member_id=member_id,
        assignments=[SyncGroupRequest.Assignment(member_id=member_id, assignment=b"all")],
        **named,
    )
    response = broker.ask(request, version)
    assert (response.error_code, response.assignment) == (0, b"all")


def test_since_version_5_a_sync_must_name_its_protocol(broker):
    member_id = broker.join().member_id
    request = SyncGroupRequest(group_id="group", generation_id=1, member_id=member_id, assignments=[])
    assert broker.ask(request, 5).error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


@pytest.mark.parametrize("version", range(5))
def test_every_version_beats(broker, version):
    member_id = broker.stable_member()
    request = HeartbeatRequest(group_id="group", generation_id=1, member_id=member_id)
    assert broker.ask(request, version).error_code == ErrorCode.NONE


@pytest.mark.parametrize("version", range(6))
def test_every_version_leaves(broker, version):
    member_id = broker.stable_member()
    members = [LeaveGroupRequest.Member(member_id=member_id)] if version >= 3 else []
    request = LeaveGroupRequest(group_id="group", member_id=member_id, members=members)
    first, second = broker.ask(request, version), broker.ask(request, version)
    assert first.error_code == ErrorCode.NONE
    if version >= 3:
        assert (second.error_code, second.members[0].error_code) == (ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID)
    else:
        assert second.error_code == ErrorCode.UNKNOWN_MEMBER_ID


# --- offsets


@pytest.mark.parametrize("version", range(2, 10))
def test_offsets_are_committed_by_topic_name(broker, version):
    broker.create_topic("topic")
    answers = broker.commit(
        version,
        CommitTopic(name="missing", partitions=[partition(0)]),
        CommitTopic(name="topic", partitions=[partition(0), partition(2), partition(-1), partition(1)]),
    )
    assert answers == {
        ("missing", 0): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ("topic", 2): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ("topic", -1): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ("topic", 0): ErrorCode.NONE,
        ("topic", 1): ErrorCode.NONE,
    }


def test_offsets_are_committed_by_topic_id_since_version_10(broker):
    topic_id = broker.create_topic("topic")
    answers = broker.commit(
        10,
        CommitTopic(topic_id=topic_id, partitions=[partition(0), partition(9)]),
        CommitTopic(topic_id=NOBODY, partitions=[partition(0)]),
    )
    assert answers == {
        (topic_id, 9): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        (NOBODY, 0): ErrorCode.UNKNOWN_TOPIC_ID,
        (topic_id, 0): ErrorCode.NONE,
    }


def test_a_commit_of_nothing_that_exists_needs_no_group(broker):
    assert broker.commit(9, CommitTopic(name="missing", partitions=[partition(0)]), group_id="nobody") == {
        ("missing", 0): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    }
    assert broker.ask(ListGroupsRequest(), 5).groups == []


@pytest.mark.parametrize("version", range(1, 8))
def test_offsets_of_one_group_are_fetched(broker, version):
    broker.create_topic("topic")
    broker.commit(9, CommitTopic(name="topic", partitions=[partition(0)]))
    topics = [
        OffsetFetchRequest.Topic(name="topic", partition_indexes=[0, 1]),
        OffsetFetchRequest.Topic(name="missing", partition_indexes=[0]),
    ]
    response = broker.ask(OffsetFetchRequest(group_id="group", topics=topics), version)
    found = {
        (topic.name, each.partition_index): (each.committed_offset, each.metadata, each.error_code)
        for topic in response.topics
        for each in topic.partitions
    }
    assert found == {("topic", 0): (5, "m", 0), ("topic", 1): (-1, "", 0), ("missing", 0): (-1, "", 0)}
    assert response.topics[0].partitions[0].committed_leader_epoch == (3 if version >= 5 else -1)


@pytest.mark.parametrize("version", range(2, 8))
def test_all_offsets_of_one_group_are_fetched(broker, version):
    broker.create_topic("topic")
    broker.commit(9, CommitTopic(name="topic", partitions=[partition(1)]))
    response = broker.ask(OffsetFetchRequest(group_id="group", topics=None, require_stable=version >= 7), version)
    assert [(topic.name, [each.partition_index for each in topic.partitions]) for topic in response.topics] == [
        ("topic", [1])
    ]


@pytest.mark.parametrize("version", [8, 9])
@pytest.mark.parametrize("require_stable", [False, True])
def test_offsets_of_several_groups_are_fetched(broker, version, require_stable):
    broker.create_topic("topic")
    for offset, group_id in enumerate(["x", "y"]):
        broker.commit(9, CommitTopic(name="topic", partitions=[partition(0, offset)]), group_id=group_id)
    groups = [
        FetchGroup(group_id="x", topics=[FetchGroup.Topic(name="topic", partition_indexes=[0])]),
        FetchGroup(group_id="y", topics=None),
        FetchGroup(group_id="nobody", topics=None),
    ]
    response = broker.ask(OffsetFetchRequest(groups=groups, require_stable=require_stable), version)
    found = {
        group.group_id: [topic.partitions[0].committed_offset for topic in group.topics] for group in response.groups
    }
    assert found == {"x": [0], "y": [1], "nobody": []}


def test_offsets_are_fetched_by_topic_id_since_version_10(broker):
    topic_id = broker.create_topic("topic")
    gone = broker.create_topic("gone")
    broker.commit(10, CommitTopic(topic_id=topic_id, partitions=[partition(0)]))
    wanted = [
        FetchGroup.Topic(topic_id=NOBODY, partition_indexes=[0]),
        FetchGroup.Topic(topic_id=topic_id, partition_indexes=[0]),
        FetchGroup.Topic(topic_id=gone, partition_indexes=[0]),
    ]
    groups = [FetchGroup(group_id="group", topics=wanted), FetchGroup(group_id="group", topics=None)]
    named, every = broker.ask(OffsetFetchRequest(groups=groups), 10).groups
    assert [
        (topic.topic_id, topic.partitions[0].committed_offset, topic.partitions[0].error_code) for topic in named.topics
    ] == [(topic_id, 5, 0), (gone, -1, 0), (NOBODY, -1, ErrorCode.UNKNOWN_TOPIC_ID)]
    assert [(topic.topic_id, topic.partitions[0].committed_offset) for topic in every.topics] == [(topic_id, 5)]


def test_a_deleted_topic_takes_its_offsets_along(broker):
    topic_id = broker.create_topic("topic")
    broker.commit(9, CommitTopic(name="topic", partitions=[partition(0)]))
    broker.cluster.topics.delete(broker.cluster.topics.by_name["topic"])
    new_id = broker.create_topic("topic")
    assert new_id != topic_id
    response = broker.ask(OffsetFetchRequest(groups=[FetchGroup(group_id="group", topics=None)]), 9)
    assert response.groups[0].topics == []


@pytest.mark.parametrize("version", [1, 2, 7, 8, 10])
def test_while_groups_are_loaded_their_offsets_are_refused_where_the_version_has_room_for_it(broker, version):
    topic_id = broker.create_topic("topic")
    broker.commit(9, CommitTopic(name="topic", partitions=[partition(0)]))
    broker.cluster.load_groups()
    if version < 8:
        topics = [OffsetFetchRequest.Topic(name="topic", partition_indexes=[0])]
        response = broker.ask(OffsetFetchRequest(group_id="group", topics=topics), version)
        code = response.error_code if version >= 2 else response.topics[0].partitions[0].error_code
        assert code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        return
    named = {"topic_id": topic_id} if version >= 10 else {"name": "topic"}
    wanted = FetchGroup(group_id="group", topics=[FetchGroup.Topic(partition_indexes=[0], **named)])
    for require_stable in (False, True):
        response = broker.ask(OffsetFetchRequest(groups=[wanted], require_stable=require_stable), version)
        assert response.groups[0].error_code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS


def test_offsets_are_deleted_of_topics_and_partitions_that_exist(broker):
    broker.create_topic("topic")
    broker.commit(9, CommitTopic(name="topic", partitions=[partition(0), partition(1)]))

    def wanted(name: str, *indexes: int) -> OffsetDeleteRequest.Topic:
        partitions = [OffsetDeleteRequest.Topic.Partition(partition_index=index) for index in indexes]
        return OffsetDeleteRequest.Topic(name=name, partitions=partitions)

    topics = [wanted("missing", 0), wanted("topic", 0, 9)]
    response = broker.ask(OffsetDeleteRequest(group_id="group", topics=topics), 0)
    found = {
        (topic.name, each.partition_index): each.error_code for topic in response.topics for each in topic.partitions
    }
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert found == {("missing", 0): unknown, ("topic", 9): unknown, ("topic", 0): 0}
    response = broker.ask(OffsetDeleteRequest(group_id="nobody", topics=topics), 0)
    assert (response.error_code, response.topics) == (ErrorCode.GROUP_ID_NOT_FOUND, [])


# --- groups


@pytest.mark.parametrize("version", range(7))
def test_every_version_describes(broker, version):
    member_id = broker.stable_member()
    request = DescribeGroupsRequest(groups=["group", "nobody"], include_authorized_operations=version >= 3)
    group, missing = broker.ask(request, version).groups
    assert (group.group_state, group.protocol_data, group.members[0].member_id) == ("Stable", "range", member_id)
    assert missing.group_state == "Dead"
    assert missing.error_code == (ErrorCode.GROUP_ID_NOT_FOUND if version >= 6 else ErrorCode.NONE)
    assert group.authorized_operations == (3400 if version >= 3 else -(2**31))
    assert missing.authorized_operations == (3400 if 3 <= version < 6 else -(2**31))


def test_authorized_operations_are_said_only_if_asked_for(broker):
    broker.stable_member()
    response = broker.ask(DescribeGroupsRequest(groups=["group"]), 6)
    assert response.groups[0].authorized_operations == -(2**31)


@pytest.mark.parametrize("version", range(6))
def test_every_version_lists(broker, version):
    broker.stable_member()
    (group,) = broker.ask(ListGroupsRequest(), version).groups
    assert (group.group_id, group.protocol_type) == ("group", "consumer")
    assert group.group_state == ("Stable" if version >= 4 else "")
    assert group.group_type == ("classic" if version >= 5 else "")


@pytest.mark.parametrize("version", range(3))
def test_every_version_deletes(broker, version):
    broker.stable_member()
    response = broker.ask(DeleteGroupsRequest(groups_names=["group", "nobody"]), version)
    assert [(each.group_id, each.error_code) for each in response.results] == [
        ("group", ErrorCode.NON_EMPTY_GROUP),
        ("nobody", ErrorCode.GROUP_ID_NOT_FOUND),
    ]


def test_groups_are_there_again_after_a_restart(tmp_path):
    broker = Broker(tmp_path)
    topic_id = broker.create_topic("topic")
    member_id = broker.stable_member()
    broker.commit(9, CommitTopic(name="topic", topic_id=ZERO_UUID, partitions=[partition(1, 77)]), group_id="other")
    broker.cluster.close()

    broker = Broker(tmp_path)
    described = broker.ask(DescribeGroupsRequest(groups=["group"]), 6).groups[0]
    assert (described.group_state, described.members[0].member_id) == ("Stable", member_id)
    wanted = FetchGroup(group_id="other", topics=[FetchGroup.Topic(topic_id=topic_id, partition_indexes=[1])])
    response = broker.ask(OffsetFetchRequest(groups=[wanted]), 10)
    assert response.groups[0].topics[0].partitions[0].committed_offset == 77
    broker.cluster.close()
