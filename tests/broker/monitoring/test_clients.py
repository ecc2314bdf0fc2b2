"""The first requests on a connection tell which client is there."""

import logging

import pytest

from ottla.broker.monitoring.clients import MAXIMUM_REMEMBERED, describe
from ottla.wire.messages.core import ApiVersionsRequest, MetadataRequest

EVERYTHING = MetadataRequest(topics=None)


def named(name, version="1.0"):
    return ApiVersionsRequest(client_software_name=name, client_software_version=version)


def lines(caplog):
    return [record.message for record in caplog.records if record.name == "ottla.broker.monitoring.clients"]


@pytest.fixture(autouse=True)
def _heard(caplog):
    caplog.set_level(logging.INFO)


def test_a_library_that_names_itself_is_described_with_what_it_used(broker):
    broker.ask(named("kcat", "1.7"), 3)
    broker.ask(EVERYTHING, 4)
    broker.ask(EVERYTHING, 9)
    broker.ask(EVERYTHING, 4)
    [client] = describe([broker.context.client])
    assert client == {
        "host": "10.0.0.1",
        "port": 0,
        "client_id": "test",
        "software_name": "kcat",
        "software_version": "1.7",
        "connected_ms": broker.clock.wall_ms(),
        "apis": {"Metadata": [4, 9], "ApiVersions": [3]},
    }


def test_what_was_used_is_remembered_while_quotas_come_and_go(broker):
    broker.ask(EVERYTHING, 4)
    broker.context.measure(None)
    broker.ask(EVERYTHING, 9)
    assert describe([broker.context.client])[0]["apis"] == {"Metadata": [4, 9]}


def test_each_library_is_worth_one_line(broker, caplog):
    broker.ask(named("kcat", "1.7"), 3)
    broker.ask(named("kcat", "1.7"), 3)
    broker.ask(named("kcat", "1.8"), 3)
    assert lines(caplog) == [
        "First request from kcat 1.7 (client 'test')",
        "First request from kcat 1.8 (client 'test')",
    ]


def test_who_names_no_library_is_met_by_its_client_id_and_first_request(broker, caplog):
    broker.ask(MetadataRequest(topics=[]), 0)
    broker.ask(EVERYTHING, 1)
    broker.ask(ApiVersionsRequest(), 2)
    assert lines(caplog) == ["First request from client 'test', whose library does not name itself (Metadata v0)"]


def test_a_flood_of_names_fills_neither_the_log_nor_the_memory(broker, caplog):
    for number in range(MAXIMUM_REMEMBERED + 10):
        broker.context.client.software_name = f"library-{number}"
        broker.cluster.clients.meet(broker.context.client)
    assert len(lines(caplog)) == MAXIMUM_REMEMBERED


def test_the_oldest_connection_comes_first(broker):
    broker.clock.now += 5.0
    younger = broker.connect(host="10.0.0.2")
    assert [client["host"] for client in describe([younger.client, broker.context.client])] == ["10.0.0.1", "10.0.0.2"]
