"""Some broker settings may change while the broker runs: those that Apache's DynamicBrokerConfig lets change."""

import pytest

from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.settings.while_running import check_dynamic, usable
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

KEYSTORE = "ssl.keystore.location"


def check(wanted, *, whole_cluster=False, **given):
    config = BrokerConfig({name.replace("_", "."): value for name, value in given.items()})
    check_dynamic(config, wanted, whole_cluster=whole_cluster)
    assert (config.dynamic, config["log.retention.ms"]) == ({}, None), "the check has changed the settings in force"


@pytest.mark.parametrize("whole_cluster", [True, False])
@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"log.retention.ms": "5"},
        {"message.max.bytes": "2000", "log.cleanup.policy": "compact"},
        {"num.io.threads": "16"},
        {"num.io.threads": "4"},
        {"a.plugins.own": "anything"},
    ],
)
def test_a_setting_that_may_change_is_taken(wanted, whole_cluster):
    check(wanted, whole_cluster=whole_cluster)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"num.partitions": "3"}, "num.partitions cannot change while the broker runs"),
        ({"num.partitions": "3", "node.id": "2"}, "num.partitions, node.id cannot change"),
        ({KEYSTORE: "x"}, "can change for one listener only"),
        ({"log.retention.ms": "soon"}, "log.retention.ms must be a whole number"),
        ({"listeners": "PLAINTEXT://:9999"}, "listeners is fixed when Ottla starts"),
        ({"num.io.threads": "17"}, "can be doubled or halved at once, from 8"),
        ({"num.io.threads": "3"}, "can be doubled or halved at once, from 8"),
        ({"log.local.retention.ms": "10", "log.retention.ms": "5"}, "must not exceed log.retention.ms"),
        ({"log.local.retention.bytes": "10", "log.retention.bytes": "5"}, "must not exceed log.retention.bytes"),
        ({"max.connections.per.ip.overrides": "host:many"}, "has no number in 'host:many'"),
        ({"max.connections.per.ip": "0"}, "can be 0 only with max.connections.per.ip.overrides"),
    ],
)
def test_a_setting_that_may_not_change_is_refused_with_the_reason(wanted, why):
    with pytest.raises(KafkaError, match=why) as refused:
        check(wanted)
    assert refused.value.code == ErrorCode.INVALID_REQUEST


def test_a_listeners_own_setting_is_one_brokers_only():
    own = {f"listener.name.internal.{KEYSTORE}": "x"}
    check(own)
    with pytest.raises(KafkaError, match="can change for one broker only"):
        check(own, whole_cluster=True)


def test_settings_are_tried_together_with_those_that_stay():
    check({"max.connections.per.ip": "0", "max.connections.per.ip.overrides": "host:5"})
    with pytest.raises(KafkaError, match=r"must not exceed log\.retention\.bytes"):
        check({"log.local.retention.bytes": "10"}, log_retention_bytes="5")


def test_of_the_stored_settings_those_that_cannot_be_read_are_left_out_and_named(caplog):
    stored = {"log.retention.ms": "soon", "message.max.bytes": "2000", "a.plugins.own": "anything"}
    assert usable(BrokerConfig(), stored) == {"message.max.bytes": "2000", "a.plugins.own": "anything"}
    assert "log.retention.ms" in caplog.text
    assert "message.max.bytes" not in caplog.text
