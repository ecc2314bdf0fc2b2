"""Keeps the findings of runs, each until it is found anew, so that the table can be made client by client.

Each outcome is kept with the commit and the day of its run. One of another version of client or broker counts no more.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compat.apache_broker import VERSION, version_name
from compat.harness.manifest import Client
from compat.harness.stage import ROOT, Outcome

OWN_FILES = ["ottla", "compat"]


def commit_of_checkout() -> str:
    """The commit that runs now, abbreviated, with a + when broker or harness differ from it; empty outside of git."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(ROOT), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", *OWN_FILES)
        return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


@dataclass(frozen=True)
class Entry:
    """An outcome, and where it comes from."""

    outcome: Outcome
    client_version: str
    commit: str
    date: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Ledger:
    """The entries of all clients, a file for each below `folder`."""

    def __init__(self, folder: Path, commit: str = "") -> None:
        self.folder = folder
        self.commit = commit
        self._lock = threading.Lock()

    def keep(self, client: Client, outcome: Outcome) -> None:
        """In place of what an earlier run found; may be called by several threads."""
        entry = Entry(
            outcome=outcome, client_version=client.version, commit=self.commit, date=f"{datetime.now(UTC):%Y-%m-%d}"
        )
        with self._lock:
            kept = [one for one in self._read(client) if _place(one) != _place(entry)]
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self._path(client)
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps([one.as_json() for one in [*kept, entry]], indent=1))
            partial.replace(path)

    def entries(self, clients: Iterable[Client], versions: dict[str, str]) -> list[Entry]:
        """Return the findings about `clients` at their versions, against the brokers' `versions` (by name).

        Apache's is the one that a client is compared on, if its manifest names another.
        """
        found = []
        for client in clients:
            wanted = versions if client.reference == VERSION else versions | {"apache": version_name(client.reference)}
            found += [
                entry
                for entry in self._read(client)
                if entry.client_version == client.version and wanted.get(entry.outcome.broker) == entry.outcome.against
            ]
        return found

    def _path(self, client: Client) -> Path:
        return self.folder / f"{client.name}.json"

    def _read(self, client: Client) -> list[Entry]:
        path = self._path(client)
        if not path.exists():
            return []
        return [Entry(**fields | {"outcome": Outcome(**fields["outcome"])}) for fields in json.loads(path.read_text())]


def _place(entry: Entry) -> tuple[str, str]:
    return entry.outcome.scenario, entry.outcome.broker
