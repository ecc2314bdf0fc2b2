"""The command `ottla nodes`: lists, stops and starts the nodes of a running broker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ottla.cli.shared import ask_broker, of_running_broker, table

Node = Mapping[str, Any]
"""A node as the broker describes it (``broker/control/node_commands``)."""


@click.group(short_help="List, stop and start the nodes of a running broker.")
def nodes() -> None:
    """List, stop and start the nodes of a broker that runs with `ottla serve --nodes N`.

    \b
    ottla nodes list
    ottla nodes stop 2
    ottla nodes start 2
    """  # noqa: D301


@nodes.command("list")
@of_running_broker
@click.option("--json", "as_json", is_flag=True, help="Print each node as a line of JSON.")
def list_nodes(data_dir: Path | None, *, as_json: bool) -> None:
    """List the nodes: their addresses, and the number of partitions that each leads, holds and has in sync."""
    found: list[Node] = ask_broker(data_dir, "nodes")
    click.echo("\n".join(map(json.dumps, found)) if as_json else table(_rows(found)))


def _changing(name: str, command: str, done: str, explanation: str) -> Callable[..., None]:
    @nodes.command(name, help=explanation, short_help=explanation.partition(".")[0] + ".")
    @click.argument("node_id", type=int, metavar="NODE")
    @of_running_broker
    def change(node_id: int, data_dir: Path | None) -> None:
        ask_broker(data_dir, command, node_id=node_id)
        click.echo(f"node {node_id} {done}")

    return change


stop_node = _changing(
    "stop",
    "stop-node",
    "is stopped",
    "Stop a node. The other nodes take over its partitions and groups; then its connections are closed and its ports"
    " refuse new ones.",
)
start_node = _changing(
    "start",
    "start-node",
    "runs",
    "Start a node again, on the same ports. It is in sync at once, and leads again after the next election of preferred"
    " leaders.",
)


def _rows(found: Iterable[Node]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("NODE", "STATE", "ADDRESS", "RACK", "LEADS", "REPLICAS", "IN SYNC", "CONNECTIONS")]
    rows += [
        (
            str(node["id"]),
            "runs" if node["runs"] else "stopped",
            node["address"],
            node["rack"] or "-",
            *(str(node[figure]) for figure in ("leads", "replicas", "in_sync", "connections")),
        )
        for node in found
    ]
    return rows
