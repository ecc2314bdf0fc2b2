"""Writes docs/compatibility.md from what the ledger knows. Decides what a reader sees of it."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from compat.apache_broker import VERSION
from compat.harness.ledger import Entry
from compat.harness.manifest import Client
from compat.harness.scenarios import SCENARIOS
from compat.harness.stage import Outcome
from compat.harness.table import MARKS, Results

BROKERS = ("apache", "ottla")
TITLES = {"apache": "Apache", "ottla": "Ottla"}


def read_absent(path: Path) -> dict[str, str]:
    """Clients that could not be had at all -> why."""
    return {str(name): str(reason) for name, reason in tomllib.loads(path.read_text()).items()}


class Document:
    """`versions`: what the brokers call themselves, by name."""

    def __init__(
        self, clients: Sequence[Client], entries: Sequence[Entry], versions: dict[str, str], absent: dict[str, str]
    ) -> None:
        self.clients = clients
        # Results of scenarios that a client takes part in no more say nothing.
        taken_part_in = {(client.name, scenario) for client in clients for scenario in self._names(client)}
        self.entries = [each for each in entries if (each.outcome.client, each.outcome.scenario) in taken_part_in]
        self.versions = versions
        self.absent = absent
        self.results = Results((entry.outcome for entry in self.entries), BROKERS)

    def text(self) -> str:
        """The whole document."""
        parts = [self._head(), self._clients(), self._scenarios(), *self._own_scenarios(), self._reasons()]
        parts += [self._absent(), self._failures()]
        return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"

    def _head(self) -> list[str]:
        return [
            "# Compatibility",
            "",
            "Written by `compat/run --write`; do not edit. Each client is the unmodified library, installed by its own",
            f"package manager. Each scenario runs on {self.versions['apache']} and on {self.versions['ottla']}.",
            "",
            "`pass`: on both. `pass / FAIL`: how it ended on Apache / on Ottla. `-`: has not run. `n/a`: the client",
            "cannot do that; the reason stands below. The commit is Ottla's, with a + where its files were changed.",
        ]

    def _clients(self) -> list[str]:
        lines = ["| Client | Version | Apache passes | Ottla passes | n/a | Seconds on both | Run at |"]
        lines.append("|---|---|---|---|---|---|---|")
        for client in self.clients:
            names = self._names(client)
            counts = [
                f"{sum(self.results.passed(client.name, name, broker) is True for name in names)} of {len(names)}"
                for broker in BROKERS
            ]
            own = [entry for entry in self.entries if entry.outcome.client == client.name]
            seconds = sum(entry.outcome.seconds for entry in own)
            runs = ", ".join(dict.fromkeys(f"{entry.commit} ({entry.date})" for entry in own)) or "not run"
            version = client.version
            if client.reference != VERSION:
                version += f" (Apache {client.reference})"
            if client.as_kafka is not None:
                version += f" (Ottla as {client.as_kafka})"
            cells = [client.name, version, *counts, str(len(client.without)), f"{seconds:.0f}", runs]
            lines.append(f"| {' | '.join(cells)} |")
        total = sum(entry.outcome.seconds for entry in self.entries)
        return [
            *lines,
            "",
            f"All scenarios take {total / 60:.0f} minutes one after the other, {total / 120:.0f} in twos.",
        ]

    def _scenarios(self) -> list[str]:
        shared = [client for client in self.clients if not client.only_extra]
        lines = ["| Scenario | " + " | ".join(client.name for client in shared) + " |", "|---|" + "---|" * len(shared)]
        for scenario in SCENARIOS:
            cells = [self._cell(client, scenario.name) for client in shared]
            lines.append(f"| `{scenario.name}` | " + " | ".join(cells) + " |")
        lines += ["", "What each scenario proves:", ""]
        return [*lines, *(f"- `{scenario.name}`: {scenario.proves}." for scenario in SCENARIOS)]

    def _own_scenarios(self) -> list[list[str]]:
        return [
            [
                f"## Only {client.name}",
                "",
                "| Scenario | Result | What it proves |",
                "|---|---|---|",
                *(f"| `{name}` | {self._cell(client, name)} | {proves} |" for name, proves in client.extra.items()),
            ]
            for client in self.clients
            if client.extra
        ]

    def _reasons(self) -> list[str]:
        reasons = [
            f"- {client.name}, `{name}`: {reason}" for client in self.clients for name, reason in client.without.items()
        ]
        return ["## Not applicable", "", *reasons] if reasons else []

    def _absent(self) -> list[str]:
        lines = [f"- {name}: {reason}" for name, reason in self.absent.items()]
        return ["## Could not be had", "", *lines] if lines else []

    def _failures(self) -> list[str]:
        lines = [f"- {one.client}, `{one.scenario}`, {TITLES[one.broker]}: {_reason(one)}" for one in self._failed()]
        return ["## Failures", "", *lines] if lines else []

    def _failed(self) -> list[Outcome]:
        """Of those that the clients still take part in."""
        names = {client.name: self._names(client) for client in self.clients}
        return [one for one in self.results.failed() if one.scenario in names.get(one.client, ())]

    def _names(self, client: Client) -> list[str]:
        return client.scenarios([scenario.name for scenario in SCENARIOS])

    def _cell(self, client: Client, scenario: str) -> str:
        if scenario in client.without:
            return "n/a"
        marks = [MARKS[self.results.passed(client.name, scenario, broker)] for broker in BROKERS]
        return marks[0] if len(set(marks)) == 1 and marks[0] != "FAIL" else " / ".join(marks)


def _reason(outcome: Outcome) -> str:
    return outcome.error.splitlines()[0] if outcome.error else ""
