"""A partition whose log has lost something is offline, as Apache shows one whose disk failed; all others are served."""

from pathlib import Path

import pytest

from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.core import DescribeTopicPartitionsRequest, MetadataRequest
from ottla.wire.messages.fetch import FetchRequest, ListOffsetsRequest
from ottla.wire.messages.groups import FindCoordinatorRequest
from ottla.wire.messages.produce import ProduceRequest
from ottla.wire.messages.topics import DeleteRecordsRequest
from tests.stage.logs import batch_of
from tests.stage.single_broker import Broker

STORAGE_ERROR = ErrorCode.KAFKA_STORAGE_ERROR


def produce(broker: Broker, topic: str):
    data = ProduceRequest.Topic(
        name=topic, partition_data=[ProduceRequest.Topic.Partition(index=0, records=bytes(batch_of()))]
    )
    return (
        broker.ask(ProduceRequest(acks=-1, timeout_ms=1000, topic_data=[data]), 9).responses[0].partition_responses[0]
    )


def fetch(broker: Broker, topic: str):
    asked = FetchRequest.Topic.Partition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    request = FetchRequest(max_wait_ms=0, min_bytes=0, topics=[FetchRequest.Topic(topic=topic, partitions=[asked])])
    return broker.ask(request, 12).responses[0].partitions[0]


def list_offsets(broker: Broker, topic: str, timestamp: int):
    asked = ListOffsetsRequest.Topic.Partition(partition_index=0, timestamp=timestamp)
    request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsRequest.Topic(name=topic, partitions=[asked])])
    return broker.ask(request, 7).topics[0].partitions[0]


def describe(broker: Broker, topic: str):
    return broker.ask(MetadataRequest(topics=[MetadataRequest.Topic(name=topic)]), 12).topics[0].partitions[0]


def delete_records(broker: Broker, topic: str):
    asked = DeleteRecordsRequest.Topic.Partition(partition_index=0, offset=1)
    request = DeleteRecordsRequest(topics=[DeleteRecordsRequest.Topic(name=topic, partitions=[asked])], timeout_ms=1000)
    return broker.ask(request, 2).topics[0].partitions[0]


def lose_the_end(folder: Path, name: str) -> None:
    """Cut the last byte of a log that was closed well."""
    path = folder / name / "00000000000000000000.log"
    path.write_bytes(path.read_bytes()[:-1])


@pytest.fixture
def restarted(tmp_path: Path):
    """A broker whose topic ``hurt`` has lost its last record and ``well`` nothing."""
    broker = Broker(tmp_path)
    for topic in ("hurt", "well"):
        broker.cluster.topics.create(topic, assignments=[[1]], configs={})
        produce(broker, topic)
    broker.close()
    lose_the_end(tmp_path, "hurt-0")
    broker = Broker(tmp_path)
    yield broker
    broker.close()


def test_every_question_to_it_gets_a_storage_error(restarted):
    assert produce(restarted, "hurt").error_code == STORAGE_ERROR
    assert "ottla log repair" in produce(restarted, "hurt").error_message
    answer = fetch(restarted, "hurt")
    assert (answer.error_code, answer.high_watermark, answer.log_start_offset) == (STORAGE_ERROR, -1, -1)
    assert [list_offsets(restarted, "hurt", time).error_code for time in (-1, -2, -3, 0)] == [STORAGE_ERROR] * 4
    assert delete_records(restarted, "hurt").error_code == STORAGE_ERROR


def test_it_has_no_leader_and_its_replica_is_offline(restarted):
    partition = describe(restarted, "hurt")
    assert (partition.error_code, partition.leader_id) == (ErrorCode.LEADER_NOT_AVAILABLE, -1)
    assert partition.replica_nodes == partition.offline_replicas == [1]
    asked = DescribeTopicPartitionsRequest(topics=[DescribeTopicPartitionsRequest.Topic(name="hurt")])
    partition = restarted.ask(asked, 0).topics[0].partitions[0]
    assert (partition.leader_id, partition.offline_replicas) == (-1, [1])


def test_others_are_served(restarted):
    assert produce(restarted, "well").base_offset == 1
    assert fetch(restarted, "well").high_watermark == 2
    partition = describe(restarted, "well")
    assert (partition.error_code, partition.leader_id, partition.offline_replicas) == (0, 1, [])


def test_it_stays_offline_over_restarts_and_nothing_is_removed(restarted, tmp_path):
    path = tmp_path / "hurt-0" / "00000000000000000000.log"
    before = path.read_bytes()
    for _ in range(2):
        restarted.close()
        restarted.__init__(tmp_path)
        assert fetch(restarted, "hurt").error_code == STORAGE_ERROR
        assert fetch(restarted, "well").error_code == 0
    assert path.read_bytes() == before


def test_its_topic_can_be_deleted_and_made_again(restarted):
    restarted.cluster.topics.delete(restarted.cluster.topics.by_name["hurt"])
    restarted.cluster.topics.create("hurt", assignments=[[1]], configs={})
    assert produce(restarted, "hurt").base_offset == 0
    assert describe(restarted, "hurt").leader_id == 1


def test_a_folder_that_is_gone_is_no_empty_partition(restarted, tmp_path):
    restarted.close()
    for path in (tmp_path / "well-0").iterdir():
        path.unlink()
    (tmp_path / "well-0").rmdir()
    restarted.__init__(tmp_path)
    assert produce(restarted, "well").error_code == STORAGE_ERROR
    assert "its folder is not there" in produce(restarted, "well").error_message


def test_a_group_whose_offsets_are_offline_has_no_coordinator(tmp_path):
    broker = Broker(tmp_path, offsets_topic_num_partitions="2")
    broker.cluster.topics.ensure_internal("__consumer_offsets")
    for partition in broker.cluster.topics.by_name["__consumer_offsets"].partitions:
        partition.append(memoryview(batch := batch_of()), read_header(batch), 1_700_000_000_000)
    broker.close()
    lose_the_end(tmp_path, "__consumer_offsets-0")
    broker = Broker(tmp_path, offsets_topic_num_partitions="2")
    keys = [f"group{number}" for number in range(10)]
    found = broker.ask(FindCoordinatorRequest(key_type=0, coordinator_keys=keys), 4).coordinators
    codes = {each.error_code for each in found}
    assert codes == {ErrorCode.NONE, ErrorCode.COORDINATOR_NOT_AVAILABLE}
    broker.close()
