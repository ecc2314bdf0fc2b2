"""Announces that the broker is ready: a banner for a person, a JSON file for a program."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ottla.broker.process.options import Ready, ReadyNode

READY_LINE = "Ottla is ready on "


def banner(ready: Ready) -> str:
    """Return the ready line with the bootstrap addresses, and what to try next."""
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
    return ", ".join(map(str, node.listening))


def _in_rack(node: ReadyNode) -> str:
    return f"  rack {node.rack}" if node.rack is not None else ""


def write_port_file(file: Path, ready: Ready) -> None:
    """Write the facts of a running broker as JSON. The file appears whole."""
    first = ready.nodes[0]
    facts = {
        "host": first.advertised.host,
        "port": first.advertised.port,
        "bootstrap": ready.bootstrap,
        "listening": list(map(str, first.listening)),
        "pid": os.getpid(),
        "node_id": first.id,
        "cluster_id": ready.cluster_id,
        "data_dir": str(ready.data_dir),
        "nodes": [
            {
                "id": node.id,
                "host": node.advertised.host,
                "port": node.advertised.port,
                "bootstrap": str(node.advertised),
                "listening": list(map(str, node.listening)),
                "rack": node.rack,
            }
            for node in ready.nodes
        ],
    }
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(file)
