"""Runs Apache's DumpLogSegments and reads what it prints."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

_BEGINS_LATER = re.compile(r"Non-consecutive offsets in .*/0*(\d+)\.log\n  -1 is followed by \1\n")
"""Its line, with --deep-iteration, about any segment but one that begins with offset 0."""
_AFTER_COMPACTION = re.compile(
    r"Non-consecutive offsets in .*\.log\n(  -?\d+ is followed by \d+\n)+"
    r"|Found timestamp mismatch in :.*\n(  Index timestamp: \d+, log timestamp: -1\n)+"
)
"""Records are gone; and batches without records, kept for their producers, stand in the time index, in Apache's too."""
_HEADING = re.compile(r"Dumping (.+)")


def dump(jars: Path, files: Iterable[Path], *options: str, compacted: bool = False) -> dict[Path, list[str]]:
    """The lines that the tool prints about each file. Raises AssertionError if it complains of anything.

    ``compacted`` allows for what it always says of compacted logs.
    """
    files = list(files)
    java = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]
    tool = ["org.apache.kafka.tools.DumpLogSegments", *options, "--files", ",".join(map(str, files))]
    done = subprocess.run([*java, *tool], capture_output=True, text=True, check=False)
    complaints = (_AFTER_COMPACTION if compacted else _BEGINS_LATER).sub("", done.stderr)
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
