"""A data directory that a test may open, crash and open again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ottla.scheduling.background import Background, Inline
from ottla.storage.files.interface import SegmentFiles
from ottla.storage.files.real import RealFiles
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.data_directory import DataDirectory
from ottla.storage.segments.segment_log import SegmentLog
from tests.stage.logs import DEFAULTS, NOW_MS, TOPIC_ID


class Disk:
    """One data directory with the log ``topic-0`` in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "topic-0"
        self.directory: DataDirectory | None = None
        self.files: SegmentFiles = RealFiles(durable=False)
        self.background: Background = Inline()

    def open(self, config: LogConfig = DEFAULTS) -> SegmentLog:
        """Open the directory and its log."""
        self.directory = DataDirectory(self.root, node_id=1, files=self.files, background=self.background)
        return self.directory.open_log("topic", 0, topic_id=TOPIC_ID, config=config)

    def close(self) -> None:
        """Shut down well."""
        if self.directory is not None:
            self.directory.close()
            self.directory = None

    def crash(self) -> None:
        """Lose everything that only the process knows."""
        if self.directory is not None:
            self.directory.abandon()
            self.directory = None

    def reopen(self, config: LogConfig = DEFAULTS, *, clean: bool) -> SegmentLog:
        """Start again after a shutdown or a crash."""
        self.close() if clean else self.crash()
        return self.open(config)

    def remove_due(self, now_ms: int = NOW_MS) -> None:
        """Let the time come for files that were given up."""
        assert self.directory is not None
        self.directory.removals.remove_due(now_ms)

    def names(self) -> list[str]:
        """The files of the log."""
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A data directory, closed after the test."""
    disk = Disk(tmp_path)
    yield disk
    disk.crash()
