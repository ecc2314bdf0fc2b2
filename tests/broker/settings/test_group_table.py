"""The settings of groups and of client metrics: shown with the broker's, checked against its bounds."""

import pytest

from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.settings.group_table import (
    CLIENT_METRICS_DEFINITIONS,
    GROUP_DEFINITIONS,
    check_client_metrics,
    check_group,
    describe_client_metrics,
    describe_group,
    read_patterns,
)
from ottla.broker.settings.types import Source
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError


def by_name(described):
    return {each.name: each for each in described}


def test_a_group_has_the_brokers_settings_and_its_own_before_them():
    broker = BrokerConfig({"group.consumer.session.timeout.ms": "46000"})
    shown = by_name(describe_group(broker, {"consumer.heartbeat.interval.ms": "6000"}))
    assert shown.keys() == GROUP_DEFINITIONS.keys()
    timeout, interval = shown["consumer.session.timeout.ms"], shown["consumer.heartbeat.interval.ms"]
    assert (timeout.value, timeout.source) == ("46000", Source.STATIC_BROKER_CONFIG)
    assert (interval.value, interval.source) == ("6000", Source.DYNAMIC_GROUP_CONFIG)
    assert shown["share.auto.offset.reset"].value == "latest"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("consumer.session.timeout.ms", "45000"),
        ("consumer.session.timeout.ms", "60000"),
        ("share.auto.offset.reset", "by_duration:P1DT2H"),
        ("share.isolation.level", "read_committed"),
    ],
)
def test_a_setting_that_a_group_may_have_is_taken(name, value):
    check_group(BrokerConfig(), {name: value})


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("nope", "1", "nope is not a group's setting"),
        ("consumer.session.timeout.ms", "44999", "at least group.consumer.min.session.timeout.ms, 45000"),
        ("consumer.session.timeout.ms", "60001", "at most group.consumer.max.session.timeout.ms, 60000"),
        ("consumer.session.timeout.ms", "soon", "must be a whole number"),
        ("share.auto.offset.reset", "by_duration:soon", "must be earliest, latest"),
        ("share.auto.offset.reset", "by_duration:P", "must be earliest, latest"),
    ],
)
def test_a_setting_that_no_group_may_have_is_refused(name, value, why):
    with pytest.raises(KafkaError, match=why) as refused:
        check_group(BrokerConfig(), {name: value})
    assert refused.value.code == ErrorCode.INVALID_CONFIG


def test_a_bound_is_the_one_that_the_broker_has():
    broker = BrokerConfig({"group.consumer.min.session.timeout.ms": "1000"})
    check_group(broker, {"consumer.session.timeout.ms": "1000"})
    with pytest.raises(KafkaError, match="at least"):
        check_group(broker, {"consumer.session.timeout.ms": "999"})


def test_a_subscription_shows_its_own_settings_over_the_defaults():
    shown = by_name(describe_client_metrics({"metrics": "a.,b."}))
    assert shown.keys() == CLIENT_METRICS_DEFINITIONS.keys()
    assert (shown["metrics"].value, shown["metrics"].source) == ("a.,b.", Source.DYNAMIC_CLIENT_METRICS_CONFIG)
    assert (shown["interval.ms"].value, shown["interval.ms"].source) == ("300000", Source.DEFAULT_CONFIG)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"nope": "1"}, ErrorCode.INVALID_REQUEST),
        ({"interval.ms": "99"}, ErrorCode.INVALID_REQUEST),
        ({"interval.ms": "3600001"}, ErrorCode.INVALID_REQUEST),
        ({"interval.ms": "soon"}, ErrorCode.INVALID_CONFIG),
        ({"match": "client_id"}, ErrorCode.INVALID_CONFIG),
        ({"match": "planet=mars"}, ErrorCode.INVALID_CONFIG),
        ({"match": "client_id=["}, ErrorCode.INVALID_CONFIG),
        ({"match": "client_id=a=b"}, ErrorCode.INVALID_CONFIG),
    ],
)
def test_a_setting_that_no_subscription_may_have_is_refused(settings, code):
    with pytest.raises(KafkaError) as refused:
        check_client_metrics(settings)
    assert refused.value.code == code


def test_patterns_are_read_by_what_they_match():
    patterns = read_patterns(" client_id = a.c , client_source_port=90.. ")
    assert {name: pattern.pattern for name, pattern in patterns.items()} == {
        "client_id": "a.c",
        "client_source_port": "90..",
    }
    assert read_patterns("") == {}
