"""Keeps account of what is not synced beside a log's batches: names of files and folders, leader epochs, snapshots.

Below the recovery point no batch is read again after a crash. So everything that a recovery would find in the batches
has to be on disk before the recovery point moves over them.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ottla.storage.files.interface import SegmentFile, SegmentFiles

MANY_FILES = 16


class Unsynced:
    """The files and folders of one log that changed since they were synced."""

    __slots__ = ("_changes", "_files", "_folders", "_paths")

    def __init__(self, files: SegmentFiles) -> None:
        self._files = files
        self._changes = 0
        self._paths: dict[Path, int] = {}
        self._folders: dict[Path, int] = {}

    def __bool__(self) -> bool:
        return bool(self._paths or self._folders)

    def replaced(self, path: Path) -> None:
        """Note that a small file was written anew and put in place of the old one."""
        self._changes += 1
        self._paths[path] = self._changes
        self._folders[path.parent] = self._changes

    def renamed(self, folder: Path) -> None:
        """Note that names came into a folder, or went."""
        self._changes += 1
        self._folders[folder] = self._changes

    def syncing(self, open_files: list[SegmentFile], closed: list[Path], *, through: Path | None = None) -> "Syncing":
        """Return the sync of these files, open ones and those of closed segments, and then of all that is noted here.

        With ``through``, only files that were noted before that one, and it: later ones belong to later batches.
        """
        if through is None or through not in self._paths:
            paths = dict(self._paths)
        else:
            paths = {}
            for path, change in self._paths.items():
                paths[path] = change
                if path == through:
                    break
        return Syncing(self._files, open_files, [*closed, *paths], dict(self._folders), partial(self._forget, paths))

    def _forget(self, paths: dict[Path, int], folders: dict[Path, int]) -> None:
        for known, synced in ((self._paths, paths), (self._folders, folders)):
            for path, change in synced.items():
                if known.get(path) == change:
                    del known[path]


class Syncing:
    """One sync under way: ``run`` it in any thread, and if that succeeded call ``done`` in the log's."""

    __slots__ = ("_files", "_folders", "_forget", "_open_files", "_paths")

    def __init__(
        self,
        files: SegmentFiles,
        open_files: list[SegmentFile],
        paths: list[Path],
        folders: dict[Path, int],
        forget: Callable[[dict[Path, int]], None],
    ) -> None:
        self._files = files
        self._open_files = open_files
        self._paths = paths
        self._folders = folders
        self._forget = forget

    def run(self, files_at_once: int = 1) -> None:
        """Sync bytes first, then names. Raises OSError.

        Many at once go faster, because a file system writes its journal once for those that come together; but then
        a thread that makes files meanwhile waits longer.
        """
        for file in self._open_files:
            file.sync()
        if files_at_once == 1 or len(self._paths) < MANY_FILES:
            for path in self._paths:
                self._files.sync_file(path)
        else:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(files_at_once) as threads:
                for _ in threads.map(self._files.sync_file, self._paths):
                    pass
        for folder in sorted(self._folders, key=lambda each: len(each.parts), reverse=True):
            self._files.sync_folder(folder)

    def done(self) -> None:
        """Note that all of it is on disk, but for files that changed meanwhile."""
        self._forget(self._folders)
