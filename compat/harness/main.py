"""The command line of compat/run."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from types import FrameType

from compat.harness.document import Document, read_absent
from compat.harness.install import InstallError, install
from compat.harness.ledger import Ledger, commit_of_checkout
from compat.harness.manifest import Client, ManifestError, read_clients
from compat.harness.runner import BROKERS, Runner
from compat.harness.scenarios import BY_NAME, SCENARIOS
from compat.harness.stage import CACHE, ROOT, Outcome
from compat.harness.table import Results

DOCUMENT = ROOT / "docs" / "compatibility.md"
ABSENT = ROOT / "compat" / "absent.toml"


def arguments(words: list[str]) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(
        prog="compat/run", description="Stock Kafka clients against Ottla and Apache Kafka."
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--all", action="store_true", help="every client, every scenario (the default)")
    what.add_argument("--ci", action="store_true", help="a representative part, bounded in time")
    parser.add_argument("--client", action="append", metavar="NAME", help="only this client (may be repeated)")
    parser.add_argument("--scenario", action="append", metavar="NAME", help="only this scenario (may be repeated)")
    parser.add_argument("--broker", choices=["ottla", "apache", "both"], default="both")
    parser.add_argument("--jobs", type=int, default=2, help="clients at once (default: 2)")
    parser.add_argument(
        "--write", action="store_true", help="write docs/compatibility.md from this run and earlier ones"
    )
    parser.add_argument("--table", action="store_true", help="only write docs/compatibility.md from earlier runs")
    parser.add_argument("--list", action="store_true", help="print clients and scenarios")
    parser.add_argument("--logs", type=Path, default=CACHE / "logs", help="where failures' logs are kept")
    parser.add_argument("--results", type=Path, default=CACHE / "results", help="where results are kept for the table")
    return parser.parse_args(words)


def chosen(clients: list[Client], options: argparse.Namespace) -> list[tuple[Client, list[str]]]:
    """Return each client with the scenarios to run. Exits with a message for an unknown name."""
    names = {client.name for client in clients}
    for name in options.client or []:
        if name not in names:
            sys.exit(f"compat/run: no client {name!r}; there are {', '.join(sorted(names))}")
    known = set(BY_NAME) | {name for client in clients for name in client.extra}
    for name in options.scenario or []:
        if name not in known:
            sys.exit(f"compat/run: no scenario {name!r}; there are {', '.join(sorted(known))}")
    plan = []
    for client in clients:
        if options.client and client.name not in options.client:
            continue
        names_of_client = client.scenarios([scenario.name for scenario in SCENARIOS])
        if options.ci and client.ci is not None:
            names_of_client = [name for name in names_of_client if name in client.ci]
        scenarios = [name for name in names_of_client if not options.scenario or name in options.scenario]
        if scenarios:
            plan.append((client, scenarios))
    return plan


class Progress:
    """One line per outcome, with how many are left."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0

    def report(self, outcome: Outcome) -> None:
        self.done += 1
        mark = "pass" if outcome.passed else "FAIL"
        place = f"[{self.done}/{self.total}]"
        print(
            f"{place:>9} {mark} {outcome.broker:6} {outcome.client} {outcome.scenario} {outcome.seconds} s", flush=True
        )
        if not outcome.passed:
            print("          " + outcome.error.strip().replace("\n", "\n          "), flush=True)


def main(words: list[str] | None = None) -> int:
    """Run what the command line asks for; the exit code."""
    options = arguments(sys.argv[1:] if words is None else words)
    try:
        clients = read_clients(ROOT / "compat", set(BY_NAME))
    except ManifestError as error:
        sys.exit(f"compat/run: {error}")
    plan = chosen(clients, options)
    if options.list:
        for client, scenarios in plan:
            print(f"{client.name} {client.version}: {' '.join(scenarios)}")
        return 0
    ledger = Ledger(options.results, commit_of_checkout())
    if options.table:
        write_document(clients, ledger)
        return 0
    started = time.monotonic()
    brokers = ["apache", "ottla"] if options.broker == "both" else [options.broker]
    plan, install_failures = install_all(plan)
    outcomes = run_all(plan, brokers, options, ledger)

    results = Results(outcomes, brokers)
    ran = [client for client, _ in plan]
    print(results.text(ran))
    if options.write:
        write_document(clients, ledger)
    failed = results.failed()
    print()
    for outcome in failed:
        print(f"FAIL {outcome.broker} {outcome.client} {outcome.scenario}: logs in {outcome.logs}")
    for message in install_failures:
        print(f"FAIL {message}")
    print(f"took {time.monotonic() - started:.0f} s")
    print(f"{results.passes()} passed, {len(failed) + len(install_failures)} failed")
    return 1 if failed or install_failures else 0


def write_document(clients: list[Client], ledger: Ledger) -> None:
    """docs/compatibility.md, from all that the ledger knows."""
    versions = {name: kind(CACHE).version for name, kind in BROKERS.items()}
    document = Document(clients, ledger.entries(clients, versions), versions, read_absent(ABSENT))
    DOCUMENT.write_text(document.text())


def install_all(plan: list[tuple[Client, list[str]]]) -> tuple[list[tuple[Client, list[str]]], list[str]]:
    """Install the plan's clients; the plan without those that could not be, and why they could not."""
    ready, failures = [], []
    for client, scenarios in plan:
        try:
            print(f"installing {client.name} {client.version}", flush=True)
            install(client)
            ready.append((client, scenarios))
        except InstallError as error:
            print(f"FAIL {error}", flush=True)
            failures.append(str(error).splitlines()[0])
    return ready, failures


def run_all(
    plan: list[tuple[Client, list[str]]], brokers: list[str], options: argparse.Namespace, ledger: Ledger
) -> list[Outcome]:
    """Every client of the plan on every broker; each outcome is kept in the ledger as it comes."""
    progress = Progress(len(brokers) * sum(len(scenarios) for _, scenarios in plan))
    by_name = {client.name: client for client, _ in plan}

    def report(outcome: Outcome) -> None:
        progress.report(outcome)
        ledger.keep(by_name[outcome.client], outcome)

    runner = Runner(options.logs.resolve(), report)

    def interrupted(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(max_workers=max(1, options.jobs)) as pool:
        units: list[Future[list[Outcome]]] = [
            pool.submit(runner.run, client, broker, scenarios) for client, scenarios in plan for broker in brokers
        ]
        try:
            for unit in as_completed(units):
                outcomes += unit.result()
        except BaseException:
            runner.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return outcomes
