"""Knows the undecided transactions of a log, where ``read_committed`` has to stop. Follows ``ProducerStateManager``.

A transaction is open from its first record to its marker. It is undecided until the marker is below the high watermark,
because until then the marker could be lost.
"""

from collections.abc import Iterable
from typing import NamedTuple


class AbortedTransaction(NamedTuple):
    """A transaction whose records ``read_committed`` leaves out. Its first two offsets are inclusive."""

    producer_id: int
    first_offset: int
    last_offset: int
    """The offset of its marker."""
    last_stable_offset: int
    """The first offset that was undecided when this transaction had ended, whatever the high watermark was."""


class Transactions:
    """The undecided transactions of one log, by their first offsets."""

    __slots__ = ("ended", "open")

    def __init__(self) -> None:
        self.open: dict[int, int] = {}
        """First offset and producer id, in the order of the log."""
        self.ended: dict[int, int] = {}
        """First offset and marker's offset of those whose marker was not below the last high watermark asked for."""

    def begin(self, first_offset: int, producer_id: int) -> None:
        """Note a transaction that starts behind all others."""
        self.open[first_offset] = producer_id

    def begin_all(self, transactions: Iterable[tuple[int, int]]) -> None:
        """Take over open transactions, first offset and producer id each, in any order."""
        self.open.update(sorted(transactions))

    def end(self, first_offset: int, marker_offset: int) -> int:
        """Note a marker; returns the offset before which every transaction has one."""
        self.open.pop(first_offset, None)
        self.ended[first_offset] = marker_offset
        return next(iter(self.open), marker_offset + 1)

    def first_undecided(self, high_watermark: int) -> int | None:
        """Return the first offset of the first undecided transaction."""
        first = next(iter(self.open), None)
        if self.ended:
            self.ended = {start: marker for start, marker in self.ended.items() if marker >= high_watermark}
            return min((*self.ended, *([] if first is None else [first])), default=None)
        return first
