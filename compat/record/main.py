"""The command line of compat/record_frames."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from compat.apache_broker import ApacheBroker
from compat.harness.broker import free_port
from compat.harness.install import install
from compat.harness.manifest import Client, read_clients
from compat.harness.program import ScenarioError
from compat.harness.scenarios import BY_NAME, play
from compat.harness.stage import ROOT, Stage
from compat.record.golden import Golden
from compat.record.proxy import Proxy

GOLDEN = ROOT / "tests" / "wire" / "golden"

SCENARIOS = [
    "produce-none",
    "produce-lz4",
    "idempotent-produce",
    "consume-from-start",
    "consume-from-timestamp",
    "topics",
    "auto-create-topic",
    "commit-metadata",
    "admin-groups",
    "consumer-lag",
    "delete-records",
    "group-eager",
    "group-cooperative",
    "static-member-restart",
]

# Small messages make short frames.
SETTINGS = {"records": 6, "value_bytes": 8}


# The same client made to speak as it does to an older broker.
OLDER: dict[str, dict[str, dict[str, Any]]] = {
    "kafka-python": {"2.1": {"api_version": [2, 1]}, "2.6": {"api_version": [2, 6]}, "3.3": {"api_version": [3, 3]}},
}


def main(words: list[str] | None = None) -> int:
    """Record the clients that the command line names; the exit code."""
    parser = argparse.ArgumentParser(
        prog="compat/record_frames", description="Record golden frames between stock clients and Apache Kafka."
    )
    parser.add_argument("--client", action="append", metavar="NAME", help="only this client (may be repeated)")
    options = parser.parse_args(words)
    failures = 0
    for client in read_clients(ROOT / "compat", set(BY_NAME)):
        if not options.client or client.name in options.client:
            install(client)
            failures += record(client, "", {})
            for version, settings in OLDER.get(client.name, {}).items():
                failures += record(client, version, settings)
    return 1 if failures else 0


def record(client: Client, older: str, settings: dict[str, Any]) -> int:
    """Write the frames of one client, speaking as to an `older` broker if named; how many scenarios failed."""
    golden, failures = Golden(), 0
    with tempfile.TemporaryDirectory() as folder:
        broker = ApacheBroker(Path(folder) / "broker", advertised_port=free_port())
        with broker, Proxy(broker.advertised_port, broker.port, golden.keep):
            for name in client.scenarios(SCENARIOS):
                stage = Stage(
                    client=client,
                    broker=broker,
                    scenario=name,
                    directory=Path(folder) / "logs",
                    settings=SETTINGS | settings,
                )
                try:
                    play(stage)
                    print(f"{client.name} {name}", flush=True)
                except ScenarioError as error:
                    # To an older broker, a client cannot do all it can; what it said until then counts.
                    failures += not older
                    print(
                        f"{'left out' if older else 'FAIL'} {client.name} {name}: {error}", file=sys.stderr, flush=True
                    )
                finally:
                    stage.close()
        name = f"{client.name} {client.version}" + (f" as to Kafka {older}" if older else "")
        count = golden.write(GOLDEN / (client.name + (f"-{older}" if older else "")), name, broker.version)
    print(f"{client.name} {client.version}: {count} frames")
    return failures
