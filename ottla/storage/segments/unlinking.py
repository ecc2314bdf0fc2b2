"""Removes files that a log has given up: renames them at once, so that no log takes them for its own; unlinks later.

The name gets ``.deleted`` behind it, as in Apache. Files that are left when a broker stops go at the next start.
"""

import logging
from collections import deque
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from ottla.scheduling.background import Background
from ottla.storage.files.interface import SegmentFiles

DELETED_SUFFIX = ".deleted"

_UNLINKS_AT_ONCE = 64

_log = logging.getLogger(__name__)


class Removals:
    """The files to unlink in one data directory, each with its time; ``remove_due`` is told what time it is."""

    def __init__(self, files: SegmentFiles, background: Background) -> None:
        self._files = files
        self._background = background
        self._new: list[tuple[int, list[Path]]] = []
        self._waiting: list[tuple[int, list[Path]]] = []
        self._due: deque[Path] = deque()
        self._is_unlinking = False
        self._is_handing_over = False

    def __len__(self) -> int:
        """Return how many files are still there."""
        return len(self._due) + sum(len(paths) for _, paths in (*self._new, *self._waiting))

    def give_up(self, paths: Iterable[Path], delay_ms: int) -> None:
        """Rename files that exist, or not; unlink them once ``delay_ms`` have gone by (``file.delete.delay.ms``)."""
        given_up = []
        for path in paths:
            renamed = path.with_name(path.name + DELETED_SUFFIX)
            try:
                self._files.rename(path, renamed)
            except FileNotFoundError:
                continue
            except OSError as failure:  # Windows renames no file that somebody reads.
                _log.warning("%s could not be renamed, and is removed under its own name: %s", path, failure)
                renamed = path
            given_up.append(renamed)
        if given_up:
            self._new.append((delay_ms, given_up))

    def clear_away(self, paths: Iterable[Path]) -> None:
        """Unlink files that have been renamed already, by a broker that stopped before it did so."""
        self._new.append((0, list(paths)))

    def remove_due(self, now_ms: int) -> None:
        """Unlink, in the background, the files that have waited long enough."""
        new, self._new = self._new, []
        self._waiting += [(now_ms + delay_ms, paths) for delay_ms, paths in new]
        still_waiting = []
        for due_ms, paths in self._waiting:
            if due_ms <= now_ms:
                self._due += paths
            else:
                still_waiting.append((due_ms, paths))
        self._waiting = still_waiting
        self._unlink_some()

    def _unlink_some(self) -> None:
        """Unlink a few at a time: each goes quickly, and the thread is not kept from others."""
        while self._due and not self._is_unlinking:
            some = [self._due.popleft() for _ in range(min(len(self._due), _UNLINKS_AT_ONCE))]
            self._is_unlinking = self._is_handing_over = True
            self._background.run(partial(self._unlink, some), self._unlinked)
            self._is_handing_over = False

    def _unlinked(self, error: BaseException | None) -> None:
        if error is not None:
            _log.error("an old file could not be removed: %s", error)
        self._is_unlinking = False
        if not self._is_handing_over:  # Else the background did it at once, and the loop above goes on.
            self._unlink_some()

    def _unlink(self, paths: list[Path]) -> None:
        failures = []
        for path in paths:
            try:
                self._files.remove(path)
            except OSError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]
