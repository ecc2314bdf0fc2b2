#!/usr/bin/env python3
"""Writes docs/apis.md from the one table of the served APIs, beside those that Apache Kafka advertises.

Run it with the Python of .venv: `.venv/bin/python tools/apis.py`. A test says when it has to be run.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ottla.broker.apis import BY_KEY  # noqa: E402  (found through the path above)

DOCUMENT = ROOT / "docs" / "apis.md"
APACHE = ROOT / "tests" / "broker" / "requests" / "apache_apis.tsv"
"""The APIs of Apache Kafka 4.3.1, recorded: key, name, first and last version that it advertises."""


def markdown() -> str:
    """Return the text of the document."""
    apache = {}
    for line in APACHE.read_text(encoding="utf-8").splitlines()[1:]:
        key, name, first, last, _ = line.split("\t")
        apache[int(key)] = (name, (int(first), int(last)))
    missing = sum(key not in BY_KEY for key in apache)
    lines = [
        "# The APIs",
        "",
        "Written by `tools/apis.py` from `ottla/broker/apis.py`; do not edit.",
        "",
        f"Apache Kafka 4.3.1 advertises {len(apache)} APIs to clients. Ottla serves {len(apache) - missing} of them, "
        f"and {missing} not yet; a client that asks",
        "for one of these, or for a version that is not served, has its connection closed, as with any broker that",
        "does not know it. *Served* versions are answered, *advertised* ones named by ApiVersions. `ottla apis NAME`",
        "shows the code files of an API; [comparison.md](comparison.md) compares its answers with Apache's.",
        "",
        "| key | API | served | advertised | Apache advertises | handler |",
        "|---|---|---|---|---|---|",
    ]
    for key in sorted(apache.keys() | BY_KEY.keys()):
        name, theirs = apache.get(key, ("", None))
        api = BY_KEY.get(key)
        if api is None:
            lines.append(f"| {key} | {name} | not yet | | {_range(theirs)} | |")
        else:
            cells = (key, api.name, _range(api.served), _range(api.advertised), _range(theirs))
            lines.append(f"| {' | '.join(map(str, cells))} | `ottla/broker/handlers/{api.family}.py` |")
    return "\n".join(lines) + "\n"


def _range(versions: tuple[int, int] | None) -> str:
    return "no" if versions is None else f"{versions[0]}-{versions[1]}"


if __name__ == "__main__":
    DOCUMENT.write_text(markdown(), encoding="utf-8")
