"""Outcomes as a table for the terminal. Decides what counts as passed and failed."""

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
