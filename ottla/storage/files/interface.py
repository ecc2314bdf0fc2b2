"""A file system as storage needs one. All of storage speaks to this, so that a crashable twin can stand in."""

from pathlib import Path
from typing import Protocol

from ottla.storage.slices import RecordSlice, SlicedFile
from ottla.wire.primitives import Buffer


class SegmentFile(SlicedFile, Protocol):
    """One log file, read and written at given positions."""

    def pwrite(self, data: Buffer, position: int) -> int:
        """Write at ``position``; returns the bytes written, which may be fewer. Raises OSError."""
        ...

    def slice(self, position: int, size: int) -> RecordSlice:
        """Return the range, as a reference to the open file, or as bytes when too many files are pinned already."""
        ...

    def truncate(self, size: int) -> None:
        """Cut the file to ``size`` bytes."""
        ...

    def sync(self) -> None:
        """Make the written bytes survive a power cut. May run in another thread while the file is pinned."""
        ...

    def close(self) -> None:
        """Give the descriptor back, at the last ``unpin`` if the file is pinned. Using the file opens it again."""
        ...


class SegmentFiles(Protocol):
    """A file system, as far as storage needs one."""

    def create(self, path: Path) -> SegmentFile:
        """Make an empty file (or empty the one that is there) and return it open."""
        ...

    def file(self, path: Path) -> SegmentFile:
        """Return a file that exists. It is opened at its first use."""
        ...

    def size(self, path: Path) -> int:
        """Return the size of a file in bytes. Raises FileNotFoundError."""
        ...

    def names(self, folder: Path) -> list[str]:
        """Return the names in a folder; none if there is no such folder."""
        ...

    def read(self, path: Path) -> bytes | None:
        """Return a whole small file, or None if there is none."""
        ...

    def write(self, path: Path, data: Buffer, position: int) -> None:
        """Write into a file that is not kept open, making it if need be; cut it after the data."""
        ...

    def replace(self, path: Path, data: bytes, *, sync: bool) -> None:
        """Put ``data`` in place of the file at once: a reader, or a crash, finds the old one or the new one."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file or folder."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        ...

    def make_folder(self, path: Path) -> None:
        """Make a folder, unless it is there."""
        ...

    def remove_folder(self, path: Path) -> None:
        """Remove a folder with all that is in it."""
        ...

    def sync_file(self, path: Path) -> None:
        """Make the bytes of a file that is not kept open survive a power cut, if it is there. For any thread."""
        ...

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder survive a power cut. For any thread."""
        ...
