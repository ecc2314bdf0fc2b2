"""Runs one client's scenarios on one fresh broker, and keeps both sides' logs of those that fail."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from compat.apache_broker import ApacheBroker
from compat.harness.broker import Broker, BrokerError
from compat.harness.manifest import Client
from compat.harness.ottla_broker import OttlaBroker
from compat.harness.program import ScenarioError
from compat.harness.scenarios import play
from compat.harness.stage import Outcome, Stage, Stopwatch
from compat.harness.suspension import SuspensionWatch

BROKERS: dict[str, Callable[[Path], Broker]] = {"apache": ApacheBroker, "ottla": OttlaBroker}


def _broker(name: str, directory: Path, client: Client) -> Broker:
    """A broker of that name, as the client's manifest wants it."""
    if BROKERS[name] is ApacheBroker:
        return ApacheBroker(directory, kafka=client.reference)
    return OttlaBroker(directory, as_kafka=client.as_kafka)


class Runner:
    """`report` is called with each outcome as it comes."""

    def __init__(self, logs: Path, report: Callable[[Outcome], None]) -> None:
        self.logs = logs
        self._report = report
        self._stopping = threading.Event()
        self._watch = SuspensionWatch()
        self._brokers: set[Broker] = set()
        self._stages: set[Stage] = set()

    def run(self, client: Client, broker_name: str, scenarios: list[str]) -> list[Outcome]:
        """All `scenarios` in turn on one broker of its own."""
        directory = self.logs / client.name / broker_name
        broker = _broker(broker_name, directory / "broker", client)
        self._brokers.add(broker)
        outcomes: list[Outcome] = []
        try:
            for scenario in scenarios:
                if self._stopping.is_set():
                    break
                outcome = self._run_undisturbed(client, broker, scenario, directory)
                if not self._stopping.is_set():  # else it failed because everything was ended under it
                    outcomes.append(outcome)
                    self._report(outcome)
        finally:
            broker.kill()
            self._brokers.discard(broker)
            shutil.rmtree(broker.data_dir, ignore_errors=True)
        return outcomes

    def _run_undisturbed(self, client: Client, broker: Broker, scenario: str, directory: Path) -> Outcome:
        """Once more when it failed while the machine stood still."""
        suspensions = self._watch.count
        outcome = self._run_one(client, broker, scenario, directory)
        if not outcome.passed and self._watch.count > suspensions:
            outcome = self._run_one(client, broker, scenario, directory)
        return outcome

    def _run_one(self, client: Client, broker: Broker, scenario: str, directory: Path) -> Outcome:
        logs = directory / scenario
        shutil.rmtree(logs, ignore_errors=True)  # of an earlier run
        stage = Stage(client=client, broker=broker, scenario=scenario, directory=logs)
        self._stages.add(stage)
        watch, passed, error = Stopwatch(), True, ""
        marker = broker.log_path.stat().st_size if broker.log_path.exists() else 0
        try:
            if not broker.alive:
                broker.start()
            watch = Stopwatch()
            play(stage)
        except (ScenarioError, BrokerError, OSError, subprocess.SubprocessError) as failure:
            passed, error = False, str(failure) or type(failure).__name__
        finally:
            stage.close()
            self._stages.discard(stage)
        if passed:
            shutil.rmtree(logs, ignore_errors=True)
        else:
            logs.mkdir(parents=True, exist_ok=True)
            with broker.log_path.open("rb") as log:
                log.seek(marker)
                (logs / "broker.log").write_bytes(log.read())
        return Outcome(
            client=client.name,
            scenario=scenario,
            broker=broker.name,
            passed=passed,
            seconds=watch(),
            error=error,
            logs="" if passed else str(logs),
            against=broker.version,
        )

    def stop(self) -> None:
        """Start no further scenario, and end all programs and brokers."""
        self._stopping.set()
        for stage in list(self._stages):
            stage.close()
        for broker in list(self._brokers):
            broker.kill()
