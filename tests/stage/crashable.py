"""A file system in memory whose power can fail. What was not synced is then gone, or there in part.

It takes ``fsync`` at its word and gives nothing beyond: syncing a file keeps its bytes, not its name; syncing a folder
keeps its names, not their bytes. After a power failure, of what was not synced,

- each write and each cut of a file may have happened or not, whatever came after it, and a write may have happened for
  some of its sectors only, the others holding zeros or what was there;
- the changes of a folder's names have happened up to one of them, as on a file system with a journal.
"""

import errno
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple

from ottla.wire.primitives import Buffer

SECTOR = 512

Mercy = Literal["nothing", "something", "everything"]
"""The part of what was not synced that survives."""

MERCIES: tuple[Mercy, ...] = ("nothing", "something", "something", "everything")


class Content:
    """The content of a file; names come and go."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)


class Folder:
    """Names, each of a file or a folder."""

    def __init__(self) -> None:
        self.names: dict[str, Content | Folder] = {}


Entry = Content | Folder


class Write(NamedTuple):
    """Bytes put somewhere."""

    content: Content
    position: int
    data: bytes

    def apply(self, data: bytearray) -> None:
        if len(data) < self.position:
            data += bytes(self.position - len(data))
        data[self.position : self.position + len(self.data)] = self.data

    def apply_in_part(self, data: bytearray, random: Random) -> None:
        """Let some sectors arrive; the file may have grown by the others, too."""
        end = self.position + len(self.data)
        if random.random() < 0.5 and len(data) < end:
            data += bytes(end - len(data))
        start = self.position
        while start < end:
            until = min(end, start - start % SECTOR + SECTOR)
            if random.random() < 0.5:
                torn = random.randint(start, until) if random.random() < 0.3 else until
                Write(self.content, start, self.data[start - self.position : torn - self.position]).apply(data)
            start = until


class Cut(NamedTuple):
    """A file made shorter, or longer by zeros."""

    content: Content
    size: int

    def apply(self, data: bytearray) -> None:
        del data[self.size :]
        data += bytes(self.size - len(data))


class Rename(NamedTuple):
    """Names of a folder set or, with None, removed: all at once."""

    folder: Folder
    changes: dict[str, Entry | None]

    def apply(self, names: dict[str, Entry]) -> None:
        for name, entry in self.changes.items():
            if entry is None:
                names.pop(name, None)
            else:
                names[name] = entry


class Sync(NamedTuple):
    """A file's bytes, or a folder's names, made to last."""

    what: Entry


Event = Write | Cut | Rename | Sync


class CrashableFile:
    """One open file. It stays the same file when its name goes."""

    def __init__(self, files: "CrashableFiles", path: Path) -> None:
        self._files = files
        self._path = path
        self._content: Content | None = None
        self._pins = 0

    def _open(self) -> Content:
        if self._content is None:
            self._content = self._files.content(self._path)
        return self._content

    def pwrite(self, data: Buffer, position: int) -> int:
        self._files.change(Write(self._open(), position, bytes(data)))
        return len(data)

    def pread(self, size: int, position: int) -> bytes:
        return bytes(self._open().data[position : position + size])

    def slice(self, position: int, size: int) -> bytes:
        return self.pread(size, position)

    def is_in_memory(self, position: int, size: int) -> bool:
        return True

    def truncate(self, size: int) -> None:
        self._files.change(Cut(self._open(), size))

    def sync(self) -> None:
        self._files.change(Sync(self._open()))

    def fileno(self) -> int:
        raise OSError(errno.EBADF, "A file in memory has no descriptor")

    def pin(self) -> None:
        self._open()
        self._pins += 1

    def unpin(self) -> None:
        self._pins -= 1

    def close(self) -> None:
        if not self._pins:
            self._content = None


class CrashableFiles:
    """The file system. ``events`` is all that happened to it; ``after_power_failure`` is what that leaves."""

    def __init__(self, folder: Path, root: Folder | None = None) -> None:
        """``folder`` is there from the beginning."""
        self._folder = folder
        self._root = root if root is not None else Folder()
        self._first: dict[Entry, bytes | dict[str, Entry]] = {}
        self.events: list[Event] = []
        self.make_folder(folder)
        self.events.clear()
        self._remember(self._root)

    def _remember(self, entry: Entry) -> None:
        """Take everything that is here at the beginning for synced."""
        if isinstance(entry, Content):
            self._first[entry] = bytes(entry.data)
        else:
            self._first[entry] = dict(entry.names)
            for each in entry.names.values():
                self._remember(each)

    def change(self, event: Event) -> None:
        """Let something happen."""
        if isinstance(event, Write | Cut):
            event.apply(event.content.data)
        elif isinstance(event, Rename):
            event.apply(event.folder.names)
        self.events.append(event)

    def after_power_failure(self, random: Random, mercy: Mercy, *, at: int | None = None) -> "CrashableFiles":
        """Another file system with what is left if the power fails after the first ``at`` events."""
        unsynced: dict[Entry, list[Event]] = {}
        disk: dict[Entry, bytearray | dict[str, Entry]] = {
            entry: bytearray(first) if isinstance(first, bytes) else dict(first) for entry, first in self._first.items()
        }
        for event in self.events[:at]:
            if isinstance(event, Sync):
                _keep(disk, event.what, unsynced.pop(event.what, ()))
            else:
                unsynced.setdefault(event.folder if isinstance(event, Rename) else event.content, []).append(event)
        for entry, events in unsynced.items():
            if mercy == "everything":
                _keep(disk, entry, events)
            elif mercy == "something":
                _keep_some(disk, entry, events, random)
        return CrashableFiles(self._folder, _restart(disk, self._root))

    # The interface that storage asks for.

    def create(self, path: Path) -> CrashableFile:
        content = Content()
        self.change(Rename(self._parent(path), {path.name: content}))
        return CrashableFile(self, path)

    def file(self, path: Path) -> CrashableFile:
        return CrashableFile(self, path)

    def size(self, path: Path) -> int:
        return len(self.content(path).data)

    def names(self, folder: Path) -> list[str]:
        found = self._find(folder)
        return list(found.names) if isinstance(found, Folder) else []

    def read(self, path: Path) -> bytes | None:
        found = self._find(path)
        return bytes(found.data) if isinstance(found, Content) else None

    def write(self, path: Path, data: Buffer, position: int) -> None:
        found = self._find(path)
        content = found if isinstance(found, Content) else Content()
        if found is None:
            self.change(Rename(self._parent(path), {path.name: content}))
        if len(data):
            self.change(Write(content, position, bytes(data)))
        if len(content.data) != position + len(data):
            self.change(Cut(content, position + len(data)))

    def replace(self, path: Path, data: bytes, *, sync: bool) -> None:
        fresh = path.with_name(path.name + ".tmp")
        content = Content()
        self.change(Rename(self._parent(path), {fresh.name: content}))
        self.change(Write(content, 0, data))
        if sync:
            self.change(Sync(content))
        self.rename(fresh, path)
        if sync:
            self.sync_folder(path.parent)

    def rename(self, old: Path, new: Path) -> None:
        assert old.parent == new.parent
        found = self._find(old)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "No such file", str(old))
        self.change(Rename(self._parent(old), {old.name: None, new.name: found}))

    def remove(self, path: Path) -> None:
        if self._find(path) is not None:
            self.change(Rename(self._parent(path), {path.name: None}))

    def make_folder(self, path: Path) -> None:
        folder = self._root
        for name in path.parts:
            found = folder.names.get(name)
            if found is None:
                found = Folder()
                self.change(Rename(folder, {name: found}))
            assert isinstance(found, Folder)
            folder = found

    def remove_folder(self, path: Path) -> None:
        found = self._find(path)
        if isinstance(found, Folder):
            for name in list(found.names):
                self.change(Rename(found, {name: None}))
            self.change(Rename(self._parent(path), {path.name: None}))

    def sync_file(self, path: Path) -> None:
        if self._find(path) is not None:
            self.change(Sync(self.content(path)))

    def sync_folder(self, path: Path) -> None:
        self.change(Sync(self._parent(path / "name")))

    def content(self, path: Path) -> Content:
        """Return the content of the file of this name."""
        found = self._find(path)
        if not isinstance(found, Content):
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
        return found

    def _find(self, path: Path) -> Entry | None:
        found: Entry | None = self._root
        for name in path.parts:
            found = found.names.get(name) if isinstance(found, Folder) else None
        return found

    def _parent(self, path: Path) -> Folder:
        found = self._find(path.parent)
        if not isinstance(found, Folder):
            raise FileNotFoundError(errno.ENOENT, "No such folder", str(path.parent))
        return found


Disk = dict[Entry, bytearray | dict[str, Entry]]


def _keep(disk: Disk, entry: Entry, events: Iterable[Event]) -> None:
    for event in events:
        if isinstance(event, Rename):
            event.apply(_names_of(disk, event.folder))
        elif isinstance(event, Write | Cut):
            event.apply(_data_of(disk, event.content))
    disk.setdefault(entry, bytearray() if isinstance(entry, Content) else {})


def _keep_some(disk: Disk, entry: Entry, events: list[Event], random: Random) -> None:
    if isinstance(entry, Folder):
        _keep(disk, entry, events[: random.randint(0, len(events))])
        return
    for event in events:
        fate = random.random()
        if fate < 0.5:
            _keep(disk, entry, [event])
        elif fate < 0.8 and isinstance(event, Write):
            event.apply_in_part(_data_of(disk, entry), random)


def _names_of(disk: Disk, folder: Folder) -> dict[str, Entry]:
    names = disk.setdefault(folder, {})
    assert isinstance(names, dict)
    return names


def _data_of(disk: Disk, content: Content) -> bytearray:
    data = disk.setdefault(content, bytearray())
    assert isinstance(data, bytearray)
    return data


def _restart(disk: Disk, folder: Folder) -> Folder:
    """The tree that the disk holds, with all of its own."""
    fresh = Folder()
    for name, entry in _names_of(disk, folder).items():
        if isinstance(entry, Folder):
            fresh.names[name] = _restart(disk, entry)
        else:
            fresh.names[name] = Content(bytes(_data_of(disk, entry)))
    return fresh
