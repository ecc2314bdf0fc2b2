"""Who comes to a listening socket: accepted, left in the backlog for a while, or held and turned away."""

import errno
import logging
import socket

import pytest
import trio

from ottla.broker.network.acceptor import ACCEPT_PAUSE_S, PAUSE_LOG_INTERVAL_S, Acceptor
from ottla.broker.network.transport import plain_transport
from tests.stage.sockets import Client, ScramblingClient, any_request, serving, until
from tests.stage.transports import ScrambledTransport


class Refusing:
    """A listening socket whose ``accept`` fails as often as it is told."""

    def __init__(self, sock):
        self._sock = sock
        self.errors = []

    def accept(self):
        if self.errors:
            raise OSError(self.errors.pop(0), "no")
        return self._sock.accept()

    def __getattr__(self, name):
        return getattr(self._sock, name)


class Door:
    """An acceptor in a loop, and clients that come to it."""

    def __init__(self, broker, served, make_transport):
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        self.sock = Refusing(sock)
        self.served = served
        self.address = sock.getsockname()
        self.contexts = []

        def make_context(host):
            self.contexts.append(broker.connect(host=host))
            return self.contexts[-1]

        self.acceptor = Acceptor(self.sock, served.loop, make_context, make_transport)

    async def connect(self, kind=Client):
        self.served.clients.append(kind(await trio.open_tcp_stream(*self.address)))
        return self.served.clients[-1]


def at_the_door(broker, talk, *, make_transport=plain_transport, **options):
    async def main(served):
        door = Door(broker, served, make_transport)
        await served.in_pass(door.acceptor.start)
        await talk(door, served)
        if door.sock.fileno() >= 0:
            await served.in_pass(door.acceptor.stop)

    serving(broker, main, stopwatch_runs=False, **options)


async def is_served(client):
    await client.send(any_request(10, 5))
    return await client.correlation_ids(1) == [5]


async def is_left_waiting(door, client):
    """Whether the client is not accepted in the passes that come next."""
    before = len(door.contexts)
    await client.send(any_request(10, 5))
    for _ in range(3):
        await door.served.in_pass(lambda: None)
    return len(door.contexts) == before


@pytest.fixture
def pauses(caplog):
    caplog.set_level(logging.WARNING, logger="ottla.broker.network.acceptor")
    return lambda: [record.getMessage() for record in caplog.records]


def test_whoever_comes_is_served_and_known_by_its_address(broker):
    async def talk(door, _served):
        client = await door.connect()
        assert await is_served(client)
        (context,) = door.contexts
        assert (context.client.host, context.client.port) == client.stream.socket.getsockname()

    at_the_door(broker, talk)


def test_a_listener_may_have_another_transport(broker):
    async def talk(door, _served):
        assert await is_served(await door.connect(ScramblingClient))

    at_the_door(broker, talk, make_transport=ScrambledTransport)


def test_beyond_the_most_connections_clients_wait_until_one_goes(broker, pauses):
    async def talk(door, served):
        first = await door.connect()
        assert await is_served(first)
        second = await door.connect()
        assert await is_left_waiting(door, second)
        assert len(served.loop.connections) == 1
        await first.stream.aclose()
        await until(lambda: not served.loop.connections)
        await served.skip(ACCEPT_PAUSE_S)
        assert await second.correlation_ids(1) == [5]

    at_the_door(broker, talk, max_connections=1)
    assert pauses() == ["no more connections are accepted for now: 1 connections are open, as many as may be"]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_without_descriptors_or_memory_clients_wait_for_a_moment(broker, pauses, number):
    async def talk(door, served):
        door.sock.errors.append(number)
        client = await door.connect()
        assert await is_left_waiting(door, client)
        await served.skip(ACCEPT_PAUSE_S)
        assert await client.correlation_ids(1) == [5]

    at_the_door(broker, talk)
    assert pauses() == ["no more connections are accepted for now: no"]


def test_a_client_that_is_gone_before_it_is_accepted_is_no_reason_to_pause(broker, pauses):
    async def talk(door, _served):
        door.sock.errors.append(errno.ECONNABORTED)
        assert await is_served(await door.connect())

    at_the_door(broker, talk)
    assert pauses() == []


def test_a_pause_that_goes_on_is_told_now_and_then(broker, pauses):
    async def talk(door, served):
        door.sock.errors += [errno.EMFILE] * 3
        client = await door.connect()
        for left in (1, 0):
            await until(lambda left=left: len(door.sock.errors) <= left + 1)
            await served.skip(ACCEPT_PAUSE_S if left else PAUSE_LOG_INTERVAL_S)
        await served.skip(ACCEPT_PAUSE_S)
        await until(lambda: not door.sock.errors)
        await served.skip(ACCEPT_PAUSE_S)
        assert await is_served(client)

    at_the_door(broker, talk)
    assert len(pauses()) == 2


def test_after_a_stop_nobody_is_accepted_and_a_pause_ends_without_harm(broker):
    async def talk(door, served):
        door.sock.errors.append(errno.EMFILE)
        client = await door.connect()
        assert await is_left_waiting(door, client)
        await served.in_pass(door.acceptor.stop)
        await served.skip(ACCEPT_PAUSE_S)
        assert await client.ended()
        with pytest.raises(OSError, match="failed"):
            await door.connect()
        assert not served.loop.connections

    at_the_door(broker, talk)
