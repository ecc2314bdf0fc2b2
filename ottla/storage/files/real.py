"""The machine's file system. The only module that reads and writes log files.

Descriptors are few: a ``RealFile`` opens itself when it is used, and ``OpenFiles`` closes those that were not used
lately. A ``FileSlice`` pins its file open until it is released.
"""

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ottla.storage.files.interface import SegmentFile
from ottla.storage.files.page_cache import is_in_memory
from ottla.storage.slices import FileSlice, RecordSlice
from ottla.wire.primitives import Buffer

_BINARY = getattr(os, "O_BINARY", 0)
_SMALL_FILE = 1 << 14

SHARE_OF_DESCRIPTORS = 2
"""Log files may take one in this many of the process's descriptors; the others are for connections."""


class OpenFiles:
    """The descriptors of log files: at most ``limit`` and those that are pinned. Closes the ones not used lately."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.pinned = 0
        self._queue: OrderedDict[RealFile, None] = OrderedDict()
        self._set_aside: set[RealFile] = set()
        """Pinned files that were met in the queue: they are not looked at again before they are unpinned."""

    def __len__(self) -> int:
        return len(self._queue) + len(self._set_aside)

    def opened(self, file: "RealFile") -> None:
        """Take note of a file that was just opened; others are closed if there are too many."""
        while self._queue and len(self) >= self.limit:
            self._look_at_first()
        self._queue[file] = None

    def unpinned(self, file: "RealFile") -> None:
        """Take note of a file that nobody holds any more."""
        self.pinned -= 1
        if file in self._set_aside:
            self._set_aside.remove(file)
            self._queue[file] = None

    def closed(self, file: "RealFile") -> None:
        """Forget a file that was closed."""
        self._queue.pop(file, None)

    def _look_at_first(self) -> None:
        file = next(iter(self._queue))
        if file.pins:
            del self._queue[file]
            self._set_aside.add(file)
        elif file.used:  # It was used since it was last looked at, so it has a second chance.
            file.used = False
            self._queue.move_to_end(file)
        else:
            file.close()


class RealFile:
    """A file on disk. Its descriptor comes and goes; its position is always given by the caller."""

    __slots__ = ("_close_when_unpinned", "_descriptor", "_open_files", "_path", "pins", "used")

    def __init__(self, path: Path, open_files: OpenFiles) -> None:
        self._path = path
        self._open_files = open_files
        self._descriptor = -1
        self.pins = 0
        self.used = False
        self._close_when_unpinned = False

    def fileno(self) -> int:
        """Return the descriptor, opened if need be."""
        return self._descriptor if self._descriptor >= 0 else self._open(0)

    def pwrite(self, data: Buffer, position: int) -> int:
        """Write at ``position``."""
        descriptor = self._descriptor
        if descriptor < 0:
            descriptor = self._open(0)
        self.used = True
        return _pwrite(descriptor, data, position)

    def pread(self, size: int, position: int) -> bytes:
        """Read at ``position``."""
        descriptor = self._descriptor
        if descriptor < 0:
            descriptor = self._open(0)
        self.used = True
        return _pread(descriptor, size, position)

    def slice(self, position: int, size: int) -> RecordSlice:
        """Return a pinned range, or the bytes when as many files are pinned as may be open."""
        if not self.pins and self._open_files.pinned >= self._open_files.limit:
            data = self.pread(size, position)
            self.close()
            return data
        if self._descriptor < 0:
            self._open(0)
        self.used = True
        return FileSlice(self, position, size)

    def is_in_memory(self, position: int, size: int) -> bool:
        """Return whether reading the range does not wait for the disk; False where that cannot be told."""
        return is_in_memory(self.fileno(), position, size)

    def truncate(self, size: int) -> None:
        """Cut the file."""
        os.ftruncate(self.fileno(), size)

    def sync(self) -> None:
        """Write through to the disk."""
        _fsync(self.fileno())

    def pin(self) -> None:
        """Keep it open."""
        if self._descriptor < 0:
            self._open(0)
        self.pins += 1
        if self.pins == 1:
            self._open_files.pinned += 1

    def unpin(self) -> None:
        """Undo one ``pin``."""
        self.pins -= 1
        if self.pins == 0:
            self._open_files.unpinned(self)
            if self._close_when_unpinned:
                self.close()

    def close(self) -> None:
        """Close the descriptor, or mark it for the last ``unpin``."""
        if self.pins:
            self._close_when_unpinned = True
        elif self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            self._close_when_unpinned = False
            self._open_files.closed(self)
            os.close(descriptor)

    def _open(self, flags: int) -> int:
        flags |= os.O_RDWR | _BINARY
        self._descriptor = os.open(self._path, flags, 0o644)
        self._open_files.opened(self)
        return self._descriptor

    def create(self) -> None:
        """Open it, new and empty."""
        self._open(os.O_CREAT | os.O_TRUNC)


class RealFiles:
    """The machine's file system. ``durable=False`` skips every fsync: for data that goes with the process."""

    def __init__(self, open_limit: int | None = None, *, durable: bool = True) -> None:
        self.open_files = OpenFiles(open_limit if open_limit is not None else default_open_limit())
        self._durable = durable
        self._file_type = RealFile if durable else _HastyFile
        self._unremovable: list[Path] = []

    def create(self, path: Path) -> SegmentFile:
        """Make an empty file."""
        file = self._file_type(path, self.open_files)
        file.create()
        return file

    def file(self, path: Path) -> SegmentFile:
        """Return a file that exists."""
        return self._file_type(path, self.open_files)

    def size(self, path: Path) -> int:
        """Return the size of a file in bytes."""
        return path.stat().st_size

    def names(self, folder: Path) -> list[str]:
        """Return the names in a folder."""
        try:
            return os.listdir(folder)  # noqa: PTH208 - thousands of folders are listed at start
        except FileNotFoundError:
            return []

    def read(self, path: Path) -> bytes | None:
        """Return a whole file."""
        try:
            descriptor = os.open(path, os.O_RDONLY | _BINARY)
        except FileNotFoundError:
            return None
        try:
            return _read_all(descriptor)
        finally:
            os.close(descriptor)

    def write(self, path: Path, data: Buffer, position: int) -> None:
        """Write into a file and cut it after the data."""
        with _descriptor(path, os.O_RDWR | os.O_CREAT) as descriptor:
            _write_all(descriptor, data, position)
            os.ftruncate(descriptor, position + len(data))

    def replace(self, path: Path, data: bytes, *, sync: bool) -> None:
        """Write beside the file, then rename over it."""
        fresh = path.with_name(path.name + ".tmp")
        try:
            with _descriptor(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
                _write_all(descriptor, data, 0)
                if sync and self._durable:
                    _fsync(descriptor)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
        fresh.replace(path)
        if sync:
            self.sync_folder(path.parent)

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file or folder."""
        old.replace(new)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there. Windows keeps files that are open: those are tried again later."""
        waiting, self._unremovable = [*self._unremovable, path], []
        for each in waiting:
            try:
                each.unlink(missing_ok=True)
            except PermissionError:
                if os.name != "nt":
                    raise
                self._unremovable.append(each)

    def make_folder(self, path: Path) -> None:
        """Make a folder with its parents."""
        path.mkdir(parents=True, exist_ok=True)

    def remove_folder(self, path: Path) -> None:
        """Remove a folder with all that is in it."""
        import shutil

        shutil.rmtree(path, ignore_errors=True)

    def sync_file(self, path: Path) -> None:
        """Sync a file by its name."""
        if self._durable:
            with suppress(FileNotFoundError), _descriptor(path, os.O_RDWR) as descriptor:
                os.fsync(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Sync the folder's names, where the platform has folders as files."""
        if self._durable and sys.platform != "win32":
            with _descriptor(path, os.O_RDONLY) as descriptor:
                os.fsync(descriptor)


class _HastyFile(RealFile):
    __slots__ = ()

    def sync(self) -> None:
        """Do nothing: this data need not outlive the machine."""


def default_open_limit() -> int:
    """Return how many log files may be open at once, by the process's soft limit of descriptors."""
    if sys.platform == "win32":
        return 1024
    import resource  # Windows has no such module.

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = 1 << 16
    return max(8, min(soft // SHARE_OF_DESCRIPTORS, 1 << 14))


@contextmanager
def _descriptor(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | _BINARY, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: Buffer, position: int) -> None:
    with memoryview(data) as view:
        done = 0
        while done < len(view):
            done += _pwrite(descriptor, view[done:], position + done)


def _read_all(descriptor: int) -> bytes:
    data = os.read(descriptor, _SMALL_FILE)
    if len(data) < _SMALL_FILE:  # Thousands of files are read at start, and they are small.
        return data
    parts = [data]
    while part := os.read(descriptor, os.fstat(descriptor).st_size + 1):
        parts.append(part)
    return b"".join(parts)


def _full_fsync() -> Callable[[int], object]:
    """Return the call that makes written bytes survive a power cut. On macOS, fsync leaves them in the disk's cache."""
    if sys.platform == "darwin":
        import fcntl

        return lambda descriptor: fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    return os.fsync


def _positioned() -> tuple[Callable[[int, Buffer, int], int], Callable[[int, int, int], bytes]]:
    if hasattr(os, "pwrite") and hasattr(os, "pread"):
        return os.pwrite, os.pread
    return _seek_and_write, _seek_and_read


_seeking = threading.Lock()


def _seek_and_write(descriptor: int, data: Buffer, position: int) -> int:
    with _seeking:
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.write(descriptor, data)


def _seek_and_read(descriptor: int, size: int, position: int) -> bytes:
    with _seeking:
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.read(descriptor, size)


_pwrite, _pread = _positioned()
_fsync = _full_fsync()
