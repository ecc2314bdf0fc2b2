"""Turns a campaign's results into the table and into the files that keep the latest one. Names no host and no path."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import confluent_kafka

from bench import clients
from bench.brokers import JVM, MAKERS
from bench.campaign import Results
from bench.experiments import Experiment, Row
from ottla.cli.shared import is_compiled

# A ratio of medians from here on counts as equal: figures of one broker differ by more between runs.
EQUAL = 0.95
LATEST = clients.ROOT / "bench" / "results" / "latest"


@dataclass(frozen=True)
class Line:
    """A row with its medians. `ratio` is above 1 where Ottla is better, whatever the row's direction."""

    row: Row
    ottla: float | None
    apache: float | None

    @property
    def ratio(self) -> float | None:
        if self.ottla is None or self.apache is None:
            return None
        # The memory for a connection may be 0 or negative: other memory was given back meanwhile.
        ours, theirs = max(self.ottla, 0.01), max(self.apache, 0.01)
        return ours / theirs if self.row.higher_is_better else theirs / ours

    @property
    def verdict(self) -> str:
        if not self.row.judged:
            return ""
        if self.row.limit is not None and self.ottla is not None and self.ottla > self.row.limit:
            return f"over {self.row.limit:g} {self.row.unit}"
        if self.ratio is None:
            return "not measured"
        return "ok" if self.ratio >= EQUAL else "BELOW"


def lines(experiments: list[Experiment], results: Results, earlier: dict[str, dict[str, float]]) -> list[Line]:
    """Return a line for each row. A broker that was not run shows its figure of the latest kept result."""

    def median(broker: str, key: str) -> float | None:
        if broker in results.figures or broker in results.failures:
            return results.median(broker, key)
        return earlier.get(broker, {}).get(key)

    return [
        Line(row, median("ottla", row.key), median("apache", row.key))
        for experiment in experiments
        for row in experiment.rows
    ]


def table(measured: list[Line], *, markdown: bool) -> str:
    """Return the table with the figures of both brokers."""
    head = ["", "unit", "Ottla", "Apache", "ratio", ""]
    body = [
        [line.row.label, line.row.unit, number(line.ottla), number(line.apache), ratio(line), line.verdict]
        for line in measured
    ]
    widths = [max(len(row[column]) for row in [head, *body]) for column in range(len(head))]
    cells = [
        [
            text.rjust(width) if column in {2, 3, 4} else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in [head, *body]
    ]
    if not markdown:
        return "\n".join("  ".join(row).rstrip() for row in cells)
    rule = [("-" * (width - 1) + ":") if column in {2, 3, 4} else "-" * width for column, width in enumerate(widths)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [cells[0], rule, *cells[1:]])


def number(value: float | None) -> str:
    """Return a figure with three or four significant digits."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def ratio(line: Line) -> str:
    return "-" if line.ratio is None else f"{line.ratio:.2f}"


def conditions(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return the conditions of a run: date, versions and machine."""
    java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    commit = subprocess.run(
        ["git", "-C", str(clients.ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "rounds": rounds,
        "quick": quick,
        "versions": {
            **{name: maker(Path()).version for name, maker in MAKERS.items()},
            "commit": commit.stdout.strip(),
            "form": "compiled" if is_compiled() else "not compiled",
            "python": platform.python_version(),
            "java": (re.search(r'"([^"]+)"', java) or ["", "unknown"])[1],
            "librdkafka": confluent_kafka.libversion()[0],
        },
        "machine": {
            "cores": os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
            "system": f"{platform.system()} {platform.machine()}",
            "jvm": " ".join(JVM),
        },
    }


def save(measured: list[Line], results: Results, facts: dict[str, Any], to: Path = LATEST) -> None:
    """Keep the result as <to>.json and <to>.md."""
    to.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "key": line.row.key,
            "label": line.row.label,
            "unit": line.row.unit,
            "better": "higher" if line.row.higher_is_better else "lower",
            "ratio": None if line.ratio is None else round(line.ratio, 3),
            "verdict": line.verdict,
            **{
                broker: {
                    "median": median,
                    "rounds": results.figures.get(broker, {}).get(line.row.key, []),
                    "cores": [round(cores, 2) for cores in results.cores.get(broker, {}).get(line.row.key, [])],
                    "failure": results.failures.get(broker, {}).get(line.row.key),
                }
                for broker, median in [("ottla", line.ottla), ("apache", line.apache)]
            },
        }
        for line in measured
    ]
    document = {
        **facts,
        "requests_driver_ceiling": results.ceiling,
        "other_cores": [round(cores, 2) for cores in results.others],
        "rows": rows,
    }
    to.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    to.with_suffix(".md").write_text(text(measured, results, facts, markdown=True) + "\n")


def text(measured: list[Line], results: Results, facts: dict[str, Any], *, markdown: bool) -> str:
    """Return the report: the conditions, the table, and notes for its reader."""
    versions, machine = facts["versions"], facts["machine"]
    judged = [line for line in measured if line.row.judged]
    good = sum(line.verdict == "ok" for line in judged)
    parts = [
        f"{facts['date']}: {versions['ottla']} ({versions['commit']}, {versions['form']}, Python {versions['python']}) "
        f"and {versions['apache']} (Java {versions['java']}), "
        f"clients: librdkafka {versions['librdkafka']}, Apache's own.",
        f"{machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}; medians of {facts['rounds']} "
        f"interleaved round(s){', short ones' if facts['quick'] else ''}. A ratio above 1 is better than Apache; "
        f"{EQUAL} counts as equal.",
        table(measured, markdown=markdown),
        f"{good} of {len(judged)} judged rows at Apache's figure or better.",
    ]
    if results.ceiling:
        parts.append(
            f"The request driver's own ceiling (16 connections, a server that only answers): {results.ceiling:,.0f}/s."
        )
    if results.others:
        parts.append(
            f"Cores that other processes kept busy meanwhile: median {statistics.median(results.others):.2f}, "
            f"at most {max(results.others):.2f}."
        )
    failures = {f"{broker}: {why}" for broker, failed in results.failures.items() for why in failed.values()}
    parts += sorted(f"Failed: {failure}" for failure in failures) if not markdown else []
    return "\n\n".join(parts)


def earlier_medians(path: Path = LATEST) -> dict[str, dict[str, float]]:
    """Return the kept result as broker -> row -> median; empty if there is none."""
    try:
        document = json.loads(path.with_suffix(".json").read_text())
    except (OSError, ValueError):
        return {}
    return {
        broker: {row["key"]: row[broker]["median"] for row in document["rows"] if row[broker]["median"] is not None}
        for broker in ("ottla", "apache")
    }
