"""The command `bench/hot`: times requests through `dispatch.handle` in this process, without sockets."""

from __future__ import annotations

import cProfile
import pstats
import random
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import crc32c

from bench import clients
from ottla.broker.cluster.cluster import Cluster
from ottla.broker.requests import dispatch
from ottla.broker.requests.context import Context, Contexts
from ottla.broker.settings.broker_config import BrokerConfig
from ottla.scheduling.background import Background
from ottla.scheduling.clock import SystemClock, stopwatch
from ottla.scheduling.stepper import Stepper
from ottla.scheduling.timers import Timers
from ottla.storage.catalogs.sqlite import FILE_NAME, SqliteCatalog
from ottla.storage.files.real import RealFiles
from ottla.storage.segments.data_directory import DataDirectory

REQUESTS = 20_000
RECORD = b"\0\0\0\1\xc8\x01" + b"a" * 100 + b"\0"
"""A record without attributes, deltas, key and headers, with a value of 100 bytes."""

Call = Callable[[], float]


class _Inline(Background):
    """A background that does all work at once, though these requests give it none."""

    def run(self, work: Callable[[], None], then: Callable[[Exception | None], None]) -> None:
        work()
        then(None)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("which", type=click.Choice(["produce", "metadata"]), required=False)
@click.option("--top", default=20, show_default=True, help="With WHICH: number of functions to print.")
def main(*, which: str | None, top: int) -> None:
    """Time one small Produce and one Metadata (6 partitions) in microseconds; with WHICH, profile that one too.

    The requests are those of `bench/run --rows requests,metadata`, without the system calls around them. Median of
    20,000.
    """
    clients.CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=clients.CACHE) as folder:
        cluster = _cluster(Path(folder))
        calls = {"produce": _produce(cluster), "metadata": _metadata(cluster)}
        for name in [which] if which else calls:
            times = sorted(calls[name]() for _ in range(REQUESTS))
            click.echo(
                f"{name}: {times[REQUESTS // 2] * 1e6:.1f} us (fastest tenth: {times[REQUESTS // 10] * 1e6:.1f})"
            )
        if which:
            profile = cProfile.Profile()
            profile.runcall(lambda: [calls[which]() for _ in range(REQUESTS)])
            pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(top)
        cluster.close()


def _cluster(folder: Path) -> Cluster:
    source = random.Random(1)
    directory = DataDirectory(folder, node_id=1, files=RealFiles(durable=True), background=_Inline(), random=source)
    catalog = SqliteCatalog(folder / FILE_NAME, cluster_id=directory.identity.cluster_id, synchronous="NORMAL")
    timers = Timers()
    cluster = Cluster(
        config=BrokerConfig(),
        directory=directory,
        catalog=catalog,
        clock=SystemClock(),
        timers=timers,
        stepper=Stepper(timers=timers, stopwatch=stopwatch, background=directory.background),
        random_source=source,
    )
    address: Any = SimpleNamespace(host="127.0.0.1", port=9092)
    cluster.nodes.first.endpoints = [address]
    return cluster


def _timed(context: Context, request: bytearray) -> tuple[float, bytes]:
    begun = time.perf_counter()
    answer = dispatch.handle(context, request, 4, len(request))
    took = time.perf_counter() - begun
    assert isinstance(answer, bytes)
    return took, answer


def _context(cluster: Cluster) -> Context:
    return Contexts(cluster).make(cluster.nodes.first, "127.0.0.1")


def _header(api: int, version: int) -> bytes:
    return struct.pack(">ihhih", 0, api, version, 7, 5) + b"bench\0"


def _metadata(cluster: Cluster) -> Call:
    cluster.topics.create("six", assignments=[[cluster.nodes.first.id]] * 6, configs={})
    context = _context(cluster)
    request = bytearray(_header(3, 13) + b"\2" + bytes(16) + b"\4six\0\0\0\0")

    def call() -> float:
        took, answer = _timed(context, request)
        assert len(answer) > 6 * 26  # all partitions
        return took

    return call


def _produce(cluster: Cluster) -> Call:
    """Return the requests of one connection: one partition, one producer, ascending sequences."""
    topic = cluster.topics.create("one", assignments=[[cluster.nodes.first.id]], configs={})
    context = _context(cluster)
    now = int(time.time() * 1000)
    rest = struct.pack(">hiqqqhii", 0, 0, now, now, cluster.producer_ids.next(), 0, 0, 1) + b"\xd6\x01" + RECORD
    batch = struct.pack(">qiibI", 0, len(rest) + 9, -1, 2, 0) + rest
    size = len(batch) + 1
    head = _header(0, 13) + b"\0" + struct.pack(">hi", -1, 30_000) + b"\2" + topic.id + b"\2" + bytes(4)
    request = bytearray(head + bytes([size & 127 | 128, size >> 7]) + batch + bytes(3))
    at = len(request) - 3 - len(batch)
    sequence = 0

    def call() -> float:
        nonlocal sequence
        request[at : at + 16] = batch[:16]  # the broker wrote its offset and epoch there
        struct.pack_into(">i", request, at + 53, sequence)
        struct.pack_into(">I", request, at + 17, crc32c.crc32c(bytes(request[at + 21 : at + len(batch)])))
        took, answer = _timed(context, request)
        error_code, offset = struct.unpack_from(">hq", answer, 31)
        assert (error_code, offset) == (0, sequence)
        sequence += 1
        return took

    return call
