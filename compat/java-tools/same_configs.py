"""kafka-configs, kafka-client-metrics, kafka-acls and kafka-delegation-tokens: what is set, and how it is shown."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from shell import Shell

# Settings in Apache's file here, and Ottla's own defaults (docs/configuration.md): ports, folders, nodes, delays.
OWN = (
    "listener|log.dir|controller|quorum|broker.session|broker.heartbeat|node.id|process.roles|auto.create.topics"
    "|num.partitions|dedupe.buffer|initial.rebalance.delay"
)


def _alter(shell: Shell, where: list[str], *changes: str) -> None:
    for change in changes:
        option = "--add-config" if "=" in change else "--delete-config"
        shell.run("configs", *where, "--alter", option, change)
        shell.run("configs", *where, "--describe")


def configs_of_topic(shell: Shell) -> None:
    shell.create(1, "--config", "segment.bytes=2000000")
    where = ["--entity-type", "topics", "--entity-name", shell.job.topic]
    _alter(
        shell, where, "retention.ms=3600000,cleanup.policy=[compact,delete]", "max.message.bytes=2000", "retention.ms"
    )
    shell.run("configs", *where, "--describe", "--all")
    shell.run("configs", "--topic", shell.job.topic, "--describe")
    shell.run("configs", "--entity-type", "topics", "--describe", only=f"{shell.job.topic}'? ")
    shell.refuse("configs", *where, "--alter", "--add-config", "retention.ms=long")
    shell.refuse("configs", *where, "--alter", "--add-config", "cleanup.policy=burn")
    shell.refuse("configs", *where, "--alter", "--add-config", "no.such.setting=1")
    shell.run("configs", *where, "--alter", "--delete-config", "no.such.setting")
    shell.refuse("configs", *where[:3], f"{shell.job.topic}-missing", "--alter", "--add-config", "retention.ms=1")
    shell.run("configs", *where[:3], f"{shell.job.topic}-missing", "--describe")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "added.properties"
        path.write_text("retention.bytes=1000\nsegment.ms=60000\n")
        shell.quietly("configs", *where, "--alter", "--add-config-file", str(path))
    shell.run("configs", *where, "--describe")


def configs_of_broker(shell: Shell) -> None:
    broker, every = ["--entity-type", "brokers", "--entity-name", "1"], ["--entity-type", "brokers", "--entity-default"]
    _alter(shell, every, "log.retention.ms=3600000,message.max.bytes=3000000", "log.retention.ms")
    _alter(shell, broker, "message.max.bytes=2000000,log.cleaner.threads=2", "log.cleaner.threads")
    text = shell.quietly("configs", *broker, "--describe", "--all")
    lines = [line for line in text.splitlines() if not re.search(OWN, line)]
    shell.printed.add("configs of broker 1, all", "\n".join(sorted(lines)))
    _alter(shell, broker, "message.max.bytes")
    _alter(shell, every, "message.max.bytes")
    shell.refuse("configs", *broker, "--alter", "--add-config", "broker.rack=here")
    shell.refuse("configs", *broker, "--alter", "--add-config", "message.max.bytes=large")
    shell.run("configs", *broker, "--alter", "--delete-config", "message.max.bytes")
    shell.run("configs", *broker[:3], "7", "--describe")
    loggers = ["--entity-type", "broker-loggers", "--entity-name", "1"]
    shell.run("configs", *loggers, "--alter", "--add-config", "root=ERROR")
    shell.run("configs", *loggers, "--describe", only="root=|^Dynamic")
    shell.refuse("configs", *loggers, "--alter", "--add-config", "root=LOUD")
    shell.refuse("configs", *loggers, "--alter", "--delete-config", "root")
    shell.run("configs", *loggers, "--alter", "--add-config", "root=WARN")


def configs_of_group(shell: Shell) -> None:
    where = ["--entity-type", "groups", "--entity-name", shell.job.group]
    _alter(
        shell,
        where,
        "consumer.session.timeout.ms=50000,consumer.heartbeat.interval.ms=6000",
        "consumer.session.timeout.ms",
    )
    # Settings left out have another default: see docs/configuration.md.
    shell.run("configs", *where, "--describe", "--all", only=r"^(?!.*initial\.rebalance\.delay)")
    shell.run("configs", "--entity-type", "groups", "--describe", only=shell.job.group)
    shell.refuse("configs", *where, "--alter", "--add-config", "consumer.session.timeout.ms=1")
    shell.refuse("configs", *where, "--alter", "--add-config", "no.such.setting=1")
    _alter(shell, where, "consumer.heartbeat.interval.ms")


def client_metrics(shell: Shell) -> None:
    name = ["--name", shell.job.group]
    shell.run("client-metrics", "--alter", *name, "--metrics", "org.apache.kafka.producer.,org.apache.kafka.consumer.")
    shell.run("client-metrics", "--describe", *name)
    shell.run(
        "client-metrics", "--alter", *name, "--interval", "60000", "--match", "client_id=a,client_software_name=java"
    )
    shell.run("client-metrics", "--describe", *name)
    shell.run("client-metrics", "--list", only=shell.job.group)
    where = ["--entity-type", "client-metrics", "--entity-name", shell.job.group]
    shell.run("configs", *where, "--describe")
    shell.run("configs", *where, "--describe", "--all")
    shell.run("client-metrics", "--alter", *name, "--interval", "", "--match", "")
    shell.run("client-metrics", "--describe", *name)
    shell.refuse("client-metrics", "--alter", *name, "--interval", "1")
    shell.refuse("client-metrics", "--alter", *name, "--match", "colour=red")
    shell.run("client-metrics", "--delete", *name)
    shell.run("client-metrics", "--describe", *name)
    shell.run("client-metrics", "--list", only=shell.job.group)


def quotas(shell: Shell) -> None:
    user, client = ["--entity-type", "users", "--entity-name", "u"], ["--entity-type", "clients", "--entity-name", "c"]
    _alter(shell, user, "producer_byte_rate=1024,consumer_byte_rate=2048,request_percentage=12.5", "producer_byte_rate")
    _alter(shell, client, "producer_byte_rate=1024,controller_mutation_rate=3.5")
    _alter(shell, [*user, *client], "request_percentage=200")
    _alter(shell, ["--entity-type", "users", "--entity-default"], "consumer_byte_rate=4096000")
    _alter(
        shell,
        ["--entity-type", "users", "--entity-default", "--entity-type", "clients", "--entity-default"],
        "request_percentage=1E3",
    )
    _alter(shell, ["--entity-type", "ips", "--entity-name", "127.0.0.9"], "connection_creation_rate=100")
    _alter(shell, ["--entity-type", "ips", "--entity-default"], "connection_creation_rate=200")
    for words in ("users", "clients", "ips", "users --entity-type clients"):
        shell.run("configs", "--entity-type", *words.split(), "--describe")
    shell.refuse("configs", *user, "--alter", "--add-config", "producer_byte_rate=-5")
    shell.refuse("configs", *user, "--alter", "--add-config", "producer_byte_rate=much")
    shell.refuse("configs", *user, "--alter", "--add-config", "producer_byte_rate=1024.5")
    shell.refuse("configs", *user, "--alter", "--add-config", "connection_creation_rate=5")
    _alter(shell, user, "consumer_byte_rate,request_percentage")
    _alter(shell, client, "producer_byte_rate,controller_mutation_rate")
    _alter(shell, [*user, *client], "request_percentage")
    _alter(shell, ["--entity-type", "users", "--entity-default"], "consumer_byte_rate")
    _alter(
        shell,
        ["--entity-type", "users", "--entity-default", "--entity-type", "clients", "--entity-default"],
        "request_percentage",
    )
    _alter(shell, ["--entity-type", "ips", "--entity-name", "127.0.0.9"], "connection_creation_rate")
    _alter(shell, ["--entity-type", "ips", "--entity-default"], "connection_creation_rate")


def scram_credentials(shell: Shell) -> None:
    """Of several mechanisms, Apache shows sometimes one first and sometimes another."""
    alice = ["--entity-type", "users", "--entity-name", "alice"]

    def shown(*words: str) -> None:
        text = shell.quietly("configs", *words, "--describe")
        shell.printed.add(f"configs {' '.join(words)}", "\n".join(sorted(re.split(", | are ", text.strip()))))

    for change in ("SCRAM-SHA-256=[iterations=8192,password=secret]", "SCRAM-SHA-512=[password=secret]"):
        shell.run("configs", *alice, "--alter", "--add-config", change)
        shown(*alice)
    shown("--entity-type", "users")
    shown("--user", "alice")
    for change in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        shell.run("configs", *alice, "--alter", "--delete-config", change)
        shown(*alice)
    shell.refuse("configs", *alice, "--alter", "--delete-config", "SCRAM-SHA-256")
    shell.refuse("configs", *alice, "--alter", "--add-config", "SCRAM-SHA-256=[iterations=10,password=secret]")
    shell.refuse("configs", *alice, "--alter", "--add-config", "SCRAM-SHA-1=[password=secret]")


def acls(shell: Shell) -> None:
    """Without an authorizer there are none, and none can be made."""
    one = ["--allow-principal", "User:alice", "--operation", "Read", "--topic", shell.job.topic]
    shell.refuse("acls", "--list")
    shell.refuse("acls", "--list", "--topic", shell.job.topic)
    shell.refuse("acls", "--add", *one)
    shell.refuse("acls", "--remove", *one, "--force")


def delegation_tokens(shell: Shell) -> None:
    """Without a secret key there are none, and over PLAINTEXT nobody may ask."""
    with tempfile.NamedTemporaryFile("w", suffix=".properties") as empty:
        where = ["--command-config", empty.name]
        for words in (
            ["--create", "--max-life-time-period", "-1", "--renewer-principal", "User:alice"],
            ["--describe"],
            ["--describe", "--owner-principal", "User:alice"],
            ["--renew", "--renew-time-period", "-1", "--hmac", "c2VjcmV0"],
            ["--expire", "--expiry-time-period", "-1", "--hmac", "c2VjcmV0"],
        ):
            text = shell.quietly("tokens", *words, *where, ends=1)
            shell.printed.add(f"tokens {' '.join(words)}", "\n".join(re.findall(r"\w+Exception\b", text)))


SCENARIOS = {
    "prints-configs-of-topic": configs_of_topic,
    "prints-configs-of-broker": configs_of_broker,
    "prints-configs-of-group": configs_of_group,
    "prints-client-metrics": client_metrics,
    "prints-quotas": quotas,
    "prints-scram-credentials": scram_credentials,
    "prints-acls": acls,
    "prints-delegation-tokens": delegation_tokens,
}
