"""A whole cluster in a folder without sockets: each request goes through its codec, the dispatch and its handler."""

from pathlib import Path
from random import Random
from typing import Any

from ottla.broker.cluster.cluster import Cluster
from ottla.broker.cluster.nodes import Node
from ottla.broker.requests.context import Context, Contexts
from ottla.broker.requests.deferred import Deferred
from ottla.broker.requests.dispatch import handle
from ottla.broker.settings.addresses import Address
from ottla.broker.settings.node_configs import node_configs
from ottla.broker.versions.releases import Release
from ottla.scheduling.background import Background, Inline
from ottla.scheduling.stepper import Stepper
from ottla.scheduling.timers import Timers
from ottla.storage.catalogs.sqlite import FILE_NAME, SqliteCatalog
from ottla.storage.files.real import RealFiles
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.data_directory import DataDirectory
from ottla.storage.slices import FileSlice
from ottla.wire import frames
from ottla.wire.batch import read_header
from ottla.wire.records import Record, build_batch
from ottla.wire.schema import Response
from tests.stage.clock import SteppedClock
from tests.stage.slow_log import SlowLog, Slowness

CORRELATION_ID = 7


def response_class(request: Any) -> type[Response]:
    kind = type(request)
    return next(
        each
        for each in Response.__subclasses__()
        if each.__module__ == kind.__module__ and each.api_key == kind.api_key
    )


class Answer:
    """The outcome of one request."""

    def __init__(self, request: Any, version: int, reply: Any) -> None:
        self._request = request
        self._version = version
        self.reply = reply

    @property
    def done(self) -> bool:
        return not isinstance(self.reply, Deferred) or self.reply.pending.done

    def response(self) -> Any:
        if isinstance(self.reply, Deferred) and self.reply.at_once is None:
            assert self.done
            self.reply = self.reply.reply()
        reply = self.reply.at_once if isinstance(self.reply, Deferred) else self.reply
        frame = reply if isinstance(reply, bytes) else b"".join(map(_sent, reply))
        correlation_id, response = frames.decode_response(
            response_class(self._request), frame[frames.SIZE.size :], self._version
        )
        assert correlation_id == CORRELATION_ID
        return response

    def abandon(self) -> None:
        """The client goes away."""
        self.reply.pending.abandon()


def _sent(piece: Any) -> bytes:
    """A piece of an answer as it goes out."""
    if not isinstance(piece, FileSlice):
        return bytes(piece)
    data = piece.read()
    piece.release()
    return data


class SlowDirectory(DataDirectory):
    """A data directory whose logs answer nothing at once."""

    slowness: Slowness

    def open_log(self, topic: str, partition: int, *, topic_id: bytes, config: LogConfig) -> Any:
        return SlowLog(super().open_log(topic, partition, topic_id=topic_id, config=config), self.slowness)


class Broker:
    """Broker 1, and one client's connection to it; there may be more nodes (``tests/stage/several_nodes.py``)."""

    directory_class = DataDirectory
    catalog_class = SqliteCatalog
    nodes = 1
    racks: tuple[str, ...] = ()

    def __init__(
        self, folder: Path, *, background: Background | None = None, release: Release | None = None, **settings: str
    ) -> None:
        given = {name.replace("_", "."): value for name, value in settings.items()}
        config, *more_nodes = node_configs(given, nodes=self.nodes, racks=self.racks)
        random = Random(1)
        self.files = RealFiles(durable=False)
        directory = self.directory_class(
            folder, node_id=1, files=self.files, background=background or Inline(), random=random
        )
        self.clock = SteppedClock()
        timers = Timers()
        self.cluster = Cluster(
            config=config,
            directory=directory,
            catalog=self.catalog_class(folder / FILE_NAME, cluster_id=directory.identity.cluster_id, synchronous="OFF"),
            clock=self.clock,
            timers=timers,
            stepper=Stepper(timers=timers, stopwatch=self.clock.monotonic, background=directory.background),
            random_source=random,
            more_nodes=more_nodes,
            release=release,
        )
        self.cluster.nodes.first.endpoints = [Address("broker.example", 9092)]
        self._contexts = Contexts(self.cluster)
        self.context = self.connect()
        for _ in self.cluster.load_groups():
            self.settle()

    def connect(self, node: Node | None = None, host: str = "10.0.0.1") -> Context:
        """The context of a new client."""
        return self._contexts.make(node or self.cluster.nodes.first, host)

    def settle(self) -> None:
        """Let the logs do all that they were asked to do."""

    def ask(self, request: Any, version: int) -> Any:
        """The response as a client of this version reads it."""
        answer = self.begin(request, version)
        self.settle()
        return answer.response()

    def begin(self, request: Any, version: int) -> "Answer":
        """Send a request whose answer may come later."""
        frame = bytearray(frames.encode_request(request, version, correlation_id=CORRELATION_ID, client_id="test"))
        return Answer(request, version, handle(self.context, frame, frames.SIZE.size, len(frame)))

    def append(self, topic: str, count: int, *, partition: int = 0) -> None:
        """Append one batch of ``count`` records with keys."""
        batch = build_batch(Record(0, self.clock.wall_ms(), b"key", b"value") for _ in range(count))
        self.cluster.topics.partition(topic, partition).append(
            memoryview(batch), read_header(batch), self.clock.wall_ms()
        )
        self.settle()

    def close(self) -> None:
        self.cluster.close()


class SlowBroker(Broker):
    """The same over logs that answer only when ``settle`` or ``step`` lets them."""

    directory_class = SlowDirectory

    def __init__(self, folder: Path, **settings: str) -> None:
        self.slowness = SlowDirectory.slowness = Slowness()
        super().__init__(folder, **settings)

    def settle(self) -> None:
        self.slowness.settle()

    def step(self, number: int = 0) -> None:
        """Let the logs do one of the things they were asked to do, by default the first."""
        assert self.slowness.step(number)
