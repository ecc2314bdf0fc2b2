"""Gives out ranges of bytes that a log was asked for: records on the disk, or in memory. Opens no file itself."""

from typing import Protocol

from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

_READ_AHEAD_STEP = 256 << 10


class SlicedFile(Protocol):
    """A file whose ranges are given out, as a ``FileSlice`` needs it."""

    def pread(self, size: int, position: int) -> bytes:
        """Read up to ``size`` bytes at ``position``; fewer only at the end of the file."""
        ...

    def fileno(self) -> int:
        """Return the file's descriptor, opened if need be. It stays this file's only while the file is pinned."""
        ...

    def is_in_memory(self, position: int, size: int) -> bool:
        """Return whether reading the range does not wait for the disk; False where that cannot be told."""
        ...

    def pin(self) -> None:
        """Keep the descriptor open until ``unpin``."""
        ...

    def unpin(self) -> None:
        """Undo one ``pin``."""
        ...


class FileSlice:
    """A range of an open file, to be sent with ``sendfile`` or read. Call ``release`` when it has gone out."""

    __slots__ = ("_file", "_size", "position")

    def __init__(self, file: SlicedFile, position: int, size: int) -> None:
        self._file: SlicedFile | None = None
        self.position = position
        self._size = size
        file.pin()
        self._file = file

    def __len__(self) -> int:
        return self._size

    def fileno(self) -> int:
        """Return the descriptor of the file, valid until ``release``."""
        return self._open().fileno()

    def read(self, start: int = 0, size: int | None = None) -> bytes:
        """Return the bytes, or ``size`` of them from ``start`` on. Any thread may: the file is pinned."""
        left = self._size - start
        return self._open().pread(left if size is None else min(size, left), self.position + start)

    def take(self) -> bytes:
        """Return the bytes and release the slice, also where reading fails: KafkaError KAFKA_STORAGE_ERROR."""
        try:
            return self.read()
        except OSError as failure:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, str(failure)) from failure
        finally:
            self.release()

    def is_in_memory(self) -> bool:
        """Return whether sending it does not wait for the disk; False where that cannot be told."""
        return self._open().is_in_memory(self.position, self._size)

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

    def _open(self) -> SlicedFile:
        if self._file is None:
            raise ValueError("The slice has been released")
        return self._file

    def __del__(self) -> None:
        # A connection that breaks may drop its answer; that must not pin a descriptor for ever.
        self.release()


RecordSlice = FileSlice | bytes
"""The result of a read: a range of a file, or the bytes themselves."""
