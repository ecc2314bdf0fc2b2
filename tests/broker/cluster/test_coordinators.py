"""Groups in a cluster of three nodes: who leads a partition of `__consumer_offsets` coordinates its groups."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ottla.wire.codes import ErrorCode
from ottla.wire.messages.groups import (
    DeleteGroupsRequest,
    DescribeGroupsRequest,
    FindCoordinatorRequest,
    HeartbeatRequest,
    JoinGroupRequest,
    ListGroupsRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
    SyncGroupRequest,
)
from tests.stage.several_nodes import ThreeNodes

NONE = ErrorCode.NONE
NOT_COORDINATOR = ErrorCode.NOT_COORDINATOR
GROUPS = [f"group-{number}" for number in range(20)]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[ThreeNodes]:
    nodes = ThreeNodes(tmp_path, offsets_topic_num_partitions="6")
    nodes.create("topic", [1, 2, 3])
    yield nodes
    nodes.close()


def coordinators(nodes, *groups, node=1):
    response = nodes.ask(FindCoordinatorRequest(key_type=0, coordinator_keys=list(groups)), 4, node)
    return [(each.error_code, each.node_id) for each in response.coordinators]


def coordinator(nodes, group):
    ((code, node),) = coordinators(nodes, group)
    assert code == NONE
    return node


def others(node):
    return [each for each in (1, 2, 3) if each != node]


def commit(nodes, group, offset, node, *, member_id="", generation=-1):
    partition = OffsetCommitRequest.Topic.Partition(partition_index=0, committed_offset=offset, committed_metadata=None)
    topic = OffsetCommitRequest.Topic(name="topic", partitions=[partition])
    request = OffsetCommitRequest(
        group_id=group, member_id=member_id, generation_id_or_member_epoch=generation, topics=[topic]
    )
    return nodes.ask(request, 8, node).topics[0].partitions[0].error_code


def committed(nodes, group, node):
    asked = OffsetFetchRequest.Group(group_id=group, topics=None)
    (found,) = nodes.ask(OffsetFetchRequest(groups=[asked]), 8, node).groups
    return found.error_code, [each.committed_offset for topic in found.topics for each in topic.partitions]


def begin_to_join(nodes, group, node, member_id=""):
    protocol = JoinGroupRequest.Protocol(name="range", metadata=b"")
    request = JoinGroupRequest(
        group_id=group,
        session_timeout_ms=30_000,
        rebalance_timeout_ms=30_000,
        member_id=member_id,
        protocol_type="consumer",
        protocols=[protocol],
    )
    return nodes.begin(request, 3, node)


def member_of(nodes, group, node):
    """A member of a group in its first generation, which is stable."""
    joining = begin_to_join(nodes, group, node)
    nodes.cluster.timers.run_due(nodes.clock.monotonic())
    joined = joining.response()
    assert joined.error_code == NONE
    assignment = SyncGroupRequest.Assignment(member_id=joined.member_id, assignment=b"mine")
    synced = nodes.ask(
        SyncGroupRequest(
            group_id=group, generation_id=joined.generation_id, member_id=joined.member_id, assignments=[assignment]
        ),
        3,
        node,
    )
    assert synced.error_code == NONE
    return joined


def heartbeat(nodes, group, joined, node):
    request = HeartbeatRequest(group_id=group, generation_id=joined.generation_id, member_id=joined.member_id)
    return nodes.ask(request, 3, node).error_code


def test_coordinators_are_spread_and_every_node_names_the_same(nodes):
    found = coordinators(nodes, *GROUPS)
    assert {node for _, node in found} == {1, 2, 3}
    assert coordinators(nodes, *GROUPS, node=2) == coordinators(nodes, *GROUPS, node=3) == found


def test_the_offsets_topic_has_three_replicas(nodes):
    coordinator(nodes, "group")
    assert sorted(nodes.describe("__consumer_offsets").isr_nodes) == [1, 2, 3]


def test_other_nodes_are_not_the_coordinator(nodes):
    node = coordinator(nodes, "group")
    assert commit(nodes, "group", 5, node) == NONE
    for other in others(node):
        assert commit(nodes, "group", 6, other) == NOT_COORDINATOR
        assert committed(nodes, "group", other) == (NOT_COORDINATOR, [])
        assert begin_to_join(nodes, "group", other).response().error_code == NOT_COORDINATOR
        described = nodes.ask(DescribeGroupsRequest(groups=["group"]), 5, other).groups[0]
        assert (described.error_code, described.group_state) == (NOT_COORDINATOR, "")
        deleted = nodes.ask(DeleteGroupsRequest(groups_names=["group"]), 2, other).results[0]
        assert deleted.error_code == NOT_COORDINATOR
        assert nodes.ask(ListGroupsRequest(), 4, other).groups == []
    assert [each.group_id for each in nodes.ask(ListGroupsRequest(), 4, node).groups] == ["group"]
    assert committed(nodes, "group", node) == (NONE, [5])


def test_before_there_are_offsets_nobody_coordinates(nodes):
    assert [committed(nodes, "group", node)[0] for node in (1, 2, 3)] == [NOT_COORDINATOR] * 3


def test_offsets_move_with_the_coordinator_and_back(nodes):
    node = coordinator(nodes, "group")
    commit(nodes, "group", 5, node)
    nodes.stop(node)
    asked = others(node)[0]
    ((code, second),) = coordinators(nodes, "group", node=asked)
    assert (code, committed(nodes, "group", second)) == (NONE, (NONE, [5]))
    assert commit(nodes, "group", 6, second) == NONE
    nodes.start(node)
    assert committed(nodes, "group", second) == (NONE, [6])
    nodes.cluster.elections.elect_preferred()
    assert coordinator(nodes, "group") == node
    assert committed(nodes, "group", node) == (NONE, [6])
    assert committed(nodes, "group", second) == (NOT_COORDINATOR, [])


def test_a_group_goes_on_at_the_new_coordinator_with_its_members(nodes):
    node = coordinator(nodes, "group")
    joined = member_of(nodes, "group", node)
    nodes.stop(node)
    ((_, second),) = coordinators(nodes, "group", node=others(node)[0])
    assert heartbeat(nodes, "group", joined, second) == NONE
    assert commit(nodes, "group", 7, second, member_id=joined.member_id, generation=joined.generation_id) == NONE


def test_a_member_that_waits_is_told_that_the_coordinator_moved(nodes):
    node = coordinator(nodes, "group")
    member_of(nodes, "group", node)
    waiting = begin_to_join(nodes, "group", node)
    assert not waiting.done
    nodes.stop(node)
    assert waiting.response().error_code == NOT_COORDINATOR


def test_a_group_whose_replicas_are_all_stopped_has_no_coordinator(tmp_path):
    nodes = ThreeNodes(tmp_path, offsets_topic_num_partitions="6", offsets_topic_replication_factor="1")
    group = next(each for each in GROUPS if coordinator(nodes, each) == 3)
    nodes.stop(3)
    assert coordinators(nodes, group) == [(ErrorCode.COORDINATOR_NOT_AVAILABLE, -1)]
    nodes.start(3)
    assert coordinators(nodes, group) == [(NONE, 3)]
    nodes.close()


def test_offsets_need_as_many_replicas_as_other_records(tmp_path):
    nodes = ThreeNodes(tmp_path, offsets_topic_num_partitions="6", min_insync_replicas="2")
    nodes.create("topic", [1, 2, 3])
    node = coordinator(nodes, "group")
    first, second = others(node)
    nodes.stop(first)
    assert commit(nodes, "group", 5, node) == NONE
    nodes.stop(second)
    assert commit(nodes, "group", 6, node) == ErrorCode.COORDINATOR_NOT_AVAILABLE
    nodes.start(second)
    assert committed(nodes, "group", node) == (NONE, [5])
    assert commit(nodes, "group", 6, node) == NONE
    nodes.close()


def test_groups_are_loaded_by_their_coordinators_after_a_restart(nodes, tmp_path):
    for offset, group in enumerate(GROUPS):
        commit(nodes, group, offset, coordinator(nodes, group))
    nodes.close()
    again = ThreeNodes(tmp_path)
    try:
        for offset, group in enumerate(GROUPS):
            assert committed(again, group, coordinator(again, group)) == (NONE, [offset])
    finally:
        again.close()
        nodes.close = lambda: None
