"""The two brokers under measurement, as their users start them; times a start, reads a process's memory."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compat.apache_broker import LOGGING, ApacheBroker, class_path
from compat.harness.broker import Broker, BrokerError
from compat.harness.ottla_broker import OttlaBroker

API_VERSIONS = 18
START_TIMEOUT = 60.0
TICKS = os.sysconf("SC_CLK_TCK")

# The options that Apache's own start script passes to the JVM; the heap is its default too.
JVM = ["-Xmx1g", "-Xms1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]
JVM += ["-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"]


class FullApache(ApacheBroker):
    """Apache with the heap, collector and compilers of its own start script (compat runs a smaller one)."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, settings={"log.cleaner.dedupe.buffer.size": "134217728"})

    def command(self) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={LOGGING}"
        return ["java", *JVM, logging, "-cp", class_path(), "kafka.Kafka", str(self.properties)]


class FullOttla(OttlaBroker):
    """`ottla serve` with its defaults."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)


MAKERS: dict[str, type[FullOttla] | type[FullApache]] = {"ottla": FullOttla, "apache": FullApache}


@dataclass(frozen=True)
class Address:
    """The address of a broker."""

    host: str
    port: int

    @property
    def bootstrap(self) -> str:
        return f"{self.host}:{self.port}"


def address_of(broker: Broker) -> Address:
    """Return the address that clients connect to."""
    return Address("127.0.0.1", broker.port)


@dataclass
class Subject:
    """A running broker. `pid` is None if the bench was attached to it."""

    name: str
    address: Address
    broker: Broker | None = None
    start_ms: float = 0.0

    @property
    def pid(self) -> int | None:
        return self.broker.process.pid if self.broker and self.broker.process else None

    @property
    def alive(self) -> bool:
        return self.broker is None or self.broker.alive


def launch(name: str, directory: Path) -> Subject:
    """Start a broker on an empty data folder; time from the spawn of its process to its first ApiVersions answer."""
    broker = MAKERS[name](directory)
    directory.mkdir(parents=True)
    broker.prepare()
    subject = Subject(name, address_of(broker), broker)
    with broker.log_path.open("ab") as log:
        begun = time.monotonic()
        broker.process = subprocess.Popen(
            broker.command(),
            cwd=directory,
            env=broker.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        await_answer(broker, subject.address, begun + START_TIMEOUT)
    except BaseException:
        broker.kill()
        raise
    subject.start_ms = (time.monotonic() - begun) * 1000
    return subject


@contextlib.contextmanager
def fresh(name: str, directory: Path) -> Iterator[Subject]:
    """Give a broker that runs for one measurement only."""
    subject = launch(name, directory)
    try:
        yield subject
    finally:
        stop(subject)
        shutil.rmtree(directory, ignore_errors=True)


def stop(subject: Subject) -> None:
    """End the process that `launch` started; an attached broker is left alone."""
    if subject.broker is None:
        return
    try:
        subject.broker.stop(timeout=20.0)
    except BrokerError:
        subject.broker.kill()


def await_answer(broker: Broker, address: Address, deadline: float) -> None:
    """Return at the first ApiVersions answer. Raises BrokerError if there is none by `deadline` (monotonic)."""
    while not _answers(address):
        if not broker.alive:
            raise BrokerError(f"{broker.name} ended at start: {broker.log_tail(600)}")
        if time.monotonic() > deadline:
            raise BrokerError(f"{broker.name} did not answer: {broker.log_tail(600)}")
        time.sleep(0.001)


def _answers(address: Address) -> bool:
    header = struct.pack(">hhih", API_VERSIONS, 0, 1, 5) + b"bench"
    try:
        with socket.create_connection((address.host, address.port), 10.0) as connection:
            connection.sendall(struct.pack(">i", len(header)) + header)
            return len(connection.recv(4)) > 0
    except OSError:
        return False


@dataclass(frozen=True)
class Memory:
    """The memory of a process and its children, in MB (10^6): resident, and proportional (shared pages divided)."""

    rss: float
    pss: float


def memory(pid: int) -> Memory:
    """Read the memory from /proc. PSS is nan if the kernel does not report it."""
    rss = pss = 0.0
    for member in _family(pid):
        fields = _rollup(member)
        rss += fields.get("Rss", _resident(member))
        pss += fields.get("Pss", float("nan"))
    return Memory(rss / 1e3, pss / 1e3)


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def busy_seconds() -> float:
    """Return the busy time of all processors of the machine since its start, in seconds."""
    user, nice, system, _idle, _wait, interrupts, soft_interrupts = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + interrupts + soft_interrupts) / TICKS


def _family(pid: int) -> list[int]:
    members = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                members += _family(int(child))
    return members


def _rollup(pid: int) -> dict[str, float]:
    """Return the fields of smaps_rollup, in kilobytes (10^3)."""
    fields = {}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, _, rest = line.partition(":")
            fields[name] = int(rest.split()[0]) * 1.024
    return fields


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e3
