"""Runs the experiments in interleaved rounds: within a round each experiment runs on one broker, then on the other."""

from __future__ import annotations

import contextlib
import math
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench import clients
from bench.brokers import Address, Subject, busy_seconds, cpu_seconds, fresh, launch, stop
from bench.experiments import EXPERIMENTS, Experiment, Figures, Load, Scale
from compat.harness.broker import BrokerError

Say = Callable[[str], None]


@dataclass
class Results:
    """The figures of all rounds: broker -> row -> values in the order of the rounds."""

    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    cores: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    ceiling: float | None = None
    others: list[float] = field(default_factory=list)

    def add(self, broker: str, figures: Figures, cores: float | None) -> None:
        for key, value in figures.items():
            if math.isnan(value):  # unknown here: no PSS, or an attached broker
                continue
            self.figures.setdefault(broker, {}).setdefault(key, []).append(value)
            if cores is not None:
                self.cores.setdefault(broker, {}).setdefault(key, []).append(cores)

    def fail(self, broker: str, experiment: Experiment, why: str) -> None:
        """Fail a row because of one round: a median of the other rounds would hide it."""
        for row in experiment.rows:
            self.failures.setdefault(broker, {})[row.key] = why

    def median(self, broker: str, key: str) -> float | None:
        values = self.figures.get(broker, {}).get(key)
        if not values or key in self.failures.get(broker, {}):
            return None
        return statistics.median(values)


class Meter:
    """A meter of the cores that other processes kept busy since it was made: they make figures worth less."""

    def __init__(self) -> None:
        self.at, self.busy, self.ours = time.monotonic(), busy_seconds(), _children_seconds()

    def others(self, broker_cores: float | None) -> float:
        elapsed = time.monotonic() - self.at
        ours = _children_seconds() - self.ours
        return max(0.0, (busy_seconds() - self.busy - ours) / elapsed - (broker_cores or 0.0))


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass
class Campaign:
    """One run of the bench. Brokers keep running from the warm-up to the last round, as servers do."""

    brokers: list[str]
    workspace: Path
    scale: Scale
    experiments: list[Experiment]
    say: Say
    attached: Address | None = None

    def run(self, rounds: int, *, warm_up: bool) -> Results:
        """Run the rounds, after a warm-up: a whole round on every broker whose figures are thrown away."""
        results = Results()
        if any(experiment.group == "requests" for experiment in self.experiments):
            results.ceiling = self._ceiling()
        with contextlib.ExitStack() as stack:
            loads: dict[str, Load] = {}
            if not all(experiment.fresh for experiment in self.experiments):
                for broker in self.brokers:
                    loads[broker] = Load(stack.enter_context(self._running(broker)), self.scale)
            if warm_up and loads:
                self.say("warming up")
                self._round(loads, Results(), number=0, warm_up=True)
            for number in range(1, rounds + 1):
                self.say(f"round {number} of {rounds}")
                self._round(loads, results, number=number)
        return results

    def _round(self, loads: dict[str, Load], results: Results, *, number: int, warm_up: bool = False) -> None:
        order = self.brokers if number % 2 else self.brokers[::-1]
        for experiment in self.experiments:
            if warm_up and experiment.fresh:
                continue
            for broker in order:
                meter = Meter()
                try:
                    figures, cores = self._measure(experiment, broker, loads, number)
                except (clients.ToolError, BrokerError, subprocess.SubprocessError, OSError) as error:
                    results.fail(broker, experiment, str(error))
                    self.say(f"  {broker}: {experiment.rows[0].label}: failed: {error}")
                    continue
                results.add(broker, figures, cores)
                results.others.append(meter.others(cores))
                shown = ", ".join(f"{figures[row.key]:,.1f} {row.unit}" for row in experiment.rows)
                used = f"  ({cores:.2f} cores)" if cores is not None else ""
                self.say(f"  {broker}: {experiment.rows[0].label}: {shown}{used}")

    def _measure(
        self, experiment: Experiment, broker: str, loads: dict[str, Load], number: int
    ) -> tuple[Figures, float | None]:
        os.sync()  # so that one broker's data is not written out while the other is measured
        if experiment.fresh:
            directory = self.workspace / f"{broker}-{experiment.group}-{number}"
            with fresh(broker, directory) as subject:
                return experiment.measure(Load(subject, self.scale)), None
        load = loads[broker]
        if not load.subject.alive:
            raise BrokerError("the broker has ended")
        if experiment.group == "consume":
            load.warm_filled_topic()
        pid = load.subject.pid
        if pid is None:
            return experiment.measure(load), None
        cpu, begun = cpu_seconds(pid), time.monotonic()
        figures = experiment.measure(load)
        return figures, (cpu_seconds(pid) - cpu) / (time.monotonic() - begun)

    @contextlib.contextmanager
    def _running(self, broker: str) -> Iterator[Subject]:
        if self.attached:
            yield Subject(broker, self.attached)
            return
        subject = launch(broker, self.workspace / broker)
        try:
            yield subject
        finally:
            stop(subject)

    def _ceiling(self) -> float:
        with clients.null_broker() as address:
            figures = clients.run_requests("produce", address, "null", connections=16, seconds=2.0)
        return figures["requests_per_second"]


def chosen(groups: list[str] | None, *, attached: bool) -> list[Experiment]:
    """Return the experiments of these groups (None: of all) that can be run."""
    return [
        experiment
        for experiment in EXPERIMENTS
        if (groups is None or experiment.group in groups) and not (attached and experiment.fresh)
    ]
