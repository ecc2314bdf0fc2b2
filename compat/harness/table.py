"""Outcomes as tables: for the terminal, and docs/compatibility.md. Decides what counts as passed and failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compat.harness.manifest import Client
from compat.harness.scenarios import SCENARIOS
from compat.harness.stage import Outcome

MARKS = {True: "pass", False: "FAIL", None: "-"}


class Results:
    """All outcomes of a run, by client, scenario and broker."""

    def __init__(self, outcomes: Iterable[Outcome], brokers: Sequence[str]) -> None:
        self.brokers = list(brokers)
        self._outcomes = {(one.client, one.scenario, one.broker): one for one in outcomes}

    def get(self, client: str, scenario: str, broker: str) -> Outcome | None:
        return self._outcomes.get((client, scenario, broker))

    def passed(self, client: str, scenario: str, broker: str) -> bool | None:
        """None when it did not run."""
        outcome = self.get(client, scenario, broker)
        return None if outcome is None else outcome.passed

    def failed(self) -> list[Outcome]:
        """A scenario that fails on Apache is a mistake of the scenario: one failure, not another one on Ottla."""
        failures = []
        for (client, scenario, broker), outcome in self._outcomes.items():
            excused = broker != "apache" and self.passed(client, scenario, "apache") is False
            if not outcome.passed and not excused:
                failures.append(outcome)
        return failures

    def passes(self) -> int:
        return sum(outcome.passed for outcome in self._outcomes.values())

    def scenarios(self, client: Client) -> list[str]:
        """Those that ran for `client` on any broker, in the list's order."""
        names = client.scenarios([scenario.name for scenario in SCENARIOS])
        return [name for name in names if any(self.get(client.name, name, broker) for broker in self.brokers)]

    def text(self, clients: Sequence[Client]) -> str:
        """For the terminal: a line per client and scenario, a column per broker."""
        lines = []
        width = max((len(name) for client in clients for name in self.scenarios(client)), default=10)
        for client in clients:
            lines.append(f"\n{client.name} {client.version}")
            lines.append(f"  {'':{width}}  " + "  ".join(f"{broker:8}" for broker in self.brokers))
            for name in self.scenarios(client):
                cells = []
                for broker in self.brokers:
                    outcome = self.get(client.name, name, broker)
                    seconds = f" {outcome.seconds:.0f}s" if outcome and outcome.passed else ""
                    cells.append(f"{MARKS[outcome.passed if outcome else None]}{seconds}".ljust(8))
                lines.append(f"  {name:{width}}  " + "  ".join(cells).rstrip())
            lines += [f"  {name:{width}}  not run: {reason}" for name, reason in client.without.items()]
        return "\n".join(lines)

    def markdown(self, clients: Sequence[Client], versions: dict[str, str]) -> str:
        """docs/compatibility.md."""
        shared = [client for client in clients if not client.only_extra]
        title = {"apache": "Apache", "ottla": "Ottla"}
        lines = [
            "# Compatibility",
            "",
            "Written by `compat/run --all --write`; do not edit. Each client is the unmodified library, installed by",
            "its own package manager. A cell says how the scenario ended on "
            + " / ".join(versions.get(broker, broker) for broker in self.brokers)
            + ".",
            "`n/a`: the client cannot do that; the reason stands below.",
            "",
            "| Client | Version |",
            "|---|---|",
            *(f"| {client.name} | {client.version} |" for client in clients),
            "",
            "| Scenario | " + " | ".join(client.name for client in shared) + " |",
            "|---|" + "---|" * len(shared),
        ]
        for scenario in SCENARIOS:
            cells = [self._cell(client, scenario.name) for client in shared]
            lines.append(f"| `{scenario.name}` | " + " | ".join(cells) + " |")
        lines += ["", "What each scenario proves:", ""]
        lines += [f"- `{scenario.name}`: {scenario.proves}." for scenario in SCENARIOS]
        for client in clients:
            if client.extra:
                lines += ["", f"## Only {client.name}", "", "| Scenario | Result | What it proves |", "|---|---|---|"]
                lines += [
                    f"| `{name}` | {self._cell(client, name)} | {proves} |" for name, proves in client.extra.items()
                ]
        reasons = [
            f"- {client.name}, `{name}`: {reason}" for client in clients for name, reason in client.without.items()
        ]
        if reasons:
            lines += ["", "## Not applicable", "", *reasons]
        if failed := self.failed():
            lines += ["", "## Failures", ""]
            for one in failed:
                reason = one.error.splitlines()[0] if one.error else ""
                lines.append(f"- {one.client}, `{one.scenario}`, {title[one.broker]}: {reason}")
        return "\n".join(lines) + "\n"

    def _cell(self, client: Client, scenario: str) -> str:
        if scenario in client.without:
            return "n/a"
        return " / ".join(MARKS[self.passed(client.name, scenario, broker)] for broker in self.brokers)
