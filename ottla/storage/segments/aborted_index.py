"""Keeps the aborted transactions of a log, in one ``.txnindex`` file for each segment that holds an abort's marker.

Apache's format (``AbortedTxn``), one entry for each marker, in the order of the log::

    version int16 (0), producer id int64, first offset int64, last offset int64 (the marker's), last stable offset int64

Last offsets grow from entry to entry, last stable offsets do not shrink. No file means no aborted transaction. An entry
is written when its marker is; if that fails, it is kept and written later, at the latest when the segment closes.
"""

import logging
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from struct import Struct

from ottla.storage.files.interface import SegmentFiles
from ottla.storage.open_transactions import AbortedTransaction
from ottla.storage.segments.index import CorruptIndexError

SUFFIX = ".txnindex"
_VERSION = 0
_ENTRY = Struct(">hqqqq")
ENTRY_SIZE = _ENTRY.size

_log = logging.getLogger(__name__)


class AbortedTransactions:
    """The transaction indexes of one log, by the base offsets of their segments."""

    __slots__ = ("_bases", "_files", "_folder", "_unwritten", "_written")

    def __init__(
        self, files: SegmentFiles, folder: Path, *, written: Callable[[Path], None] = lambda path: None
    ) -> None:
        """``written`` is called with each file that has been written, but not synced."""
        self._files = files
        self._written = written
        self._folder = folder
        self._bases: list[int] = []
        self._unwritten: dict[
            int, tuple[int, bytearray]
        ] = {}  # By base offset: the position in the file from which the entries follow, and the entries.

    def __bool__(self) -> bool:
        """Return whether any transaction of this log was aborted."""
        return bool(self._bases)

    @property
    def bases(self) -> list[int]:
        """The base offsets of the segments that have an index, ascending."""
        return list(self._bases)

    def found(self, base_offset: int) -> None:
        """Take note of a file on disk."""
        insort(self._bases, base_offset)

    def add(self, base_offset: int, transaction: AbortedTransaction) -> None:
        """Note a transaction whose marker has been written to the segment; the last one so far."""
        if base_offset not in self._bases:
            insort(self._bases, base_offset)
        if base_offset not in self._unwritten:
            self._unwritten[base_offset] = self._size(base_offset), bytearray()
        self._unwritten[base_offset][1].extend(_ENTRY.pack(_VERSION, *transaction))
        try:
            self.write()
        except OSError as failure:
            _log.warning("%s: the transaction index is written later: %s", self._path(base_offset), failure)

    def find(self, base_offset: int, first_offset: int, upper_bound: int) -> list[AbortedTransaction]:
        """Return the aborted transactions with records from ``first_offset`` up to ``upper_bound`` (exclusive).

        ``base_offset`` is that of the segment which holds ``first_offset``. The end of such a transaction may lie in a
        later one. Raises OSError.
        """
        found: list[AbortedTransaction] = []
        for base in self._bases[bisect_left(self._bases, base_offset) :]:
            for transaction in _entries_from(self._read(base), first_offset):
                if transaction.first_offset < upper_bound:
                    found.append(transaction)
                if transaction.last_stable_offset >= upper_bound:
                    return found
        return found

    def entries(self, base_offset: int) -> list[AbortedTransaction]:
        """Return all entries of one segment. Raises OSError."""
        return [AbortedTransaction(*entry[1:]) for entry in _ENTRY.iter_unpack(self._read(base_offset))]

    def check(self, base_offset: int, end_offset: int) -> None:
        """Raise CorruptIndexError if the file cannot be that of the segment from ``base_offset`` to ``end_offset``."""
        raw = self._files.read(self._path(base_offset)) or b""
        whole = len(raw) - len(raw) % ENTRY_SIZE
        entries = list(_ENTRY.iter_unpack(raw[:whole]))
        if (
            whole != len(raw)
            or not all(
                version == _VERSION and producer_id >= 0 and 0 <= first < last < end_offset and 0 <= stable <= last + 1
                for version, producer_id, first, last, stable in entries
            )
            or (entries and entries[0][3] < base_offset)
            or not all(before[3] < after[3] and before[4] <= after[4] for before, after in pairwise(entries))
        ):
            raise CorruptIndexError(f"{self._path(base_offset)} is damaged")

    def write(self) -> None:
        """Bring the files up to date. Raises OSError."""
        for base_offset, (position, entries) in list(self._unwritten.items()):
            path = self._path(base_offset)
            self._files.write(path, entries, position)
            self._written(path)
            del self._unwritten[base_offset]

    def reset(self, base_offset: int) -> None:
        """Remove a segment's index, to be built anew. Raises OSError."""
        self.forget([base_offset])
        self._files.remove(self._path(base_offset))

    def forget(self, base_offsets: Iterable[int]) -> None:
        """Know no more of segments that are being removed, with their files."""
        gone = set(base_offsets)
        self._bases = [base for base in self._bases if base not in gone]
        for base in gone:
            self._unwritten.pop(base, None)

    def _path(self, base_offset: int) -> Path:
        return self._folder / f"{base_offset:020d}{SUFFIX}"

    def _size(self, base_offset: int) -> int:
        try:
            return self._files.size(self._path(base_offset))
        except FileNotFoundError:
            return 0

    def _read(self, base_offset: int) -> bytes:
        raw = self._files.read(self._path(base_offset)) or b""
        if base_offset in self._unwritten:
            position, entries = self._unwritten[base_offset]
            return raw[:position] + entries
        return raw


def encode(transactions: Iterable[AbortedTransaction]) -> bytes:
    """Return the content of an index file with these."""
    return b"".join(_ENTRY.pack(_VERSION, *transaction) for transaction in transactions)


def _entries_from(raw: bytes, first_offset: int) -> Iterator[AbortedTransaction]:
    """Yield the entries whose last offset is not below ``first_offset``."""
    entries = range(len(raw) // ENTRY_SIZE)
    start = bisect_left(entries, first_offset, key=lambda entry: _ENTRY.unpack_from(raw, entry * ENTRY_SIZE)[3])
    for entry in entries[start:]:
        yield AbortedTransaction(*_ENTRY.unpack_from(raw, entry * ENTRY_SIZE)[1:])
