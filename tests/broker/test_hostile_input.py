"""Hostile input: the broker lives, its memory stays bounded, others notice nothing, each end is one log line.

A stock client works beside every attack. Each attack opens connections of its own, and leaves.
"""

import random
import re
import resource
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ottla.broker.apis import APIS
from ottla.testing import Ottla
from ottla.wire.messages.core import MetadataRequest
from ottla.wire.messages.groups import JoinGroupRequest
from ottla.wire.messages.produce import ProduceRequest
from tests.stage.clients import batch_of, fetch_request
from tests.stage.healthy import NAME, HealthyClient
from tests.stage.raw import RawClient, talking
from tests.stage.sockets import any_request

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc and sets another process's limits")

GOLDEN = [
    bytes.fromhex("".join(path.read_text().splitlines()[1:]))[4:]
    for path in sorted((Path(__file__).parents[1] / "wire" / "golden").glob("*/*-request-*.hex"))
]
MB = 1 << 20
OBSERVER = "observer"
SEED = 20_260_101
ALL_TOPICS = MetadataRequest(topics=None)


class LoudOttla(Ottla):
    """A broker that also says why ordinary connections end."""

    def _command(self) -> list[str]:
        return [*super()._command(), "--log-level", "debug"]

    def ends(self) -> list[str]:
        """Why the connections of strangers were closed."""
        found = re.findall(r"closed the connection of 127\.0\.0\.1(?: \((.*?)\))?: (.*)", self.log)
        return [why for who, why in found if who not in {repr(NAME), repr(OBSERVER)}]

    def memory(self) -> int:
        """Bytes of real memory that the broker has."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found
        return int(found[1]) * 1024

    def settle(self) -> None:
        """Return when the broker has seen everything that was done to it before."""
        with RawClient(self, name=OBSERVER) as client:
            for _ in range(3):
                client.ask(ALL_TOPICS, 1)


@pytest.fixture(scope="module")
def broker() -> Iterator[LoudOttla]:
    with LoudOttla() as broker:
        yield broker


@pytest.fixture(scope="module")
def healthy(broker: LoudOttla) -> Iterator[HealthyClient]:
    with HealthyClient(broker) as client:
        yield client


Attack = Callable[..., None]


@pytest.fixture
def attacked(broker: LoudOttla, healthy: HealthyClient) -> Callable[..., list[str]]:
    """Holds the invariant around an attack, and gives the reasons for which its connections ended."""

    def attack(action: Attack, *, connections: int, growth: int = 48 * MB) -> list[str]:
        healthy.check()
        before, memory = len(broker.ends()), broker.memory()
        with talking(broker, connections) as clients:
            action(clients)
            healthy.check()
            assert broker.memory() - memory < growth
        broker.settle()
        healthy.check()
        assert "Traceback" not in broker.log
        assert " ERROR " not in broker.log
        ends = broker.ends()[before:]
        assert len(ends) == connections
        return ends

    return attack


def for_each(action: Callable[[RawClient, random.Random], None]) -> Attack:
    """An attack in which every client does its own worst; that the broker hangs up on it is no surprise."""

    def attack(clients: list[RawClient]) -> None:
        dice = random.Random(SEED)
        for client in clients:
            with suppress(OSError):
                action(client, dice)

    return attack


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def random_bytes(client: RawClient, dice: random.Random) -> None:
    client.send(dice.randbytes(dice.randrange(1, 3000)))


def mutated(frame: bytes, dice: random.Random) -> bytes:
    """A recorded request with some bytes changed, lost or added behind its header."""
    data = bytearray(frame)
    for _ in range(dice.choice((1, 1, 2, 5))):
        position = dice.randrange(8, len(data)) if len(data) > 8 else 0
        match dice.randrange(4):
            case 0:
                data[position:] = b""
            case 1:
                data[position:position] = dice.randbytes(dice.randrange(1, 9))
            case 2:
                data[position : position + 4] = struct.pack(">i", dice.choice((-1, 2**31 - 1, -(2**31), 100_000)))
            case _:
                data[position : position + 1] = dice.randbytes(1)
    return bytes(data)


def mutated_requests(client: RawClient, dice: random.Random) -> None:
    for _ in range(10):
        client.send(framed(mutated(dice.choice(GOLDEN), dice)))
    client.socket.shutdown(socket.SHUT_WR)
    client.wait_until_closed()


def random_bodies(client: RawClient, dice: random.Random) -> None:
    for _ in range(10):
        api = dice.choice(APIS)
        header = struct.pack(">hhih", api.key, dice.randint(*api.served), 1, -1)
        client.send(framed(header + dice.randbytes(dice.randrange(60))))
    client.socket.shutdown(socket.SHUT_WR)
    client.wait_until_closed()


def truncated_requests(client: RawClient, dice: random.Random) -> None:
    frame = framed(dice.choice(GOLDEN))
    client.send(frame[: dice.randrange(1, len(frame))])


def unknown_apis(client: RawClient, dice: random.Random) -> None:
    key, version = dice.choice(((dice.randrange(100, 30_000), 0), (3, 99), (18, 77), (-1, -1), (0, 0), (1, -3)))
    client.send(framed(struct.pack(">hhih", key, version, 1, -1)))


def impossible_sizes(client: RawClient, dice: random.Random) -> None:
    client.send(struct.pack(">i", dice.choice((-1, -(2**31), 2**31 - 1, 104_857_601, 0))) + dice.randbytes(50))
    client.wait_until_closed()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "connections"),
    [
        (random_bytes, 60),
        (mutated_requests, 60),
        (random_bodies, 60),
        (truncated_requests, 60),
        (unknown_apis, 40),
        (impossible_sizes, 40),
    ],
)
def test_bytes_that_are_no_requests_harm_nobody(attacked, action, connections):
    attacked(for_each(action), connections=connections)


def test_a_truncated_request_is_told_as_such(attacked):
    def action(client: RawClient, _dice: random.Random) -> None:
        client.send(framed(GOLDEN[0])[:-1])

    ends = attacked(for_each(action), connections=3)
    assert ends == ["the client went away in the middle of a request"] * 3


@pytest.mark.parametrize(
    ("said", "protocol"), [(b"\x16\x03\x01\x02\0\1\0\1\xfc\3\3", "TLS"), (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP")]
)
def test_other_protocols_are_named(attacked, said, protocol):
    def action(client: RawClient, _dice: random.Random) -> None:
        client.send(said)
        client.wait_until_closed()

    for end in attacked(for_each(action), connections=3):
        assert f"these bytes look like {protocol}" in end


def test_senders_of_single_bytes_harm_nobody(attacked):
    def attack(clients: list[RawClient]) -> None:
        for byte in any_request(300, 7):
            for client in clients:
                client.send(bytes([byte]))
        assert [client.answer()[:4] for client in clients] == [struct.pack(">i", 7)] * len(clients)

    attacked(attack, connections=10)


def test_half_closed_connections_get_their_answers(attacked):
    # Without ``for_each``: a broker that hangs up on them would be wrong.
    def attack(clients: list[RawClient]) -> None:
        for client in clients:
            client.send(any_request(20, 1) + any_request(20, 2))
            client.socket.shutdown(socket.SHUT_WR)
            assert [client.answer()[:4] for _ in range(2)] == [struct.pack(">i", each) for each in (1, 2)]
            client.wait_until_closed()

    attacked(attack, connections=10)


def vanish_in_a_request(client: RawClient, dice: random.Random) -> None:
    client.send(any_request(200_000, 1)[: dice.randrange(1, 200_000)])
    client.reset()


def vanish_in_a_wait(client: RawClient, _dice: random.Random) -> None:
    client.request(fetch_request((NAME, 0, 0, 1), max_wait_ms=60_000, min_bytes=2**31 - 1), 12)
    client.reset()


def vanish_in_a_rebalance(client: RawClient, dice: random.Random) -> None:
    joining = {
        "group_id": "strangers",
        "session_timeout_ms": 6000,
        "rebalance_timeout_ms": 6000,
        "protocol_type": "consumer",
        "protocols": [JoinGroupRequest.Protocol(name="range", metadata=b"")],
    }
    member_id = client.ask(JoinGroupRequest(member_id="", **joining), 5).member_id
    client.request(JoinGroupRequest(member_id=member_id, **joining), 5)
    if dice.random() < 0.5:
        client.reset()


@pytest.mark.parametrize("action", [vanish_in_a_request, vanish_in_a_wait, vanish_in_a_rebalance])
def test_clients_that_vanish_leave_nothing(attacked, action):
    attacked(for_each(action), connections=30)


@pytest.fixture(scope="module")
def large_topic(broker: LoudOttla) -> str:
    """A topic of 18 MB."""
    with RawClient(broker) as client:
        client.make_topic("large")
        data = ProduceRequest.Topic.Partition(index=0, records=batch_of([b"x" * 900_000]))
        topic = ProduceRequest.Topic(name="large", partition_data=[data])
        for _ in range(20):
            response = client.ask(ProduceRequest(acks=-1, timeout_ms=1000, topic_data=[topic]), 9)
            assert response.responses[0].partition_responses[0].error_code == 0
    broker.settle()
    return "large"


def test_clients_that_vanish_in_an_answer_leave_nothing(attacked, large_topic):
    def action(client: RawClient, dice: random.Random) -> None:
        client.request(fetch_request((large_topic, 0, 0, 1 << 30), max_bytes=1 << 30), 12)
        client.socket.recv(dice.randrange(1, 100_000))
        if dice.random() < 0.5:
            client.reset()

    attacked(for_each(action), connections=30)


@pytest.mark.slow
def test_clients_that_ask_much_and_never_read_cost_little(attacked, large_topic):
    dice = random.Random(SEED)

    def ask_for_ever(client: RawClient) -> None:
        while True:
            if dice.random() < 0.5:
                client.send(any_request(100) * 1000)
            else:
                client.request(fetch_request((large_topic, 0, 0, 1 << 30), max_bytes=1 << 30), 12)

    def attack(clients: list[RawClient]) -> None:
        for client in clients:
            client.socket.settimeout(0.05)
            with pytest.raises(TimeoutError):  # The broker reads no more from it, and does not hang up either.
                ask_for_ever(client)

    attacked(attack, connections=20)


def test_sizes_that_are_only_claimed_cost_little(attacked):
    # 200 claims of 100 MB are 20 GB.
    def action(client: RawClient, _dice: random.Random) -> None:
        client.send(struct.pack(">ihhih", 100_000_000, 0, 9, 1, -1) + bytes(100_000))

    attacked(for_each(action), connections=200, growth=80 * MB)


def test_a_list_that_claims_to_be_long_costs_little(attacked):
    def action(client: RawClient, _dice: random.Random) -> None:
        for version, count in ((1, struct.pack(">i", 2**31 - 1)), (9, b"\xff\xff\xff\xff\x0f")):
            tags = b"\0" if version == 9 else b""
            client.send(framed(struct.pack(">hhih", 3, version, 1, -1) + tags + count + bytes(1000)))
        client.wait_until_closed()

    for end in attacked(for_each(action), connections=20):
        assert re.match(r"MetadataRequest v\d+: topics has \d+ elements", end)


@pytest.mark.slow
def test_idle_connections_cost_little(attacked):
    def attack(clients: list[RawClient]) -> None:
        for client in clients[::2]:
            client.ask(ALL_TOPICS, 1)

    assert set(attacked(attack, connections=600, growth=12 * MB)) == {"the client closed it"}


# --- no more descriptors


@contextmanager
def few_descriptors(broker: Ottla, spare: int) -> Iterator[None]:
    """Let the broker open only so many more files than it has open."""
    open_now = len(list(Path(f"/proc/{broker.pid}/fd").iterdir()))
    before = resource.prlimit(broker.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(broker.pid, resource.RLIMIT_NOFILE, (open_now + spare, before[1]))
    try:
        yield
    finally:
        resource.prlimit(broker.pid, resource.RLIMIT_NOFILE, before)


def test_accepting_goes_on_after_descriptors_ran_out(broker, healthy):
    before = len(broker.ends())
    with few_descriptors(broker, spare=10), talking(broker, 50) as clients:
        clients[0].ask(ALL_TOPICS, 1)
        healthy.check()
        for client in clients[:-1]:
            client.close()
        clients[-1].ask(ALL_TOPICS, 1)  # which waited in the backlog until then
    broker.settle()
    healthy.check()
    assert broker.log.count("no more connections are accepted for now: Too many open files") == 1
    assert len(broker.ends()) - before == 50


@pytest.mark.slow
def test_connections_beyond_the_limit_wait_for_their_turn():
    with LoudOttla(max_connections=20) as broker, HealthyClient(broker) as healthy, talking(broker, 100) as clients:
        clients[0].ask(ALL_TOPICS, 1)
        waiting = clients[-1]
        waiting.request(ALL_TOPICS, 1)
        healthy.check()
        assert "no more connections are accepted for now: 20 connections are open, as many as may be" in broker.log
        for client in clients[:-1]:
            client.close()
        waiting.answer()
        assert broker.log.count("no more connections") == 1
