"""A broker whose disk is full: requests are refused whole, and all goes on when there is room again.

The disk is full by a limit on the size of the broker's files, which the system holds it to: a write beyond it falls
short or fails, as it does where there is no space left.
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from ottla.storage.files.real import RealFile
from ottla.testing import Ottla
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.fetch import ListOffsetsRequest
from ottla.wire.messages.groups import OffsetCommitRequest, OffsetFetchRequest
from ottla.wire.messages.produce import InitProducerIdRequest, ProduceRequest
from ottla.wire.messages.topics import CreateTopicsRequest, DeleteTopicsRequest
from ottla.wire.records import read_records
from tests.stage.clients import batch_of, fetch, fetch_one, fetch_request, new_topic, partitions_of, produce
from tests.stage.logs import split
from tests.stage.raw import RawClient

resource = pytest.importorskip("resource")
needs_limits = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process")

NONE = ErrorCode.NONE
STORAGE_ERROR = ErrorCode.KAFKA_STORAGE_ERROR
VALUE = b"x" * 1000
ENTRY_ROOM = 1


@contextmanager
def no_file_larger_than(size: int, broker: Ottla) -> Iterator[None]:
    _, hard = resource.prlimit(broker.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (hard, hard))


class Writer:
    """An idempotent producer of one record per batch, over one connection."""

    def __init__(self, client: RawClient, topic: str) -> None:
        self.client = client
        self.topic = topic
        asked = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000)
        self.producer_id = client.ask(asked, 3).producer_id
        self.sequence = 0

    def try_next(self) -> ErrorCode:
        """Send the next record; it stays the next if it is refused."""
        batch = batch_of([b"%d " % self.sequence + VALUE], producer=(self.producer_id, 0, self.sequence))
        data = ProduceRequest.Topic.Partition(index=0, records=batch)
        topic = ProduceRequest.Topic(name=self.topic, partition_data=[data])
        response = self.client.ask(ProduceRequest(acks=-1, timeout_ms=1000, topic_data=[topic]), 9)
        answer = response.responses[0].partition_responses[0]
        if not answer.error_code:
            assert answer.base_offset == self.sequence
            self.sequence += 1
        return ErrorCode(answer.error_code)


def create(client: RawClient, name: str, **configs: str) -> ErrorCode:
    topic = CreateTopicsRequest.Topic(
        name=name,
        num_partitions=1,
        replication_factor=1,
        assignments=[],
        configs=[
            CreateTopicsRequest.Topic.Config(name=key.replace("_", "."), value=value)
            for key, value in {"retention.ms": "-1", **configs}.items()
        ],
    )
    return ErrorCode(client.ask(CreateTopicsRequest(topics=[topic]), 4).topics[0].error_code)


def stored(client: RawClient, topic: str) -> list[int]:
    """The numbers in a topic."""
    numbers: list[int] = []
    while True:
        [partition] = client.ask(fetch_request((topic, 0, len(numbers))), 12).responses[0].partitions
        assert partition.error_code == 0
        batches = split(bytes(partition.records))
        if not batches:
            return numbers
        for batch in batches:
            numbers += [int((record.value or b"").split()[0]) for record in read_records(batch)]


def delete(client: RawClient, name: str) -> ErrorCode:
    return ErrorCode(client.ask(DeleteTopicsRequest(topic_names=[name], timeout_ms=1000), 5).responses[0].error_code)


@pytest.mark.slow
@needs_limits
def test_what_does_not_fit_is_refused_whole_and_taken_when_there_is_room(tmp_path):
    with Ottla(data_dir=tmp_path) as broker:
        with RawClient(broker) as client:
            create(client, "topic")
            create(client, "other")
            writer, other = Writer(client, "topic"), Writer(client, "other")
            for _ in range(200):
                assert writer.try_next() == NONE
            log = tmp_path / "topic-0" / f"{0:020d}.log"
            for room in (0, 1, 60, 500, 1000):
                full = log.stat().st_size
                with no_file_larger_than(full + room, broker):
                    assert writer.try_next() == STORAGE_ERROR
                    assert writer.try_next() == STORAGE_ERROR
                    assert log.stat().st_size == full, "a half-written batch stays in the file"
                    assert other.try_next() == NONE, "the broker refuses a smaller file that has room"
                    assert stored(client, "topic") == list(range(writer.sequence))
                assert writer.try_next() == NONE
        broker.kill()
        broker.start()
        with RawClient(broker) as client:
            assert stored(client, "topic") == list(range(writer.sequence))
            assert stored(client, "other") == list(range(other.sequence))
            again = Writer(client, "topic")
            again.producer_id, again.sequence = writer.producer_id, writer.sequence
            assert again.try_next() == NONE


@pytest.mark.slow
@needs_limits
def test_a_segment_that_cannot_be_closed_for_lack_of_room_is_closed_later(tmp_path):
    with Ottla(data_dir=tmp_path) as broker:
        with RawClient(broker) as client:
            create(client, "topic", internal_segment_bytes="20000", index_interval_bytes="1")
            writer = Writer(client, "topic")
            for _ in range(10):
                for _ in range(18):
                    assert writer.try_next() == NONE
                with no_file_larger_than(ENTRY_ROOM, broker):
                    assert {writer.try_next() for _ in range(3)} == {STORAGE_ERROR}
                    assert stored(client, "topic") == list(range(writer.sequence))
            assert stored(client, "topic") == list(range(180))
        broker.kill()
        broker.start()
        with RawClient(broker) as client:
            assert stored(client, "topic") == list(range(180))
        assert "Traceback" not in broker.log


@needs_limits
def test_topics_and_commits_are_refused_for_lack_of_room_and_taken_later(tmp_path):
    def commit(offset: int) -> ErrorCode:
        partition = OffsetCommitRequest.Topic.Partition(
            partition_index=0, committed_offset=offset, committed_metadata=None
        )
        topic = OffsetCommitRequest.Topic(name="topic", partitions=[partition])
        request = OffsetCommitRequest(group_id="group", member_id="", topics=[topic])
        return ErrorCode(client.ask(request, 5).topics[0].partitions[0].error_code)

    def committed() -> int:
        topic = OffsetFetchRequest.Topic(name="topic", partition_indexes=[0])
        request = OffsetFetchRequest(group_id="group", topics=[topic])
        return client.ask(request, 5).topics[0].partitions[0].committed_offset

    with Ottla(data_dir=tmp_path) as broker, RawClient(broker) as client:
        create(client, "topic")
        assert commit(5) == NONE
        with no_file_larger_than(ENTRY_ROOM, broker):
            assert create(client, "more") == STORAGE_ERROR
            assert delete(client, "topic") == STORAGE_ERROR
            assert commit(6) == ErrorCode.NOT_COORDINATOR
            assert committed() == 5
        assert create(client, "more") == NONE
        assert commit(7) == NONE
        assert committed() == 7


@pytest.mark.slow
@needs_limits
def test_a_broker_stops_on_a_full_disk_and_starts_again_with_everything(tmp_path):
    with Ottla(data_dir=tmp_path) as broker:
        with RawClient(broker) as client:
            create(client, "topic")
            writer = Writer(client, "topic")
            for _ in range(50):
                assert writer.try_next() == NONE
        with no_file_larger_than(ENTRY_ROOM, broker):
            process = broker._process
            assert process is not None
            process.terminate()
            assert process.wait(30) == 0
        broker.kill()
        assert "Traceback" not in broker.log
        broker.start()
        with RawClient(broker) as client:
            assert stored(client, "topic") == list(range(50))


def test_a_disk_that_cannot_be_read_fails_its_partition_and_no_other(broker, monkeypatch):
    def fail(file, size, position):
        if "topic-0" in str(file._path):
            raise OSError(errno.EIO, "Input/output error")
        return pread(file, size, position)

    pread = RealFile.pread
    new_topic(broker)
    new_topic(broker, "other")
    produce(broker)
    produce(broker, topic="other")
    asked = ListOffsetsRequest.Topic.Partition(partition_index=0, timestamp=1)
    find = ListOffsetsRequest(
        replica_id=-1, topics=[ListOffsetsRequest.Topic(name="topic", partitions=[asked])], isolation_level=0
    )
    with monkeypatch.context() as context:
        context.setattr(RealFile, "pread", fail)
        found = partitions_of(fetch(broker, ("topic", 0, 0), ("other", 0, 0)))
        assert found["topic", 0].error_code == STORAGE_ERROR
        assert found["other", 0].error_code == NONE
        assert len(found["other", 0].records) > 0
        assert broker.ask(find, 7).topics[0].partitions[0].error_code == STORAGE_ERROR
    assert fetch_one(broker).error_code == NONE
