"""The command `ottla clients`: lists the libraries, with versions, that are connected to a running broker."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ottla.cli.shared import ask_broker, of_running_broker, table

if TYPE_CHECKING:
    from ottla.broker.versions.releases import Release

Connection = Mapping[str, Any]
"""A connection as the broker describes it (``broker/monitoring/clients``)."""


@click.command(short_help="List the clients of a running broker.")
@of_running_broker
@click.option(
    "--for",
    "release_name",
    metavar="X.Y",
    help="Show for each client whether it would work with that release of Kafka, such as 4.0.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each connection as a line of JSON.")
def clients(data_dir: Path | None, *, release_name: str | None, as_json: bool) -> None:
    """List the clients of a running broker: library and version, and the versions of Kafka's APIs in use.

    Libraries name themselves since Kafka 2.4 (KIP-511). Of older ones, only client id and APIs in use are known.

    \b
    ottla clients
    ottla clients --for 4.0
    """  # noqa: D301
    from ottla.broker.versions.releases import UnknownReleaseError, find_release

    try:
        release = None if release_name is None else find_release(release_name)
    except UnknownReleaseError as error:
        raise click.ClickException(str(error)) from None
    connections: list[Connection] = ask_broker(data_dir, "clients")
    if as_json:
        for connection in connections:
            click.echo(json.dumps(connection))
        return
    if not connections:
        click.echo("no clients are connected")
        return
    click.echo(table(_rows(connections, release)))


def _rows(connections: Iterable[Connection], release: Release | None) -> list[Sequence[str]]:
    """Return a row for each client: its connections from one host, under one name."""
    by_client: defaultdict[tuple[str, str, str], list[Connection]] = defaultdict(list)
    for each in connections:
        by_client[_library(each), each["client_id"] or "-", each["host"]].append(each)
    last = "APIS" if release is None else f"WITH KAFKA {release.name}"
    rows: list[Sequence[str]] = [("LIBRARY", "CLIENT ID", "HOST", "SINCE", "CONNECTIONS", last)]
    for client, found in sorted(by_client.items()):
        used = _versions_in_use(found)
        said = ", ".join(_apis(used)) if release is None else _verdict(used, release)
        rows.append((*client, _since(found), str(len(found)), said))
    return rows


def _library(connection: Connection) -> str:
    return f"{connection['software_name']} {connection['software_version']}".strip() or "unknown"


def _since(connections: Iterable[Connection]) -> str:
    first = min(each["connected_ms"] for each in connections)
    return datetime.fromtimestamp(first / 1000).astimezone().isoformat(" ", "seconds")[:19]


def _versions_in_use(connections: Iterable[Connection]) -> Mapping[str, set[int]]:
    versions: defaultdict[str, set[int]] = defaultdict(set)
    for each in connections:
        for name, used in each["apis"].items():
            versions[name].update(used)
    return versions


def _apis(used: Mapping[str, set[int]]) -> list[str]:
    """Return each API with the versions that were used, as `Metadata v1 v4`."""
    return [" ".join((name, *(f"v{version}" for version in sorted(versions)))) for name, versions in used.items()]


def _verdict(used: Mapping[str, set[int]], release: Release) -> str:
    """Return whether a release would serve the versions that a client has used, as a sentence.

    A client that sends ApiVersions takes the newest version that both know: one that is too old is then the client's
    newest, and one that is too new means nothing, because the client would have taken another.
    """
    from ottla.broker.apis import APIS, BY_KEY
    from ottla.wire.codes import ApiKey

    asks = "ApiVersions" in used and release.accepted(BY_KEY[ApiKey.API_VERSIONS]) is not None
    old, new, missing = [], [], []
    for api in APIS:
        accepted = release.accepted(api)
        for version in sorted(used.get(api.name, ())):
            if accepted is None:
                missing.append(api.name)
            elif version < accepted[0]:
                old.append(f"{api.name} v{version}, where {accepted[0]} is the first")
            elif version > accepted[1] and not asks:
                new.append(f"{api.name} v{version}, where {accepted[1]} is the last")
    parts = [f"{word}: {'; '.join(found)}" for word, found in (("too old", old), ("too new", new)) if found]
    if missing:
        parts.append(f"it has no {', '.join(dict.fromkeys(missing))}")
    return ". ".join(parts) or "would work"
