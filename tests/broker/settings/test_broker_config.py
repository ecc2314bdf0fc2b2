"""BrokerConfig and TopicConfig against what Apache 4.3.1 said of itself: apache_configs.json.

With the tables: settings/broker_table, settings/apache_table and settings/topic_table.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from ottla.broker.settings.broker_config import DEFINITIONS, OUR_DEFAULTS, BrokerConfig
from ottla.broker.settings.broker_table import OUR_DEFINITIONS
from ottla.broker.settings.topic_config import TopicConfig
from ottla.broker.settings.topic_table import TOPIC_DEFINITIONS
from ottla.broker.settings.types import Definition, InvalidSettingError, Source
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

APACHE = json.loads(Path(__file__).with_name("apache_configs.json").read_text())

# Apache looks into these lists only when it starts; we do not use them.
NOT_CHECKED = {"controller.quorum.bootstrap.servers", "controller.quorum.voters"}


def facts(definition: Definition) -> list[Any]:
    return [definition.type.name, definition.write(definition.default), definition.internal]


def accepted(definition: Definition, text: str) -> str | None:
    try:
        return definition.write(definition.read(text))
    except InvalidSettingError:
        return None


@pytest.mark.parametrize(
    ("definitions", "recorded"),
    [(DEFINITIONS, "broker_definitions"), (TOPIC_DEFINITIONS, "topic_definitions")],
)
def test_names_types_and_defaults_are_those_of_apache(definitions, recorded):
    ours = {name: facts(definition) for name, definition in definitions.items() if name not in OUR_DEFINITIONS}
    assert ours == APACHE[recorded]


@pytest.mark.parametrize("name", sorted(APACHE["broker_values"].keys() - NOT_CHECKED))
def test_a_broker_setting_takes_the_values_that_apache_takes(name):
    expected = APACHE["broker_values"][name]
    assert {text: accepted(DEFINITIONS[name], text) for text in expected} == expected


@pytest.mark.parametrize("name", sorted(APACHE["topic_values"]))
def test_a_topic_setting_takes_the_values_that_apache_takes(name):
    for text, expected in APACHE["topic_values"][name].items():
        if expected is None:
            with pytest.raises(KafkaError) as refused:
                TopicConfig(BrokerConfig(), {name: text})
            assert refused.value.code is ErrorCode.INVALID_CONFIG
            assert name in str(refused.value)
        else:
            config = TopicConfig(BrokerConfig(), {name: text})
            assert TOPIC_DEFINITIONS[name].write(config[name]) == expected


@pytest.mark.parametrize(("settings", "taken"), APACHE["topic_combinations"])
def test_topic_settings_that_contradict_each_other_are_refused_as_in_apache(settings, taken):
    refusal = contextlib.nullcontext() if taken else pytest.raises(KafkaError)
    with refusal:
        TopicConfig(BrokerConfig(), settings)


def test_a_topic_describes_itself_as_in_apache():
    described = {each.name: each for each in TopicConfig(BrokerConfig()).describe()}
    assert {
        name: [
            each.type.name,
            each.value,
            each.source.name,
            each.read_only,
            each.sensitive,
            [[synonym.name, synonym.value, synonym.source.name] for synonym in each.synonyms],
        ]
        for name, each in described.items()
    } == APACHE["topic"]


def test_the_broker_describes_itself_as_in_apache_but_for_our_defaults():
    ours = OUR_DEFAULTS.keys() | {
        name for name, (_, _, source, *_) in APACHE["broker"].items() if source == "STATIC_BROKER_CONFIG"
    }
    described = {
        each.name: [
            each.type.name,
            each.value,
            each.source.name,
            each.read_only,
            each.sensitive,
            [[synonym.name, synonym.value, synonym.source.name] for synonym in each.synonyms],
        ]
        for each in BrokerConfig().describe()
    }
    assert described.keys() == APACHE["broker"].keys()
    assert {name: described[name] for name in described.keys() - ours} == {
        name: row for name, row in APACHE["broker"].items() if name not in ours
    }


def test_a_given_setting_comes_before_apaches_default():
    broker = BrokerConfig({"log.segment.bytes": "2000000"})
    topic = TopicConfig(broker, {"segment.bytes": " 1048576"})
    described = next(each for each in topic.describe() if each.name == "segment.bytes")
    assert described.value == "1048576"
    assert described.source is Source.DYNAMIC_TOPIC_CONFIG
    assert [(each.name, each.value, each.source) for each in described.synonyms] == [
        ("segment.bytes", "1048576", Source.DYNAMIC_TOPIC_CONFIG),
        ("log.segment.bytes", "2000000", Source.STATIC_BROKER_CONFIG),
        ("log.segment.bytes", "1073741824", Source.DEFAULT_CONFIG),
    ]


def test_retention_in_hours_is_a_topics_retention_in_milliseconds():
    topic = TopicConfig(BrokerConfig({"log.retention.hours": "24"}))
    described = next(each for each in topic.describe() if each.name == "retention.ms")
    # Apache answers just this: the value, but no synonym and so the source of a default.
    assert (described.value, described.source, described.synonyms) == ("86400000", Source.DEFAULT_CONFIG, ())


@pytest.mark.parametrize("name", ["log.retention.ms", "log.retention.minutes", "log.retention.hours"])
def test_any_negative_retention_is_for_ever(name):
    assert TopicConfig(BrokerConfig({name: "-5"})).integer("retention.ms") == -1


def test_the_finest_unit_of_a_time_wins():
    given = {"log.retention.hours": "1", "log.retention.minutes": "2", "log.roll.hours": "3"}
    topic = TopicConfig(BrokerConfig(given))
    assert topic.integer("retention.ms") == 120_000
    assert topic.integer("segment.ms") == 3 * 3_600_000


def test_texts_are_all_that_is_in_force():
    texts = TopicConfig(BrokerConfig(), {"retention.ms": "+7"}).texts()
    assert texts["retention.ms"] == "7"
    assert texts["cleanup.policy"] == "delete"
    assert "internal.segment.bytes" not in texts


def test_a_secret_is_never_shown():
    described = {each.name: each for each in BrokerConfig({"ssl.key.password": "tulip"}).describe()}
    assert described["ssl.key.password"].sensitive
    assert "tulip" not in repr(described["ssl.key.password"])


def test_one_node_needs_no_replicas_and_waits_for_nobody():
    config = BrokerConfig()
    assert config.integer("offsets.topic.replication.factor") == 1
    assert config.integer("group.initial.rebalance.delay.ms") == 0
    assert config.integer("node.id") == 1


def test_broker_id_is_another_name_of_node_id():
    assert BrokerConfig({"broker.id": "7"}).integer("node.id") == 7
    with pytest.raises(InvalidSettingError, match=r"broker\.id and node\.id"):
        BrokerConfig({"broker.id": "7", "node.id": "8"})


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("num.partition", "num.partition is not a setting of Kafka's broker; did you mean num.partitions?"),
        ("num_partitions", "num_partitions is not a setting of Kafka's broker; did you mean num.partitions?"),
        ("tulip", "tulip is not a setting of Kafka's broker"),
        ("retention.ms", "retention.ms is a topic's setting; the broker's is log.retention.ms"),
        ("zookeeper.connect", "zookeeper.connect is a setting of Kafka before 4.0; there is no ZooKeeper here"),
    ],
)
def test_an_unknown_setting_is_named_with_what_was_probably_meant(name, sentence):
    with pytest.raises(InvalidSettingError) as refused:
        BrokerConfig({name: "1"})
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("num.partitions", "many", "num.partitions must be a whole number, not 'many'"),
        ("num.partitions", "0", "num.partitions must be at least 1, not '0'"),
        ("auto.create.topics.enable", "yes", "auto.create.topics.enable must be true or false, not 'yes'"),
        ("log.retention.ms", "0", "log.retention.ms must be at least 1, not 0"),
        ("ssl.client.auth", "maybe", "ssl.client.auth must be one of required, requested, none, not 'maybe'"),
    ],
)
def test_a_wrong_value_is_named_with_its_setting(name, value, sentence):
    with pytest.raises(InvalidSettingError) as refused:
        BrokerConfig({name: value})
    assert str(refused.value) == sentence


def test_settings_that_change_nothing_here_are_known_by_name():
    given = {"num.io.threads": "8", "num.partitions": "3", "listener.name.internal.ssl.keystore.location": "x"}
    assert BrokerConfig(given).not_acted_on == ("num.io.threads", "listener.name.internal.ssl.keystore.location")
