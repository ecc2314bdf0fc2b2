"""DescribeConfigs, and IncrementalAlterConfigs of topics, as Apache 4.3.1 answered the same requests."""

import pytest

from ottla.wire.codes import ErrorCode
from tests.stage.clients import new_topic
from tests.stage.configs import (
    APPEND,
    BROKER,
    DELETE,
    GROUP,
    LOGGER,
    METRICS,
    SET,
    SUBTRACT,
    TOPIC,
    alter,
    describe,
    own,
    settings,
    values,
)
from tests.stage.single_broker import Broker

NONE = ErrorCode.NONE


# --- DescribeConfigs


@pytest.mark.parametrize("version", range(1, 5))
def test_settings_of_a_topic_say_where_they_come_from(broker, version):
    new_topic(broker, "t", retention_ms="5", segment_bytes=" 2000000 ")
    shown = settings(
        broker, TOPIC, "t", ["retention.ms", "cleanup.policy", "segment.bytes", "nope"], version=version, synonyms=True
    )
    assert {
        name: (config.value, config.config_source, [(each.name, each.value, each.source) for each in config.synonyms])
        for name, config in shown.items()
    } == {
        "retention.ms": ("5", 1, [("retention.ms", "5", 1)]),
        "cleanup.policy": ("delete", 5, [("log.cleanup.policy", "delete", 5)]),
        "segment.bytes": ("2000000", 1, [("segment.bytes", "2000000", 1), ("log.segment.bytes", "1073741824", 5)]),
    }
    assert not any(config.read_only or config.is_sensitive for config in shown.values())
    types = {name: config.config_type for name, config in shown.items()}
    assert types == dict(zip(shown, (7, 5, 3) if version >= 3 else (0, 0, 0), strict=True))


@pytest.mark.parametrize("keys", [None, []])
def test_no_keys_ask_for_all(broker, keys):
    new_topic(broker, "t")
    assert len(settings(broker, TOPIC, "t", keys)) == 33


def test_synonyms_come_where_they_are_asked_for(broker):
    new_topic(broker, "t")
    assert settings(broker, TOPIC, "t", ["segment.bytes"])["segment.bytes"].synonyms == []


def test_what_is_only_for_tests_is_shown_once_it_is_set(broker):
    new_topic(broker, "t")
    assert values(broker, TOPIC, "t", ["internal.segment.bytes"]) == {}
    new_topic(broker, "u", internal_segment_bytes="1000")
    assert values(broker, TOPIC, "u", ["internal.segment.bytes"]) == {"internal.segment.bytes": "1000"}


def test_settings_of_the_broker(tmp_path):
    broker = Broker(tmp_path, num_partitions="3", ssl_keystore_password="secret")
    keys = ["num.partitions", "message.max.bytes", "ssl.keystore.password", "log.retention.ms", "nope"]
    shown = settings(broker, BROKER, "1", keys, synonyms=True)
    assert {
        name: (config.value, config.read_only, config.config_source, config.is_sensitive, config.config_type)
        for name, config in shown.items()
    } == {
        "num.partitions": ("3", True, 4, False, 3),
        "message.max.bytes": ("1048588", False, 5, False, 3),
        "ssl.keystore.password": (None, False, 4, True, 9),
        "log.retention.ms": (None, False, 5, False, 5),
    }
    assert [(each.value, each.source) for each in shown["num.partitions"].synonyms] == [("3", 4), ("1", 5)]
    assert [each.value for each in shown["ssl.keystore.password"].synonyms] == [None]
    broker.close()


def test_settings_of_all_brokers_are_those_beyond_their_files(broker):
    shown = settings(broker, BROKER, "", synonyms=True)
    assert {name: (config.value, config.config_source) for name, config in shown.items()} == {
        "min.insync.replicas": ("1", 3)
    }
    assert [(each.value, each.source) for each in shown["min.insync.replicas"].synonyms] == [("1", 3)]


@pytest.mark.parametrize("name", ["01", "+1"])
def test_a_brokers_id_is_read_as_java_reads_it(broker, name):
    assert values(broker, BROKER, name, ["node.id"]) == {"node.id": "1"}


def test_loggers_are_those_of_this_process(broker):
    shown = settings(broker, LOGGER, "1")
    assert {"root", "ottla.broker.requests.dispatch"} <= set(shown)
    root = shown["root"]
    assert root.value in {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}
    assert (root.config_source, root.config_type, root.read_only) == (6, 0, False)
    assert values(broker, LOGGER, "1", ["kafka.server.KafkaApis"]) == {}


def test_a_group_need_not_exist_and_has_the_brokers_defaults(tmp_path):
    broker = Broker(tmp_path, group_consumer_session_timeout_ms="50000")
    shown = settings(broker, GROUP, "nobody", synonyms=True)
    assert len(shown) == 17
    timeout = shown["consumer.session.timeout.ms"]
    assert (timeout.value, timeout.config_source, timeout.read_only) == ("50000", 4, False)
    assert [(each.name, each.value, each.source) for each in timeout.synonyms] == [
        ("group.consumer.session.timeout.ms", "50000", 4),
        ("group.consumer.session.timeout.ms", "45000", 5),
    ]
    reset = shown["share.auto.offset.reset"]
    assert (reset.value, reset.config_source, reset.config_type) == ("latest", 5, 2)
    assert [(each.name, each.value, each.source) for each in reset.synonyms] == [
        ("share.auto.offset.reset", "latest", 5)
    ]
    broker.close()


def test_a_metrics_subscription_need_not_exist(broker):
    shown = settings(broker, METRICS, "nobody", synonyms=True)
    assert {name: (config.value, config.config_type, config.synonyms) for name, config in shown.items()} == {
        "interval.ms": ("300000", 3, []),
        "match": ("", 7, []),
        "metrics": ("", 7, []),
    }


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        (TOPIC, "unknown", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "a b", ErrorCode.INVALID_TOPIC_EXCEPTION),
        (TOPIC, "", ErrorCode.INVALID_TOPIC_EXCEPTION),
        (BROKER, "2", ErrorCode.INVALID_REQUEST),
        (BROKER, "-1", ErrorCode.INVALID_REQUEST),
        (BROKER, "abc", ErrorCode.INVALID_REQUEST),
        (BROKER, " 1", ErrorCode.INVALID_REQUEST),
        (LOGGER, "2", ErrorCode.INVALID_REQUEST),
        (LOGGER, "", ErrorCode.INVALID_REQUEST),
        (LOGGER, "abc", ErrorCode.INVALID_REQUEST),
        (GROUP, "", ErrorCode.INVALID_REQUEST),
        (METRICS, "", ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_is_not_there_has_no_settings(broker, kind, name, code):
    new_topic(broker, "t")
    wrong, right = describe(broker, (kind, name), (TOPIC, "t"))
    assert (wrong.error_code, wrong.configs) == (code, [])
    assert (wrong.resource_type, wrong.resource_name) == (kind, name)
    assert (right.error_code, len(right.configs)) == (NONE, 33)


@pytest.mark.parametrize("kind", [0, 1, 3, 5, 64, -1, 127])
def test_one_unknown_type_spoils_the_whole_request(broker, kind):
    new_topic(broker, "t")
    answers = describe(broker, (TOPIC, "t"), (kind, "x"))
    assert [(each.error_code, each.configs) for each in answers] == [(ErrorCode.INVALID_REQUEST, [])] * 2


def test_a_resource_that_is_named_twice_is_described_twice(broker):
    new_topic(broker, "t")
    answers = describe(broker, (TOPIC, "t", ["segment.ms"]), (TOPIC, "t", ["retention.ms"]))
    assert [[config.name for config in each.configs] for each in answers] == [["segment.ms"], ["retention.ms"]]


# --- IncrementalAlterConfigs


@pytest.mark.parametrize("version", [0, 1])
def test_a_topics_settings_change_and_are_in_force_at_once(broker, version):
    new_topic(broker, "t", segment_ms="7")
    changes = [("retention.ms", SET, "5"), ("segment.ms", DELETE, None), ("cleanup.policy", APPEND, "compact")]
    assert alter(broker, (TOPIC, "t", changes), version=version) == [NONE]
    assert own(broker, "t") == {"retention.ms": "5", "cleanup.policy": "delete,compact"}
    log_config = broker.cluster.topics.partition("t", 0).log.config
    assert (log_config.retention_ms, log_config.is_compacted) == (5, True)
    assert alter(broker, (TOPIC, "t", [("cleanup.policy", SUBTRACT, "delete")])) == [NONE]
    assert own(broker, "t") == {"retention.ms": "5", "cleanup.policy": "compact"}


def test_a_change_survives_a_restart(tmp_path):
    broker = Broker(tmp_path)
    new_topic(broker, "t")
    alter(broker, (TOPIC, "t", [("retention.ms", SET, "5")]))
    broker.close()
    broker = Broker(tmp_path)
    assert own(broker, "t") == {"retention.ms": "5"}
    broker.close()


def test_a_change_can_be_tried_out(broker):
    new_topic(broker, "t")
    assert alter(broker, (TOPIC, "t", [("retention.ms", SET, "5")]), validate_only=True) == [NONE]
    assert own(broker, "t") == {}


@pytest.mark.parametrize(
    ("name", "changes", "code"),
    [
        ("t", [("retention.ms", SET, None)], ErrorCode.INVALID_REQUEST),
        ("t", [("retention.ms", SET, "x")], ErrorCode.INVALID_CONFIG),
        ("t", [("nope", SET, "1")], ErrorCode.INVALID_CONFIG),
        ("t", [("", SET, "1")], ErrorCode.INVALID_CONFIG),
        ("t", [("retention.ms", SET, "6"), ("nope", SET, "1")], ErrorCode.INVALID_CONFIG),
        ("t", [("retention.ms", SET, "6"), ("retention.ms", SET, "7")], ErrorCode.INVALID_REQUEST),
        ("t", [("retention.ms", APPEND, "1")], ErrorCode.INVALID_CONFIG),
        ("t", [("nope", APPEND, "1")], ErrorCode.INVALID_CONFIG),
        ("t", [("cleanup.policy", APPEND, None)], ErrorCode.INVALID_REQUEST),
        ("t", [("cleanup.policy", APPEND, "")], ErrorCode.INVALID_CONFIG),
        ("t", [("cleanup.policy", APPEND, "nope")], ErrorCode.INVALID_CONFIG),
        ("t", [("leader.replication.throttled.replicas", APPEND, "x")], ErrorCode.INVALID_CONFIG),
        (
            "t",
            [("min.compaction.lag.ms", SET, "10"), ("max.compaction.lag.ms", SET, "5")],
            ErrorCode.INVALID_CONFIG,
        ),
        ("t", [("remote.storage.enable", SET, "true")], ErrorCode.INVALID_CONFIG),
        ("unknown", [("retention.ms", SET, "1")], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("unknown", [], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        # A wrong setting is found before a missing topic.
        ("unknown", [("nope", SET, "1")], ErrorCode.INVALID_CONFIG),
        ("a b", [("retention.ms", SET, "1")], ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("", [("retention.ms", SET, "1")], ErrorCode.INVALID_REQUEST),
    ],
)
@pytest.mark.parametrize("validate_only", [False, True])
def test_a_wrong_change_changes_nothing(broker, name, changes, code, validate_only):
    new_topic(broker, "t", retention_ms="5")
    assert alter(broker, (TOPIC, name, changes), validate_only=validate_only) == [code]
    assert own(broker, "t") == {"retention.ms": "5"}


@pytest.mark.parametrize(
    "change", [("nope", DELETE, None), ("segment.ms", DELETE, None), ("cleanup.policy", SUBTRACT, "compact")]
)
def test_taking_away_what_is_not_there_is_no_error(broker, change):
    new_topic(broker, "t")
    assert alter(broker, (TOPIC, "t", [change])) == [NONE]


def test_each_resource_is_changed_for_itself(broker):
    new_topic(broker, "t")
    new_topic(broker, "u")
    changes = [("retention.ms", SET, "5")]
    assert alter(broker, (TOPIC, "t", [("nope", SET, "1")]), (TOPIC, "u", changes), (77, "x", changes)) == [
        ErrorCode.INVALID_CONFIG,
        NONE,
        ErrorCode.INVALID_REQUEST,
    ]
    assert own(broker, "u") == {"retention.ms": "5"}


def test_a_resource_that_is_named_twice_is_left_alone(broker):
    new_topic(broker, "t")
    new_topic(broker, "u")
    answers = alter(
        broker,
        (TOPIC, "t", [("retention.ms", SET, "5")]),
        (TOPIC, "t", [("segment.ms", SET, "5")]),
        (TOPIC, "u", [("segment.ms", SET, "5")]),
    )
    assert answers == [ErrorCode.INVALID_REQUEST, ErrorCode.INVALID_REQUEST, NONE]
    assert own(broker, "t") == {}


@pytest.mark.parametrize(
    ("kind", "name", "key", "code"),
    [
        (BROKER, "2", "log.retention.ms", ErrorCode.INVALID_REQUEST),
        (BROKER, "abc", "log.retention.ms", ErrorCode.INVALID_REQUEST),
        (BROKER, "1", "num.partitions", ErrorCode.INVALID_REQUEST),
        (LOGGER, "2", "root", ErrorCode.INVALID_REQUEST),
        (GROUP, "g", "nope", ErrorCode.INVALID_CONFIG),
        (METRICS, "m", "nope", ErrorCode.INVALID_REQUEST),
        (0, "x", "a", ErrorCode.INVALID_REQUEST),
        (64, "x", "a", ErrorCode.INVALID_REQUEST),
    ],
)
def test_other_resources_are_checked_as_in_apache(broker, kind, name, key, code):
    assert alter(broker, (kind, name, [(key, SET, "1")])) == [code]
