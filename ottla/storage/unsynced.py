"""What lies beside a log's batches and has not been synced: names of files and folders, leader epochs, snapshots.

Below the recovery point no batch is read again after a crash. So what a recovery would find in the batches has to be on
disk before the recovery point moves over them.
"""

from collections.abc import Callable
from pathlib import Path

from ottla.storage.files import SegmentFile, SegmentFiles


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
        """A small file was written anew and put in place of the old one."""
        self._changes += 1
        self._paths[path] = self._changes
        self._folders[path.parent] = self._changes

    def renamed(self, folder: Path) -> None:
        """Names came into a folder, or went."""
        self._changes += 1
        self._folders[folder] = self._changes

    def syncing(self, files: list[SegmentFile]) -> "Syncing":
        """Sync these files and, after them, what is noted here."""
        return Syncing(self._files, files, dict(self._paths), dict(self._folders), self._forget)

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
        paths: dict[Path, int],
        folders: dict[Path, int],
        forget: Callable[[dict[Path, int], dict[Path, int]], None],
    ) -> None:
        self._files = files
        self._open_files = open_files
        self._paths = paths
        self._folders = folders
        self._forget = forget

    def run(self) -> None:
        """Sync bytes first, then names. Raises OSError."""
        for file in self._open_files:
            file.sync()
        for path in self._paths:
            self._files.sync_file(path)
        for folder in sorted(self._folders, key=lambda each: len(each.parts), reverse=True):
            self._files.sync_folder(folder)

    def done(self) -> None:
        """Note that all of it is on disk, but for what changed meanwhile."""
        self._forget(self._paths, self._folders)
