"""One scenario of one client on one broker: its options, its programs, and what is left to clean up after it."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compat.apache_broker import jars
from compat.harness.broker import Broker
from compat.harness.manifest import Client
from compat.harness.program import Event, Program, ScenarioError

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".cache" / "compat"


def places(client: Client) -> dict[str, str]:
    """The values of {here}, {cache}, ... in a manifest."""
    words = {
        "here": str(client.folder),
        "cache": str(CACHE / client.name),
        "version": client.version,
        "root": str(ROOT),
        "support": str(ROOT / "compat" / "support"),
        "python": sys.executable,
    }
    if "apache-jars" in client.needs:
        words["apache"] = str(jars())
    return words


@dataclass(eq=False)
class Stage:
    """The means of a harness-driven scenario."""

    client: Client
    broker: Broker
    scenario: str
    directory: Path
    """For logs."""
    bootstrap: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    """Options that win over the manifest's."""
    topic: str = ""
    group: str = ""
    programs: list[Program] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Unique, so that one broker serves all scenarios of a client.
        unique = uuid.uuid4().hex[:6]
        self.topic = self.topic or f"{self.scenario}-{unique}"
        self.group = self.group or f"group-{self.scenario}-{unique}"
        self.bootstrap = self.bootstrap or self.broker.bootstrap

    def start(self, role: str, label: str = "", **options: Any) -> Program:
        """Start the client's program in `role` (a scenario's name, or create, producer, member, read)."""
        label = label or role
        where = places(self.client)
        given = {"scenario": self.scenario, "topic": self.topic, "group": self.group, "broker": self.broker.name}
        given |= self.client.options | self.settings | options
        environment = dict(os.environ)
        environment.pop("PYTHONSAFEPATH", None)  # programs import what lies beside them
        environment |= {name: self.client.fill([value], where)[0] for name, value in self.client.environment.items()}
        environment["COMPAT_OPTIONS"] = json.dumps(given)
        command = [*self.client.fill(self.client.run, where), role, self.bootstrap]
        program = Program(
            command,
            environment=environment,
            log_path=self.directory / f"{self.scenario}.{label}.log",
            label=label,
        )
        self.programs.append(program)
        return program

    def run(self, role: str, *, timeout: float, **options: Any) -> list[Event]:
        """Run the program in `role` to its end; its events. Raises ScenarioError when it fails."""
        program = self.start(role, **options)
        code = program.finish(timeout)
        results = program.named("result")
        if code or (results and not results[-1].get("passed")):
            error = results[-1].get("error") if results else None
            raise ScenarioError(str(error or f"{role} exited with {code}: {program.tail(800)}"))
        return program.events

    def close(self) -> None:
        """End whatever still runs."""
        for program in self.programs:
            if program.process.poll() is None:
                program.kill()


@dataclass(frozen=True)
class Outcome:
    """How one scenario of one client ended on one broker."""

    client: str
    scenario: str
    broker: str
    passed: bool
    seconds: float = 0.0
    error: str = ""
    logs: str = ""
    against: str = ""
    """The broker's product and version."""

    def line(self) -> str:
        """As one JSON line."""
        return json.dumps(self.__dict__)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self) -> float:
        return round(time.monotonic() - self._start, 1)
