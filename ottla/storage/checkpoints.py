"""Apache's small text files: a version line, a count line, then one entry per line. Written whole, by rename."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from ottla.storage.files import SegmentFiles

_VERSION = "0"

_log = logging.getLogger(__name__)


def read_lines(files: SegmentFiles, path: Path) -> list[list[str]] | None:
    """The fields of each entry; None if the file is missing or damaged (with a warning), as after a power cut."""
    raw = files.read(path)
    if raw is None:
        return None
    try:
        version, count, *entries = raw.decode("utf-8").splitlines()
        if version == _VERSION and int(count) == len(entries):
            return [entry.split(" ") for entry in entries]
    except ValueError:
        pass
    _log.warning("%s is damaged; going on without it", path)
    return None


def write_lines(files: SegmentFiles, path: Path, lines: Iterable[str], *, sync: bool) -> None:
    """Replace the file by one with these entries."""
    lines = list(lines)
    files.replace(path, "".join(f"{line}\n" for line in (_VERSION, len(lines), *lines)).encode(), sync=sync)


def read_offsets(files: SegmentFiles, path: Path) -> dict[tuple[str, int], int]:
    """Offset by (topic, partition) from a ``*-offset-checkpoint`` file; nothing if it is missing or damaged."""
    try:
        return {(topic, int(partition)): int(offset) for topic, partition, offset in read_lines(files, path) or ()}
    except ValueError:
        _log.warning("%s is damaged; going on without it", path)
        return {}


def write_offsets(files: SegmentFiles, path: Path, offsets: Mapping[tuple[str, int], int], *, sync: bool) -> None:
    """Write a ``*-offset-checkpoint`` file."""
    lines = (f"{topic} {partition} {offset}" for (topic, partition), offset in offsets.items())
    write_lines(files, path, lines, sync=sync)
