"""Reads a client's manifest: which versions, how they install and run, which scenarios they cannot do and why."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compat.apache_broker import POMS, VERSION

KEYS = {
    "name",
    "version",
    "install",
    "run",
    "needs",
    "environment",
    "only_extra",
    "without",
    "extra",
    "options",
    "sources",
    "ci",
    "reference",
    "as_kafka",
}


class ManifestError(Exception):
    """A client.toml that does not say what it must."""


@dataclass(frozen=True)
class Client:
    """One client library at one version, with its program."""

    name: str
    version: str
    folder: Path
    install: list[list[str]]
    run: list[str]
    needs: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    without: dict[str, str] = field(default_factory=dict)
    """Scenario -> why this client cannot take part in it."""
    extra: dict[str, str] = field(default_factory=dict)
    """Scenarios that only this client has -> what they prove."""
    only_extra: bool = False
    """It takes part in none of the standard scenarios."""
    ci: list[str] | None = None
    """The scenarios that run with --ci; None: all."""
    options: dict[str, Any] = field(default_factory=dict)
    """Given to the program with every scenario."""
    reference: str = VERSION
    """The Apache release that it is compared on."""
    as_kafka: str | None = None
    """The release of which Ottla is to offer the versions and no more (`ottla serve --as-kafka`)."""
    sources: str | list[str] = "*"
    """Which files (patterns), when changed, call for a new installation."""

    def fill(self, words: list[str], places: dict[str, str]) -> list[str]:
        """`words` with {here}, {cache}, ... replaced."""
        return [_fill(word, places) for word in words]

    def scenarios(self, standard: list[str]) -> list[str]:
        """All that it takes part in: its own and, of `standard`, those that it can do."""
        shared = [] if self.only_extra else [name for name in standard if name not in self.without]
        return [*self.extra, *shared]

    def stamp(self) -> str:
        """Changes whenever the client has to be installed again."""
        digest = hashlib.sha256()
        patterns = [self.sources] if isinstance(self.sources, str) else self.sources
        for path in sorted(path for pattern in patterns for path in self.folder.glob(pattern)):
            if path.is_file():
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
        digest.update(repr((self.version, self.install, self.needs)).encode())
        return digest.hexdigest()[:16]


def _fill(word: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        word = word.replace("{" + name + "}", value)
    return word


def parse(text: str, folder: Path, scenarios: set[str]) -> list[Client]:
    """The client that `text` describes, and then its older versions. Raises ManifestError with the reason."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"{folder.name}: {error}") from error
    older = table.pop("older", {})
    if table.get("name") and table["name"] != folder.name:
        raise ManifestError(f"{folder.name}: its name says {table['name']!r}")
    tables = {"": table}
    for versions, differences in older.items():
        for version in versions.split(", "):
            named = {"name": f"{folder.name}-{version}", "version": version, "ci": []}
            tables[version] = _changed(tables.get(version, table | named), differences)
    return [_client(one, folder, scenarios) for one in tables.values()]


def _changed(table: dict[str, Any], differences: dict[str, Any]) -> dict[str, Any]:
    """Apply `differences`: they are added to the tables in `table`, and replace all else."""
    added = {key: table.get(key, {}) | value for key, value in differences.items() if isinstance(value, dict)}
    return table | differences | added


def _client(table: dict[str, Any], folder: Path, scenarios: set[str]) -> Client:
    if unknown := set(table) - KEYS:
        raise ManifestError(f"{folder.name}: unknown keys {sorted(unknown)}")
    for key in ("name", "version", "install", "run"):
        if not table.get(key):
            raise ManifestError(f"{folder.name}: {key} is missing")
    if unknown := set(table.get("without", {})) - scenarios:
        raise ManifestError(f"{folder.name}: without names no scenario {sorted(unknown)}")
    if both := set(table.get("extra", {})) & scenarios:
        raise ManifestError(f"{folder.name}: {sorted(both)} are not extra")
    if table.get("reference", VERSION) not in POMS:
        raise ManifestError(f"{folder.name}: reference is none of {', '.join(POMS)}")
    client = Client(folder=folder, **table)
    if unknown := set(client.ci or ()) - scenarios - set(client.extra):
        raise ManifestError(f"{folder.name}: ci names no scenario {sorted(unknown)}")
    return client


def read_clients(folder: Path, scenarios: set[str]) -> list[Client]:
    """All clients below `folder`, by name, each followed by its older versions."""
    paths = sorted(folder.glob("*/client.toml"))
    return [client for path in paths for client in parse(path.read_text(), path.parent, scenarios)]
