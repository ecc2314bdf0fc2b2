"""The load generators: C drivers compiled here, librdkafka out of the confluent-kafka wheel, Apache's Java tools."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.brokers import Address
from compat.apache_broker import LOGGING, class_path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "bench"
DRIVERS = ROOT / "bench" / "drivers"
TIMEOUT = 300.0


class ToolError(Exception):
    """The error of a load generator that did not finish, or saw a wrong answer."""


@cache
def driver(name: str) -> Path:
    """Return the executable of `drivers/<name>.c`, compiled if its source has changed."""
    sources = [DRIVERS / f"{name}.c", DRIVERS / "kafka_wire.h"]
    stamp = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    program = CACHE / f"{name}-{stamp}"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = program.with_suffix(".partial")
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-o", partial, sources[0], "-ldl"], check=True)
        partial.rename(program)
    return program


@cache
def librdkafka() -> Path:
    """Return the shared object inside the wheel: librdkafka with all its codecs, newer than in distributions."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    return next(path for path in folder.iterdir() if re.match(r"librdkafka-.*\.so", path.name))


def create_topic(address: Address, topic: str, partitions: int = 1) -> None:
    """Create a topic, and wait until it exists."""
    admin = _admin(address)
    new = NewTopic(topic, partitions, 1)
    try:
        admin.create_topics([new])[topic].result(timeout=30)
    except confluent_kafka.KafkaException as error:
        raise ToolError(f"the topic could not be created: {error}") from error


def delete_topic(address: Address, topic: str) -> None:
    """Delete a topic, so that a long campaign does not fill the disk."""
    admin = _admin(address)  # held: without it, the client ends and its request with it
    try:
        admin.delete_topics([topic])[topic].result(timeout=30)
    except confluent_kafka.KafkaException as error:
        raise ToolError(f"the topic could not be deleted: {error}") from error


def _admin(address: Address) -> Any:
    return AdminClient({"bootstrap.servers": address.bootstrap, "log_level": 3})


def run_requests(mode: str, address: Address, topic: str, *, connections: int, seconds: float) -> dict[str, float]:
    """Run a closed loop of small requests, see drivers/requests.c, after a warm-up of a fifth of the time."""
    target = [address.host, str(address.port), topic, str(connections)]
    return _json([driver("requests"), mode, *target, f"{seconds / 5:.2f}", str(seconds)])


def run_rdkafka(mode: str, address: Address, topic: str, *arguments: object) -> dict[str, float]:
    """Run drivers/rdkafka.c once."""
    return _json([driver("rdkafka"), librdkafka(), mode, address.bootstrap, topic, *map(str, arguments)])


@contextlib.contextmanager
def idle_connections(address: Address, topic: str, count: int) -> Iterator[None]:
    """Hold `count` connections that each asked for ApiVersions and Metadata once."""
    command = [str(driver("requests")), "idle", address.host, str(address.port), topic, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdin
        watch = threading.Timer(60.0, process.kill)
        watch.start()
        try:
            if process.stdout.readline() != b"ready\n":
                raise ToolError(f"{count} connections could not be opened")
            watch.cancel()
            yield
        finally:
            watch.cancel()
            process.stdin.close()
            process.wait(30)


@contextlib.contextmanager
def null_broker() -> Iterator[Address]:
    """Give a server that answers requests.c at once, to measure the driver itself."""
    with subprocess.Popen([driver("null_broker")], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdin
        yield Address("127.0.0.1", int(process.stdout.readline()))
        process.stdin.close()


def java_producer(address: Address, topic: str, *, record_size: int, records: int) -> float:
    """Return MB (10^6) of records a second by ProducerPerformance, without its first third (the JVM's warm-up)."""
    sizes = ["--record-size", str(record_size), "--num-records", str(records), "--warmup-records", str(records // 3)]
    target = ["--bootstrap-server", address.bootstrap, "--topic", topic, "--throughput", "-1"]
    output = _output([*_java("ProducerPerformance"), *target, *sizes])
    summary = [line for line in output.splitlines() if "99.9th" in line]
    if not summary or "Exception" in output:
        raise ToolError(output[-500:])
    rate = re.search(r"([\d.,]+) records/sec", summary[-1])
    if not rate:
        raise ToolError(output[-500:])
    return float(rate.group(1).replace(",", ".")) * record_size / 1e6


def java_consumer(address: Address, topic: str, *, record_size: int, records: int) -> float:
    """Return MB (10^6) of records a second by ConsumerPerformance, without the time to join its group."""
    target = ["--bootstrap-server", address.bootstrap, "--topic", topic, "--num-records", str(records)]
    output = _output([*_java("ConsumerPerformance"), *target, "--hide-header", "--timeout", "60000"])
    row = [field.strip() for field in output.strip().splitlines()[-1].split(",")]
    if len(row) != 10 or int(row[4]) < records:
        raise ToolError(output[-500:])
    return float(row[9]) * record_size / 1e6


def _java(tool: str) -> list[str]:
    jvm = ["-Xmx512m", "-Xms512m", "-Duser.language=en", f"-Dlog4j2.configurationFile={LOGGING}"]
    return ["java", *jvm, "-cp", class_path(), f"org.apache.kafka.tools.{tool}"]


def _json(command: list[str | Path]) -> dict[str, float]:
    answer: dict[str, float] = json.loads(_output(command))
    return answer


def _output(command: list[Any]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise ToolError(f"{Path(command[0]).name} did not finish within {TIMEOUT:.0f} s") from None
    if done.returncode:
        raise ToolError((done.stderr or done.stdout).strip()[-500:])
    return done.stdout
