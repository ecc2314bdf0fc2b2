"""Knows the transactions that compaction has met, so that it drops aborted records, and markers that mark nothing.

Follows Apache's ``CleanedTransactionMetadata``. An aborted transaction's records go at once. A marker stays until none
of its transaction's records is left, and then for ``delete.retention.ms`` more: a consumer that has read those records
must find it.
"""

import heapq
from collections.abc import Iterable

from ottla.storage.open_transactions import AbortedTransaction
from ottla.wire.batch import BatchHeader
from ottla.wire.markers import read_marker


class CleanedTransactions:
    """The transactions met so far, going through a log in its order. ``kept``: aborted ones whose marker stays."""

    def __init__(self) -> None:
        self.kept: list[AbortedTransaction] = []
        self._to_come: list[tuple[int, AbortedTransaction]] = []
        self._aborted: dict[int, AbortedTransaction] = {}
        self._aborted_with_records: set[int] = set()
        self._committed: set[int] = set()

    def add_aborted(self, transactions: Iterable[AbortedTransaction]) -> None:
        """Take in the entries of the transaction indexes for the part of the log that comes next."""
        for transaction in transactions:
            heapq.heappush(self._to_come, (transaction.first_offset, transaction))

    def is_superfluous(self, header: BatchHeader, batch: memoryview) -> bool:
        """Take note of the next batch; returns whether it is of an aborted transaction, or a marker without records."""
        while self._to_come and self._to_come[0][0] <= header.last_offset:
            _, transaction = heapq.heappop(self._to_come)
            self._aborted.setdefault(transaction.producer_id, transaction)
        if header.is_control:
            return self._is_superfluous_marker(header, batch)
        if not header.is_transactional:
            return False
        if header.producer_id in self._aborted:
            self._aborted_with_records.add(header.producer_id)
            return True
        self._committed.add(header.producer_id)
        return False

    def _is_superfluous_marker(self, header: BatchHeader, batch: memoryview) -> bool:
        if not header.record_count:
            return True  # It was emptied already, and is here for its producer only.
        marker = read_marker(batch)
        producer_id = header.producer_id
        if marker is None:
            return False
        if marker.commits:
            had_records = producer_id in self._committed
            self._committed.discard(producer_id)
            return not had_records
        transaction = self._aborted.pop(producer_id, None)
        if transaction is None or producer_id not in self._aborted_with_records:
            return True
        self._aborted_with_records.discard(producer_id)
        self.kept.append(transaction)
        return False
