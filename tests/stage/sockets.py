"""The real loop over real sockets, and a client that speaks in bytes."""

import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import closing
from time import monotonic
from typing import Any

import trio
import trio.testing

from ottla.broker.network.connection import Connection
from ottla.broker.network.loop import Loop
from ottla.broker.network.poll_set import new_poll_set
from ottla.broker.network.transport import Transport, plain_transport
from ottla.scheduling.timers import Timers
from ottla.wire import frames
from ottla.wire.codes import ApiKey
from tests.stage.single_broker import Broker, response_class
from tests.stage.transports import GREETING, scramble

PATIENCE_S = 30


def any_request(size: int, correlation_id: int = 7) -> bytes:
    """The frame of a request of ``size`` bytes: an ApiVersions with bytes behind it that nobody reads."""
    return struct.pack(">ihhih", size, ApiKey.API_VERSIONS, 0, correlation_id, -1) + bytes(size - 10)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop work until ``condition`` holds. A thread may be at work while all tasks are blocked."""
    with trio.fail_after(PATIENCE_S):
        while not condition():
            await trio.testing.wait_all_tasks_blocked(0.001)


class Client:
    """One end of a socket pair, whose other end the loop serves."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.received = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def receive(self) -> bytes:
        """Some bytes, or none at the end."""
        return await self.stream.receive_some(1 << 20)

    async def read(self, size: int) -> bytes:
        """Exactly so many bytes; less only where the connection ends."""
        while len(self.received) < size:
            more = await self.receive()
            if not more:
                break
            self.received += more
        data, self.received = self.received[:size], self.received[size:]
        return data

    async def answer(self) -> bytes:
        """The next frame, without its size; nothing when the connection has ended."""
        size = await self.read(4)
        return await self.read(struct.unpack(">i", size)[0]) if size else b""

    async def correlation_ids(self, count: int) -> list[int]:
        return [struct.unpack_from(">i", await self.answer())[0] for _ in range(count)]

    async def ask(self, request: Any, version: int) -> Any:
        await self.send(frames.encode_request(request, version, correlation_id=1, client_id="test"))
        return frames.decode_response(response_class(request), await self.answer(), version)[1]

    async def ended(self) -> bool:
        """Tell whether the broker has closed the connection without another byte."""
        try:
            return await self.read(1) == b""
        except trio.BrokenResourceError:  # it did not read all that we said
            return True


class ScramblingClient(Client):
    """The other side of a ``ScrambledTransport``."""

    greeted = False

    async def send(self, data: bytes) -> None:
        if not self.greeted:
            self.greeted = True
            await super().send(scramble(data[:1]))
            assert await super().receive() == GREETING
            data = data[1:]
        await super().send(scramble(data))

    async def receive(self) -> bytes:
        return scramble(await super().receive())


class Served:
    """A loop with its clients."""

    make_transport: Callable[[socket.socket], Transport] = staticmethod(plain_transport)
    client_class = Client

    new_poll_set = staticmethod(new_poll_set)

    def __init__(self, broker: Broker, *, stopwatch_runs: bool = True, **options: Any) -> None:
        """With ``stopwatch_runs`` off, the machine's time stands still, too, until ``skip``."""
        limits = {"max_request_bytes": 10 << 20, "max_idle_s": 600.0, "max_connections": 1000}
        self.broker = broker
        self.clients: list[Client] = []
        poll_set = self.new_poll_set()
        self.ahead_s = 0.0
        self.loop = Loop(
            clock=broker.clock,
            timers=broker.cluster.timers,
            stopwatch=lambda: (monotonic() if stopwatch_runs else 0.0) + self.ahead_s,
            machine_timers=Timers(),
            poll_set=poll_set,
            **{**limits, **options},
        )

    def connect(self, *, buffer_bytes: int | None = None) -> Client:
        """Connect a client; with small ``buffer_bytes`` the broker soon cannot send more."""
        ours, theirs = socket.socketpair()
        if buffer_bytes is not None:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        ours.setblocking(False)
        context = self.broker.connect()
        self.loop.add(Connection(type(self).make_transport(ours), self.loop.turn, context))
        self.clients.append(self.client_class(trio.SocketStream(trio.socket.from_stdlib_socket(theirs))))
        return self.clients[-1]

    async def in_pass(self, call: Callable[[], object]) -> None:
        """Call ``call`` in a pass of the loop."""
        called = trio.Event()

        def run() -> None:
            try:
                call()
            finally:
                called.set()

        self.loop.call_soon(run)
        await called.wait()

    async def move(self, seconds: float) -> None:
        """Let time pass for the cluster, whose clock stands still by itself."""
        self.broker.clock.now += seconds
        await self.in_pass(lambda: None)

    async def skip(self, seconds: float) -> None:
        """Let time pass for the machine, more than passes by itself."""
        self.ahead_s += seconds
        await self.in_pass(lambda: None)

    def close(self) -> None:
        self.loop.close_all()
        self.loop.close()
        for client in self.clients:
            client.stream.socket.close()


def serving(broker: Broker, talk: Callable[[Served], Awaitable[None]], **options: Any) -> None:
    """Run the loop while ``talk`` talks with it."""

    async def main() -> None:
        with closing(Served(broker, **options)) as served, trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(served.loop.run)
                await talk(served)
                nursery.cancel_scope.cancel()

    trio.run(main)
