"""Reading where transactions are written: ``read_committed`` in Fetch and ListOffsets, and what Produce refuses."""

import pytest

from ottla.broker.handlers.fetch import LATEST, MAX_TIMESTAMP
from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.markers import Marker
from ottla.wire.messages.fetch import ListOffsetsRequest
from tests.stage.clients import batch_of, fetch, fetch_one, fetch_request, new_topic, produce
from tests.stage.held import Held
from tests.stage.logs import offsets
from tests.stage.single_broker import Broker

COMMITTED = {"isolation_level": 1}
WAITING = {"max_wait_ms": 500, "min_bytes": 1, **COMMITTED}
START = 1_700_000_000_000
DAY_MS = 86_400_000


@pytest.fixture
def partition(broker):
    """The one partition of a topic."""
    return new_topic(broker).partition(0)


def begin_write(broker, partition, producer_id, sequence=0, count=1, *, epoch=0, timestamp=None):
    batch = batch_of(
        [b"x" * 100] * count,
        producer=(producer_id, epoch, sequence),
        timestamp=timestamp,
        is_transactional=True,
    )
    header = read_header(batch)
    return partition.append_transactional(memoryview(batch), header, broker.clock.wall_ms(), transaction_version=2)


def write(*arguments, **options):
    return begin_write(*arguments, **options).base_offset


def begin_end(broker, partition, producer_id, *, commits, epoch=1, coordinator_epoch=0):
    return partition.append_end_transaction_marker(
        Marker(commits, coordinator_epoch),
        producer_id=producer_id,
        producer_epoch=epoch,
        transaction_version=2,
        now_ms=broker.clock.wall_ms(),
    )


def end(*arguments, **options):
    return begin_end(*arguments, **options).base_offset


def aborted(answer):
    return [(each.producer_id, each.first_offset) for each in answer.aborted_transactions]


def list_offset(broker, timestamp, **options):
    asked = ListOffsetsRequest.Topic.Partition(partition_index=0, timestamp=timestamp)
    request = ListOffsetsRequest(
        replica_id=-1, topics=[ListOffsetsRequest.Topic(name="topic", partitions=[asked])], **options
    )
    return broker.ask(request, 11).topics[0].partitions[0].offset


# --- what is read


def test_committed_reading_stops_at_the_first_open_transaction(broker, partition):
    produce(broker)
    write(broker, partition, 7)
    produce(broker)
    answer = fetch_one(broker, **COMMITTED)
    assert (answer.high_watermark, answer.last_stable_offset, aborted(answer)) == (3, 1, [])
    assert offsets(bytes(answer.records)) == [0]
    answer = fetch_one(broker)
    assert (answer.last_stable_offset, answer.aborted_transactions) == (1, None)
    assert offsets(bytes(answer.records)) == [0, 1, 2]


@pytest.mark.parametrize("offset", [1, 2, 3])
def test_between_the_stable_offset_and_the_end_there_is_nothing_yet(broker, partition, offset):
    produce(broker)
    write(broker, partition, 7)
    produce(broker)
    answer = fetch_one(broker, offset, **COMMITTED)
    assert (ErrorCode(answer.error_code), bytes(answer.records), aborted(answer)) == (ErrorCode.NONE, b"", [])


@pytest.mark.parametrize("version", [4, 11, 12, 18])
def test_aborted_transactions_are_named_in_every_version(broker, partition, version):
    write(broker, partition, 7)
    write(broker, partition, 8)
    end(broker, partition, 8, commits=True)
    end(broker, partition, 7, commits=False)
    topic = broker.cluster.topics.by_name["topic"].id if version >= 13 else "topic"
    answer = fetch_one(broker, topic=topic, version=version, **COMMITTED)
    assert (answer.last_stable_offset, aborted(answer)) == (4, [(7, 0)])
    assert offsets(bytes(answer.records)) == [0, 1, 2, 3]


def test_a_session_tells_of_a_transaction_once_it_has_ended(broker, partition):
    opened = fetch(broker, ("topic", 0, 0), session=(0, 0), **COMMITTED)
    write(broker, partition, 7)
    session = opened.session_id
    grown = fetch(broker, session=(session, 1), **COMMITTED).responses[0].partitions[0]
    assert (grown.high_watermark, grown.last_stable_offset, bytes(grown.records)) == (1, 0, b"")
    assert fetch(broker, session=(session, 2), **COMMITTED).responses == []
    end(broker, partition, 7, commits=False)
    ended = fetch(broker, session=(session, 3), **COMMITTED).responses[0].partitions[0]
    assert (offsets(bytes(ended.records)), aborted(ended)) == ([0, 1], [(7, 0)])


def test_records_are_not_given_out_when_it_cannot_be_said_what_of_them_is_aborted(broker, partition):
    for number in range(200):
        write(broker, partition, 7, count=2, epoch=number)
        end(broker, partition, 7, commits=False, epoch=number + 1)
    assert len(aborted(fetch_one(broker, **COMMITTED))) == 200
    index = next(broker.cluster.directory.root.glob("topic-0/*.txnindex"))
    aside = index.rename(index.with_suffix(".aside"))
    index.mkdir()
    answer = fetch_one(broker, **COMMITTED)
    assert (ErrorCode(answer.error_code), bytes(answer.records)) == (ErrorCode.KAFKA_STORAGE_ERROR, b"")
    assert ErrorCode(fetch_one(broker).error_code) is ErrorCode.NONE
    index.rmdir()
    aside.rename(index)


# --- waiting


def test_a_committed_reader_does_not_wake_for_an_open_transaction(broker, partition):
    answer = broker.begin(fetch_request(("topic", 0, 0), **WAITING), 12)
    write(broker, partition, 7)
    write(broker, partition, 7, 1)
    produce(broker)
    assert not answer.done
    end(broker, partition, 7, commits=True)
    found = answer.response().responses[0].partitions[0]
    assert (offsets(bytes(found.records)), found.last_stable_offset) == ([0, 1, 2, 3], 4)
    assert not partition.watchers


def test_a_committed_reader_waits_for_enough_decided_bytes(broker, partition):
    produce(broker, batch_of([b"x" * 100]))
    size = len(fetch_one(broker).records)
    answer = broker.begin(fetch_request(("topic", 0, 0), **{**WAITING, "min_bytes": 3 * size}), 12)
    write(broker, partition, 7, 0, 10)
    produce(broker, batch_of([b"x" * 100]))
    assert not answer.done
    end(broker, partition, 7, commits=False)
    assert offsets(bytes(answer.response().responses[0].partitions[0].records)) == [0, 1, 11, 12]


def test_a_committed_reader_gives_up_waiting_at_its_deadline(broker, partition):
    answer = broker.begin(fetch_request(("topic", 0, 0), **WAITING), 12)
    write(broker, partition, 7)
    broker.clock.now += 0.5
    broker.cluster.timers.run_due(broker.clock.now)
    found = answer.response().responses[0].partitions[0]
    assert (bytes(found.records), found.high_watermark, found.last_stable_offset) == (b"", 1, 0)
    assert not partition.watchers


# --- what is not synced yet (flush.messages)


def test_a_transaction_is_decided_when_its_marker_is_synced(tmp_path):
    disk = Held()
    broker = Broker(tmp_path, background=disk)
    partition = new_topic(broker, flush_messages="1").partition(0)
    begin_write(broker, partition, 7)
    disk.work()
    ending = begin_end(broker, partition, 7, commits=True)
    disk.end_pass()
    assert not ending.done
    assert (partition.log.log_end_offset, partition.high_watermark, partition.last_stable_offset) == (2, 1, 0)
    answer = broker.begin(fetch_request(("topic", 0, 0), **WAITING), 12)
    assert not answer.done
    disk.work()
    assert ending.result().base_offset == 1
    found = answer.response().responses[0].partitions[0]
    assert (found.last_stable_offset, offsets(bytes(found.records))) == (2, [0, 1])
    broker.close()


# --- looking up


def test_the_latest_committed_offset_is_the_stable_one(broker, partition):
    produce(broker, batch_of(timestamp=START))
    write(broker, partition, 7)
    assert [list_offset(broker, LATEST, isolation_level=level) for level in (0, 1)] == [2, 1]
    end(broker, partition, 7, commits=True)
    assert [list_offset(broker, LATEST, isolation_level=level) for level in (0, 1)] == [3, 3]


@pytest.mark.parametrize("timestamp", [START + 5, MAX_TIMESTAMP])
def test_records_that_are_not_stable_are_not_found_by_time(broker, partition, timestamp):
    write(broker, partition, 7)
    produce(broker, batch_of(timestamp=START + 10))
    assert [list_offset(broker, timestamp, isolation_level=level) for level in (0, 1)] == [1, -1]


# --- writing


def test_markers_of_older_coordinators_and_epochs_are_refused(broker, partition):
    write(broker, partition, 7)
    end(broker, partition, 7, commits=True, coordinator_epoch=3)
    with pytest.raises(KafkaError) as fenced:
        end(broker, partition, 7, commits=True, epoch=2, coordinator_epoch=2)
    assert fenced.value.code is ErrorCode.TRANSACTION_COORDINATOR_FENCED
    with pytest.raises(KafkaError) as old:
        end(broker, partition, 7, commits=True, epoch=0, coordinator_epoch=3)
    assert old.value.code is ErrorCode.INVALID_PRODUCER_EPOCH


def test_markers_alone_leave_nothing_to_remember(broker, partition):
    for number in range(50):
        write(broker, partition, 7, epoch=number)
        end(broker, partition, 7, commits=True, epoch=number + 1)
    transactions = partition.log.producers.transactions
    assert (transactions.open, transactions.ended) == ({}, {})
    assert partition.last_stable_offset == 100


def test_producers_may_not_write_transactions_before_there_is_a_coordinator(broker, partition):
    answer = produce(broker, batch_of(producer=(7, 0, 0), is_transactional=True))
    assert ErrorCode(answer.error_code) == ErrorCode.INVALID_TXN_STATE
    assert partition.high_watermark == 0


def test_producers_that_wrote_nothing_for_a_day_are_forgotten_at_the_start_unless_they_left_a_transaction(tmp_path):
    broker = Broker(tmp_path)
    partition = new_topic(broker).partition(0)
    now = broker.clock.wall_ms()
    for producer_id, age in ((1, DAY_MS), (2, DAY_MS - 1000)):
        produce(broker, batch_of(producer=(producer_id, 0, 0), timestamp=now - age))
    write(broker, partition, 3, timestamp=now - 2 * DAY_MS)
    broker.close()
    broker = Broker(tmp_path)
    assert {producer_id for producer_id, _ in broker.cluster.topics.partition("topic", 0).log.producers.items()} == {
        2,
        3,
    }
    broker.close()
