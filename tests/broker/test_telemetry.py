"""GetTelemetrySubscriptions and PushTelemetry, as Apache 4.3.1 answered the same requests."""

import gzip

import pytest

from ottla.wire.codes import ErrorCode
from ottla.wire.messages.core import ApiVersionsRequest
from ottla.wire.messages.telemetry import GetTelemetrySubscriptionsRequest, PushTelemetryRequest
from tests.stage.configs import METRICS, SET, alter

NONE, THROTTLED = ErrorCode.NONE, ErrorCode.THROTTLING_QUOTA_EXCEEDED
ID = b"abcdefghijklmnop"
GZIP, ZSTD = 1, 4


def subscribe(broker, name, **configs):
    changes = [(key.replace("_", "."), SET, value) for key, value in configs.items()]
    assert alter(broker, (METRICS, name, changes)) == [NONE]


def get(broker, instance_id=ID):
    return broker.ask(GetTelemetrySubscriptionsRequest(client_instance_id=instance_id), 0)


def push(broker, subscription_id, *, metrics=b"", codec=0, terminating=False, instance_id=ID):
    request = PushTelemetryRequest(
        client_instance_id=instance_id,
        subscription_id=subscription_id,
        terminating=terminating,
        compression_type=codec,
        metrics=metrics,
    )
    return ErrorCode(broker.ask(request, 0).error_code)


def test_telemetry_is_not_advertised(broker):
    response = broker.ask(ApiVersionsRequest(client_software_name="a", client_software_version="1"), 4)
    assert not {71, 72} & {each.api_key for each in response.api_keys}


def test_without_a_subscription_nothing_is_asked_for(broker):
    answer = get(broker, bytes(16))
    assert answer.error_code == NONE
    assert answer.client_instance_id != bytes(16)
    assert (answer.push_interval_ms, answer.requested_metrics) == (300_000, [])
    assert (answer.accepted_compression_types, answer.telemetry_max_bytes) == ([4, 3, 1, 2], 1_048_576)
    assert answer.delta_temporality


def test_a_client_is_asked_for_all_that_matches_it_at_the_shortest_interval(broker):
    subscribe(broker, "all", interval_ms="200", metrics="a.,b.")
    subscribe(broker, "mine", interval_ms="100", metrics="c.", match="client_id=te.t,client_source_address=10.*")
    subscribe(broker, "others", interval_ms="150", metrics="d.", match="client_id=te")
    answer = get(broker)
    assert (answer.push_interval_ms, sorted(answer.requested_metrics)) == (100, ["a.", "b.", "c."])


def test_a_change_of_subscriptions_gives_another_id(broker):
    first = get(broker)
    subscribe(broker, "all", interval_ms="100", metrics="*")
    assert push(broker, first.subscription_id) == ErrorCode.UNKNOWN_SUBSCRIPTION_ID
    # A client that was told so may ask at once.
    broker.clock.now += 0.001
    second = get(broker)
    assert (second.error_code, second.requested_metrics) == (NONE, ["*"])
    assert second.subscription_id != first.subscription_id
    assert push(broker, second.subscription_id) == NONE


def test_nobody_asks_or_sends_more_often_than_told(broker):
    subscription_id = get(broker).subscription_id
    early = get(broker)
    assert (early.error_code, early.client_instance_id, early.push_interval_ms) == (THROTTLED, bytes(16), 0)
    assert push(broker, subscription_id) == NONE
    broker.clock.now += 299.0
    assert push(broker, subscription_id) == THROTTLED
    broker.clock.now += 1.0
    assert push(broker, subscription_id) == NONE


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"codec": 9}, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
        ({"codec": ZSTD, "metrics": b"bad"}, ErrorCode.INVALID_RECORD),
        ({"metrics": b"z" * 1_048_577}, ErrorCode.TELEMETRY_TOO_LARGE),
        ({"codec": GZIP, "metrics": gzip.compress(b"metrics")}, NONE),
        ({"metrics": b"whatever"}, NONE),
    ],
)
def test_what_is_sent_is_looked_at(broker, sent, code):
    assert push(broker, get(broker).subscription_id, **sent) == code


def test_the_last_metrics_may_come_early_and_nothing_after_them(broker):
    subscription_id = get(broker).subscription_id
    assert push(broker, subscription_id) == NONE
    assert push(broker, subscription_id, terminating=True) == NONE
    assert push(broker, subscription_id, terminating=True) == ErrorCode.INVALID_REQUEST


def test_metrics_of_nobody_are_refused(broker):
    assert push(broker, 0, instance_id=bytes(16)) == ErrorCode.INVALID_REQUEST
    assert push(broker, 0) == ErrorCode.UNKNOWN_SUBSCRIPTION_ID
