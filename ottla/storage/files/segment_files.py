"""The only module that touches files. Everything above speaks to ``SegmentFiles``, so a crashable twin can stand in.

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
from typing import Protocol

from ottla.storage.files.page_cache import is_in_memory
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

Buffer = bytes | bytearray | memoryview

_BINARY = getattr(os, "O_BINARY", 0)
_SMALL_FILE = 1 << 14
_READ_AHEAD_STEP = 256 << 10

SHARE_OF_DESCRIPTORS = 2
"""Log files may take one in this many of the process's descriptors; the others are for connections."""


class SegmentFile(Protocol):
    """One log file, read and written at given positions."""

    def pwrite(self, data: Buffer, position: int) -> int:
        """Write at ``position``; returns the bytes written, which may be fewer. Raises OSError."""
        ...

    def pread(self, size: int, position: int) -> bytes:
        """Read up to ``size`` bytes at ``position``; fewer only at the end of the file."""
        ...

    def slice(self, position: int, size: int) -> "FileSlice | bytes":
        """The range, as a reference to the open file, or as bytes when too many files are pinned already."""
        ...

    def truncate(self, size: int) -> None:
        """Cut the file to ``size`` bytes."""
        ...

    def sync(self) -> None:
        """Make what was written survive a power cut. May run in another thread while the file is pinned."""
        ...

    def fileno(self) -> int:
        """The descriptor of the file, opened if need be. It stays this file's only while the file is pinned."""
        ...

    def pin(self) -> None:
        """Keep the descriptor open until ``unpin``."""
        ...

    def unpin(self) -> None:
        """Undo one ``pin``."""
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
        """A file that exists; it is opened at its first use."""
        ...

    def size(self, path: Path) -> int:
        """Bytes in a file; raises FileNotFoundError."""
        ...

    def names(self, folder: Path) -> list[str]:
        """What lies in a folder; nothing if there is no such folder."""
        ...

    def read(self, path: Path) -> bytes | None:
        """A whole small file, or None if there is none."""
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
        """Make what a file that is not kept open holds survive a power cut, if it is there. For any thread."""
        ...

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder survive a power cut. For any thread."""
        ...


class FileSlice:
    """A range of an open file, to be sent with ``sendfile`` or read. Call ``release`` when it has gone out."""

    __slots__ = ("_file", "_size", "position")

    def __init__(self, file: SegmentFile, position: int, size: int) -> None:
        self._file: SegmentFile | None = None
        self.position = position
        self._size = size
        file.pin()
        self._file = file

    def __len__(self) -> int:
        return self._size

    def fileno(self) -> int:
        """The descriptor of the file, valid until ``release``."""
        return self._open().fileno()

    def read(self, start: int = 0, size: int | None = None) -> bytes:
        """The bytes, or ``size`` of them from ``start`` on. Safe in another thread, because the file is pinned."""
        left = self._size - start
        return self._open().pread(left if size is None else min(size, left), self.position + start)

    def take(self) -> bytes:
        """The bytes, for good: the slice is released, whatever comes of it. Raises KafkaError KAFKA_STORAGE_ERROR."""
        try:
            return self.read()
        except OSError as failure:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, str(failure)) from failure
        finally:
            self.release()

    def is_in_memory(self) -> bool:
        """Whether sending it does not wait for the disk; False where that cannot be told."""
        return is_in_memory(self.fileno(), self.position, self._size)

    def read_ahead(self) -> None:
        """Bring it into memory. For a thread: this waits for the disk."""
        file = self._open()
        for start in range(0, self._size, _READ_AHEAD_STEP):
            file.pread(min(_READ_AHEAD_STEP, self._size - start), self.position + start)

    def release(self) -> None:
        """Give the file back; doing it twice does nothing."""
        file = self._file
        if file is not None:
            self._file = None
            file.unpin()

    def _open(self) -> SegmentFile:
        if self._file is None:
            raise ValueError("The slice was released")
        return self._file

    def __del__(self) -> None:
        # A connection that breaks may drop its answer; that must not pin a descriptor for ever.
        self.release()


RecordSlice = FileSlice | bytes
"""What a read returns: a range of a file, or the bytes themselves."""


class OpenFiles:
    """The descriptors of log files: at most ``limit`` and those that are pinned. Closes the ones not used lately."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.pinned = 0
        self._queue: OrderedDict[RealFile, None] = OrderedDict()
        self._set_aside: set[RealFile] = set()
        """Pinned files that were come across in the queue: they are not looked at again before they are let go."""

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
        elif file.used:  # Since it was last looked at: it has a second chance.
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
        """The descriptor, opened if need be."""
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
        """A pinned range, or the bytes when as many files are pinned as may be open."""
        if not self.pins and self._open_files.pinned >= self._open_files.limit:
            data = self.pread(size, position)
            self.close()
            return data
        if self._descriptor < 0:
            self._open(0)
        self.used = True
        return FileSlice(self, position, size)

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
        """Let go."""
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
        """A file that exists."""
        return self._file_type(path, self.open_files)

    def size(self, path: Path) -> int:
        """Bytes in a file."""
        return path.stat().st_size

    def names(self, folder: Path) -> list[str]:
        """What lies in a folder."""
        try:
            return os.listdir(folder)  # noqa: PTH208 - thousands of folders are listed at start
        except FileNotFoundError:
            return []

    def read(self, path: Path) -> bytes | None:
        """A whole file."""
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
        """Nothing: this data need not outlive the machine."""


def default_open_limit() -> int:
    """How many log files may be open at once, by the process's soft limit of descriptors."""
    if sys.platform == "win32":
        return 1024
    import resource  # There is none on Windows.

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
    """What makes written bytes survive a power cut. On macOS, fsync leaves them in the disk's own cache."""
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
