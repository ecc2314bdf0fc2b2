"""Connections on the real loop: frames of every size and cut, order, waiting, endings, and nothing left behind."""

import logging
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest
import trio
import trio.testing

from ottla.broker.network.connection import MAXIMUM_BYTES_WITHOUT_RECORDS
from ottla.broker.network.poll_set import MAXIMUM_FOR_SELECT, AskedSet, EpollSet, PollSet, by_poll, by_select
from ottla.broker.network.transport import Transport, plain_transport
from ottla.broker.network.turn import BIG_BUFFER_BYTES, MAXIMUM_BIG_BUFFERS, RECEIVE_BYTES
from ottla.wire import frames
from ottla.wire.messages.core import MetadataRequest
from ottla.wire.messages.produce import ProduceRequest
from tests.stage.clients import batch_of, fetch_request, new_topic, produce
from tests.stage.sockets import Client, ScramblingClient, Served, any_request, serving, until
from tests.stage.transports import ScrambledTransport, copying_transport

ALL_TOPICS = MetadataRequest(topics=None)


class Platform(NamedTuple):
    """The system calls that the loop gets, and what stands between it and a socket."""

    new_poll_set: Callable[[], PollSet]
    make_transport: Callable[[socket.socket], Transport] = plain_transport
    client_class: type[Client] = Client


PLATFORMS = {
    "linux": Platform(EpollSet),
    "scrambled": Platform(EpollSet, ScrambledTransport, ScramblingClient),
    "poll": Platform(partial(AskedSet, by_poll)),
    "select": Platform(partial(AskedSet, by_select, most=MAXIMUM_FOR_SELECT), copying_transport),
}


@pytest.fixture(
    autouse=True,
    params=[
        pytest.param(each, id=name, marks=[] if name in {"linux", "scrambled"} else pytest.mark.slow)
        for name, each in PLATFORMS.items()
    ],
)
def platform(request, monkeypatch):
    """Everything here holds without ``epoll`` and ``sendfile``, and over another transport than plain TCP, too."""
    for name, value in request.param._asdict().items():
        monkeypatch.setattr(Served, name, value if isinstance(value, type) else staticmethod(value))
    return request.param


@pytest.fixture
def log(caplog):
    """The lines that say why connections were closed."""
    caplog.set_level(logging.DEBUG, logger="ottla.broker")
    return lambda: [record.getMessage() for record in caplog.records if "closed the connection" in record.getMessage()]


def waiting_fetch(correlation_id=7, max_wait_ms=30_000):
    request = fetch_request(("topic", 0, 0), max_wait_ms=max_wait_ms, min_bytes=1)
    return frames.encode_request(request, 12, correlation_id=correlation_id, client_id="test")


def watchers(broker):
    return len(broker.cluster.topics.partition("topic", 0).watchers)


def is_sending(served):
    return any(connection.sending for connection in served.loop.connections.values())


# --- frames


@pytest.mark.parametrize(
    "size",
    [
        10,
        *range(RECEIVE_BYTES - 6, RECEIVE_BYTES + 3),
        2 * RECEIVE_BYTES - 4,
        2 * RECEIVE_BYTES,
        BIG_BUFFER_BYTES - 4,
        BIG_BUFFER_BYTES,
        BIG_BUFFER_BYTES + 1,
        5 * BIG_BUFFER_BYTES,
    ],
)
def test_a_frame_of_any_size_is_answered_and_so_is_the_next_one(broker, size):
    async def talk(served):
        client = served.connect()
        await client.send(any_request(size, 1) + any_request(10, 2) + any_request(size, 3) + any_request(10, 4))
        assert await client.correlation_ids(4) == [1, 2, 3, 4]

    serving(broker, talk)


@pytest.mark.parametrize("first", [10, RECEIVE_BYTES - 20, RECEIVE_BYTES - 14, RECEIVE_BYTES - 10])
def test_a_frame_may_be_cut_anywhere(broker, first):
    async def talk(served):
        client = served.connect()
        data = any_request(first, 1) + any_request(30, 2) + any_request(RECEIVE_BYTES + 100, 3) + any_request(12, 4)
        cuts = {first + 4 + offset for offset in range(-2, 50)} | {1, 3, 4, 5, len(data) - 1}
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
            await client.send(data[start:end])
            await trio.testing.wait_all_tasks_blocked(0.0005)
        assert await client.correlation_ids(4) == [1, 2, 3, 4]

    serving(broker, talk)


def test_a_frame_may_come_byte_by_byte(broker):
    async def talk(served):
        client = served.connect()
        for byte in any_request(40, 1) + any_request(11, 2):
            await client.send(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked(0.0005)
        assert await client.correlation_ids(2) == [1, 2]

    serving(broker, talk)


def test_many_requests_at_once_are_answered_in_their_order(broker):
    async def talk(served):
        client = served.connect()
        await client.send(any_request(10, 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, b"".join(any_request(10 + each % 50, each) for each in range(1, 5000)))
            assert await client.correlation_ids(5000) == list(range(5000))

    serving(broker, talk)


def test_clients_take_turns(broker):
    async def talk(served):
        greedy, modest = served.connect(), served.connect()
        await greedy.send(b"".join(any_request(10, each) for each in range(2000)))
        await modest.send(any_request(10, 1))
        assert await modest.correlation_ids(1) == [1]
        assert await greedy.correlation_ids(2000) == list(range(2000))

    serving(broker, talk)


@pytest.mark.parametrize("size", [-1, -(2**31), 2**31 - 1, (10 << 20) + 1])
def test_an_impossible_size_closes_the_connection_with_a_line_in_the_log(broker, log, size):
    async def talk(served):
        client = served.connect()
        await client.send(any_request(10) + struct.pack(">i", size))
        assert await client.correlation_ids(1) == [7]
        assert await client.ended()

    serving(broker, talk)
    assert log() == [
        f"closed the connection of 10.0.0.1: a frame of {size} bytes (socket.request.max.bytes is {10 << 20})"
    ]


def test_an_empty_frame_closes_the_connection(broker, log):
    async def talk(served):
        client = served.connect()
        await client.send(bytes(4))
        assert await client.ended()

    serving(broker, talk)
    assert log() == ["closed the connection of 10.0.0.1: a request of 0 bytes has no whole header"]


def test_only_records_come_by_many_megabytes(broker, log):
    size = MAXIMUM_BYTES_WITHOUT_RECORDS + 100

    async def talk(served):
        client = served.connect()
        with pytest.raises(trio.BrokenResourceError):
            await client.send(any_request(size))

    serving(broker, talk)
    [line] = log()
    assert line.endswith(f"a request of {size + 4} bytes, and not for records")


@pytest.mark.parametrize("size", [BIG_BUFFER_BYTES - 200, 9 * BIG_BUFFER_BYTES])
def test_records_may_come_by_many_megabytes(broker, size):
    new_topic(broker, max_message_bytes=str(10 << 20))
    data = ProduceRequest.Topic.Partition(index=0, records=batch_of([b"x" * size]))
    topic = ProduceRequest.Topic(name="topic", partition_data=[data])

    async def talk(served):
        response = await served.connect().ask(ProduceRequest(acks=1, timeout_ms=0, topic_data=[topic]), 9)
        assert response.responses[0].partition_responses[0].error_code == 0

    serving(broker, talk)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP"),
        (b"POST /topics HTTP/1.1\r\n", "HTTP"),
    ],
)
def test_other_protocols_are_named_in_the_log(broker, log, said, meant):
    async def talk(served):
        client = served.connect()
        await client.send(said)
        assert await client.ended()

    serving(broker, talk)
    [line] = log()
    assert f"these bytes look like {meant}" in line


def test_a_clients_name_cannot_write_lines_into_the_log(broker, log):
    async def talk(served):
        client = served.connect()
        name = b"evil\n2026 ERROR all is lost" + b"!" * 1000
        await client.send(struct.pack(">ihhih", 10 + len(name), 18, 0, 7, len(name)) + name + struct.pack(">i", -1))
        assert await client.ended() is False
        await client.answer()
        assert await client.ended()

    serving(broker, talk)
    [line] = log()
    assert "\n" not in line
    assert len(line) < 300


# --- one after the other


def test_nothing_is_answered_before_what_was_asked_earlier(broker):
    new_topic(broker)

    async def talk(served):
        client = served.connect()
        await client.send(waiting_fetch(1) + any_request(10, 2) + any_request(10, 3))
        await until(lambda: watchers(broker) == 1)
        broker.append("topic", 1)
        assert await client.correlation_ids(3) == [1, 2, 3]

    serving(broker, talk)


def test_what_comes_while_a_request_waits_is_answered_after_it(broker):
    new_topic(broker)

    async def talk(served):
        client = served.connect()
        await client.send(waiting_fetch(1))
        await until(lambda: watchers(broker) == 1)
        await client.send(any_request(RECEIVE_BYTES + 5, 2) + any_request(10, 3)[:7])
        await trio.testing.wait_all_tasks_blocked(0.01)
        broker.append("topic", 1)
        await client.send(any_request(10, 3)[7:])
        assert await client.correlation_ids(3) == [1, 2, 3]

    serving(broker, talk)


def test_an_append_wakes_those_who_wait_in_the_same_pass(broker):
    new_topic(broker)

    async def talk(served):
        consumers = [served.connect() for _ in range(20)]
        for consumer in consumers:
            await consumer.send(waiting_fetch())
        await until(lambda: watchers(broker) == 20)
        produce(broker)
        for consumer in consumers:
            assert await consumer.correlation_ids(1) == [7]

    serving(broker, talk)
    assert watchers(broker) == 0


def test_the_answer_of_a_timer_is_sent(broker):
    new_topic(broker)

    async def talk(served):
        client = served.connect()
        await client.send(waiting_fetch(max_wait_ms=500) + any_request(10, 2))
        await until(lambda: watchers(broker) == 1)
        await served.move(0.5)
        assert await client.correlation_ids(2) == [7, 2]

    serving(broker, talk)


# --- endings


def test_a_client_that_closes_is_no_news(broker, log):
    async def talk(served):
        client = served.connect()
        await client.send(any_request(10))
        await client.answer()
        await client.stream.aclose()
        await until(lambda: not served.loop.connections)

    serving(broker, talk)
    assert log() == ["closed the connection of 10.0.0.1: the client closed it"]


@pytest.mark.parametrize("sent", [1, 3, 4, 9, RECEIVE_BYTES - 1, RECEIVE_BYTES + 50, BIG_BUFFER_BYTES + 50])
def test_a_client_that_vanishes_in_the_middle_of_a_request_is_one_line(broker, log, sent):
    async def talk(served):
        client = served.connect()
        await client.send(any_request(2 * BIG_BUFFER_BYTES)[:sent])
        await client.stream.aclose()
        await until(lambda: not served.loop.connections)

    serving(broker, talk)
    assert log() == ["closed the connection of 10.0.0.1: the client went away in the middle of a request"]


def test_who_has_said_everything_still_hears_the_answers(broker):
    async def talk(served):
        client = served.connect()
        await client.send(b"".join(any_request(10, each) for each in range(10)))
        await client.stream.send_eof()
        assert await client.correlation_ids(10) == list(range(10))
        assert await client.ended()

    serving(broker, talk)


@pytest.mark.parametrize("more", [b"", any_request(10), any_request(10)[:5]])
def test_a_client_that_vanishes_while_its_fetch_waits_leaves_nothing_behind(broker, log, more):
    new_topic(broker)

    async def talk(served):
        client = served.connect()
        await client.send(waiting_fetch() + more)
        await until(lambda: watchers(broker) == 1)
        await client.stream.aclose()
        await until(lambda: not served.loop.connections)

    serving(broker, talk)
    assert watchers(broker) == 0
    assert log() == [
        "closed the connection of 10.0.0.1 ('test'): the client went away while its Fetch waited for an answer"
    ]


def test_answers_for_a_closed_connection_are_dropped(broker):
    new_topic(broker)

    async def talk(served):
        client = served.connect()
        await client.send(waiting_fetch())
        await until(lambda: watchers(broker) == 1)
        [connection] = served.loop.connections.values()
        watching = list(broker.cluster.topics.partition("topic", 0).watchers)
        connection.close("a test wants it so")
        assert await client.ended()
        for each in watching:
            each.on_growth(100)

    serving(broker, talk)


# --- large answers


@pytest.fixture
def large_topic(broker):
    """A topic with three batches of 2 MB, which are answered out of the file."""
    new_topic(broker, max_message_bytes=str(4 << 20))
    for letter in b"abc":
        produce(broker, batch_of([bytes([letter]) * (2 << 20)]))
    return broker


FETCH_ALL = fetch_request(("topic", 0, 0, 1 << 30), max_bytes=1 << 30)


def test_a_large_answer_comes_whole_to_a_slow_reader_and_then_the_next(large_topic):
    async def talk(served):
        client = served.connect(buffer_bytes=4096)
        await client.send(frames.encode_request(FETCH_ALL, 12, correlation_id=1, client_id=None) + any_request(10, 2))
        answer = await client.answer()
        assert len(answer) > 6 << 20
        assert [answer.count(letter) >= 2 << 20 for letter in (b"a", b"b", b"c")] == [True] * 3
        assert await client.correlation_ids(1) == [2]

    serving(large_topic, talk)


def test_a_client_that_vanishes_in_the_middle_of_an_answer_releases_the_file(large_topic, log):
    async def talk(served):
        client = served.connect(buffer_bytes=4096)
        await client.send(frames.encode_request(FETCH_ALL, 12, correlation_id=1, client_id=None))
        await client.read(100_000)
        await client.stream.aclose()
        await until(lambda: not served.loop.connections)

    serving(large_topic, talk)
    [line] = log()
    assert "closed the connection of 10.0.0.1" in line


def test_who_asks_much_and_reads_nothing_costs_one_answer(large_topic):
    async def talk(served):
        client = served.connect(buffer_bytes=4096)
        fetches = frames.encode_request(FETCH_ALL, 12, correlation_id=1, client_id=None) * 100
        await client.send(fetches)
        await until(lambda: is_sending(served))
        other = served.connect()
        await other.send(any_request(10))
        assert await other.correlation_ids(1) == [7]

    serving(large_topic, talk)


# --- idleness, limits, the end


def test_idle_connections_are_closed_and_waiting_ones_are_not(broker, log):
    new_topic(broker)

    async def talk(served):
        idle, busy = served.connect(), served.connect()
        await busy.send(waiting_fetch())
        await until(lambda: watchers(broker) == 1)
        await served.skip(601)
        await served.in_pass(served.loop.close_idle)
        assert await idle.ended()
        assert len(served.loop.connections) == 1
        broker.append("topic", 1)
        assert await busy.correlation_ids(1) == [7]
        served.loop.close_idle()
        assert len(served.loop.connections) == 1

    serving(broker, talk)
    assert log()[0] == "closed the connection of 10.0.0.1: idle for 600 s"


def test_who_takes_nothing_of_an_answer_for_long_is_closed_too(large_topic):
    async def talk(served):
        client = served.connect(buffer_bytes=4096)
        await client.send(frames.encode_request(FETCH_ALL, 12, correlation_id=1, client_id=None))
        await until(lambda: is_sending(served))
        await served.skip(601)
        await served.in_pass(served.loop.close_idle)
        assert not served.loop.connections

    serving(large_topic, talk)


def test_sizes_that_are_only_claimed_cost_little(broker):
    async def talk(served):
        clients = [served.connect() for _ in range(100)]
        for client in clients:
            await client.send(struct.pack(">ihhih", 9 << 20, 0, 9, 1, -1))
        await until(lambda: all(each._frame for each in served.loop.connections.values()))
        held = sum(len(each._frame or b"") for each in served.loop.connections.values())
        assert held <= MAXIMUM_BIG_BUFFERS * BIG_BUFFER_BYTES + 100 * 2 * RECEIVE_BYTES
        for client in clients:
            await client.stream.aclose()
        await until(lambda: not served.loop.connections)
        assert sum(map(len, served.loop.turn.spare_buffers)) <= MAXIMUM_BIG_BUFFERS * BIG_BUFFER_BYTES

    serving(broker, talk)


def test_a_stop_finishes_what_is_being_sent_and_gives_up_what_waits(large_topic):
    new_topic(large_topic, "quiet")

    async def talk(served):
        reader, waiter, idle = served.connect(buffer_bytes=4096), served.connect(), served.connect()
        await reader.send(frames.encode_request(FETCH_ALL, 12, correlation_id=1, client_id=None))
        request = fetch_request(("quiet", 0, 0), max_wait_ms=30_000, min_bytes=1)
        await waiter.send(frames.encode_request(request, 12, correlation_id=1, client_id=None))
        await until(lambda: is_sending(served) and large_topic.cluster.topics.partition("quiet", 0).watchers)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.loop.drain)
            assert await waiter.ended()
            assert await idle.ended()
            assert len(await reader.answer()) > 6 << 20
            assert await reader.ended()
        assert not served.loop.connections

    serving(large_topic, talk)
    assert not large_topic.cluster.topics.partition("quiet", 0).watchers


def test_a_stop_with_nobody_there_is_immediate(broker):
    async def talk(served):
        with trio.CancelScope() as scope:
            scope.cancel()  # Whatever waits from here on is cut short.
            await served.loop.drain()
        assert not scope.cancelled_caught, "it waited"
        assert served.loop.turn.draining

    serving(broker, talk)


def test_a_request_after_a_bad_one_is_not_answered(broker, log):
    async def talk(served):
        client = served.connect()
        await client.send(any_request(10, 1) + struct.pack(">ihhih", 10, 999, 0, 2, -1) + any_request(10, 3))
        assert await client.correlation_ids(1) == [1]
        assert await client.ended()

    serving(broker, talk)
    assert log() == ["closed the connection of 10.0.0.1: API 999 is not served"]


def test_metadata_comes_over_a_socket_as_it_is(broker):
    new_topic(broker)

    async def talk(served):
        response = await served.connect().ask(ALL_TOPICS, 12)
        assert [topic.name for topic in response.topics] == ["topic"]

    serving(broker, talk)
