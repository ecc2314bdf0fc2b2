"""A topic's settings: its own over the broker's, which follow the broker's when it changes."""

import pytest

from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.settings.topic_config import TopicConfig, topic_defaults
from ottla.broker.settings.types import Source
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError


def described(config, name):
    return next(each for each in config.describe() if each.name == name)


def test_a_topics_own_setting_comes_before_the_brokers_and_that_before_the_default():
    broker = BrokerConfig({"log.segment.bytes": "2000000"})
    assert TopicConfig(BrokerConfig()).integer("segment.bytes") == 1 << 30
    assert TopicConfig(broker).integer("segment.bytes") == 2_000_000
    assert TopicConfig(broker, {"segment.bytes": "3000000"}).integer("segment.bytes") == 3_000_000


def test_where_a_value_comes_from_is_shown_nearest_first():
    config = TopicConfig(BrokerConfig({"log.segment.bytes": "2000000"}), {"segment.bytes": " 3000000 "})
    shown = described(config, "segment.bytes")
    assert (shown.value, shown.source) == ("3000000", Source.DYNAMIC_TOPIC_CONFIG)
    assert [(each.name, each.value) for each in shown.synonyms] == [
        ("segment.bytes", "3000000"),
        ("log.segment.bytes", "2000000"),
        ("log.segment.bytes", "1073741824"),
    ]
    assert config.overrides == {"segment.bytes": " 3000000 "}


@pytest.mark.parametrize(
    ("given", "retention_ms"),
    [
        ({}, 7 * 24 * 3_600_000),
        ({"log.retention.hours": "2"}, 2 * 3_600_000),
        ({"log.retention.hours": "2", "log.retention.minutes": "3"}, 3 * 60_000),
        ({"log.retention.minutes": "3", "log.retention.ms": "4"}, 4),
        ({"log.retention.hours": "-7"}, -1),
    ],
)
def test_a_time_is_the_brokers_in_its_finest_unit(given, retention_ms):
    assert dict(topic_defaults(BrokerConfig(given)))["retention.ms"] == retention_ms


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ({"nope": "1"}, "nope is not a topic's setting"),
        ({"log.segment.bytes": "2000000"}, "is not a topic's setting"),
        ({"segment.ms": None}, "segment.ms has no value"),
        ({"segment.ms": "soon"}, "segment.ms must be a whole number"),
        ({"min.compaction.lag.ms": "2", "max.compaction.lag.ms": "1"}, "must not exceed max.compaction.lag.ms"),
        ({"remote.storage.enable": "true"}, "needs tiered storage"),
    ],
)
def test_settings_that_a_topic_cannot_have_are_refused(overrides, why):
    with pytest.raises(KafkaError, match=why) as refused:
        TopicConfig(BrokerConfig(), overrides)
    assert refused.value.code == ErrorCode.INVALID_CONFIG


def test_appends_wait_for_the_disk_only_where_a_setting_says_so():
    assert not TopicConfig(BrokerConfig()).syncs_appends
    assert TopicConfig(BrokerConfig(), {"flush.messages": "1"}).syncs_appends
    assert TopicConfig(BrokerConfig({"log.flush.interval.messages": "1"})).syncs_appends


def test_records_are_validated_where_the_broker_says_so():
    assert not TopicConfig(BrokerConfig()).validates_records
    assert TopicConfig(BrokerConfig({"record.validation": "full"})).validates_records


def test_what_is_for_apaches_own_tests_is_shown_only_where_it_is_set():
    hidden = "internal.segment.bytes"
    assert hidden not in [each.name for each in TopicConfig(BrokerConfig()).describe()]
    assert described(TopicConfig(BrokerConfig(), {hidden: "1000"}), hidden).value == "1000"
