#!/usr/bin/env python3
"""Writes docs/settings.md: the settings of Apache Kafka that Ottla accepts and shows, but that change nothing here.

Run it with the Python of .venv: `.venv/bin/python tools/settings.py`. A test says when it has to be run.
"""

import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ottla.broker.settings.apache_table import APACHE_DEFINITIONS  # noqa: E402  (found through the path above)
from ottla.broker.settings.broker_config import DYNAMIC_DEFINITIONS  # noqa: E402
from ottla.broker.settings.group_table import GROUP_DEFINITIONS  # noqa: E402
from ottla.broker.settings.topic_table import NOT_ACTED_ON as OF_TOPICS  # noqa: E402

DOCUMENT = ROOT / "docs" / "settings.md"

REASONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "TLS, SASL, ACLs and delegation tokens: not yet",
        (
            "ssl.*",
            "sasl.*",
            "authorizer.*",
            "principal.builder.class",
            "delegation.token.*",
            "connections.max.reauth.ms",
            "connection.failed.authentication.delay.ms",
            "security.providers",
            "early.start.listeners",
        ),
    ),
    ("transactions: not yet", ("transaction.*", "transactional.*", "add.partitions.to.txn.*")),
    (
        "the new group protocol (KIP-848), share groups, streams groups: not yet",
        ("group.consumer.*", "group.share.*", "group.streams.*", "share.*", "group.coordinator.rebalance.protocols"),
    ),
    ("tiered storage: not planned", ("remote.*", "log.local.*", "local.*", "follower.fetch.last.tiered.*")),
    (
        "nothing is copied from broker to broker: the nodes of one process share each log",
        (
            "replica.*",
            "replication.quota.*",
            "num.replica.*",
            "alter.log.dirs.*",
            "leader.*",
            "follower.*",
            "auto.leader.rebalance.enable",
            "unclean.leader.*",
            "inter.broker.listener.name",
            "security.inter.broker.protocol",
        ),
    ),
    (
        "there is no quorum of controllers, and no metadata log",
        (
            "controller.*",
            "broker.*",
            "metadata.*",
            "internal.metadata.*",
            "initial.broker.registration.timeout.ms",
            "controlled.shutdown.enable",
            "request.timeout.ms",
            "socket.connection.setup.*",
            "server.max.startup.time.ms",
            "unstable.*",
        ),
    ),
    (
        "Apache's threads, queues and buffers: Ottla answers in one thread, with a few more for the disk",
        (
            "*.threads",
            "*.threads.per.data.dir",
            "queued.max.*",
            "*.purgatory.*",
            "*.load.buffer.size",
            "*.cached.buffer.max.bytes",
            "*.append.linger.ms",
            "socket.*",
        ),
    ),
    (
        "plugins and metrics of the JVM",
        ("*.class", "*.class.name", "config.providers", "metric*", "kafka.metrics.*"),
    ),
    ("connections are bounded by `max.connections`, and by quotas", ("max.connection*",)),
    (
        "there is one data folder, and changes are in force when they are answered",
        ("cordoned.log.dirs", "log.dir.failure.timeout.ms", "log.flush.start.offset.*", "offsets.*"),
    ),
)
"""The reasons, with patterns of names: the first reason that has a matching pattern counts."""


def markdown() -> str:
    """Return the text of the document. Raises ValueError for a setting without a reason."""
    lines = [
        "# Settings that change nothing",
        "",
        "Written by `tools/settings.py` from the tables in `ottla/broker/`; do not edit.",
        "",
        "Apache Kafka has these settings. Ottla accepts them, checks them as Apache does and shows them to clients,",
        "but does not act on them; its log names those of a broker at start, and when one is changed. All others do",
        "the same as in Apache ([configuration.md](configuration.md) has the exceptions).",
        "",
    ]
    for title, names in (
        ("Brokers", APACHE_DEFINITIONS.keys() | DYNAMIC_DEFINITIONS.keys()),
        ("Topics", OF_TOPICS),
        ("Groups", {f"group.{name}" for name in GROUP_DEFINITIONS}),
    ):
        lines += [f"## {title}", "", "| reason | settings |", "|---|---|"]
        prefix = "group." if title == "Groups" else ""
        lines += [
            f"| {reason} | {', '.join(f'`{name.removeprefix(prefix)}`' for name in sorted(found))} |"
            for reason, found in _explained(names).items()
        ]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _explained(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {reason: [] for reason, _ in REASONS}
    for name in names:
        found[_reason(name)].append(name)
    return {reason: settings for reason, settings in found.items() if settings}


def _reason(name: str) -> str:
    for reason, patterns in REASONS:
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return reason
    raise ValueError(f"{name} changes nothing, and has no reason in tools/settings.py")


if __name__ == "__main__":
    DOCUMENT.write_text(markdown(), encoding="utf-8")
