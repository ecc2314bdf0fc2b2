"""The sockets of a node: which ports they get, what clients are told, and closing and opening them again."""

import socket
from contextlib import ExitStack, closing

import pytest
import trio

from ottla.broker.network.endpoints import Endpoints, open_endpoints
from ottla.broker.settings.addresses import Address, Listener
from ottla.broker.user_errors import StartError
from tests.stage.sockets import Client, any_request, serving

LOCAL = "127.0.0.1"
ANY_PORT = Listener(Address(LOCAL, 0))
NOWHERE = Address("192.0.2.1", 0)
"""An address that is kept for documents: no machine has it."""


@pytest.fixture
def opened():
    """Closes what a test opens."""
    with ExitStack() as stack:
        yield lambda endpoints: stack.enter_context(closing(endpoints))


@pytest.fixture
def taken():
    """A port that somebody else has."""
    with socket.create_server((LOCAL, 0)) as sock:
        yield sock.getsockname()[1]


def test_a_free_port_is_settled_when_it_is_opened(opened):
    endpoints = opened(Endpoints([ANY_PORT], None))
    (address,) = endpoints.listening
    assert address.port > 0
    assert endpoints.advertised == address


def test_listeners_that_ask_for_a_free_port_share_one(opened):
    endpoints = opened(Endpoints([ANY_PORT, Listener(Address("127.0.0.2", 0))], None))
    first, second = endpoints.listening
    assert (first.host, second.host) == (LOCAL, "127.0.0.2")
    assert first.port == second.port


def test_clients_are_told_what_a_person_chose(opened):
    endpoints = opened(Endpoints([ANY_PORT], Address("broker.example", 0)))
    assert endpoints.advertised == Address("broker.example", endpoints.listening[0].port)


def test_an_optional_address_that_the_machine_does_not_have_is_left_out(opened):
    endpoints = opened(Endpoints([ANY_PORT, Listener(NOWHERE, optional=True)], None))
    assert [address.host for address in endpoints.listening] == [LOCAL]


def test_any_other_address_that_the_machine_does_not_have_is_told(opened):
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1:0"):
        opened(Endpoints([ANY_PORT, Listener(NOWHERE)], None))


@pytest.mark.parametrize("optional", [False, True])
def test_a_port_that_somebody_has_is_told_with_what_to_do(opened, taken, optional):
    with pytest.raises(StartError, match=f"port {taken} of 127.0.0.1 is in use: another broker may be running; "):
        opened(Endpoints([Listener(Address(LOCAL, taken), optional=optional)], None))


def test_every_node_has_endpoints_of_its_own(opened):
    nodes = [opened(each) for each in open_endpoints([ANY_PORT], Address("broker.example", 1000), nodes=3)]
    assert len({each.listening[0].port for each in nodes}) == 3
    assert [each.advertised.port for each in nodes] == [1000, 1001, 1002]


def test_nodes_that_are_told_no_port_tell_the_one_they_listen_on(opened):
    nodes = [opened(each) for each in open_endpoints([ANY_PORT], Address("broker.example", 0), nodes=2)]
    assert [each.advertised.port for each in nodes] == [each.listening[0].port for each in nodes]


def test_where_one_node_cannot_listen_none_does(taken):
    with socket.create_server((LOCAL, 0)) as sock:
        free = sock.getsockname()[1]
    with pytest.raises(StartError, match="in use"):
        open_endpoints([Listener(Address(LOCAL, free), more_ports=(taken,))], None, nodes=2)
    with socket.create_server((LOCAL, free)):
        pass


def test_closed_endpoints_refuse_and_open_again_on_the_same_port(broker):
    endpoints = Endpoints([ANY_PORT], None)
    address = endpoints.listening[0]
    asked = []

    def make_context(listener, host):
        asked.append((listener, host))
        return broker.connect(host=host)

    async def connect(served):
        served.clients.append(Client(await trio.open_tcp_stream(address.host, address.port)))
        return served.clients[-1]

    async def is_served(served):
        client = await connect(served)
        await client.send(any_request(10, 3))
        return await client.correlation_ids(1) == [3]

    async def talk(served):
        await served.in_pass(lambda: endpoints.listen(served.loop, make_context))
        assert await is_served(served)
        await served.in_pass(endpoints.close)
        await served.in_pass(endpoints.close)
        with pytest.raises(OSError, match="failed"):
            await connect(served)
        endpoints.open()
        endpoints.open()
        await served.in_pass(lambda: endpoints.listen(served.loop, make_context))
        assert await is_served(served)
        await served.in_pass(endpoints.close)

    serving(broker, talk)
    assert asked == [(0, LOCAL)] * 2
    endpoints.close()


def test_a_node_does_not_come_back_where_somebody_has_its_port_by_now():
    endpoints = Endpoints([ANY_PORT], None)
    port = endpoints.listening[0].port
    endpoints.close()
    with socket.create_server((LOCAL, port)), pytest.raises(StartError, match=f"port {port} of 127.0.0.1 is in use"):
        endpoints.open()
