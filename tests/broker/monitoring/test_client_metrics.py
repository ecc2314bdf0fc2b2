"""A client is asked for the metrics that match it (KIP-714), and refused where it asks or sends too often."""

import gzip
from random import Random

import pytest

from ottla.broker.monitoring import client_metrics
from ottla.broker.monitoring.client_metrics import ALL_METRICS, DEFAULT_INTERVAL_MS, Telemetry
from ottla.storage.catalogs.sqlite import FILE_NAME, SqliteCatalog
from ottla.wire.codes import ErrorCode, ResourceType
from ottla.wire.errors import KafkaError
from ottla.wire.schema import ZERO_UUID

ID = b"abcdefghijklmnop"
GZIP = 1


class Asking:
    """One broker's telemetry, and a client that asks it and sends to it."""

    def __init__(self, catalog):
        self.catalog = catalog
        self.telemetry = Telemetry(catalog, Random(1))
        self.now = 1000.0

    def subscribe(self, name, **configs):
        settings = {key.replace("_", "."): value for key, value in configs.items()}
        self.catalog.replace_configs(ResourceType.CLIENT_METRICS, name, settings)

    def ask(self, instance_id=ID, **attributes):
        known = {"client_id": "app", "client_software_name": "library", **attributes}
        return self.telemetry.ask(instance_id, known, self.now)

    def subscription(self, **attributes):
        return self.ask(**attributes)[1]

    def push(self, subscription_id, *, instance_id=ID, terminating=False, codec=0, metrics=b"", max_bytes=100):
        self.telemetry.push(
            instance_id,
            {},
            self.now,
            subscription_id=subscription_id,
            terminating=terminating,
            codec=codec,
            metrics=metrics,
            max_bytes=max_bytes,
        )

    def refused(self, call, *arguments, **options):
        with pytest.raises(KafkaError) as refused:
            call(*arguments, **options)
        return refused.value.code


@pytest.fixture
def client(tmp_path):
    catalog = SqliteCatalog(tmp_path / FILE_NAME, cluster_id="test", synchronous="OFF")
    yield Asking(catalog)
    catalog.close()


def test_without_a_subscription_a_client_is_asked_for_nothing(client):
    subscription = client.subscription()
    assert (subscription.interval_ms, subscription.metrics) == (DEFAULT_INTERVAL_MS, ())


def test_a_client_is_asked_for_all_that_matches_it_at_the_shortest_interval(client):
    client.subscribe("all", interval_ms="2000", metrics=" a. , b.")
    client.subscribe("apps", interval_ms="1000", metrics="c.", match="client_id=a.p,client_software_name=lib.*")
    client.subscribe("others", interval_ms="500", metrics="d.", match="client_id=a")
    assert client.subscription()[1:] == (1000, ("a.", "b.", "c."))


def test_all_metrics_are_more_than_any(client):
    client.subscribe("some", metrics="a.")
    client.subscribe("all", metrics=ALL_METRICS)
    assert client.subscription().metrics == (ALL_METRICS,)


def test_a_subscription_may_be_for_one_client_alone(client):
    client.subscribe("mine", metrics="a.", match="client_instance_id=YWJjZGVmZ2hpamtsbW5vcA")
    assert client.subscription().metrics == ("a.",)
    assert client.ask(b"another client..")[1].metrics == ()


def test_a_client_without_an_id_gets_one(client):
    instance_id, _ = client.ask(ZERO_UUID)
    assert instance_id not in {ZERO_UUID, client.ask(ZERO_UUID)[0]}
    assert len(instance_id) == 16


def test_a_subscriptions_number_stays_until_it_asks_for_something_else(client):
    client.subscribe("all", metrics="a.", interval_ms="1000")
    first = client.subscription()
    client.now += 1
    client.subscribe("same", metrics="a.", interval_ms="5000")
    assert client.subscription() == first
    client.now += 1
    client.subscribe("more", metrics="b.")
    assert client.subscription().id != first.id
    assert -(1 << 31) <= first.id < 1 << 31


def test_who_asks_again_before_the_interval_is_over_is_refused(client):
    client.subscription()
    client.now += DEFAULT_INTERVAL_MS / 1000 - 0.001
    assert client.refused(client.ask) == ErrorCode.THROTTLING_QUOTA_EXCEEDED
    client.now += 0.002
    client.ask()


def test_who_sends_again_before_the_interval_is_over_is_refused_unless_it_ends(client):
    subscription = client.subscription()
    client.push(subscription.id)
    client.now += 1
    assert client.refused(client.push, subscription.id) == ErrorCode.THROTTLING_QUOTA_EXCEEDED
    client.push(subscription.id, terminating=True)
    client.now += DEFAULT_INTERVAL_MS
    assert client.refused(client.push, subscription.id) == ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    ("other", "sent", "code"),
    [
        (1, {}, ErrorCode.UNKNOWN_SUBSCRIPTION_ID),
        (0, {"codec": 9}, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
        (0, {"metrics": bytes(101)}, ErrorCode.TELEMETRY_TOO_LARGE),
        (0, {"codec": GZIP, "metrics": b"no gzip"}, ErrorCode.INVALID_RECORD),
        (0, {"instance_id": ZERO_UUID}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_cannot_be_taken_is_refused(client, other, sent, code):
    subscription = client.subscription()
    assert client.refused(client.push, subscription.id + other, **sent) == code


def test_what_is_compressed_as_it_says_is_taken(client):
    subscription = client.subscription()
    client.push(subscription.id, codec=GZIP, metrics=gzip.compress(b"metrics"))
    assert client.refused(client.push, subscription.id) == ErrorCode.THROTTLING_QUOTA_EXCEEDED  # the first one counted


def test_who_was_told_that_its_subscription_is_an_old_one_may_ask_at_once(client):
    subscription = client.subscription()
    client.refused(client.push, subscription.id + 1)
    assert client.subscription() == subscription
    assert client.refused(client.ask) == ErrorCode.THROTTLING_QUOTA_EXCEEDED


def test_the_clients_that_were_not_heard_of_for_longest_are_forgotten(client, monkeypatch):
    monkeypatch.setattr(client_metrics, "MAXIMUM_INSTANCES", 2)
    first, second, third = b"1" * 16, b"2" * 16, b"3" * 16
    client.ask(first)
    client.ask(second)
    client.refused(client.ask, first)  # it is heard of again
    client.ask(third)
    assert client.refused(client.ask, first) == ErrorCode.THROTTLING_QUOTA_EXCEEDED
    client.ask(second)  # nobody knows that it has asked
