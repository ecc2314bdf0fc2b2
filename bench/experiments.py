"""The experiments: each experiment loads one broker in one way and yields the figures of its rows."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench import clients
from bench.brokers import Subject, cpu_seconds, memory
from bench.clients import ToolError

SMALL, LARGE = 100, 1000
IDLE_CONNECTIONS = 1000

Figures = dict[str, float]


@dataclass(frozen=True)
class Row:
    """One line of the table. `limit` is a maximum for Ottla alone; unjudged rows only inform."""

    key: str
    label: str
    unit: str
    higher_is_better: bool = False
    judged: bool = True
    limit: float | None = None


@dataclass
class Scale:
    """The length of measurements: those of a full run, or of `--quick`."""

    seconds: float = 5.0
    records: float = 1.0
    settle: float = 3.0

    def count(self, records: int) -> int:
        return int(records * self.records)


QUICK = Scale(seconds=2.0, records=0.25, settle=1.0)


@dataclass
class Load:
    """The means of an experiment to load one broker: the scale, and topics with names of their own."""

    subject: Subject
    scale: Scale
    numbers: Iterator[int] = field(default_factory=itertools.count)
    prefix: str = "bench"
    filled: tuple[str, int] | None = None

    @contextlib.contextmanager
    def topic(self, partitions: int = 1) -> Iterator[str]:
        """Give a new topic, deleted afterwards."""
        name = f"{self.prefix}-{next(self.numbers)}"
        clients.create_topic(self.subject.address, name, partitions)
        yield name
        clients.delete_topic(self.subject.address, name)

    def filled_topic(self) -> tuple[str, int]:
        """Return a topic of 1 KB records that stays for the whole campaign, and its number of records."""
        if self.filled is None:
            name, records = f"{self.prefix}-filled", self.scale.count(2_000_000)
            clients.create_topic(self.subject.address, name)
            clients.run_rdkafka("produce", self.subject.address, name, LARGE, records)
            self.filled = name, records
        return self.filled

    def warm_filled_topic(self) -> None:
        """Read the log of the filled topic once: some systems drop pages that were not used for a minute."""
        topic, _ = self.filled_topic()
        if self.subject.broker is not None:
            for path in sorted((self.subject.broker.data_dir / f"{topic}-0").glob("*.log")):
                with path.open("rb", buffering=0) as file:
                    while file.read(1 << 20):
                        pass


@dataclass(frozen=True)
class Experiment:
    """An experiment. With `fresh` it needs a broker of its own that was just started."""

    group: str
    rows: tuple[Row, ...]
    measure: Callable[[Load], Figures]
    fresh: bool = False


def _start(load: Load) -> Figures:
    return {"start": load.subject.start_ms}


def _memory(load: Load) -> Figures:
    pid = _pid(load)
    time.sleep(load.scale.settle)
    idle = memory(pid)
    records = load.scale.count(1_000_000)
    address = load.subject.address
    with load.topic() as topic:
        clients.run_rdkafka("produce", address, topic, LARGE, records)
        clients.run_rdkafka("consume", address, topic, records)
        loaded = memory(pid)
    return {"idle-rss": idle.rss, "idle-pss": idle.pss, "loaded-rss": loaded.rss, "loaded-pss": loaded.pss}


def _idle_memory(load: Load) -> Figures:
    pid = _pid(load)
    address = load.subject.address
    with load.topic() as topic:
        # The first requests load code and open files, which is no cost of connections.
        clients.run_requests("produce", address, topic, connections=1, seconds=1.0)
        before = memory(pid)
        with clients.idle_connections(address, topic, IDLE_CONNECTIONS):
            held = memory(pid)
    return {"idle-connection": (held.rss - before.rss) * 1e3 / IDLE_CONNECTIONS, "idle-connections-rss": held.rss}


def _among_idle(load: Load) -> Figures:
    address = load.subject.address
    with load.topic() as topic, clients.idle_connections(address, topic, IDLE_CONNECTIONS):
        probe = clients.run_requests("produce", address, topic, connections=1, seconds=load.scale.seconds)
    return {"among-idle-p50": probe["p50_us"], "among-idle-p99": probe["p99_us"]}


def _pid(load: Load) -> int:
    if load.subject.pid is None:
        raise ToolError("the memory of an attached broker is not known")
    return load.subject.pid


def _java_produce(key: str, size: int, records: int) -> Callable[[Load], Figures]:
    def measure(load: Load) -> Figures:
        with load.topic() as topic:
            count = load.scale.count(records)
            return {key: clients.java_producer(load.subject.address, topic, record_size=size, records=count)}

    return measure


def _rdkafka_produce(key: str, size: int, records: int, *properties: str) -> Callable[[Load], Figures]:
    def measure(load: Load) -> Figures:
        with load.topic() as topic:
            count = load.scale.count(records)
            figures = clients.run_rdkafka("produce", load.subject.address, topic, size, count, *properties)
            return {key: figures["megabytes_per_second"]}

    return measure


def _java_consume(load: Load) -> Figures:
    topic, records = load.filled_topic()
    rate = clients.java_consumer(load.subject.address, topic, record_size=LARGE, records=records)
    return {"consume-java": rate}


def _rdkafka_consume(load: Load) -> Figures:
    topic, records = load.filled_topic()
    figures = clients.run_rdkafka("consume", load.subject.address, topic, records)
    return {"consume-rdkafka": figures["megabytes_per_second"]}


def _latency(mode: str) -> Callable[[Load], Figures]:
    def measure(load: Load) -> Figures:
        with load.topic() as topic:
            figures = clients.run_rdkafka(mode, load.subject.address, topic, SMALL, load.scale.seconds)
            return {f"{mode}-p50": figures["p50_us"], f"{mode}-p99": figures["p99_us"]}

    return measure


def _requests(mode: str, connections: int, partitions: int) -> Callable[[Load], Figures]:
    key = f"{mode}-requests-{connections}"

    def measure(load: Load) -> Figures:
        pid, seconds = load.subject.pid, load.scale.seconds
        with load.topic(partitions) as topic:
            cpu = cpu_seconds(pid) if pid else 0.0
            figures = clients.run_requests(mode, load.subject.address, topic, connections=connections, seconds=seconds)
            cost = (cpu_seconds(pid) - cpu) * 1e6 / figures["with_warmup"] if pid else math.nan
        return {key: figures["requests_per_second"], f"{key}-p99": figures["p99_us"], f"{key}-cpu": cost}

    return measure


def _throughput(key: str, label: str) -> tuple[Row, ...]:
    return (Row(key, label, "MB/s", higher_is_better=True),)


def _percentiles(key: str, label: str) -> tuple[Row, ...]:
    return Row(f"{key}-p50", f"{label}, p50", "us"), Row(f"{key}-p99", f"{label}, p99", "us")


def _rate(key: str, label: str) -> tuple[Row, ...]:
    rate = Row(key, label, "requests/s", higher_is_better=True)
    p99 = Row(f"{key}-p99", f"{label}: p99", "us", judged=False)
    return rate, p99, Row(f"{key}-cpu", f"{label}: broker's CPU for each", "us", judged=False)


def _connections(count: int) -> str:
    return f"{count} connection{'s' if count > 1 else ''}"


EXPERIMENTS = [
    Experiment("start", (Row("start", "start to first answer", "ms", limit=500),), _start, fresh=True),
    Experiment(
        "memory",
        (
            Row("idle-rss", "memory, idle", "MB", limit=60),
            Row("idle-pss", "memory, idle: PSS", "MB", judged=False),
            Row("loaded-rss", "memory after 1 GB in and out", "MB"),
            Row("loaded-pss", "memory after 1 GB in and out: PSS", "MB", judged=False),
        ),
        _memory,
        fresh=True,
    ),
    *(
        Experiment("produce", _throughput(key, label), measure)
        for key, label, measure in [
            ("produce-100-java", "produce 100 B, Java", _java_produce("produce-100-java", SMALL, 8_000_000)),
            ("produce-1k-java", "produce 1 KB, Java", _java_produce("produce-1k-java", LARGE, 1_500_000)),
            (
                "produce-100-rdkafka",
                "produce 100 B, librdkafka",
                _rdkafka_produce("produce-100-rdkafka", SMALL, 8_000_000),
            ),
            (
                "produce-1k-rdkafka",
                "produce 1 KB, librdkafka",
                _rdkafka_produce("produce-1k-rdkafka", LARGE, 2_000_000),
            ),
            (
                "produce-1k-lz4",
                "produce 1 KB, lz4, acks=all, librdkafka",
                _rdkafka_produce("produce-1k-lz4", LARGE, 3_000_000, "compression.type=lz4"),
            ),
        ]
    ),
    Experiment("consume", _throughput("consume-java", "consume 1 KB, Java"), _java_consume),
    Experiment("consume", _throughput("consume-rdkafka", "consume 1 KB, librdkafka"), _rdkafka_consume),
    Experiment("latency", _percentiles("latency", "one message at a time"), _latency("latency")),
    Experiment("latency", _percentiles("end-to-end", "end to end"), _latency("end-to-end")),
    *(
        Experiment(
            "requests",
            _rate(f"produce-requests-{count}", f"small produces, {_connections(count)}"),
            _requests("produce", count, count),
        )
        for count in (1, 16, 64)
    ),
    Experiment("metadata", _rate("metadata-requests-16", "Metadata, 16 connections"), _requests("metadata", 16, 6)),
    Experiment("idle", _percentiles("among-idle", "small produce among 1,000 idle connections"), _among_idle),
    Experiment(
        "idle",
        (
            Row("idle-connection", "memory for one of 1,000 idle connections", "KB"),
            Row("idle-connections-rss", "memory with 1,000 idle connections", "MB"),
        ),
        _idle_memory,
        fresh=True,
    ),
]

GROUPS = list(dict.fromkeys(experiment.group for experiment in EXPERIMENTS))
