"""Holds what a scenario printed against what it printed on Apache. Only what must differ is masked: names, ids, times.

On Apache the text is kept under $COMPAT_PRINTED; on another broker it must be the same, line for line. Both may run at
the same time, so the other one waits for Apache's.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import sys
import time
from pathlib import Path

from compat_program import Job, check

WAIT = 300.0  # seconds, for Apache's run of the same scenario
REFERENCE = "apache"

MASKS = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,\d]*Z?", "DATE"),
    (r"\b1[789]\d{11}\b", "TIME"),
]


def _program() -> str:
    """Changes with the program, so that nothing is held against what another one printed."""
    digest = hashlib.sha256()
    for path in sorted(Path(sys.argv[0]).parent.iterdir()):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class Printed:
    """The lines that a scenario wants to be the same on both brokers, in order."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lines: list[str] = []
        host, _, port = job.bootstrap.rpartition(":")
        names = [
            (job.group, "GROUP"),
            (job.topic, "TOPIC"),
            (job.bootstrap, "HOST:PORT"),
            (port, "PORT"),
            (host, "HOST"),
            ("localhost", "HOST"),
        ]
        self._names = [(rf"(?<!\d){re.escape(name)}(?!\d)", word) for name, word in names]

    def mask(self, text: str) -> str:
        """`text` without what differs from run to run."""
        for pattern, word in [*self._names, *MASKS]:
            text = re.sub(pattern, word, text)
        return text

    def add(self, title: str, text: str) -> None:
        """Return what was printed under `title`; spaces at the ends of lines do not count."""
        self._lines += f"$ {self.mask(title)}".splitlines()
        self._lines += [line.rstrip() for line in self.mask(text).splitlines()]

    def compare(self) -> None:
        """Fail the scenario if Apache's text is another one; on Apache, keep it."""
        path = Path(os.environ["COMPAT_PRINTED"]) / f"{self._job.role}-{_program()}.txt"
        text = "\n".join(self._lines) + "\n"
        print("".join(f"| {line}\n" for line in self._lines), flush=True)
        if self._job.get("broker", REFERENCE) == REFERENCE:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            partial.write_text(text)
            partial.replace(path)
            return
        deadline = time.monotonic() + WAIT
        while not path.exists():
            check(time.monotonic() < deadline, "there is nothing of Apache's to compare with: run it on both")
            time.sleep(0.2)
        difference = list(difflib.unified_diff(path.read_text().splitlines(), self._lines, "apache", "here", n=1))
        check(not difference, "prints something else:\n" + "\n".join(difference[:40]))
