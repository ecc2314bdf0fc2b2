"""Reads and writes Apache's small text files: a version line, a count line, one entry per line. Written by rename."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ottla.storage.files.interface import SegmentFiles

_VERSION = "0"

_log = logging.getLogger(__name__)


def read_lines(files: SegmentFiles, path: Path) -> list[list[str]] | None:
    """Return the fields of each entry; None if the file is missing or damaged (with a warning), as by a power cut."""
    raw = files.read(path)
    if raw is None:
        return None
    try:
        version, count, *entries, end = raw.decode("utf-8").replace("\r\n", "\n").split("\n")
        if version == _VERSION and int(count) == len(entries) and not end:
            return [entry.split(" ") for entry in entries]
    except ValueError:
        pass
    _log.warning("%s is damaged; the broker goes on without it", path)
    return None


def write_lines(files: SegmentFiles, path: Path, lines: Iterable[str], *, sync: bool) -> None:
    """Replace the file by one with these entries."""
    lines = list(lines)
    files.replace(path, "".join(f"{line}\n" for line in (_VERSION, len(lines), *lines)).encode(), sync=sync)


class OffsetCheckpoint:
    """A ``*-offset-checkpoint`` file: an offset for each (topic, partition). It may be written from several threads."""

    def __init__(self, files: SegmentFiles, path: Path) -> None:
        self._files = files
        self._path = path
        self._lock = threading.Lock()
        self._asked = 0
        self._written = 0

    def read(self) -> dict[tuple[str, int], int] | None:
        """Return the offsets; None if the file is missing or damaged."""
        lines = read_lines(self._files, self._path)
        try:
            return None if lines is None else {(topic, int(number)): int(offset) for topic, number, offset in lines}
        except ValueError:
            _log.warning("%s is damaged; the broker goes on without it", self._path)
            return None

    def writing(self, offsets: Mapping[tuple[str, int], int], *, sync: bool) -> Callable[[], None]:
        """Return the call that writes these offsets, for any thread. Of two, the one that was asked for later stays."""
        lines = [f"{topic} {partition} {offset}" for (topic, partition), offset in offsets.items()]
        self._asked += 1
        number = self._asked

        def write() -> None:
            with self._lock:
                if number > self._written:
                    write_lines(self._files, self._path, lines, sync=sync)
                    self._written = number

        return write
