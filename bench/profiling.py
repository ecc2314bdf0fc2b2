"""The command `bench/profile`: runs `ottla serve` under a profiler and a load; prints the heaviest functions."""

from __future__ import annotations

import os
import pstats
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click

from bench import clients
from bench.brokers import FullOttla, Subject, address_of, await_answer
from bench.experiments import EXPERIMENTS, QUICK, Experiment, Load
from compat.harness.broker import Broker

ROWS = {experiment.rows[0].key: experiment for experiment in EXPERIMENTS if not experiment.fresh}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("row", type=click.Choice(list(ROWS)), metavar="ROW")
@click.option(
    "--tool", type=click.Choice(["py-spy", "cprofile"]), default="py-spy", help="Take samples, or count calls."
)
@click.option("--native", is_flag=True, help="Show C functions too (py-spy only).")
@click.option("--top", default=30, help="Number of functions to print.")
@click.option("--keep", type=click.Path(path_type=Path), help="File to keep the raw profile in.")
def main(*, row: str, tool: str, native: bool, top: int, keep: Path | None) -> None:
    """Profile `ottla serve` under a short run of ROW's load.

    py-spy (pip install py-spy) samples from outside and disturbs little; cprofile counts every call and makes small
    functions look slower than they are. ROW is one of the keys in bench/results/latest.json.
    """
    clients.CACHE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="profile-", dir=clients.CACHE))
    raw = keep or folder / "profile"
    try:
        if tool == "py-spy":
            _run(ROWS[row], folder, _sampled(raw, native=native))
            _print_samples(raw, top)
        else:
            _run(ROWS[row], folder, lambda command: [sys.executable, "-m", "cProfile", "-o", str(raw), *command[1:]])
            pstats.Stats(str(raw)).strip_dirs().sort_stats("tottime").print_stats(top)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sampled(raw: Path, *, native: bool) -> Callable[[list[str]], list[str]]:
    spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if spy is None:
        raise click.ClickException("py-spy is not installed: pip install py-spy, or use --tool cprofile")
    options = [
        "--function",
        "--format",
        "raw",
        "--rate",
        "500",
        "--output",
        str(raw),
        *(["--native"] if native else []),
    ]
    return lambda command: [spy, "record", *options, "--", *command]


def _run(experiment: Experiment, folder: Path, wrap: Callable[[list[str]], list[str]]) -> None:
    """Run the load, after a short one, so that start and first use stay a small part of the profile."""
    broker = FullOttla(folder / "ottla")
    broker.directory.mkdir()
    broker.prepare()
    with broker.log_path.open("ab") as log:
        broker.process = subprocess.Popen(
            wrap(broker.command()),
            cwd=broker.directory,
            env=broker.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        subject = Subject("ottla", address_of(broker), broker)
        await_answer(broker, subject.address, time.monotonic() + 30)
        click.echo(experiment.measure(Load(subject, QUICK)))
        _end(broker)
    finally:
        broker.kill()


def _end(broker: Broker) -> None:
    """Send SIGINT to the whole process group: the broker ends cleanly, and the profiler writes its profile."""
    assert broker.process
    os.killpg(broker.process.pid, signal.SIGINT)
    broker.process.wait(30)


def _print_samples(raw: Path, top: int) -> None:
    """Print the heaviest functions of a raw profile, whose lines are `outermost;...;innermost count`."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for line in raw.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        own[frames[-1]] += int(count)
        for frame in set(frames):
            total[frame] += int(count)
    samples = sum(own.values()) or 1
    click.echo(f"{samples} samples\n  own   with callees")
    for frame, hits in own.most_common(top):
        click.echo(f"{hits / samples:6.1%} {total[frame] / samples:6.1%}  {frame}")
