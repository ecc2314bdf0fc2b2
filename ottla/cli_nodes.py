"""The command `ottla nodes`: lists, stops and starts the nodes of a running broker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

Node = Mapping[str, Any]
"""A node as the broker describes it (``broker/nodes``)."""

_with_data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The data folder of the broker, which it names when it starts.  [default: that of `ottla serve`]",
)


@click.group(short_help="List, stop and start the nodes of a running broker.")
def nodes() -> None:
    """List, stop and start the nodes of a broker that runs with `ottla serve --nodes N`.

    \b
    ottla nodes list
    ottla nodes stop 2
    ottla nodes start 2
    """  # noqa: D301


@nodes.command("list")
@_with_data_dir
@click.option("--json", "as_json", is_flag=True, help="Print each node as a line of JSON.")
def list_nodes(data_dir: Path | None, *, as_json: bool) -> None:
    """List the nodes: where they listen, and how many partitions each leads, holds and has in sync."""
    found: list[Node] = _ask(data_dir, "nodes")
    lines = map(json.dumps, found) if as_json else _table(found)
    for line in lines:
        click.echo(line)


def _changing(name: str, command: str, done: str, explanation: str) -> Callable[..., None]:
    @nodes.command(name, help=explanation, short_help=explanation.partition(".")[0] + ".")
    @click.argument("node_id", type=int, metavar="NODE")
    @_with_data_dir
    def change(node_id: int, data_dir: Path | None) -> None:
        _ask(data_dir, command, node_id=node_id)
        click.echo(f"node {node_id} {done}")

    return change


stop_node = _changing(
    "stop",
    "stop-node",
    "is stopped",
    "Stop a node. Others lead what it led, then its connections are closed and its ports refuse new ones.",
)
start_node = _changing(
    "start",
    "start-node",
    "runs",
    "Start a node again, on the same ports. It is in sync at once, and leads again when leaders are next balanced.",
)


def _ask(data_dir: Path | None, command: str, **arguments: Any) -> Any:
    from ottla.control_channel import ControlError, ask

    try:
        return ask(data_dir or _default_data_dir(), command, **arguments)
    except ControlError as error:
        raise click.ClickException(str(error)) from None


def _default_data_dir() -> Path:
    from platformdirs import user_data_path

    return user_data_path("ottla", appauthor=False)


def _table(found: Iterable[Node]) -> list[str]:
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
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
