"""Lets one process have a data directory: locks its ``.lock`` file, which Apache's brokers heed too."""

import os
import sys
from pathlib import Path

FILE_NAME = ".lock"


class DirectoryInUseError(Exception):
    """Another broker has the data directory."""


class DirectoryLock:
    """A lock, held from construction until ``release``, or until the process ends in any way."""

    def __init__(self, folder: Path) -> None:
        """Take the lock. Raises DirectoryInUseError, with one sentence for a person."""
        self._descriptor = os.open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(self._descriptor)
        except OSError:
            self.release()
            raise DirectoryInUseError(
                f"The data directory {folder} is in use by another broker; stop that one, or choose another directory."
            ) from None

    def release(self) -> None:
        """Let the next one in; doing it twice does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        # flock keeps out a second directory object of this process; lockf is the lock that Java takes.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
