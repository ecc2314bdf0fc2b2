"""The command `ottla clients`: which libraries in which versions are connected to a running broker."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

Connection = Mapping[str, Any]
"""A connection as the broker describes it (``broker/clients``)."""


@click.command(short_help="List the clients of a running broker.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The data folder of the broker, which it names when it starts.  [default: that of `ottla serve`]",
)
@click.option("--json", "as_json", is_flag=True, help="Print each connection as a line of JSON.")
def clients(data_dir: Path | None, *, as_json: bool) -> None:
    """List who is connected to a running broker: library and version, and the versions of Kafka's APIs in use.

    Libraries name themselves since Kafka 2.4 (KIP-511). Of others, the client id and what they ask for is all there is.
    """
    from ottla.control_channel import ControlError, ask

    try:
        connections: list[Connection] = ask(data_dir or _default_data_dir(), "clients")
    except ControlError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        for connection in connections:
            click.echo(json.dumps(connection))
        return
    if not connections:
        click.echo("nobody is connected")
        return
    for line in _table(connections):
        click.echo(line)


def _default_data_dir() -> Path:
    from platformdirs import user_data_path

    return user_data_path("ottla", appauthor=False)


def _table(connections: Iterable[Connection]) -> list[str]:
    """A row for each client: its connections from one host, under one name."""
    by_client: defaultdict[tuple[str, str, str], list[Connection]] = defaultdict(list)
    for each in connections:
        by_client[_library(each), each["client_id"] or "-", each["host"]].append(each)
    rows: list[Sequence[str]] = [("LIBRARY", "CLIENT ID", "HOST", "SINCE", "CONNECTIONS", "APIS")]
    rows += [
        (*client, _since(found), str(len(found)), ", ".join(_apis(found)))
        for client, found in sorted(by_client.items())
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _library(connection: Connection) -> str:
    return f"{connection['software_name']} {connection['software_version']}".strip() or "unknown"


def _since(connections: Iterable[Connection]) -> str:
    first = min(each["connected_ms"] for each in connections)
    return datetime.fromtimestamp(first / 1000).astimezone().isoformat(" ", "seconds")[:19]


def _apis(connections: Iterable[Connection]) -> list[str]:
    """Each API with the versions that were asked for, as `Metadata v1 v4`."""
    versions: defaultdict[str, set[int]] = defaultdict(set)
    for each in connections:
        for name, used in each["apis"].items():
            versions[name].update(used)
    return [" ".join((name, *(f"v{version}" for version in sorted(used)))) for name, used in versions.items()]
