"""The facts of a broker that is ready, as it announces them: a banner for a person, a JSON file for a program."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

READY_LINE = "Ottla is ready on "


@dataclass(frozen=True)
class ReadyNode:
    """One node: the address that clients are told to connect to, and those that it listens on, as `HOST:PORT`."""

    id: int
    host: str
    port: int
    bootstrap: str
    """The host and port in one text, with brackets around an IPv6 address."""
    listening: tuple[str, ...]
    rack: str | None


@dataclass(frozen=True)
class Ready:
    """The facts of a broker that is ready, with all its nodes."""

    nodes: tuple[ReadyNode, ...]
    data_dir: Path
    cluster_id: str
    acknowledgement: str
    """The guarantee of a record that was acknowledged: one sentence for a person."""

    @property
    def bootstrap(self) -> str:
        """The `bootstrap.servers` for clients: every node's address."""
        return ",".join(node.bootstrap for node in self.nodes)


def banner(ready: Ready) -> str:
    """Return the ready line with the bootstrap addresses, and commands to try next."""
    bootstrap = ready.bootstrap
    if len(ready.nodes) == 1:
        nodes = [f"  listening   {_listening(ready.nodes[0])}"]
    else:
        nodes = [f"  node {node.id:<6} {_listening(node)}{_in_rack(node)}" for node in ready.nodes]
    return "\n".join(
        (
            f"{READY_LINE}{bootstrap}",
            *nodes,
            f"  data        {ready.data_dir}",
            f"  acks mean   {ready.acknowledgement}",
            f"  try         kcat -b {bootstrap} -L",
            f"  in Python   KafkaProducer(bootstrap_servers={bootstrap!r})",
            "  stop        Ctrl-C",
        )
    )


def _listening(node: ReadyNode) -> str:
    return ", ".join(node.listening)


def _in_rack(node: ReadyNode) -> str:
    return f"  rack {node.rack}" if node.rack is not None else ""


def write_port_file(file: Path, ready: Ready) -> None:
    """Write the facts of a running broker as JSON. The file appears whole."""
    first = ready.nodes[0]
    facts = {
        "host": first.host,
        "port": first.port,
        "bootstrap": ready.bootstrap,
        "listening": list(first.listening),
        "pid": os.getpid(),
        "node_id": first.id,
        "cluster_id": ready.cluster_id,
        "data_dir": str(ready.data_dir),
        "nodes": [
            {
                "id": node.id,
                "host": node.host,
                "port": node.port,
                "bootstrap": node.bootstrap,
                "listening": list(node.listening),
                "rack": node.rack,
            }
            for node in ready.nodes
        ],
    }
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(file)
