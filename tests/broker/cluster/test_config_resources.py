"""AlterConfigs, ListConfigResources, and changes of what is no topic, as Apache 4.3.1 answered the same requests."""

import logging

import pytest

from ottla.wire.codes import ErrorCode
from ottla.wire.messages.configs import AlterConfigsRequest, ListConfigResourcesRequest
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
    own,
    settings,
    values,
)
from tests.stage.single_broker import Broker

NONE, INVALID_REQUEST, INVALID_CONFIG = ErrorCode.NONE, ErrorCode.INVALID_REQUEST, ErrorCode.INVALID_CONFIG


def replace(broker, *resources, version=2, validate_only=False):
    """AlterConfigs for (type, name, {key: value}) each; answer the codes in order."""
    Resource = AlterConfigsRequest.Resource  # noqa: N806
    request = AlterConfigsRequest(
        resources=[
            Resource(
                resource_type=kind,
                resource_name=name,
                configs=[Resource.Config(name=key, value=value) for key, value in configs],
            )
            for kind, name, configs in resources
        ],
        validate_only=validate_only,
    )
    return [ErrorCode(each.error_code) for each in broker.ask(request, version).responses]


def dynamic(broker, name):
    """The settings of a broker, or of all of them (""), beyond the file."""
    source = 2 if name else 3
    return {key: one.value for key, one in settings(broker, BROKER, name).items() if one.config_source == source}


# --- Brokers


def test_a_brokers_own_setting_comes_before_the_clusters_and_both_before_the_default(broker):
    assert alter(broker, (BROKER, "", [("message.max.bytes", SET, "3000000"), ("log.retention.ms", SET, "7")])) == [
        NONE
    ]
    assert alter(broker, (BROKER, "1", [("message.max.bytes", SET, "2000000")])) == [NONE]
    shown = settings(broker, BROKER, "1", ["message.max.bytes", "log.retention.ms"], synonyms=True)
    assert {
        name: (one.value, one.config_source, [(each.name, each.value, each.source) for each in one.synonyms])
        for name, one in shown.items()
    } == {
        "message.max.bytes": (
            "2000000",
            2,
            [
                ("message.max.bytes", "2000000", 2),
                ("message.max.bytes", "3000000", 3),
                ("message.max.bytes", "1048588", 5),
            ],
        ),
        "log.retention.ms": ("7", 3, [("log.retention.ms", "7", 3), ("log.retention.hours", "168", 5)]),
    }
    assert dynamic(broker, "") == {"message.max.bytes": "3000000", "log.retention.ms": "7", "min.insync.replicas": "1"}


def test_topics_follow_the_broker_at_once_unless_they_have_a_setting_of_their_own(broker):
    new_topic(broker, "t")
    new_topic(broker, "u", retention_ms="9")
    alter(broker, (BROKER, "", [("log.retention.ms", SET, "7"), ("log.cleanup.policy", APPEND, "compact")]))
    assert values(broker, TOPIC, "t", ["retention.ms", "cleanup.policy"]) == {
        "retention.ms": "7",
        "cleanup.policy": "delete,compact",
    }
    assert broker.cluster.topics.partition("t", 0).log.config.retention_ms == 7
    assert broker.cluster.topics.partition("u", 0).log.config.retention_ms == 9
    alter(broker, (BROKER, "", [("log.retention.ms", DELETE, None)]))
    assert broker.cluster.topics.partition("t", 0).log.config.retention_ms == 604_800_000


def test_a_brokers_setting_survives_a_restart(tmp_path):
    broker = Broker(tmp_path)
    alter(
        broker,
        (BROKER, "1", [("message.max.bytes", SET, "5")]),
        (GROUP, "g", [("share.auto.offset.reset", SET, "earliest")]),
    )
    broker.close()
    broker = Broker(tmp_path)
    new_topic(broker, "t")
    assert values(broker, TOPIC, "t", ["max.message.bytes"]) == {"max.message.bytes": "5"}
    assert values(broker, GROUP, "g", ["share.auto.offset.reset"]) == {"share.auto.offset.reset": "earliest"}
    broker.close()


def test_a_name_that_nobody_knows_is_kept_and_treated_as_a_secret(broker):
    assert alter(broker, (BROKER, "1", [("foo.bar", SET, "1")])) == [NONE]
    shown = settings(broker, BROKER, "1", ["foo.bar"])["foo.bar"]
    assert (shown.value, shown.is_sensitive, shown.read_only, shown.config_type) == (None, True, True, 0)


def test_a_listeners_own_setting_is_shown_with_what_it_comes_before(broker):
    name = "listener.name.plaintext.max.connections"
    assert alter(broker, (BROKER, "1", [(name, SET, "10")])) == [NONE]
    shown = settings(broker, BROKER, "1", [name], synonyms=True)[name]
    assert (shown.value, shown.read_only, shown.config_type) == ("10", True, 3)
    assert [(each.name, each.value) for each in shown.synonyms] == [(name, "10"), ("max.connections", "2147483647")]


@pytest.mark.parametrize("name", ["1", ""])
@pytest.mark.parametrize(
    "change",
    [
        ("leader.replication.throttled.rate", SET, "1000"),
        ("log.cleanup.policy", SUBTRACT, "delete"),
        ("num.io.threads", SET, "16"),
        ("log.retention.ms", SET, "-1"),
        ("producer.id.expiration.ms", SET, "1000"),
        ("num.partitions", DELETE, None),
    ],
)
@pytest.mark.parametrize("validate_only", [False, True])
def test_what_apache_takes_is_taken(broker, name, change, validate_only):
    before = dynamic(broker, name)
    assert alter(broker, (BROKER, name, [change]), validate_only=validate_only) == [NONE]
    assert (dynamic(broker, name) == before) == (validate_only or change[1] == DELETE)


@pytest.mark.parametrize("name", ["1", ""])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num.partitions", "1"),
        ("log.retention.hours", "5"),
        ("message.max.bytes", "x"),
        ("message.max.bytes", "-1"),
        ("message.max.bytes", None),
        ("leader.replication.throttled.rate", "x"),
        ("ssl.keystore.password", "secret"),
        ("num.io.threads", "0"),
        ("num.io.threads", "100000"),
        ("log.roll.ms", "0"),
        ("log.retention.ms", "0"),
        ("log.local.retention.ms", "1000000000000"),
        ("max.connections.per.ip", "0"),
        ("max.connections.per.ip.overrides", "a:b:c"),
        ("listeners", "PLAINTEXT://localhost:1"),
        ("metric.reporters", "a.b.C"),
        ("cordoned.log.dirs", "/tmp/x"),
    ],
)
def test_a_wrong_change_of_a_broker_changes_nothing(broker, name, key, value):
    before = dynamic(broker, name)
    changes = [("log.segment.bytes", SET, "2000000"), (key, SET, value)]
    assert alter(broker, (BROKER, name, changes)) == [INVALID_REQUEST]
    assert dynamic(broker, name) == before


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sasl.enabled.mechanisms", "PLAIN"),
        ("cordoned.log.dirs", "*"),
        ("listener.name.plaintext.ssl.keystore.location", "/nope"),
    ],
)
def test_some_settings_are_one_brokers_only(broker, key, value):
    assert alter(broker, (BROKER, "1", [(key, SET, value)]), (BROKER, "", [(key, SET, value)])) == [
        NONE,
        INVALID_REQUEST,
    ]


def test_min_insync_replicas_is_the_clusters_and_always_set(broker):
    key = "min.insync.replicas"
    assert alter(broker, (BROKER, "1", [(key, SET, "2")])) == [INVALID_CONFIG]
    assert alter(broker, (BROKER, "1", [(key, DELETE, None)])) == [INVALID_CONFIG]
    assert alter(broker, (BROKER, "", [(key, DELETE, None)])) == [INVALID_CONFIG]
    assert alter(broker, (BROKER, "", [(key, SET, "2")])) == [NONE]
    assert dynamic(broker, "") == {key: "2"}
    assert replace(broker, (BROKER, "", [("log.retention.ms", "5")])) == [INVALID_CONFIG]


def test_adding_to_no_list_is_refused(broker):
    assert alter(broker, (BROKER, "1", [("message.max.bytes", APPEND, "1")])) == [INVALID_CONFIG]


def test_a_stored_setting_that_is_wrong_by_now_is_left_out(tmp_path, caplog):
    broker = Broker(tmp_path)
    broker.cluster.catalog.replace_configs(BROKER, "1", {"message.max.bytes": "x", "log.retention.ms": "5"})
    broker.close()
    broker = Broker(tmp_path)
    assert dynamic(broker, "1") == {"log.retention.ms": "5"}
    assert "message.max.bytes" in caplog.text
    broker.close()


# --- Groups and client metrics


def test_a_group_has_settings_of_its_own_before_it_exists(broker):
    key = "consumer.session.timeout.ms"
    assert alter(broker, (GROUP, "g", [(key, SET, "50000")])) == [NONE]
    shown = settings(broker, GROUP, "g", [key], synonyms=True)[key]
    assert (shown.value, shown.config_source) == ("50000", 8)
    assert [(each.name, each.value, each.source) for each in shown.synonyms] == [
        (key, "50000", 8),
        (f"group.{key}", "45000", 5),
    ]
    assert values(broker, GROUP, "h", [key]) == {key: "45000"}


@pytest.mark.parametrize(
    ("key", "taken", "refused"),
    [
        ("consumer.session.timeout.ms", ["45000", "60000"], ["44999", "60001", "x"]),
        ("consumer.heartbeat.interval.ms", ["5000", "15000"], ["4999", "15001"]),
        ("consumer.assignment.interval.ms", ["5", "15000"], ["-1", "15001"]),
        (
            "share.auto.offset.reset",
            ["earliest", "by_duration:PT1H", "by_duration:P1DT2.5S"],
            ["nope", "none", "EARLIEST", "by_duration:x", "by_duration:P", "by_duration:PT"],
        ),
        ("share.isolation.level", ["read_committed"], ["READ_COMMITTED", "x"]),
        ("share.record.lock.duration.ms", ["15000", "60000"], ["999", "14999", "60001"]),
        ("share.delivery.count.limit", ["2", "10"], ["1", "11"]),
        ("share.partition.max.record.locks", ["100", "4000"], ["99", "4001"]),
        ("share.renew.acknowledge.enable", ["false"], ["x"]),
        ("streams.num.standby.replicas", ["0", "2"], ["-1", "3"]),
        ("nope", [], ["1"]),
    ],
)
def test_a_groups_setting_stays_within_the_brokers_bounds(broker, key, taken, refused):
    assert [alter(broker, (GROUP, "g", [(key, SET, value)])) for value in taken] == [[NONE]] * len(taken)
    assert [alter(broker, (GROUP, "g", [(key, SET, value)])) for value in refused] == [[INVALID_CONFIG]] * len(refused)


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("interval.ms", "100", NONE),
        ("interval.ms", "3600000", NONE),
        ("interval.ms", "99", INVALID_REQUEST),
        ("interval.ms", "3600001", INVALID_REQUEST),
        ("interval.ms", "x", INVALID_CONFIG),
        ("metrics", "*", NONE),
        ("match", "", NONE),
        ("match", "client_id = a,client_software_version=1.*", NONE),
        ("match", "nope=a", INVALID_CONFIG),
        ("match", "client_id", INVALID_CONFIG),
        ("match", "client_id=[a", INVALID_CONFIG),
        ("match", "client_id=a=b", INVALID_CONFIG),
        ("nope", "1", INVALID_REQUEST),
    ],
)
def test_a_subscription_takes_what_apaches_takes(broker, key, value, code):
    assert alter(broker, (METRICS, "m", [(key, SET, value)])) == [code]
    stored = {name: one.value for name, one in settings(broker, METRICS, "m").items() if one.config_source == 7}
    assert stored == ({key: value} if code == NONE else {})


@pytest.mark.parametrize("kind", [GROUP, METRICS])
def test_without_a_name_nothing_is_set(broker, kind):
    assert alter(broker, (kind, "", [("interval.ms", SET, "1000")])) == [INVALID_REQUEST]


@pytest.mark.parametrize(("kind", "key"), [(GROUP, "consumer.session.timeout.ms"), (METRICS, "metrics")])
def test_nothing_is_added_to_a_groups_or_a_subscriptions_setting(broker, kind, key):
    assert alter(broker, (kind, "x", [(key, APPEND, "1")])) == [INVALID_CONFIG]


# --- Loggers


@pytest.fixture
def logger():
    logger = logging.getLogger("ottla.test.loggers")
    yield logger
    logger.setLevel(logging.NOTSET)


def test_a_loggers_level_changes_until_it_is_given_back(broker, logger):
    assert alter(broker, (LOGGER, "1", [(logger.name, SET, "TRACE")])) == [NONE]
    assert values(broker, LOGGER, "1", [logger.name]) == {logger.name: "TRACE"}
    assert logger.isEnabledFor(logging.DEBUG)
    assert alter(broker, (LOGGER, "1", [(logger.name, SET, "FATAL")])) == [NONE]
    assert not logger.isEnabledFor(logging.ERROR)
    assert alter(broker, (LOGGER, "1", [(logger.name, DELETE, None)])) == [NONE]
    assert logger.level == logging.NOTSET


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("root", SET, "info"), INVALID_CONFIG),
        (("root", SET, "OFF"), INVALID_CONFIG),
        (("root", SET, ""), INVALID_CONFIG),
        (("root", SET, None), INVALID_REQUEST),
        (("root", DELETE, None), INVALID_REQUEST),
        (("root", APPEND, "INFO"), INVALID_REQUEST),
        (("root", SUBTRACT, "INFO"), INVALID_REQUEST),
        (("nope", SET, "INFO"), INVALID_CONFIG),
        (("nope", DELETE, None), INVALID_CONFIG),
        (("", SET, "INFO"), INVALID_CONFIG),
    ],
)
def test_a_wrong_change_of_loggers_changes_none(broker, logger, change, code):
    assert alter(broker, (LOGGER, "1", [(logger.name, SET, "ERROR"), change])) == [code]
    assert logger.level == logging.NOTSET


def test_a_loggers_change_can_be_tried_out(broker, logger):
    assert alter(broker, (LOGGER, "1", [(logger.name, SET, "ERROR")]), validate_only=True) == [NONE]
    assert logger.level == logging.NOTSET


# --- AlterConfigs


@pytest.mark.parametrize("version", range(3))
def test_all_settings_are_replaced(broker, version):
    new_topic(broker, "t", segment_ms="7", retention_ms="5")
    alter(broker, (GROUP, "g", [("share.auto.offset.reset", SET, "earliest")]))
    answers = replace(
        broker,
        (TOPIC, "t", [("retention.ms", "9")]),
        (BROKER, "1", [("log.retention.ms", "8")]),
        (GROUP, "g", []),
        (METRICS, "m", [("metrics", "a.")]),
        version=version,
    )
    assert answers == [NONE] * 4
    assert own(broker, "t") == {"retention.ms": "9"}
    assert dynamic(broker, "1") == {"log.retention.ms": "8"}
    assert values(broker, GROUP, "g", ["share.auto.offset.reset"]) == {"share.auto.offset.reset": "latest"}
    assert values(broker, METRICS, "m", ["metrics"]) == {"metrics": "a."}


def test_replacing_can_be_tried_out(broker):
    new_topic(broker, "t", segment_ms="7")
    assert replace(broker, (TOPIC, "t", []), (TOPIC, "u", []), validate_only=True) == [
        NONE,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    assert own(broker, "t") == {"segment.ms": "7"}


@pytest.mark.parametrize(
    ("kind", "name", "configs", "code"),
    [
        (TOPIC, "t", [("nope", "1")], INVALID_CONFIG),
        (TOPIC, "t", [("retention.ms", None)], INVALID_REQUEST),
        (TOPIC, "t", [("retention.ms", "1"), ("retention.ms", "2")], INVALID_REQUEST),
        (TOPIC, "unknown", [("nope", "1")], INVALID_CONFIG),
        (TOPIC, "a b", [], ErrorCode.INVALID_TOPIC_EXCEPTION),
        (TOPIC, "", [], INVALID_REQUEST),
        (BROKER, "1", [("num.partitions", "5")], INVALID_REQUEST),
        (BROKER, "2", [], INVALID_REQUEST),
        (BROKER, "x", [], INVALID_REQUEST),
        (LOGGER, "1", [("root", "INFO")], INVALID_REQUEST),
        (GROUP, "g", [("nope", "1")], INVALID_CONFIG),
        (GROUP, "", [], INVALID_REQUEST),
        (METRICS, "m", [("nope", "1")], INVALID_REQUEST),
        (0, "x", [], INVALID_REQUEST),
        (64, "x", [], INVALID_REQUEST),
    ],
)
def test_a_wrong_replacement_changes_nothing(broker, kind, name, configs, code):
    new_topic(broker, "t", retention_ms="5")
    assert replace(broker, (kind, name, configs)) == [code]
    assert own(broker, "t") == {"retention.ms": "5"}


def test_a_resource_that_is_replaced_twice_is_left_alone(broker):
    new_topic(broker, "t", retention_ms="5")
    assert replace(broker, (TOPIC, "t", []), (TOPIC, "t", [])) == [INVALID_REQUEST] * 2
    assert own(broker, "t") == {"retention.ms": "5"}


# --- ListConfigResources


def listed(broker, *types, version=1):
    response = broker.ask(ListConfigResourcesRequest(resource_types=list(types)), version)
    return response.error_code, [(each.resource_type, each.resource_name) for each in response.config_resources]


def test_what_has_a_configuration_is_listed_by_type(broker):
    new_topic(broker, "t")
    new_topic(broker, "a")
    alter(broker, (GROUP, "g", [("share.auto.offset.reset", SET, "earliest")]), (METRICS, "m", [("metrics", SET, "a")]))
    groups, metrics = [(GROUP, "g")], [(METRICS, "m")]
    brokers, topics = [(LOGGER, "1"), (BROKER, "1")], [(TOPIC, "a"), (TOPIC, "t")]
    assert listed(broker) == (NONE, groups + metrics + brokers + topics)
    assert listed(broker, TOPIC, METRICS, TOPIC) == (NONE, metrics + topics)
    assert listed(broker, version=0) == (NONE, metrics)
    assert alter(broker, (GROUP, "g", [("share.auto.offset.reset", DELETE, None)])) == [NONE]
    assert listed(broker, GROUP) == (NONE, [])


@pytest.mark.parametrize("kind", [0, 64, 99])
def test_a_type_that_is_not_known_is_an_error(broker, kind):
    assert listed(broker, TOPIC, kind) == (ErrorCode.UNSUPPORTED_VERSION, [])
