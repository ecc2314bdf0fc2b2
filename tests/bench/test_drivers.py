"""The request driver against the server that only answers, and against a broker that tells who is connected."""

import shutil

import pytest

from bench import clients
from bench.brokers import Address
from ottla.control_channel import ask
from ottla.testing import Ottla

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="the drivers are compiled where they run")


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "connections"), [("produce", 1), ("produce", 16), ("metadata", 4)])
def test_each_connection_gets_checked_answers(mode: str, connections: int) -> None:
    with clients.null_broker() as address:
        figures = clients.run_requests(mode, address, "topic", connections=connections, seconds=0.2)
    assert figures["errors"] == 0
    assert figures["requests"] > connections
    assert 0 < figures["p50_us"] <= figures["p99_us"]


def test_more_connections_than_partitions_are_refused() -> None:
    with clients.null_broker() as address, pytest.raises(clients.ToolError, match="fewer partitions"):
        clients.run_requests("produce", address, "topic", connections=65, seconds=0.1)


def test_idle_connections_are_held_and_let_go() -> None:
    with Ottla() as broker:
        address = Address(broker.host, broker.port)
        clients.create_topic(address, "topic", 1)
        with clients.idle_connections(address, "topic", 100):
            connected = ask(broker.data_dir, "clients")
            assert [sorted(each["apis"]) for each in connected] == [["ApiVersions", "Metadata"]] * 100
        for _ in range(1000):  # The broker notices within a pass or two.
            if not ask(broker.data_dir, "clients"):
                break
        else:
            pytest.fail("the connections are still open")


def test_a_broker_that_closes_is_an_error() -> None:
    with clients.null_broker() as address:
        pass
    with pytest.raises(clients.ToolError, match="cannot connect"):
        clients.run_requests("produce", address, "topic", connections=1, seconds=0.1)
