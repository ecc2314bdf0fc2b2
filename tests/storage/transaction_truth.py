"""Finds transactions by reading all batches one after the other: a log must know the same without that."""

from collections.abc import Iterable
from typing import NamedTuple

from ottla.storage.open_transactions import AbortedTransaction
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import read_header
from ottla.wire.markers import read_marker


class Truth(NamedTuple):
    """Transactions as the batches of a log tell them."""

    open: dict[int, int]
    aborted: list[AbortedTransaction]


def truth_of(batches: Iterable[bytes]) -> Truth:
    """Read them all."""
    truth = Truth({}, [])
    for batch in batches:
        header = read_header(batch)
        if header.is_control:
            marker = read_marker(batch)
            first = truth.open.pop(header.producer_id, None)
            if first is not None and marker is not None and not marker.commits:
                stable = min([*truth.open.values(), header.next_offset])
                truth.aborted.append(AbortedTransaction(header.producer_id, first, header.last_offset, stable))
        elif header.is_transactional:
            truth.open.setdefault(header.producer_id, header.base_offset)
    return truth


def compare_transactions(log: SegmentLog, *, found: list[bytes], before: list[bytes]) -> None:
    """Check that a log knows the transactions of the batches ``found`` in it.

    Of those that lie ``before`` them, deleted, it may know or may have lost what they began.
    """
    least, most = truth_of(found), truth_of([*before, *found])
    known = {
        producer_id: state.transaction_offset
        for producer_id, state in log.producers.items()
        if state.transaction_offset >= 0
    }
    assert least.open.keys() <= known.keys() <= most.open.keys()
    for producer_id, first_offset in known.items():
        assert most.open[producer_id] <= first_offset <= least.open.get(producer_id, first_offset)
    assert sorted(known.values()) == list(log.producers.transactions.open)
    entries = {entry.last_offset: entry for base in log.aborted.bases for entry in log.aborted.entries(base)}
    most_aborted = {entry.last_offset: entry for entry in most.aborted}
    assert {entry.last_offset for entry in least.aborted} <= entries.keys() <= most_aborted.keys()
    for entry in least.aborted:
        told = entries[entry.last_offset]
        assert told.producer_id == entry.producer_id
        assert most_aborted[entry.last_offset].first_offset <= told.first_offset <= entry.first_offset
        assert told.last_stable_offset <= entry.last_stable_offset
