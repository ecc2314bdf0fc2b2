"""Knows in which leader epoch each offset was written. Follows Apache's ``LeaderEpochFileCache`` and its file."""

import logging
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from ottla.storage.appends import NO_EPOCH, NO_OFFSET
from ottla.storage.files.checkpoints import read_lines, write_lines
from ottla.storage.files.interface import SegmentFiles
from ottla.storage.log import EpochEnd

FILE_NAME = "leader-epoch-checkpoint"

_log = logging.getLogger(__name__)


class LeaderEpochs:
    """Start offset of each leader epoch, both growing; the newest is ``latest`` (-1: none)."""

    __slots__ = ("_epochs", "_files", "_path", "_starts", "_unwritten", "_written", "latest")

    def __init__(self, files: SegmentFiles, path: Path, *, written: Callable[[Path], None] = lambda path: None) -> None:
        """``written`` is called when the checkpoint has been written, but not synced."""
        self._files = files
        self._path = path
        self._epochs: list[int] = []
        self._starts: list[int] = []
        self._unwritten = False
        self._written = written
        self.latest = NO_EPOCH

    @property
    def entries(self) -> list[tuple[int, int]]:
        """Each epoch with its start offset."""
        return list(zip(self._epochs, self._starts, strict=True))

    def load(self) -> bool:
        """Read the checkpoint; False if there is none that can be believed."""
        lines = read_lines(self._files, self._path)
        if lines is None:
            return False
        try:
            entries = [(int(epoch), int(start)) for epoch, start in lines]
        except ValueError:
            _log.warning("%s is damaged; the broker goes on without it", self._path)
            return False
        for epoch, start in entries:
            self._put(epoch, start)
        self._unwritten = False
        return True

    def forget(self) -> None:
        """Forget all epochs."""
        self._epochs, self._starts = [], []
        self._changed()

    @property
    def first_start(self) -> int:
        """The first offset whose epoch is known; -1 if none is."""
        return self._starts[0] if self._starts else NO_OFFSET

    def assign(self, epoch: int, start_offset: int) -> None:
        """Let ``epoch`` start at ``start_offset``, unless it is the latest already; later entries go."""
        if epoch >= 0 and (epoch != self.latest or start_offset < self._starts[-1]):
            self._put(epoch, start_offset)

    def _put(self, epoch: int, start_offset: int) -> None:
        while self._epochs and (self._epochs[-1] >= epoch or self._starts[-1] >= start_offset):
            del self._epochs[-1], self._starts[-1]
        self._epochs.append(epoch)
        self._starts.append(start_offset)
        self._changed()

    def end_offset_for(self, epoch: int, log_end_offset: int) -> EpochEnd:
        """Return the greatest epoch not above ``epoch``, and where it ended (``LeaderEpochFileCache.endOffsetFor``)."""
        if epoch == NO_EPOCH:
            return EpochEnd(NO_EPOCH, NO_OFFSET)
        if epoch == self.latest:
            return EpochEnd(epoch, log_end_offset)
        higher = bisect_right(self._epochs, epoch)
        if higher == len(self._epochs):
            return EpochEnd(NO_EPOCH, NO_OFFSET)
        if higher == 0:
            return EpochEnd(epoch, self._starts[0])
        return EpochEnd(self._epochs[higher - 1], self._starts[higher])

    def epoch_at(self, offset: int) -> int:
        """Return the epoch of an offset; -1 before the first entry."""
        entry = bisect_right(self._starts, offset) - 1
        return self._epochs[entry] if entry >= 0 else NO_EPOCH

    def truncate_from_end(self, end_offset: int) -> None:
        """Forget epochs that start at or beyond ``end_offset``."""
        if self._starts and self._starts[-1] >= end_offset:
            while self._starts and self._starts[-1] >= end_offset:
                del self._epochs[-1], self._starts[-1]
            self._changed()

    def truncate_from_start(self, start_offset: int) -> None:
        """Forget epochs that ended at or before ``start_offset``; the one that holds it starts there now."""
        entry = bisect_right(self._starts, start_offset) - 1
        if entry >= 0 and (entry > 0 or self._starts[0] != start_offset):
            del self._epochs[:entry], self._starts[:entry]
            self._starts[0] = start_offset
            self._changed()

    def write(self, *, sync: bool) -> None:
        """Bring the checkpoint up to date."""
        if self._unwritten:
            lines = (f"{epoch} {start}" for epoch, start in self.entries)
            write_lines(self._files, self._path, lines, sync=sync)
            self._unwritten = False
            if not sync:
                self._written(self._path)

    def _changed(self) -> None:
        self.latest = self._epochs[-1] if self._epochs else NO_EPOCH
        self._unwritten = True
