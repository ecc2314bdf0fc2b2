"""Fetch sessions (KIP-227): they remember partitions, their answers name only what changed, and nothing is missed."""

from random import Random

import pytest

from ottla.broker.fetching.sessions import FetchSessions
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from tests.stage.clients import batch_of, fetch, fetch_request, new_topic, partitions_of, produce
from tests.stage.logs import offsets
from tests.stage.single_broker import Broker

pytestmark = pytest.mark.over_slow_logs_too

NONE = ErrorCode.NONE
BATCH = len(batch_of([b"x" * 100]))
WAITING = {"max_wait_ms": 500, "min_bytes": 1}


def code(answer):
    return ErrorCode(answer.error_code)


class Client:
    """A consumer that keeps to the rules of sessions."""

    def __init__(self, broker, version=12):
        self.broker = broker
        self.version = version
        self.id = 0
        self.epoch = 0

    def request(self, *positions, **options):
        request = fetch_request(*positions, session=(self.id, self.epoch), **options)
        self.epoch += 1
        return request

    def fetch(self, *positions, **options):
        """The partitions of the answer."""
        response = self.broker.ask(self.request(*positions, **options), self.version)
        assert code(response) == NONE
        self.id = response.session_id
        return {index: each for (_, index), each in partitions_of(response).items()}

    def begin(self, *positions, **options):
        return self.broker.begin(self.request(*positions, **options), self.version)


def add(broker, partition=0, count=1):
    for _ in range(count):
        produce(broker, batch_of([b"x" * 100]), partition=partition)


@pytest.fixture
def client(broker):
    """A client whose session has read both partitions of a topic to their ends, at offset 2."""
    new_topic(broker, partitions=2)
    for partition in (0, 1):
        add(broker, partition, 2)
    client = Client(broker)
    first = client.fetch(("topic", 0, 2), ("topic", 1, 2))
    assert set(first) == {0, 1}
    assert client.id != 0
    return client


def test_a_session_answers_only_what_changed(client):
    assert client.fetch() == {}
    add(client.broker, 1)
    answer = client.fetch()
    assert set(answer) == {1}
    assert (answer[1].high_watermark, offsets(bytes(answer[1].records))) == (3, [2])
    assert client.fetch(("topic", 1, 3)) == {}


def test_data_is_answered_again_until_the_client_moves_on(client):
    add(client.broker, 0)
    for _ in range(3):
        assert offsets(bytes(client.fetch()[0].records)) == [2]
    client.fetch(("topic", 0, 3))
    assert client.fetch() == {}


def test_an_update_reads_from_the_new_offset(client):
    assert offsets(bytes(client.fetch(("topic", 0, 1))[0].records)) == [1]
    assert offsets(bytes(client.fetch(("topic", 0, 0))[0].records)) == [0, 1]


def test_what_did_not_fit_into_one_answer_comes_with_the_next(client):
    # The client says nothing about a partition of which it got nothing, so the session must not forget it.
    add(client.broker, 0)
    add(client.broker, 1)
    first = client.fetch(max_bytes=BATCH)
    [got] = [index for index, each in first.items() if each.records]
    second = client.fetch(("topic", got, 3), max_bytes=BATCH)
    [other] = [index for index, each in second.items() if each.records]
    assert {got, other} == {0, 1}
    assert client.fetch(("topic", other, 3), max_bytes=BATCH) == {}


def test_partitions_take_turns(client):
    add(client.broker, 0, 5)
    add(client.broker, 1, 5)
    seen = [next(index for index, each in client.fetch(max_bytes=BATCH).items() if each.records) for _ in range(4)]
    assert set(seen[:2]) == set(seen[2:]) == {0, 1}


def test_every_record_is_read_once_whatever_the_limits(broker):
    new_topic(broker, partitions=3)
    for round_ in range(5):
        for partition in range(3):
            add(broker, partition, round_)
    client = Client(broker)
    at = dict.fromkeys(range(3), 0)
    answer = client.fetch(*(("topic", index, 0) for index in at), max_bytes=2 * BATCH)
    while at != dict.fromkeys(range(3), 10):
        moved = []
        for index, each in answer.items():
            read = offsets(bytes(each.records))
            assert read == list(range(at[index], at[index] + len(read)))
            if read:
                at[index] += len(read)
                moved.append(("topic", index, at[index]))
        assert moved, "a fetch found nothing although there is something left"
        answer = client.fetch(*moved, max_bytes=2 * BATCH)


def test_a_forgotten_partition_is_not_read_any_more(client):
    client.fetch(forget=[("topic", 0)])
    add(client.broker, 0)
    add(client.broker, 1)
    assert set(client.fetch()) == {1}
    assert not client.broker.cluster.topics.partition("topic", 0).watchers


def test_a_partition_may_be_added(client):
    new_topic(client.broker, "other")
    assert set(client.fetch(("other", 0, 0))) == {0}


def test_an_error_is_told_until_it_is_mended(client):
    for positions in ([("topic", 0, 77)], [], []):
        assert {index: code(each) for index, each in client.fetch(*positions).items()} == {
            0: ErrorCode.OFFSET_OUT_OF_RANGE
        }
    assert {index: code(each) for index, each in client.fetch(("topic", 0, 2)).items()} == {0: NONE}
    assert client.fetch() == {}


def test_where_logs_part_is_told_until_the_client_moves(client):
    partition = client.broker.cluster.topics.partition("topic", 0)
    partition.leader_epoch = 4
    partition.log.begin_leader_epoch(4)
    add(client.broker, 0)
    for positions in ([("topic", 0, 3)], []):
        answer = client.fetch(*positions, **({"last_fetched_epoch": 2} if positions else {}))
        assert (answer[0].diverging_epoch.epoch, answer[0].diverging_epoch.end_offset) == (0, 2)


def test_a_session_that_forgets_all_ends(client):
    response = client.broker.ask(client.request(forget=[("topic", 0), ("topic", 1)]), 12)
    assert (code(response), response.session_id) == (NONE, 0)
    response = client.broker.ask(client.request(), 12)
    assert code(response) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


# --- epochs


def test_each_request_must_have_the_next_epoch(client):
    client.fetch()
    for epoch in (0x7FFFFFFF, client.epoch + 1, client.epoch - 1):
        response = fetch(client.broker, session=(client.id, epoch))
        assert code(response) == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    assert client.fetch() == {}


def test_an_unknown_session_is_not_found(broker):
    response = fetch(broker, session=(12345, 1))
    assert (code(response), response.session_id) == (ErrorCode.FETCH_SESSION_ID_NOT_FOUND, 0)


def test_a_last_request_ends_the_session_and_reads_without_it(client):
    add(client.broker, 0)
    response = fetch(client.broker, ("topic", 0, 2), session=(client.id, -1))
    assert (response.session_id, set(partitions_of(response))) == (0, {("topic", 0)})
    assert code(client.broker.ask(client.request(), 12)) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert not client.broker.cluster.topics.partition("topic", 0).watchers


def test_epoch_0_begins_anew_and_ends_the_old_session(client):
    old = client.id
    client.epoch = 0
    assert set(client.fetch(("topic", 1, 0))) == {1}
    assert client.id not in {0, old}
    assert code(fetch(client.broker, session=(old, 1))) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert len(client.broker.cluster.nodes.first.fetch_sessions) == 1


def test_epochs_go_on_at_1_after_the_greatest(client):
    session = client.broker.cluster.nodes.first.fetch_sessions.resolve(client.request(), by_id=False, now=0.0)
    session.epoch = client.epoch = 2**31 - 1
    client.fetch()
    client.epoch = 1
    assert client.fetch() == {}


def test_versions_before_7_have_no_sessions(broker):
    new_topic(broker)
    response = fetch(broker, ("topic", 0, 0), version=6)
    assert set(partitions_of(response)) == {("topic", 0)}
    assert len(broker.cluster.nodes.first.fetch_sessions) == 0


# --- topic ids


@pytest.mark.parametrize(("opened", "used"), [(12, 13), (13, 12)])
def test_a_session_names_topics_as_it_did_at_first(broker, opened, used):
    topic = new_topic(broker)
    client = Client(broker, opened)
    client.fetch((topic.id if opened >= 13 else "topic", 0, 0))
    response = broker.ask(client.request(), used)
    assert code(response) == ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR


def test_a_session_by_name_follows_a_topic_that_is_made_anew(client):
    broker = client.broker
    broker.cluster.topics.delete(broker.cluster.topics.by_name["topic"])
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert {index: code(each) for index, each in client.fetch().items()} == {0: unknown, 1: unknown}
    new_topic(broker, partitions=1)
    assert {index: code(each) for index, each in client.fetch().items()} == {
        0: ErrorCode.OFFSET_OUT_OF_RANGE,
        1: unknown,
    }
    add(broker)
    assert offsets(bytes(client.fetch(("topic", 0, 0))[0].records)) == [0]


def test_a_session_by_id_does_not(broker):
    topic = new_topic(broker)
    client = Client(broker, 13)
    client.fetch((topic.id, 0, 0))
    broker.cluster.topics.delete(topic)
    assert {index: code(each) for index, each in client.fetch().items()} == {0: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    new_topic(broker)
    assert {index: code(each) for index, each in client.fetch().items()} == {0: ErrorCode.INCONSISTENT_TOPIC_ID}


def test_a_session_that_never_knew_the_name_of_an_id_knows_only_the_id(broker):
    client = Client(broker, 13)
    assert {index: code(each) for index, each in client.fetch((b"?" * 16, 0, 0)).items()} == {
        0: ErrorCode.UNKNOWN_TOPIC_ID
    }


# --- waiting


def test_a_session_waits_and_wakes_at_once(client):
    answer = client.begin(**WAITING)
    assert not answer.done
    add(client.broker, 1)
    assert set(partitions_of(answer.response())) == {("topic", 1)}


def test_a_session_that_waits_in_vain_answers_nothing(client):
    answer = client.begin(**WAITING)
    client.broker.clock.now += 0.5
    client.broker.cluster.timers.run_due(client.broker.clock.now)
    assert answer.response().responses == []


def test_a_session_outlives_the_connection_of_its_client(client):
    client.begin(**WAITING).abandon()
    add(client.broker, 0)
    assert set(client.fetch()) == {0}


def test_a_client_that_comes_back_is_woken_although_its_old_request_is_given_up_later(client):
    old = client.begin(**WAITING)
    new = client.begin(**WAITING)
    old.abandon()
    add(client.broker, 0)
    assert set(partitions_of(new.response())) == {("topic", 0)}


def test_a_fetch_may_outlive_its_session(client):
    old = client.begin(**WAITING)
    client.epoch = 0
    client.fetch(("topic", 0, 2))
    client.broker.clock.now += 0.5
    client.broker.cluster.timers.run_due(client.broker.clock.now)
    assert old.response().responses == []


# --- the cache


def opened(sessions, now):
    request = fetch_request(("topic", 0, 0), session=(0, 0))
    return sessions.resolve(request, by_id=False, now=now).session_id


def used(sessions, session_id, epoch, now):
    sessions.resolve(fetch_request(session=(session_id, epoch)), by_id=False, now=now)


def test_a_full_cache_gives_no_session_while_all_are_in_use():
    sessions = FetchSessions(slots=2, random_source=Random(1))
    assert opened(sessions, 0.0)
    assert opened(sessions, 0.0)
    assert opened(sessions, 100.0) == 0
    assert len(sessions) == 2


def test_the_session_that_was_not_used_for_longest_makes_room():
    sessions = FetchSessions(slots=2, random_source=Random(1))
    first, second = opened(sessions, 0.0), opened(sessions, 1.0)
    used(sessions, first, 1, 100.0)
    assert opened(sessions, 130.0)
    used(sessions, first, 2, 130.0)
    with pytest.raises(KafkaError) as refused:
        used(sessions, second, 1, 130.0)
    assert refused.value.code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_a_cache_of_no_slots_gives_no_sessions(tmp_path):
    broker = Broker(tmp_path, max_incremental_fetch_session_cache_slots="0")
    new_topic(broker)
    response = fetch(broker, ("topic", 0, 0), session=(0, 0))
    assert (response.session_id, set(partitions_of(response))) == (0, {("topic", 0)})
    assert not broker.cluster.topics.partition("topic", 0).watchers
    broker.close()


def test_an_evicted_session_watches_nothing(tmp_path):
    broker = Broker(tmp_path, max_incremental_fetch_session_cache_slots="1")
    new_topic(broker)
    client = Client(broker)
    client.fetch(("topic", 0, 0))
    broker.clock.now += 121
    Client(broker).fetch(("topic", 0, 0))
    assert len(broker.cluster.topics.partition("topic", 0).watchers) == 1
    broker.close()
