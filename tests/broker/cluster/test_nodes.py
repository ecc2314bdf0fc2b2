"""A cluster of three nodes as clients see it. The answers are those of three Apache 4.3.1 brokers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ottla.broker.fetching.from_replica import RACK_AWARE
from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.configs import DescribeConfigsRequest
from ottla.wire.messages.core import DescribeClusterRequest, MetadataRequest
from ottla.wire.messages.fetch import ListOffsetsRequest, OffsetForLeaderEpochRequest
from ottla.wire.messages.log_dirs import DescribeLogDirsRequest
from ottla.wire.messages.produce import ProduceResponse
from ottla.wire.messages.quorum import DescribeQuorumRequest, UnregisterBrokerRequest
from ottla.wire.messages.quotas import AlterClientQuotasRequest
from ottla.wire.messages.replicas import (
    AlterPartitionReassignmentsRequest,
    DescribeProducersRequest,
    ElectLeadersRequest,
    ListPartitionReassignmentsRequest,
)
from ottla.wire.messages.topics import CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest
from tests.stage.several_nodes import SlowNodes, ThreeNodes

NONE = ErrorCode.NONE
WRONG_NODE = ErrorCode.NOT_LEADER_OR_FOLLOWER


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[ThreeNodes]:
    nodes = ThreeNodes(tmp_path, replica_selector_class=RACK_AWARE)
    yield nodes
    nodes.close()


def metadata(nodes, name, version=12, node=1):
    return nodes.ask(
        MetadataRequest(topics=[MetadataRequest.Topic(name=name)], allow_auto_topic_creation=False), version, node
    )


def led(nodes, name, index=0):
    state = nodes.describe(name, index)
    return state.leader_id, state.leader_epoch, state.replica_nodes, sorted(state.isr_nodes)


def epoch_of(batch):
    """The leader epoch in which a batch was appended."""
    return int.from_bytes(batch[12:16])


def create(nodes, replication_factor, partitions=3, name="topic"):
    topic = CreateTopicsRequest.Topic(
        name=name, num_partitions=partitions, replication_factor=replication_factor, assignments=[], configs=[]
    )
    return nodes.ask(CreateTopicsRequest(topics=[topic], timeout_ms=1000), 7).topics[0].error_code


def elect(nodes, election_type, *partitions):
    topics = [ElectLeadersRequest.Topic(topic=name, partitions=[index]) for name, index in partitions]
    response = nodes.ask(ElectLeadersRequest(election_type=election_type, topic_partitions=topics or None), 2)
    return [each.error_code for topic in response.replica_election_results for each in topic.partition_result]


def reassign(nodes, name, replicas, **options):
    partition = AlterPartitionReassignmentsRequest.Topic.Partition(partition_index=0, replicas=replicas)
    topic = AlterPartitionReassignmentsRequest.Topic(name=name, partitions=[partition])
    response = nodes.ask(AlterPartitionReassignmentsRequest(topics=[topic], **options), 1)
    return response.responses[0].partitions[0].error_code


def reassignments(nodes, *names):
    topics = [ListPartitionReassignmentsRequest.Topic(name=name, partition_indexes=[0, 1]) for name in names]
    response = nodes.ask(ListPartitionReassignmentsRequest(topics=topics or None), 0)
    return {
        topic.name: (each.replicas, each.adding_replicas, each.removing_replicas)
        for topic in response.topics
        for each in topic.partitions
    }


# --- what a cluster looks like


def test_all_running_nodes_are_named_with_their_racks(nodes):
    nodes.create("topic", [2, 3, 1])
    expected = [(1, "broker-1.example", "a"), (2, "broker-2.example", "b"), (3, "broker-3.example", "c")]
    for node in (1, 2, 3):
        response = metadata(nodes, "topic", node=node)
        assert [(each.node_id, each.host, each.rack) for each in response.brokers] == expected
        assert response.controller_id in {1, 2, 3}
    nodes.stop(3)
    assert [each.node_id for each in metadata(nodes, "topic").brokers] == [1, 2]
    assert metadata(nodes, "topic").controller_id in {1, 2}


def test_a_stopped_node_is_fenced(nodes):
    nodes.stop(3)
    asked = DescribeClusterRequest(include_cluster_authorized_operations=False, include_fenced_brokers=True)
    found = nodes.ask(asked, 2).brokers
    assert [(each.broker_id, each.is_fenced) for each in found] == [(1, False), (2, False), (3, True)]
    asked = DescribeClusterRequest(include_cluster_authorized_operations=False)
    assert [each.broker_id for each in nodes.ask(asked, 2).brokers] == [1, 2]


def test_the_other_nodes_observe_the_controller(nodes):
    partition = DescribeQuorumRequest.Topic.Partition(partition_index=0)
    topic = DescribeQuorumRequest.Topic(topic_name="__cluster_metadata", partitions=[partition])
    found = nodes.ask(DescribeQuorumRequest(topics=[topic]), 2, 2).topics[0].partitions[0]
    assert found.leader_id == 1
    assert [each.replica_id for each in found.current_voters] == [1]
    assert [each.replica_id for each in found.observers] == [2, 3]


def test_replicas_isr_and_offline_replicas_are_told(nodes):
    nodes.create("topic", [3, 1, 2])
    nodes.create("lonely", [3])
    nodes.stop(3)
    found = metadata(nodes, "topic").topics[0].partitions[0]
    assert (found.error_code, found.leader_id, found.leader_epoch) == (NONE, 1, 1)
    assert (found.replica_nodes, found.isr_nodes, found.offline_replicas) == ([3, 1, 2], [1, 2], [3])
    found = metadata(nodes, "lonely").topics[0].partitions[0]
    assert (found.error_code, found.leader_id) == (ErrorCode.LEADER_NOT_AVAILABLE, -1)
    assert (found.replica_nodes, found.isr_nodes, found.offline_replicas) == ([3], [], [3])
    found = nodes.describe("lonely")
    assert (found.error_code, found.eligible_leader_replicas, found.last_known_elr) == (NONE, [3], [3])


def test_the_first_version_of_metadata_leaves_stopped_replicas_out(nodes):
    nodes.create("topic", [3, 2])
    nodes.create("lonely", [3])
    nodes.stop(3)
    found = metadata(nodes, "topic", 0).topics[0].partitions[0]
    assert (found.error_code, found.leader_id) == (ErrorCode.REPLICA_NOT_AVAILABLE, 2)
    assert (found.replica_nodes, found.isr_nodes) == ([2], [2])
    assert metadata(nodes, "lonely", 0).topics[0].partitions[0].error_code == ErrorCode.LEADER_NOT_AVAILABLE


def test_each_node_describes_itself_only(nodes):
    def ids(node):
        resource = DescribeConfigsRequest.Resource(
            resource_type=4, resource_name="2", configuration_keys=["node.id", "broker.rack"]
        )
        result = nodes.ask(DescribeConfigsRequest(resources=[resource]), 4, node).results[0]
        return result.error_code, {each.name: each.value for each in result.configs}

    assert ids(2) == (NONE, {"node.id": "2", "broker.rack": "b"})
    assert ids(1) == (ErrorCode.INVALID_REQUEST, {})


def test_each_node_has_its_replicas_in_its_log_directory(nodes):
    nodes.create("topic", [1, 2], [2, 3])

    def found(node):
        response = nodes.ask(DescribeLogDirsRequest(topics=None), 4, node)
        return [each.partition_index for topic in response.results[0].topics for each in topic.partitions]

    assert [found(node) for node in (1, 2, 3)] == [[0], [0, 1], [1]]


def test_each_node_gives_a_client_the_whole_of_its_quota(nodes):
    nodes.create("topic", [1])
    nodes.create("other", [2])
    quota = AlterClientQuotasRequest.Entry(
        entity=[AlterClientQuotasRequest.Entry.Entity(entity_type="client-id", entity_name="test")],
        ops=[AlterClientQuotasRequest.Entry.Op(key="producer_byte_rate", value=1.0, remove=False)],
    )
    nodes.ask(AlterClientQuotasRequest(entries=[quota], validate_only=False), 1)

    def wait_ms(name, node):
        return nodes.begin_to_produce(name, node).response().throttle_time_ms

    first, second = wait_ms("topic", 1), wait_ms("topic", 1)
    assert 0 < first < second
    assert wait_ms("other", 2) == first


# --- where replicas go


def test_a_topic_has_as_many_replicas_as_it_asks_for_up_to_the_number_of_nodes(nodes):
    assert create(nodes, 3) == NONE
    states = [nodes.describe("topic", index) for index in range(3)]
    assert [sorted(state.replica_nodes) for state in states] == [[1, 2, 3]] * 3
    assert sorted(state.leader_id for state in states) == [1, 2, 3]
    assert create(nodes, 4, name="more") == ErrorCode.INVALID_REPLICATION_FACTOR


def test_a_client_may_choose_the_replicas(nodes):
    assert nodes.create("topic", [2, 3], [3, 1]) == NONE
    assert (led(nodes, "topic", 0), led(nodes, "topic", 1)) == ((2, 0, [2, 3], [2, 3]), (3, 0, [3, 1], [1, 3]))
    for wrong in ([[1, 9]], [[1, 1]], [[1, 2], [3]], [[]]):
        assert nodes.create("wrong", *wrong) == ErrorCode.INVALID_REPLICA_ASSIGNMENT


def test_new_partitions_have_as_many_replicas_as_the_others(nodes):
    nodes.create("topic", [2, 3])
    asked = CreatePartitionsRequest.Topic(name="topic", count=4, assignments=None)
    nodes.ask(CreatePartitionsRequest(topics=[asked], timeout_ms=1000, validate_only=False), 3)
    assert [len(nodes.describe("topic", index).replica_nodes) for index in range(4)] == [2, 2, 2, 2]


def test_a_stopped_node_gets_replicas_but_cannot_lead(nodes):
    nodes.stop(3)
    assert create(nodes, 3) == NONE
    for index in range(3):
        state = nodes.describe("topic", index)
        assert state.leader_id in {1, 2}
        assert (sorted(state.isr_nodes), state.offline_replicas) == ([1, 2], [3])
    assert nodes.create("chosen", [3, 1]) == NONE
    assert led(nodes, "chosen") == (1, 0, [3, 1], [1])
    assert nodes.create("impossible", [3]) == ErrorCode.INVALID_REPLICA_ASSIGNMENT


# --- who may be asked


def test_only_the_leader_takes_records(nodes):
    nodes.create("topic", [2, 3])
    assert [nodes.produce("topic", node).error_code for node in (1, 3, 2)] == [WRONG_NODE, WRONG_NODE, NONE]


def test_the_answer_from_the_wrong_node_names_the_right_one(nodes):
    nodes.create("topic", [2, 3])
    response: ProduceResponse = nodes.begin_to_produce("topic", 1, version=10).response()
    leader = response.responses[0].partition_responses[0].current_leader
    assert (leader.leader_id, leader.leader_epoch) == (2, 0)
    assert [(each.node_id, each.host, each.rack) for each in response.node_endpoints] == [(2, "broker-2.example", "b")]
    response = nodes.begin_to_produce("topic", 1, version=13).response()
    assert response.responses[0].partition_responses[0].current_leader.leader_id == 2
    response = nodes.fetch("topic", 1, version=16).response()
    assert response.responses[0].partitions[0].current_leader.leader_id == 2
    assert [each.node_id for each in response.node_endpoints] == [2]
    assert nodes.fetch("topic", 1, version=15).response().node_endpoints == []


def test_followers_answer_consumers_that_know_of_it(nodes):
    nodes.create("topic", [2, 3])
    nodes.produce("topic", 2)
    assert [nodes.fetched("topic", node, version=10).error_code for node in (1, 2, 3)] == [WRONG_NODE, NONE, WRONG_NODE]
    assert [nodes.fetched("topic", node, version=11).error_code for node in (1, 2, 3)] == [WRONG_NODE, NONE, NONE]
    assert bytes(nodes.fetched("topic", 3).records) == bytes(nodes.fetched("topic", 2).records)


def test_only_the_leader_knows_offsets_and_deletes_records(nodes):
    nodes.create("topic", [2, 3])
    nodes.produce("topic", 2)
    listed = ListOffsetsRequest.Topic.Partition(partition_index=0, timestamp=-1)
    epoch = OffsetForLeaderEpochRequest.Topic.Partition(partition=0, leader_epoch=0)
    deleted = DeleteRecordsRequest.Topic.Partition(partition_index=0, offset=1)
    for request, version in (
        (
            ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsRequest.Topic(name="topic", partitions=[listed])]),
            7,
        ),
        (
            OffsetForLeaderEpochRequest(topics=[OffsetForLeaderEpochRequest.Topic(topic="topic", partitions=[epoch])]),
            4,
        ),
        (
            DeleteRecordsRequest(
                topics=[DeleteRecordsRequest.Topic(name="topic", partitions=[deleted])], timeout_ms=1000
            ),
            2,
        ),
    ):
        found = [nodes.ask(request, version, node).topics[0].partitions[0].error_code for node in (1, 3, 2)]
        assert found == [WRONG_NODE, WRONG_NODE, NONE]


def test_who_debugs_may_ask_followers_for_offsets(nodes):
    nodes.create("topic", [2, 3])
    listed = ListOffsetsRequest.Topic.Partition(partition_index=0, timestamp=-1)
    request = ListOffsetsRequest(replica_id=-2, topics=[ListOffsetsRequest.Topic(name="topic", partitions=[listed])])
    found = [nodes.ask(request, 7, node).topics[0].partitions[0].error_code for node in (1, 2, 3)]
    assert found == [WRONG_NODE, NONE, NONE]


def test_any_replica_knows_the_producers(nodes):
    nodes.create("topic", [2, 3])
    request = DescribeProducersRequest(topics=[DescribeProducersRequest.Topic(name="topic", partition_indexes=[0])])
    found = [nodes.ask(request, 0, node).topics[0].partitions[0].error_code for node in (1, 2, 3)]
    assert found == [WRONG_NODE, NONE, NONE]


# --- the nearest replica


def test_a_consumer_is_sent_to_the_replica_in_its_rack(nodes):
    nodes.create("topic", [2, 3])
    nodes.produce("topic", 2)
    found = nodes.fetched("topic", 2, rack="c")
    assert (found.preferred_read_replica, found.high_watermark, bytes(found.records)) == (3, 1, b"")
    found = nodes.fetched("topic", 3, rack="c")
    assert (found.preferred_read_replica, found.error_code) == (-1, NONE)
    assert len(found.records) > 0


def test_it_is_sent_there_at_once_though_there_is_nothing_to_read(nodes):
    nodes.create("topic", [2, 3])
    assert nodes.fetch("topic", 2, rack="c", wait_ms=1000).done


@pytest.mark.parametrize("rack", ["a", "b", "elsewhere", ""])
def test_the_leader_answers_where_no_other_replica_is_nearer(nodes, rack):
    nodes.create("topic", [2, 3])
    nodes.produce("topic", 2)
    found = nodes.fetched("topic", 2, rack=rack)
    assert found.preferred_read_replica == -1
    assert len(found.records) > 0


def test_nobody_is_sent_to_a_stopped_replica_or_to_one_without_the_offset(nodes):
    nodes.create("topic", [2, 3])
    assert nodes.fetched("topic", 2, rack="c", fetch_offset=5).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    nodes.stop(3)
    assert nodes.fetched("topic", 2, rack="c").preferred_read_replica == -1


def test_without_the_selector_the_leader_answers(tmp_path):
    nodes = ThreeNodes(tmp_path)
    nodes.create("topic", [2, 3])
    nodes.produce("topic", 2)
    assert nodes.fetched("topic", 2, rack="c").preferred_read_replica == -1
    nodes.close()


def test_a_fetch_at_a_follower_waits_for_the_leaders_next_batch(nodes):
    nodes.create("topic", [2, 3])
    answer = nodes.fetch("topic", 3, wait_ms=1000)
    assert not answer.done
    nodes.produce("topic", 2)
    assert len(answer.response().responses[0].partitions[0].records) > 0


# --- nodes that stop and start


def test_leadership_moves_and_the_epoch_with_it(nodes):
    nodes.create("topic", [3, 1, 2])
    nodes.produce("topic", 3)
    nodes.stop(3)
    assert led(nodes, "topic") == (1, 1, [3, 1, 2], [1, 2])
    assert nodes.produce("topic", 1).base_offset == 1
    nodes.start(3)
    assert led(nodes, "topic") == (1, 1, [3, 1, 2], [1, 2, 3])
    records = bytes(nodes.fetched("topic", 1).records)
    assert [epoch_of(records), epoch_of(records[read_header(records).size :])] == [0, 1]


def test_a_fetch_that_waits_at_a_leader_that_stops_is_answered(nodes):
    nodes.create("topic", [3, 1])
    answer = nodes.fetch("topic", 3, version=10, wait_ms=1000)
    assert not answer.done
    nodes.stop(3)
    assert answer.response().responses[0].partitions[0].error_code == WRONG_NODE


def test_clients_with_an_old_or_a_future_epoch_are_fenced(nodes):
    nodes.create("topic", [3, 1])
    nodes.stop(3)
    assert nodes.fetched("topic", 1, current_leader_epoch=0).error_code == ErrorCode.FENCED_LEADER_EPOCH
    assert nodes.fetched("topic", 1, current_leader_epoch=1).error_code == NONE
    assert nodes.fetched("topic", 1, current_leader_epoch=2).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH
    # A node that is not even a replica says that first.
    assert nodes.fetched("topic", 2, current_leader_epoch=2).error_code == WRONG_NODE


def test_where_each_epoch_ended_is_known_after_a_restart(nodes, tmp_path):
    nodes.create("topic", [3, 1])
    nodes.produce("topic", 3, count=2)
    nodes.stop(3)
    nodes.produce("topic", 1, count=3)
    nodes.start(3)
    assert elect(nodes, 0, ("topic", 0)) == [NONE]
    nodes.produce("topic", 3)
    nodes.close()
    again = ThreeNodes(tmp_path)
    try:
        assert led(again, "topic") == (3, 2, [3, 1], [1, 3])

        def end_of(epoch):
            asked = OffsetForLeaderEpochRequest.Topic.Partition(partition=0, leader_epoch=epoch)
            topic = OffsetForLeaderEpochRequest.Topic(topic="topic", partitions=[asked])
            found = again.ask(OffsetForLeaderEpochRequest(topics=[topic]), 4, 3).topics[0].partitions[0]
            return found.leader_epoch, found.end_offset

        assert [end_of(epoch) for epoch in range(4)] == [(0, 2), (1, 5), (2, 6), (-1, -1)]
    finally:
        again.close()
        nodes.close = lambda: None


def test_a_partition_without_replicas_has_no_leader_until_one_returns(nodes):
    nodes.create("topic", [3])
    nodes.produce("topic", 3)
    nodes.stop(3)
    assert nodes.produce("topic", 1).error_code == WRONG_NODE
    nodes.start(3)
    assert led(nodes, "topic") == (3, 2, [3], [3])
    assert nodes.produce("topic", 3).base_offset == 1


def test_a_start_with_fewer_nodes_lets_those_lead_that_are_there(nodes, tmp_path):
    nodes.create("topic", [3, 1])
    nodes.create("lost", [2])
    nodes.produce("topic", 3)
    nodes.close()

    class TwoNodes(ThreeNodes):
        nodes = 1

    again = TwoNodes(tmp_path)
    try:
        assert led(again, "topic") == (1, 1, [3, 1], [1])
        assert again.produce("topic", 1).base_offset == 1
        assert led(again, "lost") == (-1, 1, [2], [])
        assert again.produce("lost", 1).error_code == WRONG_NODE
    finally:
        again.close()
        nodes.close = lambda: None


def test_sessions_of_a_stopped_node_are_gone(nodes):
    nodes.create("topic", [3, 1])
    assert len(nodes.cluster.nodes.by_id[3].fetch_sessions) == 0
    from tests.stage.clients import fetch_request

    nodes.ask(fetch_request(("topic", 0, 0), session=(0, 0)), 12, 3)
    assert len(nodes.cluster.nodes.by_id[3].fetch_sessions) == 1
    nodes.stop(3)
    assert len(nodes.cluster.nodes.by_id[3].fetch_sessions) == 0


# --- acks=all


def test_acks_all_is_refused_with_too_few_replicas_in_sync(nodes):
    nodes.create("topic", [1, 2, 3], min_insync_replicas="2")
    nodes.stop(2)
    assert nodes.produce("topic", 1).error_code == NONE
    nodes.stop(3)
    assert nodes.produce("topic", 1).error_code == ErrorCode.NOT_ENOUGH_REPLICAS
    assert nodes.produce("topic", 1, version=13).error_code == ErrorCode.NOT_ENOUGH_REPLICAS
    assert nodes.produce("topic", 1, acks=1).error_code == NONE
    nodes.start(2)
    assert nodes.produce("topic", 1).error_code == NONE


def test_what_is_written_with_too_few_replicas_is_read_when_there_are_enough(nodes):
    nodes.create("topic", [1, 2, 3], min_insync_replicas="3")
    nodes.produce("topic", 1)
    nodes.stop(3)
    nodes.produce("topic", 1, acks=1)
    waiting = nodes.fetch("topic", 1, fetch_offset=1, wait_ms=1000)
    assert (nodes.fetched("topic", 1, fetch_offset=1).high_watermark, waiting.done) == (1, False)
    nodes.start(3)
    assert waiting.response().responses[0].partitions[0].high_watermark == 2


def test_a_setting_for_replicas_in_sync_counts_at_once(nodes):
    nodes.create("topic", [1, 2])
    nodes.stop(2)
    assert nodes.produce("topic", 1).error_code == NONE
    nodes.cluster.topics.configure(nodes.cluster.topics.by_name["topic"], {"min.insync.replicas": "2"})
    assert nodes.produce("topic", 1).error_code == ErrorCode.NOT_ENOUGH_REPLICAS


def test_replicas_that_go_while_a_batch_is_written_are_missed(tmp_path):
    nodes = SlowNodes(tmp_path)
    nodes.create("topic", [1, 2], min_insync_replicas="2")
    answer = nodes.begin_to_produce("topic", 1)
    assert not answer.done
    nodes.stop(2)
    nodes.settle()
    code = answer.response().responses[0].partition_responses[0].error_code
    assert code == ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND
    nodes.close()


# --- elections and reassignments


def test_the_preferred_leader_is_elected_by_who_asks_and_by_time(nodes):
    nodes.create("topic", [3, 1], [3, 2])
    nodes.stop(3)
    assert elect(nodes, 0, ("topic", 0)) == [ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE]
    nodes.start(3)
    assert elect(nodes, 0, ("topic", 0), ("topic", 0)) == [NONE, ErrorCode.ELECTION_NOT_NEEDED]
    assert [led(nodes, "topic", index)[:2] for index in (0, 1)] == [(3, 2), (2, 1)]
    nodes.cluster.elections.elect_preferred()
    assert [led(nodes, "topic", index)[:2] for index in (0, 1)] == [(3, 2), (3, 2)]


def test_all_that_need_it_are_elected(nodes):
    nodes.create("topic", [3, 1], [1, 3], [3, 2])
    nodes.stop(3)
    nodes.start(3)
    assert elect(nodes, 0) == [NONE, NONE]
    assert [led(nodes, "topic", index)[0] for index in range(3)] == [3, 1, 3]


def test_an_unclean_leader_is_elected_only_by_who_asks_or_by_the_topics_setting(nodes):
    for name in ("asked", "set"):
        nodes.create(name, [2, 3])
    nodes.stop(2)
    nodes.stop(3)
    nodes.start(2)
    assert [led(nodes, name)[0] for name in ("asked", "set")] == [-1, -1]
    nodes.cluster.topics.configure(nodes.cluster.topics.by_name["set"], {"unclean.leader.election.enable": "true"})
    assert [led(nodes, name)[0] for name in ("asked", "set")] == [-1, -1]
    nodes.cluster.elections.elect_unclean()
    assert [led(nodes, name)[0] for name in ("asked", "set")] == [-1, 2]
    assert elect(nodes, 1, ("asked", 0), ("set", 0)) == [NONE, ErrorCode.ELECTION_NOT_NEEDED]
    assert led(nodes, "asked") == (2, 3, [2, 3], [2])


def test_a_stopped_node_can_be_forgotten_until_it_starts(nodes):
    nodes.create("topic", [2, 3])
    nodes.stop(2)
    nodes.stop(3)
    nodes.start(2)
    nodes.cluster.topics.configure(nodes.cluster.topics.by_name["topic"], {"unclean.leader.election.enable": "true"})

    def forget(node):
        return nodes.ask(UnregisterBrokerRequest(broker_id=node), 0).error_code

    assert forget(3) == NONE
    assert forget(3) == ErrorCode.BROKER_ID_NOT_REGISTERED
    assert led(nodes, "topic") == (2, 3, [2, 3], [2])
    assert nodes.create("other", [3, 1]) == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert create(nodes, 3, name="other") == ErrorCode.INVALID_REPLICATION_FACTOR
    nodes.start(3)
    assert led(nodes, "topic") == (2, 3, [2, 3], [2, 3])
    assert nodes.create("other", [3, 1]) == NONE


def test_replicas_move_at_once_to_nodes_that_run(nodes):
    nodes.create("topic", [1, 2])
    nodes.produce("topic", 1)
    assert reassign(nodes, "topic", [3, 2]) == NONE
    assert led(nodes, "topic") == (3, 1, [3, 2], [2, 3])
    assert reassignments(nodes) == {}
    assert nodes.produce("topic", 3).base_offset == 1
    assert nodes.produce("topic", 1).error_code == WRONG_NODE


def test_replicas_move_to_a_stopped_node_when_it_starts(nodes):
    nodes.create("topic", [1, 2])
    nodes.create("other", [1, 2])
    nodes.stop(3)
    assert reassign(nodes, "topic", [2, 3]) == NONE
    under_way = {"topic": ([2, 3, 1], [3], [1])}
    assert (reassignments(nodes), reassignments(nodes, "topic", "nope", "other")) == (under_way, under_way)
    nodes.start(3)
    assert (led(nodes, "topic"), reassignments(nodes)) == ((2, 1, [2, 3], [2, 3]), {})


def test_a_reassignment_is_given_up(nodes):
    nodes.create("topic", [1, 2])
    nodes.stop(3)
    reassign(nodes, "topic", [2, 3])
    assert reassign(nodes, "topic", None) == NONE
    assert (led(nodes, "topic"), reassignments(nodes)) == ((1, 1, [2, 1], [1, 2]), {})
    assert reassign(nodes, "topic", None) == ErrorCode.NO_REASSIGNMENT_IN_PROGRESS


def test_a_reassignment_is_still_under_way_after_a_restart(nodes, tmp_path):
    nodes.create("topic", [1, 2])
    nodes.stop(3)
    reassign(nodes, "topic", [2, 3])
    nodes.close()

    class OneNode(ThreeNodes):
        nodes = 2

    again = OneNode(tmp_path)
    try:
        assert reassignments(again) == {"topic": ([2, 3, 1], [3], [1])}
    finally:
        again.close()
        nodes.close = lambda: None


def test_wrong_reassignments_are_refused(nodes):
    nodes.create("topic", [1, 2])
    for wrong in ([1, 1], [], [1, 7], [-1]):
        assert reassign(nodes, "topic", wrong) == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    code = reassign(nodes, "topic", [1, 2, 3], allow_replication_factor_change=False)
    assert code == ErrorCode.INVALID_REPLICATION_FACTOR
    assert reassign(nodes, "topic", [3, 2], allow_replication_factor_change=False) == NONE
