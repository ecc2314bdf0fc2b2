"""Keeps a segment's two sparse indexes, offset to position and timestamp to offset, in Apache's file formats.

``.index``:     int32 offset relative to the segment's base, int32 position; one entry for a batch's last offset.
``.timeindex``: int64 greatest timestamp so far, int32 relative offset of the last record of the batch that has it.

New entries stay in memory until there are many, or the segment closes: after a crash they are rebuilt from the log.
"""

import sys
from array import array
from bisect import bisect_left, bisect_right
from operator import lt
from pathlib import Path
from struct import Struct

from ottla.storage.files.interface import SegmentFiles
from ottla.storage.log_config import MAX_INT64

OFFSET_ENTRY_SIZE = 8
_TIME_ENTRY = Struct(">qi")
TIME_ENTRY_SIZE = _TIME_ENTRY.size
_ENTRIES_PER_WRITE = 512
_SWAP = sys.byteorder == "little"
_UNLOADED = array("I")


class CorruptIndexError(Exception):
    """The file cannot be this segment's index. It is rebuilt from the log."""


class IndexMemory:
    """Bounds the memory that the offset indexes of all logs take: ``limit_bytes`` at most, but for the one in use."""

    def __init__(self, limit_bytes: int = 32 << 20) -> None:
        self._limit = limit_bytes
        self._loaded: dict[OffsetIndex, int] = {}
        self._bytes = 0

    def grown(self, index: "OffsetIndex", size: int) -> None:
        """Take note of an index's size in memory, and unload those that were loaded first if it is too much."""
        self._bytes += size - self._loaded.pop(index, 0)
        self._loaded[index] = size
        while self._bytes > self._limit and len(self._loaded) > 1:
            oldest = next(iter(self._loaded))
            try:
                oldest.unload()
            except OSError:  # It cannot be written now, so it stays in memory; sealing it will raise the error again.
                return

    def dropped(self, index: "OffsetIndex") -> None:
        """Forget an index that is not in memory any more."""
        self._bytes -= self._loaded.pop(index, 0)


class OffsetIndex:
    """Finds the position of a batch near an offset. In memory only while it is used."""

    __slots__ = ("_base_offset", "_files", "_memory", "_offsets", "_path", "_positions", "_written", "entries")

    def __init__(self, files: SegmentFiles, path: Path, *, base_offset: int, memory: IndexMemory, new: bool) -> None:
        self._files = files
        self._path = path
        self._base_offset = base_offset
        self._memory = memory
        self._offsets: array[int] | None = array("I") if new else None
        self._positions = array("I") if new else _UNLOADED
        self._written = 0
        self.entries = 0

    def append(self, offset: int, position: int) -> None:
        """Add the batch at ``position``, whose last offset is ``offset``. Both grow from entry to entry."""
        offsets = self._offsets
        if offsets is None:
            offsets = self.load()
        offsets.append(offset - self._base_offset)
        self._positions.append(position)
        self.entries += 1
        if self.entries - self._written >= _ENTRIES_PER_WRITE:
            self.write()

    @property
    def is_loaded(self) -> bool:
        """Whether a lookup needs no file."""
        return self._offsets is not None

    def read_ahead(self) -> None:
        """Bring the file into the system's memory. For a thread: this waits for the disk."""
        self._files.read(self._path)

    def lookup(self, offset: int) -> tuple[int, int]:
        """Return position and last offset of the last indexed batch not above ``offset``; 0 and no bound without one.

        The caller has to see that the batch it reads there is the right one.
        """
        offsets = self._offsets
        if offsets is None:
            offsets = self.load()
        entry = bisect_right(offsets, offset - self._base_offset) - 1
        return (self._positions[entry], self._base_offset + offsets[entry]) if entry >= 0 else (0, MAX_INT64)

    def offset_beyond(self, position: int) -> int | None:
        """Return the last offset of the first indexed batch at or behind ``position``; None if there is none."""
        offsets = self._offsets
        if offsets is None:
            offsets = self.load()
        # Apache's search passes over the first entry when that is the very position; so its answers are ours.
        entry = (
            bisect_left(self._positions, position, lo=1) if self._positions and self._positions[0] <= position else 0
        )
        return self._base_offset + offsets[entry] if entry < len(offsets) else None

    def last_entry(self) -> tuple[int, int | None]:
        """Return position and last offset of the last indexed batch; 0 and None if there is none."""
        if self._offsets is None:
            self.load()
        if not self._offsets:
            return 0, None
        return self._positions[-1], self._base_offset + self._offsets[-1]

    def load(self) -> "array[int]":
        """Read the file. Raises CorruptIndexError if it is missing or its entries do not grow."""
        raw = self._files.read(self._path)
        if raw is None:
            raise CorruptIndexError(f"{self._path} is missing")
        values = array("I", raw[: len(raw) - len(raw) % OFFSET_ENTRY_SIZE])
        if _SWAP:
            values.byteswap()
        offsets, positions = values[0::2], values[1::2]
        while positions and not positions[-1]:  # Apache allots the file in advance, filled with zeros.
            del offsets[-1], positions[-1]
        if len(raw) % OFFSET_ENTRY_SIZE or not (_grows(offsets) and _grows(positions)):
            raise CorruptIndexError(f"The entries of {self._path} do not grow")
        self._offsets, self._positions = offsets, positions
        self.entries = self._written = len(offsets)
        if len(raw) != len(offsets) * OFFSET_ENTRY_SIZE:
            self._files.write(self._path, b"", self._written * OFFSET_ENTRY_SIZE)
        self._memory.grown(self, len(raw))
        return offsets

    def unload(self) -> None:
        """Leave memory, after writing what is not in the file yet."""
        self.write()
        self._offsets = None
        self._positions = _UNLOADED
        self._memory.dropped(self)

    def reset(self) -> None:
        """Start again without entries, to be rebuilt."""
        self._offsets = array("I")
        self._positions = array("I")
        self.entries = self._written = 0
        self._memory.dropped(self)

    def write(self) -> None:
        """Bring the file up to date; it is exactly as long as its entries."""
        offsets = self._offsets
        if offsets is None or self.entries == self._written:
            return
        fresh = array("I", bytes((self.entries - self._written) * OFFSET_ENTRY_SIZE))
        fresh[0::2] = offsets[self._written :]
        fresh[1::2] = self._positions[self._written :]
        if _SWAP:
            fresh.byteswap()
        self._files.write(self._path, memoryview(fresh).cast("B"), self._written * OFFSET_ENTRY_SIZE)
        self._written = self.entries
        self._memory.grown(self, self.entries * OFFSET_ENTRY_SIZE)

    def seal(self) -> None:
        """Bring the file up to date and make sure that there is one."""
        if not self.entries and self._offsets is not None:
            self._files.write(self._path, b"", 0)
        self.write()

    def forget(self) -> None:
        """Leave memory without writing: the file is being removed."""
        self._memory.dropped(self)


class TimeIndex:
    """Finds an offset from which to look for a timestamp. Only its last entry and unwritten ones are in memory."""

    __slots__ = (
        "_base_offset",
        "_checked",
        "_files",
        "_loaded",
        "_path",
        "_unwritten",
        "_written",
        "entries",
        "last_offset",
        "last_timestamp",
    )

    def __init__(self, files: SegmentFiles, path: Path, *, base_offset: int, new: bool) -> None:
        self._files = files
        self._path = path
        self._base_offset = base_offset
        self.reset()
        self._loaded = self._checked = new

    def read_ahead(self) -> None:
        """Bring the file into the system's memory. For a thread: this waits for the disk."""
        self._files.read(self._path)

    def reset(self) -> None:
        """Start again without entries."""
        self.entries = self._written = 0
        self._unwritten = bytearray()
        self._loaded = self._checked = True
        self.last_timestamp = -1
        self.last_offset = self._base_offset

    def load(self) -> None:
        """Read the last entry, once. Raises CorruptIndexError if the file is missing or its entries do not grow."""
        if self._loaded:
            return
        raw = self._read()
        self._loaded = True
        self.entries = self._written = len(raw) // TIME_ENTRY_SIZE
        if raw:
            self.last_timestamp, relative = _TIME_ENTRY.unpack_from(raw, len(raw) - TIME_ENTRY_SIZE)
            self.last_offset = self._base_offset + relative

    def maybe_append(self, timestamp: int, offset: int) -> None:
        """Add an entry, unless the timestamp is not greater than the last one's."""
        self.load()
        if timestamp > self.last_timestamp and offset >= self.last_offset:
            self._unwritten += _TIME_ENTRY.pack(timestamp, offset - self._base_offset)
            self.entries += 1
            self.last_timestamp = timestamp
            self.last_offset = offset
            if len(self._unwritten) >= _ENTRIES_PER_WRITE * TIME_ENTRY_SIZE:
                self.write()

    def lookup(self, timestamp: int) -> tuple[int, int] | None:
        """Return timestamp and offset of the last entry whose timestamp is not above ``timestamp``; None without one.

        The caller has to see that the timestamp is the greatest of the batch that holds the offset.
        """
        self.load()
        self.write()
        raw = self._read() if self.entries else b""
        entries = range(len(raw) // TIME_ENTRY_SIZE)
        entry = bisect_right(entries, timestamp, key=lambda each: _timestamp(raw, each)) - 1
        if entry < 0:
            return None
        found, relative = _TIME_ENTRY.unpack_from(raw, entry * TIME_ENTRY_SIZE)
        return found, self._base_offset + relative

    def write(self) -> None:
        """Bring the file up to date; it is exactly as long as its entries."""
        if self._unwritten:
            self._files.write(self._path, self._unwritten, self._written * TIME_ENTRY_SIZE)
            self._written = self.entries
            self._unwritten = bytearray()

    def seal(self) -> None:
        """Bring the file up to date and make sure that there is one."""
        if self._loaded and not self.entries:
            self._files.write(self._path, b"", 0)
        self.write()

    def _read(self) -> bytes:
        raw = self._files.read(self._path)
        if raw is None:
            raise CorruptIndexError(f"{self._path} is missing")
        if self._checked:
            return raw
        used = len(raw) - len(raw) % TIME_ENTRY_SIZE
        while used and raw[used - TIME_ENTRY_SIZE : used] == bytes(TIME_ENTRY_SIZE):
            used -= TIME_ENTRY_SIZE  # Apache allots the file in advance, filled with zeros.
        timestamps = [entry[0] for entry in _TIME_ENTRY.iter_unpack(raw[:used])]
        if len(raw) % TIME_ENTRY_SIZE or not all(map(lt, timestamps, timestamps[1:])):
            raise CorruptIndexError(f"The entries of {self._path} do not grow")
        if used != len(raw):
            self._files.write(self._path, b"", used)
        self._checked = True
        return raw[:used]


def _timestamp(raw: bytes, entry: int) -> int:
    timestamp: int = _TIME_ENTRY.unpack_from(raw, entry * TIME_ENTRY_SIZE)[0]
    return timestamp


def _grows(values: "array[int]") -> bool:
    return all(map(lt, values, values[1:]))
