"""What is said once the broker answers: a banner for a person, a JSON file for a program."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ottla.broker.options import Ready

READY_LINE = "Ottla is ready on "


def banner(ready: Ready) -> str:
    """Return the ready line with the bootstrap address, and what to try next."""
    bootstrap = str(ready.advertised)
    listening = ", ".join(map(str, ready.listening))
    return "\n".join(
        (
            f"{READY_LINE}{bootstrap}",
            f"  listening   {listening}",
            f"  data        {ready.data_dir}",
            f"  acks mean   {ready.acknowledgement}",
            f"  try         kcat -b {bootstrap} -L",
            f"  in Python   KafkaProducer(bootstrap_servers={bootstrap!r})",
            "  stop        Ctrl-C",
        )
    )


def write_port_file(file: Path, ready: Ready) -> None:
    """Write the facts of a running broker as JSON. Whoever sees the file sees all of it."""
    facts = {
        "host": ready.advertised.host,
        "port": ready.advertised.port,
        "bootstrap": str(ready.advertised),
        "listening": list(map(str, ready.listening)),
        "pid": os.getpid(),
        "node_id": ready.node_id,
        "cluster_id": ready.cluster_id,
        "data_dir": str(ready.data_dir),
    }
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(file)
