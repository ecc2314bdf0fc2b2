"""CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords, as Apache 4.3.1 answered the same requests."""

import pytest

from ottla.wire.codes import ErrorCode
from ottla.wire.messages.fetch import FetchRequest
from ottla.wire.messages.topics import (
    CreatePartitionsRequest,
    CreateTopicsRequest,
    DeleteRecordsRequest,
    DeleteTopicsRequest,
)
from ottla.wire.schema import ZERO_UUID
from tests.stage.single_broker import Broker

pytestmark = pytest.mark.over_slow_logs_too

NONE = ErrorCode.NONE
NewTopic = CreateTopicsRequest.Topic


def new_topic(name, partitions=1, replicas=1, *, assignments=(), configs=()):
    return NewTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=replicas,
        assignments=[NewTopic.Assignment(partition_index=index, broker_ids=ids) for index, ids in assignments],
        configs=[NewTopic.Config(name=key, value=value) for key, value in configs],
    )


def placed(*assignments, partitions=-1, replicas=-1):
    return new_topic("t", partitions, replicas, assignments=assignments)


def create(broker, *topics, version=7, **options):
    return broker.ask(CreateTopicsRequest(topics=list(topics), **options), version).topics


def codes(answers):
    return {answer.name: ErrorCode(answer.error_code) for answer in answers}


def create_codes(broker, *topics, **options):
    return codes(create(broker, *topics, **options))


# --- CreateTopics


@pytest.mark.parametrize("version", range(2, 8))
def test_a_topic_is_there_when_the_creation_is_answered(broker, version):
    (answer,) = create(broker, new_topic("t", 3), version=version)
    topic = broker.cluster.topics.by_name["t"]
    assert (answer.error_code, answer.error_message) == (NONE, None)
    assert [partition.replicas for partition in topic.partitions] == [[1]] * 3
    assert answer.topic_id == (topic.id if version >= 7 else ZERO_UUID)
    if version >= 5:
        assert (answer.num_partitions, answer.replication_factor) == (3, 1)


@pytest.mark.parametrize("version", [2, 3, 4, 7])
def test_minus_one_leaves_partitions_and_replicas_to_the_broker_in_every_version(tmp_path, version):
    broker = Broker(tmp_path, num_partitions="4")
    create(broker, new_topic("t", -1, -1), version=version)
    assert len(broker.cluster.topics.by_name["t"].partitions) == 4
    broker.close()


def test_the_answer_shows_all_settings_and_where_they_come_from(broker):
    topic = new_topic("t", configs=[("retention.ms", "1"), ("retention.ms", " 2 "), ("cleanup.policy", "compact")])
    (answer,) = create(broker, topic)
    shown = {config.name: (config.value, config.config_source, config.read_only) for config in answer.configs}
    assert shown["retention.ms"] == (" 2 ", 1, False)  # Apache repeats it as it was given.
    assert shown["cleanup.policy"] == ("compact", 1, False)
    assert shown["segment.ms"] == ("604800000", 5, False)
    assert shown["min.insync.replicas"] == ("1", 3, False)
    assert len(shown) == 33
    assert answer.topic_config_error_code == NONE
    assert broker.cluster.topics.by_name["t"].log_config.is_compacted


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        (new_topic("t", 0), ErrorCode.INVALID_PARTITIONS),
        (new_topic("t", -2), ErrorCode.INVALID_PARTITIONS),
        (new_topic("t", 1, 0), ErrorCode.INVALID_REPLICATION_FACTOR),
        (new_topic("t", 1, -2), ErrorCode.INVALID_REPLICATION_FACTOR),
        (new_topic("t", 1, 2), ErrorCode.INVALID_REPLICATION_FACTOR),
        (new_topic("t", 0, 0), ErrorCode.INVALID_REPLICATION_FACTOR),
        # Too few brokers is found last.
        (new_topic("t", 0, 2), ErrorCode.INVALID_PARTITIONS),
        (new_topic("t", 10_001), ErrorCode.POLICY_VIOLATION),
        (new_topic("t", configs=[("nope", "1")]), ErrorCode.INVALID_CONFIG),
        (new_topic("t", configs=[("", "1")]), ErrorCode.INVALID_CONFIG),
        (new_topic("t", configs=[("retention.ms", "x")]), ErrorCode.INVALID_CONFIG),
        (new_topic("t", configs=[("retention.ms", None)]), ErrorCode.INVALID_CONFIG),
        (new_topic("t", configs=[("log.retention.ms", "1")]), ErrorCode.INVALID_CONFIG),
        (new_topic("t", configs=[("remote.storage.enable", "true")]), ErrorCode.INVALID_CONFIG),
        # A wrong setting is found before a wrong number.
        (new_topic("t", 0, configs=[("nope", "1")]), ErrorCode.INVALID_CONFIG),
        (new_topic("__cluster_metadata"), ErrorCode.INVALID_REQUEST),
    ],
)
@pytest.mark.parametrize("validate_only", [False, True])
def test_a_topic_that_cannot_be_is_refused(broker, topic, code, validate_only):
    (answer,) = create(broker, topic, validate_only=validate_only)
    assert answer.error_code == code
    assert answer.error_message
    assert (answer.num_partitions, answer.replication_factor, answer.configs) == (-1, -1, [])
    assert broker.cluster.topics.by_name == {}


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "x" * 250, "ünï", "a/b", "a:b", "a\0b"])
def test_a_name_that_could_not_be_a_folder_is_refused(broker, name):
    assert create_codes(broker, new_topic(name)) == {name: ErrorCode.INVALID_TOPIC_EXCEPTION}


@pytest.mark.parametrize("name", ["x" * 249, "-", "__x", "A.b_c-9", "__consumer_offsets", "__transaction_state"])
def test_any_other_name_is_taken(broker, name):
    assert create_codes(broker, new_topic(name)) == {name: NONE}


def test_names_that_differ_only_in_dots_and_underscores_collide(broker):
    create(broker, new_topic("a.b"))
    assert create_codes(broker, new_topic("a_b")) == {"a_b": ErrorCode.INVALID_TOPIC_EXCEPTION}
    assert create_codes(broker, new_topic("a.b")) == {"a.b": ErrorCode.TOPIC_ALREADY_EXISTS}


def test_names_of_one_request_do_not_collide_and_each_bars_the_other_later(broker):
    assert create_codes(broker, new_topic("a.b"), new_topic("a_b")) == {"a.b": NONE, "a_b": NONE}
    broker.cluster.topics.delete(broker.cluster.topics.by_name["a.b"])
    assert create_codes(broker, new_topic("a.b")) == {"a.b": ErrorCode.INVALID_TOPIC_EXCEPTION}
    broker.cluster.topics.delete(broker.cluster.topics.by_name["a_b"])
    assert create_codes(broker, new_topic("a.b")) == {"a.b": NONE}


def test_names_that_differ_only_in_case_collide_where_their_folders_would(broker):
    create(broker, new_topic("orders"))
    assert create_codes(broker, new_topic("Orders")) == {"Orders": NONE}
    broker.cluster.topics.delete(broker.cluster.topics.by_name["Orders"])
    broker.cluster.directory.folds_case = True
    assert create_codes(broker, new_topic("Orders")) == {"Orders": ErrorCode.INVALID_TOPIC_EXCEPTION}
    assert create_codes(broker, new_topic("ORDERS.x"), new_topic("orders.X")) == {
        "ORDERS.x": NONE,
        "orders.X": ErrorCode.INVALID_TOPIC_EXCEPTION,
    }


def test_an_existing_topic_stays_as_it_is_whatever_else_is_wrong(broker):
    create(broker, new_topic("t", 2))
    again = new_topic("t", 0, configs=[("nope", "1")])
    assert create_codes(broker, again) == {"t": ErrorCode.TOPIC_ALREADY_EXISTS}
    assert len(broker.cluster.topics.by_name["t"].partitions) == 2


def test_a_name_given_twice_is_answered_once_after_the_others(broker):
    answers = create(broker, new_topic("twice"), new_topic("twice", 2), new_topic("once"))
    assert [(answer.name, answer.error_code) for answer in answers] == [
        ("once", NONE),
        ("twice", ErrorCode.INVALID_REQUEST),
    ]
    assert set(broker.cluster.topics.by_name) == {"once"}


def test_the_limit_of_partitions_counts_the_whole_request(broker):
    answers = create_codes(broker, new_topic("a", 6000), new_topic("b", 4000), new_topic("c", -1), validate_only=True)
    assert set(answers.values()) == {ErrorCode.POLICY_VIOLATION}
    assert create_codes(broker, new_topic("a", 6000), new_topic("b", 4000), validate_only=True) == {"a": 0, "b": 0}


def test_validate_only_answers_as_if_and_makes_nothing(broker):
    (answer,) = create(broker, new_topic("t", 3), validate_only=True)
    assert (answer.error_code, answer.num_partitions, len(answer.configs)) == (NONE, 3, 33)
    assert answer.topic_id != ZERO_UUID
    assert broker.cluster.topics.by_name == {}


@pytest.mark.parametrize("timeout_ms", [0, -1])
def test_no_time_means_timed_out_and_nothing_made(broker, timeout_ms):
    assert create_codes(broker, new_topic("t"), timeout_ms=timeout_ms) == {"t": ErrorCode.REQUEST_TIMED_OUT}
    assert broker.cluster.topics.by_name == {}


def test_assignments_may_come_in_any_order(broker):
    (answer,) = create(broker, placed((1, [1]), (0, [1])))
    assert (answer.error_code, answer.num_partitions, answer.replication_factor) == (NONE, 2, 1)


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        (placed((0, [1]), (2, [1])), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (placed((1, [1])), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (placed((-1, [1])), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (placed((0, [1]), (0, [1])), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (placed((0, [])), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (placed((0, [1, 1])), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (placed((0, [1, 2])), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (placed((0, [-1])), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (placed((0, [1]), partitions=1), ErrorCode.INVALID_REQUEST),
        (placed((0, [1]), replicas=1), ErrorCode.INVALID_REQUEST),
    ],
)
def test_a_wrong_assignment_is_refused(broker, topic, code):
    assert create_codes(broker, topic) == {"t": code}


# --- DeleteTopics


def delete(broker, *names, ids=(), version=6, timeout_ms=1000):
    if version < 6:
        request = DeleteTopicsRequest(topic_names=list(names), timeout_ms=timeout_ms)
    else:
        topics = [DeleteTopicsRequest.Topic(name=name, topic_id=ZERO_UUID) for name in names]
        topics += [DeleteTopicsRequest.Topic(name=name, topic_id=topic_id) for name, topic_id in ids]
        request = DeleteTopicsRequest(topics=topics, timeout_ms=timeout_ms)
    return broker.ask(request, version).responses


@pytest.mark.parametrize("version", range(1, 7))
def test_a_name_is_free_when_its_deletion_is_answered(broker, version):
    create(broker, new_topic("t"))
    broker.append("t", 3)
    old_id = broker.cluster.topics.by_name["t"].id
    (answer,) = delete(broker, "t", version=version)
    assert (answer.name, answer.error_code, answer.error_message) == ("t", NONE, None)
    assert answer.topic_id == (old_id if version >= 6 else ZERO_UUID)
    create(broker, new_topic("t"))
    assert broker.cluster.topics.by_name["t"].id != old_id
    assert broker.cluster.topics.partition("t", 0).high_watermark == 0


def test_a_topic_is_deleted_by_its_id_and_the_answer_names_it(broker):
    create(broker, new_topic("t"))
    topic_id = broker.cluster.topics.by_name["t"].id
    (answer,) = delete(broker, ids=[(None, topic_id)])
    assert (answer.name, answer.topic_id, answer.error_code) == ("t", topic_id, NONE)
    (answer,) = delete(broker, ids=[(None, topic_id)])
    assert (answer.name, answer.topic_id, answer.error_code) == (None, topic_id, ErrorCode.UNKNOWN_TOPIC_ID)


@pytest.mark.parametrize("version", range(1, 7))
@pytest.mark.parametrize("name", ["unknown", "", "a b"])
def test_an_unknown_topic_cannot_be_deleted(broker, name, version):
    (answer,) = delete(broker, name, version=version)
    assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert (answer.error_message is not None) == (version >= 5)


def test_a_topic_that_is_named_twice_is_answered_once_and_kept(broker):
    create(broker, new_topic("t"), new_topic("other"))
    topic_id = broker.cluster.topics.by_name["t"].id
    invalid = {"t": ErrorCode.INVALID_REQUEST}
    assert codes(delete(broker, "t", "t")) == invalid
    assert codes(delete(broker, "t", ids=[(None, topic_id)])) == invalid
    assert codes(delete(broker, ids=[(None, topic_id), (None, topic_id)])) == {None: ErrorCode.INVALID_REQUEST}
    assert codes(delete(broker, "t", "other", "t", version=1)) == {**invalid, "other": NONE}
    assert set(broker.cluster.topics.by_name) == {"t"}


def test_a_topic_needs_a_name_or_an_id_and_not_both(broker):
    create(broker, new_topic("t"))
    topic_id = broker.cluster.topics.by_name["t"].id
    assert codes(delete(broker, ids=[("t", topic_id)])) == {"t": ErrorCode.INVALID_REQUEST}
    assert codes(delete(broker, ids=[(None, ZERO_UUID)])) == {None: ErrorCode.INVALID_REQUEST}
    assert set(broker.cluster.topics.by_name) == {"t"}


def test_internal_topics_can_be_deleted(broker):
    create(broker, new_topic("__transaction_state"))
    assert codes(delete(broker, "__transaction_state")) == {"__transaction_state": NONE}


@pytest.mark.parametrize("version", range(1, 7))
def test_deletion_can_be_disabled(tmp_path, version):
    broker = Broker(tmp_path, delete_topic_enable="false")
    create(broker, new_topic("t"))
    # KIP-322: clients before version 3 do not know the code.
    code = ErrorCode.TOPIC_DELETION_DISABLED if version >= 3 else ErrorCode.INVALID_REQUEST
    assert codes(delete(broker, "t", "unknown", version=version)) == {"t": code, "unknown": code}
    assert set(broker.cluster.topics.by_name) == {"t"}
    broker.close()


def test_a_deletion_without_time_is_timed_out(broker):
    create(broker, new_topic("t"))
    assert codes(delete(broker, "t", timeout_ms=0)) == {"t": ErrorCode.REQUEST_TIMED_OUT}
    assert set(broker.cluster.topics.by_name) == {"t"}


# --- CreatePartitions


def growth(name, count, assignments=None):
    Topic = CreatePartitionsRequest.Topic  # noqa: N806
    wanted = None if assignments is None else [Topic.Assignment(broker_ids=ids) for ids in assignments]
    return Topic(name=name, count=count, assignments=wanted)


def grow(broker, *topics, version=3, validate_only=False, timeout_ms=1000):
    request = CreatePartitionsRequest(topics=list(topics), timeout_ms=timeout_ms, validate_only=validate_only)
    return broker.ask(request, version).results


@pytest.mark.parametrize("version", range(4))
@pytest.mark.parametrize("assignments", [None, [[1], [1]]])
def test_a_topic_grows_and_keeps_its_records(broker, version, assignments):
    create(broker, new_topic("t", 2))
    broker.append("t", 5, partition=1)
    assert codes(grow(broker, growth("t", 4, assignments), version=version)) == {"t": NONE}
    partitions = broker.cluster.topics.by_name["t"].partitions
    assert [(each.index, each.replicas, each.high_watermark) for each in partitions] == [
        (0, [1], 0),
        (1, [1], 5),
        (2, [1], 0),
        (3, [1], 0),
    ]


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        (growth("t", 1), ErrorCode.INVALID_PARTITIONS),
        (growth("t", 2), ErrorCode.INVALID_PARTITIONS),
        (growth("t", 0), ErrorCode.INVALID_PARTITIONS),
        (growth("t", -1), ErrorCode.INVALID_PARTITIONS),
        (growth("t", 1, [[1]]), ErrorCode.INVALID_PARTITIONS),
        (growth("t", 4, [[1]]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (growth("t", 3, [[1], [1]]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (growth("t", 3, []), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (growth("t", 3, [[]]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (growth("t", 3, [[2]]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (growth("t", 3, [[1, 1]]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (growth("t", 10_003), ErrorCode.POLICY_VIOLATION),
        (growth("unknown", 3), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (growth("a b", 3), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ],
)
@pytest.mark.parametrize("validate_only", [False, True])
def test_a_topic_does_not_grow_by_a_wrong_wish(broker, topic, code, validate_only):
    create(broker, new_topic("t", 2))
    assert codes(grow(broker, topic, validate_only=validate_only)) == {topic.name: code}
    assert len(broker.cluster.topics.by_name["t"].partitions) == 2


def test_a_growth_can_be_tried_out(broker):
    create(broker, new_topic("t", 2))
    assert codes(grow(broker, growth("t", 3), validate_only=True)) == {"t": NONE}
    assert len(broker.cluster.topics.by_name["t"].partitions) == 2


def test_a_topic_that_is_grown_twice_in_one_request_is_left_alone(broker):
    create(broker, new_topic("t"), new_topic("other"))
    answers = grow(broker, growth("t", 3), growth("t", 4), growth("other", 2))
    assert codes(answers) == {"t": ErrorCode.INVALID_REQUEST, "other": NONE}
    assert len(broker.cluster.topics.by_name["t"].partitions) == 1


def test_a_growth_without_time_is_timed_out(broker):
    create(broker, new_topic("t"))
    assert codes(grow(broker, growth("t", 3), timeout_ms=0)) == {"t": ErrorCode.REQUEST_TIMED_OUT}


def test_partitions_survive_a_restart(tmp_path):
    broker = Broker(tmp_path)
    create(broker, new_topic("t", 2, configs=[("retention.ms", "5")]))
    grow(broker, growth("t", 3))
    broker.close()
    broker = Broker(tmp_path)
    topic = broker.cluster.topics.by_name["t"]
    assert (len(topic.partitions), topic.config.overrides) == (3, {"retention.ms": "5"})
    broker.close()


# --- DeleteRecords


def shorten(broker, *wanted, version=2):
    """Ask for (topic, partition, offset) each; answer (topic, partition, low watermark, code)."""
    Topic = DeleteRecordsRequest.Topic  # noqa: N806
    topics = [
        Topic(name=name, partitions=[Topic.Partition(partition_index=index, offset=offset)])
        for name, index, offset in wanted
    ]
    answers = broker.ask(DeleteRecordsRequest(topics=topics, timeout_ms=1000), version).topics
    return [
        (topic.name, each.partition_index, each.low_watermark, ErrorCode(each.error_code))
        for topic in answers
        for each in topic.partitions
    ]


@pytest.mark.parametrize("version", range(3))
@pytest.mark.parametrize(("offset", "start"), [(3, 3), (10, 10), (-1, 10), (0, 2), (1, 2)])
def test_records_before_an_offset_go(broker, version, offset, start):
    create(broker, new_topic("t"))
    broker.append("t", 10)
    broker.cluster.topics.partition("t", 0).delete_records(2)
    assert shorten(broker, ("t", 0, offset), version=version) == [("t", 0, start, NONE)]
    assert broker.cluster.topics.partition("t", 0).log_start_offset == start


def test_starts_that_cannot_be_written_down_are_storage_errors(broker, monkeypatch):
    create(broker, new_topic("t", 2))
    for partition in (0, 1):
        broker.append("t", 10, partition=partition)

    def fail(*_args, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(broker.files, "replace", fail)
        answers = shorten(broker, ("t", 0, 3), ("t", 1, 3))
    assert answers == [("t", index, -1, ErrorCode.KAFKA_STORAGE_ERROR) for index in (0, 1)]


@pytest.mark.parametrize(
    ("name", "index", "offset", "code"),
    [
        ("t", 0, 11, ErrorCode.OFFSET_OUT_OF_RANGE),
        ("t", 0, -2, ErrorCode.OFFSET_OUT_OF_RANGE),
        ("t", 1, 0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("t", -1, 0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("unknown", 0, -1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("a b", 0, -1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("compacted", 0, 0, ErrorCode.POLICY_VIOLATION),
        ("compacted", 0, 99, ErrorCode.POLICY_VIOLATION),
        ("compacted", 7, 0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("__consumer_offsets", 0, -1, ErrorCode.INVALID_TOPIC_EXCEPTION),
    ],
)
def test_records_that_may_not_go_stay(broker, name, index, offset, code):
    create(broker, new_topic("t"), new_topic("compacted", configs=[("cleanup.policy", "compact")]))
    create(broker, new_topic("__consumer_offsets"))
    broker.append("t", 10)
    assert shorten(broker, (name, index, offset)) == [(name, index, -1, code)]
    assert broker.cluster.topics.partition("t", 0).log_start_offset == 0


@pytest.mark.parametrize("policy", ["compact,delete", ""])
def test_records_go_where_compaction_is_not_all(broker, policy):
    create(broker, new_topic("t", configs=[("cleanup.policy", policy)]))
    broker.append("t", 5)
    assert shorten(broker, ("t", 0, 2)) == [("t", 0, 2, NONE)]


def test_the_last_offset_counts_for_a_partition_that_is_named_twice(broker):
    create(broker, new_topic("t"))
    broker.append("t", 10)
    assert shorten(broker, ("t", 0, 3), ("t", 0, 4)) == [("t", 0, 4, NONE)]
    assert shorten(broker, ("t", 0, 5), ("t", 0, 11)) == [("t", 0, -1, ErrorCode.OFFSET_OUT_OF_RANGE)]


def fetch(broker, session_id, session_epoch, offset=None):
    """Fetch from ``offset``, or what the session remembers; answer session, and log start by partition."""
    Topic = FetchRequest.Topic  # noqa: N806
    partitions = [] if offset is None else [Topic.Partition(partition=0, fetch_offset=offset, partition_max_bytes=1000)]
    request = FetchRequest(
        max_wait_ms=0,
        min_bytes=1,
        session_id=session_id,
        session_epoch=session_epoch,
        topics=[Topic(topic="t", partitions=partitions)] if partitions else [],
    )
    response = broker.ask(request, 12)
    assert response.error_code == NONE
    return response.session_id, [each.log_start_offset for topic in response.responses for each in topic.partitions]


def test_fetch_sessions_tell_of_the_new_start(broker):
    create(broker, new_topic("t"))
    broker.append("t", 10)
    session_id, starts = fetch(broker, 0, 0, offset=10)
    assert starts == [0]
    assert fetch(broker, session_id, 1) == (session_id, [])
    shorten(broker, ("t", 0, 4))
    assert fetch(broker, session_id, 2) == (session_id, [4])
    assert fetch(broker, session_id, 3) == (session_id, [])
