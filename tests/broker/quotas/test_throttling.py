"""Quotas of changes to topics and of new connections, with the answers that Apache 4.3.1 gave."""

import socket

import pytest
import trio

from ottla.broker.network.acceptor import Acceptor
from ottla.broker.quotas.rates import TokenBucket
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.core import ApiVersionsRequest, MetadataRequest
from ottla.wire.messages.quotas import AlterClientQuotasRequest
from ottla.wire.messages.topics import CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest
from tests.stage.sockets import Client, serving

NONE = ErrorCode.NONE
UNKNOWN = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
EXCEEDED = ErrorCode.THROTTLING_QUOTA_EXCEEDED
RATE = 0.5
BURST = 11 * RATE


def set_quota(broker, entity_type, name, key, value):
    Entry = AlterClientQuotasRequest.Entry  # noqa: N806
    entry = Entry(
        entity=[Entry.Entity(entity_type=entity_type, entity_name=name)],
        ops=[Entry.Op(key=key, value=value or 0.0, remove=value is None)],
    )
    answer = broker.ask(AlterClientQuotasRequest(entries=[entry], validate_only=False), 1)
    assert answer.entries[0].error_code == NONE


def create(broker, name, partitions=1, *, version=7, validate_only=False):
    """The error code and the throttle time."""
    topic = CreateTopicsRequest.Topic(
        name=name, num_partitions=partitions, replication_factor=1, assignments=[], configs=[]
    )
    answer = broker.begin(CreateTopicsRequest(topics=[topic], validate_only=validate_only), version).response()
    return answer.topics[0].error_code, answer.throttle_time_ms


def grow(broker, name, count, *, version=3):
    topic = CreatePartitionsRequest.Topic(name=name, count=count, assignments=None)
    request = CreatePartitionsRequest(topics=[topic], timeout_ms=1000, validate_only=False)
    answer = broker.begin(request, version).response()
    return answer.results[0].error_code, answer.throttle_time_ms


def delete(broker, name, *, version=6):
    topic = DeleteTopicsRequest.Topic(name=name, topic_id=bytes(16))
    request = DeleteTopicsRequest(topics=[topic], topic_names=[name], timeout_ms=1000)
    answer = broker.begin(request, version).response()
    return answer.responses[0].error_code, answer.throttle_time_ms


@pytest.fixture
def throttled(broker):
    """A client that has just made eight partitions, more than its quota gives."""
    set_quota(broker, "user", "ANONYMOUS", "controller_mutation_rate", RATE)
    assert create(broker, "t", 8) == (NONE, 0)
    return broker


DEBT_MS = round((8 - BURST) / RATE * 1000)


def test_who_made_too_much_is_refused_until_the_debt_is_paid(throttled):
    assert create(throttled, "u") == (EXCEEDED, DEBT_MS)
    assert grow(throttled, "t", 9) == (EXCEEDED, DEBT_MS)
    assert delete(throttled, "t") == (EXCEEDED, DEBT_MS)
    throttled.clock.now += DEBT_MS / 1000
    assert create(throttled, "u") == (NONE, 0)
    assert set(throttled.cluster.topics.by_name) == {"t", "u"}


def test_what_is_refused_costs_nothing(throttled):
    for _ in range(5):
        assert create(throttled, "u", 100) == (EXCEEDED, DEBT_MS)


def test_what_is_only_tried_out_costs_the_same(broker):
    set_quota(broker, "user", "ANONYMOUS", "controller_mutation_rate", RATE)
    assert create(broker, "t", 8, validate_only=True) == (NONE, 0)
    assert create(broker, "t", validate_only=True) == (EXCEEDED, DEBT_MS)


def test_what_could_not_be_done_anyhow_is_told_first(throttled):
    assert create(throttled, "t") == (ErrorCode.TOPIC_ALREADY_EXISTS, 0)
    assert create(throttled, "not a name!") == (ErrorCode.INVALID_TOPIC_EXCEPTION, 0)
    assert grow(throttled, "t", 2) == (ErrorCode.INVALID_PARTITIONS, 0)
    assert delete(throttled, "unknown") == (UNKNOWN, 0)


def test_clients_that_do_not_know_the_code_are_slowed_down(throttled):
    assert create(throttled, "u", version=5) == (NONE, DEBT_MS + 2000)
    assert grow(throttled, "u", 2, version=2) == (NONE, DEBT_MS + 4000)
    assert delete(throttled, "t", version=4) == (NONE, DEBT_MS + 20_000)


def test_topics_are_not_made_on_demand_either(throttled):
    request = MetadataRequest(topics=[MetadataRequest.Topic(name="u")])
    for _ in range(2):
        answer = throttled.ask(request, 12)
        assert (answer.topics[0].error_code, answer.throttle_time_ms) == (UNKNOWN, 0)
    throttled.clock.now += DEBT_MS / 1000
    answer = throttled.ask(request, 12)
    assert (answer.topics[0].error_code, answer.throttle_time_ms) == (NONE, 0)


def test_others_have_quotas_of_their_own(throttled):
    set_quota(throttled, "user", "ANONYMOUS", "controller_mutation_rate", None)
    set_quota(throttled, "client-id", "somebody", "controller_mutation_rate", RATE)
    assert create(throttled, "u", 50) == (NONE, 0)
    assert create(throttled, "v", 50) == (NONE, 0)


def test_a_bucket_is_full_at_first_and_again_after_a_while():
    bucket = TokenBucket(burst_s=11)
    bucket.take(10, 2.0, 100.0)
    assert (bucket.tokens(2.0, 100.0), bucket.wait_ms(2.0, 100.0)) == (12.0, 0)
    bucket.take(16, 2.0, 100.0)
    assert bucket.wait_ms(2.0, 101.5) == 500
    assert not bucket.is_full(2.0, 112.9)
    assert bucket.is_full(2.0, 113.0)
    assert bucket.tokens(2.0, 200.0) == 22.0


async def connected(address):
    sock = trio.socket.socket()
    await sock.connect(address)
    return Client(trio.SocketStream(sock))


def listening(broker, talk):
    """Run ``talk`` with a way to connect, and with what is served."""

    async def main(served):
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        acceptor = Acceptor(
            sock,
            served.loop,
            lambda host: broker.connect(host=host),
        )
        acceptor.start()
        address = sock.getsockname()

        async def connect():
            client = await connected(address)
            served.clients.append(client)
            return client

        try:
            await talk(connect, served)
        finally:
            acceptor.stop()

    serving(broker, main)


async def is_served(client):
    return len((await client.ask(ApiVersionsRequest(), 0)).api_keys) > 0


def test_an_address_that_connects_too_often_is_held_and_turned_away(broker):
    set_quota(broker, "ip", "127.0.0.1", "connection_creation_rate", 1.0)

    async def talk(connect, served):
        for _ in range(10):  # so many are within the rate over the windows of quota.window.num
            assert await is_served(await connect())
        over = await connect()
        await over.send(b"\0\0\0\x0a\0\x12\0\0\0\0\0\x07\xff\xff")
        with trio.move_on_after(0.05) as silence:
            await over.read(1)
        assert silence.cancelled_caught
        assert len(served.loop.connections) == 10
        await served.skip(1.0)
        assert await over.ended()
        await served.move(12.0)
        assert await is_served(await connect())

    listening(broker, talk)


@pytest.mark.parametrize(("name", "held"), [("127.0.0.1", True), (None, True), ("10.9.9.9", False), ("::1", False)])
def test_the_rate_is_that_of_the_address_or_else_of_all(broker, name, held):
    set_quota(broker, "ip", name, "connection_creation_rate", 1.0)
    throttling = broker.cluster.throttling
    assert [throttling.hold_newcomer_s("127.0.0.1") for _ in range(10)] == [0.0] * 10
    assert throttling.hold_newcomer_s("127.0.0.1") == (1.0 if held else 0.0)


def test_an_address_has_one_name_in_whatever_way_it_is_written(broker):
    set_quota(broker, "ip", "0:0:0:0:0:0:0:1", "connection_creation_rate", 7.0)
    assert broker.cluster.quotas.connections_per_second("::1") == 7.0
    set_quota(broker, "ip", "0:0:0:0:0:0:0:1", "connection_creation_rate", None)
    assert broker.cluster.quotas.connections_per_second("::1") is None
