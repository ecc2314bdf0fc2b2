"""The command line of `bench/run`: chooses the experiments, and whether the result is kept."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from bench import clients, report
from bench.brokers import Address
from bench.campaign import Campaign, chosen
from bench.experiments import GROUPS, QUICK, Scale


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--rows", help=f"Run only these groups of rows, comma separated: {', '.join(GROUPS)}.")
@click.option("--rounds", type=click.IntRange(1), help="Number of interleaved rounds.  [default: 3; 1 with --quick]")
@click.option(
    "--quick", is_flag=True, help="Short measurements, no warm-up of Ottla alone: to compare before and after a change."
)
@click.option("--broker", type=click.Choice(["both", "ottla", "apache"]), default="both", help="Which brokers to run.")
@click.option("--attach", metavar="HOST:PORT", help="Load a broker that already runs, such as one under a profiler.")
@click.option("--workspace", type=click.Path(path_type=Path), help="Folder for the data of both brokers.")
@click.option("--save/--no-save", default=None, help="Keep it as bench/results/latest.  [default: for complete runs]")
def main(
    *,
    rows: str | None,
    rounds: int | None,
    quick: bool,
    broker: str,
    attach: str | None,
    workspace: Path | None,
    save: bool | None,
) -> None:
    """Measure Ottla and Apache Kafka 4.3.1 with the same clients, side by side."""
    groups = rows.split(",") if rows else None
    if unknown := sorted(set(groups or []) - set(GROUPS)):
        raise click.BadParameter(f"unknown: {', '.join(unknown)}; there are {', '.join(GROUPS)}", param_hint="--rows")
    if attach and broker == "both":
        broker = "ottla"
    brokers = ["ottla", "apache"] if broker == "both" else [broker]
    rounds = rounds or (1 if quick else 3)
    clients.CACHE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="data-", dir=workspace or clients.CACHE))
    campaign = Campaign(
        brokers=brokers,
        workspace=folder,
        scale=QUICK if quick else Scale(),
        experiments=chosen(groups, attached=attach is not None),
        say=lambda line: click.echo(line, err=True),
        attached=_address(attach) if attach else None,
    )
    try:
        results = campaign.run(rounds, warm_up="apache" in brokers or not quick)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    measured = report.lines(campaign.experiments, results, report.earlier_medians())
    facts = report.conditions(rounds, quick=quick)
    click.echo(report.text(measured, results, facts, markdown=False))
    if save or (save is None and groups is None and broker == "both" and not quick):
        report.save(measured, results, facts)
    if results.failures:
        raise SystemExit(1)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise click.BadParameter("HOST:PORT", param_hint="--attach")
    return Address(host, int(port))
