"""Runs Apache's DumpLogSegments and reads what it prints."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

_BEGINS_LATER = re.compile(r"Non-consecutive offsets in .*/0*(\d+)\.log\n  -1 is followed by \1\n")
"""What it says, with --deep-iteration, of any segment but one that begins with offset 0."""
_HEADING = re.compile(r"Dumping (.+)")


def dump(jars: Path, files: Iterable[Path], *options: str) -> dict[Path, list[str]]:
    """The lines that the tool prints about each file. Raises AssertionError if it complains of anything."""
    files = list(files)
    java = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]
    tool = ["org.apache.kafka.tools.DumpLogSegments", *options, "--files", ",".join(map(str, files))]
    done = subprocess.run([*java, *tool], capture_output=True, text=True, check=False)
    complaints = _BEGINS_LATER.sub("", done.stderr)
    assert (done.returncode, complaints) == (0, ""), complaints
    found: dict[Path, list[str]] = {}
    lines: list[str] = []
    for line in done.stdout.splitlines():
        if heading := _HEADING.fullmatch(line):
            lines = found[Path(heading[1])] = []
        else:
            assert found, line
            lines.append(line)
    assert found.keys() == set(files)
    return found


def fields(line: str) -> dict[str, str]:
    """`name: value` pairs of a line; a value goes up to the next name, which is one word."""
    return {name: value.strip() for name, value in re.findall(r"(\w+): (.*?)(?=\s+\w+: |$)", line)}
