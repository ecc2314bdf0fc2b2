"""A throw-away broker of Apache Kafka: jars by Maven, one node in KRaft mode, its own data folder.

It is 4.3.1, the reference; or 3.9.1, the last release that served clients from before Kafka 2.1.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from compat.harness.broker import Broker, free_port

VERSION = "4.3.1"
LAST_FOR_OLD_CLIENTS = "3.9.1"
ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "apache"
POMS = {
    VERSION: ROOT / "compat" / "apache" / "pom.xml",
    LAST_FOR_OLD_CLIENTS: ROOT / "compat" / "apache" / "3.9" / "pom.xml",
}
LOGGING = ROOT / "compat" / "apache" / "log4j2.yaml"

# Settings whose defaults differ in Ottla on purpose (one node), so that both start from the same settings.
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,IPV6:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "true",
    # After SIGKILL, the controller must forget the old process before the new one may register.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Within a heap of 512 MB.
    "log.cleaner.dedupe.buffer.size": "16777216",
}

SETTINGS_BEFORE_SHARE_GROUPS = {name: value for name, value in SETTINGS.items() if not name.startswith("share.")}


def jars(version: str = VERSION) -> Path:
    """Return the folder of Apache's jars and their dependencies, fetched with Maven once per version of the pom."""
    pom = POMS[version]
    stamp = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    folder = CACHE / f"jars-{stamp}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / f"kafka_2.13-{version}.jar").exists():
            partial = CACHE / f"partial-{stamp}"
            shutil.rmtree(partial, ignore_errors=True)
            subprocess.run(
                ["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={partial}"],
                check=True,
            )
            partial.rename(folder)
    return folder


def class_path(version: str = VERSION) -> str:
    """Return the class path for `java -cp`."""
    return f"{jars(version)}/*"


def version_name(version: str) -> str:
    """Return the name of a broker of that release."""
    return f"Apache Kafka {version}"


class ApacheBroker(Broker):
    """One Apache Kafka node. `settings` override the defaults above."""

    name = "apache"
    start_timeout = 120.0  # on a busy machine

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        advertised_port: int | None = None,
        settings: dict[str, str] | None = None,
        heap: str = "512m",
        kafka: str = VERSION,
    ) -> None:
        super().__init__(directory, port=port, advertised_port=advertised_port, settings=settings)
        self.controller_port = free_port()
        self.heap = heap
        self.kafka = kafka

    @property
    def version(self) -> str:
        return version_name(self.kafka)

    @property
    def properties(self) -> Path:
        return self.directory / "server.properties"

    def prepare(self) -> None:
        listeners = {"PLAINTEXT": "127.0.0.1", "IPV6": "[::1]"}
        if self.advertised_port != self.port:  # a proxy stands before it, at 127.0.0.1
            del listeners["IPV6"]
        own = [f"{name}://{host}:{self.port}" for name, host in listeners.items()]
        advertised = [f"{name}://{host}:{self.advertised_port}" for name, host in listeners.items()]
        known = SETTINGS if self.kafka == VERSION else SETTINGS_BEFORE_SHARE_GROUPS
        settings = known | {
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": ",".join([*own, f"CONTROLLER://127.0.0.1:{self.controller_port}"]),
            "advertised.listeners": ",".join(advertised),
            "log.dirs": str(self.data_dir),
        }
        settings |= self.settings
        self.properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        arguments = ["format", "--cluster-id", "b3R0bGEtY29tcGF0LTAwMA", "--config", str(self.properties)]
        with self.log_path.open("ab") as log:
            subprocess.run(
                [*self._java("128m"), "kafka.tools.StorageTool", *arguments], check=True, stdout=log, stderr=log
            )

    def command(self) -> list[str]:
        return [*self._java(self.heap), "kafka.Kafka", str(self.properties)]

    def _java(self, heap: str) -> list[str]:
        # Serial collector and one compiler tier: for a short life on few, busy cores.
        options = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={LOGGING}"]
        return ["java", f"-Xmx{heap}", *options, "-cp", class_path(self.kafka)]
