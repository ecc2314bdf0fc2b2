"""A client's facts belong to its connection, and follow what its requests say."""

from ottla.broker.monitoring.client import Client
from ottla.wire.codes import ApiKey
from ottla.wire.messages.core import ApiVersionsRequest, MetadataRequest


def test_a_client_that_said_nothing_has_neither_id_nor_library():
    client = Client("10.0.0.1", 4711, connected_ms=5)
    assert (client.host, client.port, client.connected_ms) == ("10.0.0.1", 4711, 5)
    assert (client.id, client.software_name, client.software_version) == (None, "", "")
    assert client.apis_in_use == set()


def test_each_connection_is_a_client_of_its_own(broker):
    other = broker.connect(host="10.0.0.2").client
    broker.ask(ApiVersionsRequest(client_software_name="kcat", client_software_version="1.7"), 3)
    assert broker.context.client.software_name == "kcat"
    assert (other.id, other.software_name, other.apis_in_use) == (None, "", set())


def test_a_client_is_there_since_the_time_of_its_connection(broker):
    broker.clock.now += 5.0
    assert broker.connect().client.connected_ms == broker.context.client.connected_ms + 5000


def test_each_version_that_a_client_asks_for_counts_once(broker):
    for version in (4, 9, 4):
        broker.ask(MetadataRequest(topics=None), version)
    assert broker.context.client.apis_in_use == {ApiKey.METADATA << 16 | 4, ApiKey.METADATA << 16 | 9}
