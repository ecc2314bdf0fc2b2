"""The registry of topics: what changes is in the catalog first, is served next, and then others are told."""

import pytest

from ottla.broker.topics.names import OFFSETS_TOPIC, SHARE_GROUP_TOPIC, TRANSACTION_TOPIC
from ottla.broker.topics.partition import Partition
from ottla.broker.topics.replicated_partition import ReplicatedPartition
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.schema import ZERO_UUID
from tests.stage.clients import new_topic
from tests.stage.several_nodes import ThreeNodes
from tests.stage.single_broker import Broker


@pytest.fixture
def topics(broker):
    return broker.cluster.topics


def refused_with(code, call, *arguments, **options):
    with pytest.raises(KafkaError) as refused:
        call(*arguments, **options)
    return refused.value.code == code


def on_demand(topics, name, *, allowed=True, may_make=lambda _: True):
    return topics.create_on_demand(name, allowed=allowed, may_make=may_make)


def test_others_are_told_of_a_new_topic_once_it_is_served(broker, topics):
    told = []

    def see(topic):
        assert topics.by_name[topic.name] is topics.by_id[topic.id] is topic
        assert broker.cluster.catalog.topics_by_id[topic.id].name == topic.name
        told.append((topic.name, len(topic.partitions)))

    topics.on_created.append(see)
    new_topic(broker, "topic", partitions=2)
    assert told == [("topic", 2)]


def test_others_are_told_of_a_deleted_topic_once_it_is_gone(broker, topics):
    topic = new_topic(broker, "topic", partitions=2)
    told = []

    def see(deleted):
        assert deleted.name not in topics.by_name
        assert deleted.id not in topics.by_id
        assert deleted.id not in broker.cluster.catalog.topics_by_id
        assert all(partition.gone for partition in deleted.partitions)
        told.append(deleted)

    topics.on_deleted.append(see)
    topics.delete(topic)
    assert told == [topic]


def test_a_log_whose_files_stay_keeps_no_other_and_does_not_come_back(broker, topics, monkeypatch, caplog):
    topic = new_topic(broker, "topic", partitions=3)
    for index in range(3):
        broker.append("topic", 1, partition=index)
    root, rename = broker.cluster.directory.root, broker.files.rename

    def refuse(old, new):
        if old.name == "topic-1":
            raise PermissionError("somebody has it open")
        rename(old, new)

    monkeypatch.setattr(broker.files, "rename", refuse)
    told = []
    topics.on_deleted.append(told.append)
    topics.delete(topic)
    assert told == [topic]
    assert "Files of the deleted log topic-1 are left: somebody has it open" in caplog.text
    assert [path.name for path in root.glob("topic-?")] == ["topic-1"]
    again = new_topic(broker, "topic", partitions=3)
    assert [partition.is_offline for partition in again.partitions] == [False, True, False]
    monkeypatch.undo()
    topics.delete(again)
    assert new_topic(broker, "topic", partitions=3).partitions[1].log.log_end_offset == 0


def test_all_partitions_of_a_deleted_topic_are_gone_before_anyone_who_waits_is_told(broker, topics):
    topic = new_topic(broker, "topic", partitions=2)
    seen = []

    class Waiting:
        def on_gone(self):
            seen.append([partition.gone for partition in topic.partitions])

    topic.partitions[0].watchers[Waiting()] = None
    topics.delete(topic)
    assert seen == [[True, True]]


def test_others_are_told_of_new_settings_once_they_are_in_force(broker, topics):
    topic = new_topic(broker, "topic")
    told = []
    topics.on_configured.append(
        lambda configured: told.extend((each.name, each.config.overrides) for each in configured)
    )
    topics.configure(topic, {"segment.ms": "7"})
    assert told == [("topic", {"segment.ms": "7"})]
    assert broker.cluster.catalog.topics_by_id[topic.id].configs == {"segment.ms": "7"}


def test_settings_that_are_refused_reach_neither_the_catalog_nor_others(broker, topics):
    topic = new_topic(broker, "topic", segment_ms="7")
    topics.on_configured.append(lambda _: pytest.fail("others were told of settings that were refused"))
    assert refused_with(ErrorCode.INVALID_CONFIG, topics.configure, topic, {"segment.ms": "0"})
    assert topic.config.overrides == broker.cluster.catalog.topics_by_id[topic.id].configs == {"segment.ms": "7"}


def test_a_topic_is_found_by_name_or_else_by_id(broker, topics):
    topic = new_topic(broker, "topic")
    assert topics.find("topic", ZERO_UUID) is topics.find(None, topic.id) is topic
    assert topics.partition("topic", 0) is topic.partitions[0]
    assert refused_with(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, topics.find, "nope", topic.id)
    assert refused_with(ErrorCode.UNKNOWN_TOPIC_ID, topics.find, None, b"x" * 16)
    for name, index in (("nope", 0), ("topic", 1), ("topic", -1)):
        assert refused_with(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, topics.partition, name, index)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("no name", ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("my.topic", ErrorCode.TOPIC_ALREADY_EXISTS),
        ("my_topic", ErrorCode.INVALID_TOPIC_EXCEPTION),
    ],
)
def test_a_name_that_is_none_or_taken_or_collides_is_refused(broker, topics, name, code):
    new_topic(broker, "my.topic")
    assert refused_with(code, topics.check_new_name, name)


def test_a_name_collides_with_its_other_case_only_where_the_file_system_folds_case(broker, topics, monkeypatch):
    new_topic(broker, "Topic")
    assert topics.colliding("topic") is None
    topics.delete(topics.by_name["Topic"])
    monkeypatch.setattr(broker.cluster.directory, "folds_case", True)
    new_topic(broker, "Topic")
    assert topics.colliding("topic") == "Topic"
    assert refused_with(ErrorCode.INVALID_TOPIC_EXCEPTION, topics.create, "topic", assignments=[[1]], configs={})
    assert list(topics.by_name) == ["Topic"]


# --- topics that a client asks about


def test_a_topic_is_made_on_demand_with_the_brokers_defaults(tmp_path):
    broker = Broker(tmp_path, num_partitions="3")
    assert len(on_demand(broker.cluster.topics, "topic").partitions) == 3
    broker.close()


def test_a_topic_is_made_on_demand_only_where_client_and_broker_allow_it(tmp_path):
    broker = Broker(tmp_path)
    new_topic(broker, "my.topic")
    unknown, topics = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, broker.cluster.topics
    assert refused_with(unknown, on_demand, topics, "topic", allowed=False)
    assert refused_with(unknown, on_demand, topics, "my_topic")
    assert refused_with(unknown, on_demand, topics, "topic", may_make=lambda _: False)
    assert refused_with(ErrorCode.INVALID_TOPIC_EXCEPTION, on_demand, topics, "no name")
    broker.close()
    broker = Broker(tmp_path, auto_create_topics_enable="false")
    assert refused_with(unknown, on_demand, broker.cluster.topics, "topic")
    assert list(broker.cluster.topics.by_name) == ["my.topic"]
    broker.close()


def test_the_quota_is_asked_last_and_for_as_many_partitions_as_there_would_be(tmp_path):
    broker = Broker(tmp_path, num_partitions="3")
    asked = []
    on_demand(broker.cluster.topics, "topic", may_make=lambda count: not asked.append(count))
    assert asked == [3]
    broker.close()


@pytest.mark.parametrize(
    ("name", "partitions", "expected"),
    [
        (OFFSETS_TOPIC, 4, {"cleanup.policy": "compact", "compression.type": "producer", "segment.bytes": "104857600"}),
        (
            TRANSACTION_TOPIC,
            5,
            {
                "cleanup.policy": "compact",
                "compression.type": "uncompressed",
                "min.insync.replicas": "1",
                "segment.bytes": "104857600",
                "unclean.leader.election.enable": "false",
            },
        ),
        (
            SHARE_GROUP_TOPIC,
            6,
            {
                "cleanup.policy": "delete",
                "compression.type": "producer",
                "min.insync.replicas": "1",
                "retention.ms": "-1",
                "segment.bytes": "104857600",
            },
        ),
    ],
)
def test_an_internal_topic_is_made_once_with_its_coordinators_settings(tmp_path, name, partitions, expected):
    broker = Broker(
        tmp_path,
        offsets_topic_num_partitions="4",
        transaction_state_log_num_partitions="5",
        share_coordinator_state_topic_num_partitions="6",
    )
    topic = broker.cluster.topics.ensure_internal(name)
    assert broker.cluster.topics.ensure_internal(name) is on_demand(broker.cluster.topics, name) is topic
    assert topic.is_internal
    assert len(topic.partitions) == partitions
    assert topic.config.overrides == expected
    broker.close()


# --- following the broker and the disk


def test_topics_follow_the_brokers_settings_but_for_those_of_their_own(broker, topics):
    follows, has_own = new_topic(broker, "follows"), new_topic(broker, "has.own", segment_bytes="2000000")
    told = []
    topics.on_configured.append(lambda configured: told.append([each.name for each in configured]))
    topics.config.set_dynamic(own={"log.segment.bytes": "3000000"}, defaults={})
    topics.follow_broker()
    assert follows.log_config.segment_bytes == 3_000_000
    assert has_own.log_config.segment_bytes == 2_000_000
    assert told == [["follows", "has.own"]]


def test_a_topic_that_cannot_follow_keeps_its_settings_and_the_others_follow(broker, topics, caplog):
    cannot = new_topic(broker, "cannot", min_compaction_lag_ms="10")
    follows = new_topic(broker, "follows")
    topics.config.set_dynamic(own={"log.cleaner.max.compaction.lag.ms": "5"}, defaults={})
    topics.follow_broker()
    assert follows.config.integer("max.compaction.lag.ms") == 5
    assert cannot.config.integer("max.compaction.lag.ms") > 5
    assert "Topic cannot keeps its old settings" in caplog.text


def test_a_log_that_fails_takes_its_partition_offline_and_raises_the_version(broker, topics):
    topic = new_topic(broker, "topic", partitions=2)
    before = topics.version
    topic.partitions[0].log.on_offline("the disk is gone")
    assert topics.version > before
    assert [partition.is_offline for partition in topic.partitions] == [True, False]


def test_partitions_are_plain_on_a_single_node_and_replicated_among_several(broker, tmp_path):
    assert type(new_topic(broker, "topic").partitions[0]) is Partition
    nodes = ThreeNodes(tmp_path / "nodes")
    nodes.create("topic", [1])
    assert type(nodes.cluster.topics.by_name["topic"].partitions[0]) is ReplicatedPartition
    nodes.close()


def test_an_id_is_not_given_where_its_text_would_look_like_an_option(broker, topics, monkeypatch):
    offered = [ZERO_UUID, b"\xf8" + bytes(15), b"good" * 4]
    monkeypatch.setattr(topics._random, "randbytes", lambda _: offered.pop(0))
    assert topics.new_id() == b"good" * 4
