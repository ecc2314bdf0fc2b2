"""Finds the records that a consumer with ``read_committed`` keeps of a log, as Apache's consumer does it."""

from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import read_header
from ottla.wire.markers import read_marker
from ottla.wire.records import Record, read_records
from tests.stage.logs import read, split


def committed_records(log: SegmentLog, *, fetch_bytes: int = 700) -> list[Record]:
    """The records that are kept, going by what each fetch says was aborted."""
    stable = log.last_stable_offset(log.log_end_offset)
    kept: list[Record] = []
    offset = log.log_start_offset
    while offset < stable:
        data = read(log, offset, fetch_bytes, end_offset=stable)
        batches = split(data)
        if not batches:
            break  # Compaction has left nothing up to there.
        transactions = log.aborted_transactions(offset, len(data))
        aborted = sorted((each.first_offset, each.producer_id) for each in transactions)
        left_out: set[int] = set()
        for batch in batches:
            header = read_header(batch)
            while aborted and aborted[0][0] <= header.last_offset:
                left_out.add(aborted.pop(0)[1])
            if header.is_control:
                marker = read_marker(batch)
                if marker is not None and not marker.commits:
                    left_out.discard(header.producer_id)
            elif not (header.is_transactional and header.producer_id in left_out):
                kept += [record for record in read_records(batch) if record.offset >= offset]
            offset = header.next_offset
    return kept
