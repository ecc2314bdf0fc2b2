"""Fills logs with keys and compacts them, for the tests of compaction."""

from collections.abc import Iterable, Sequence
from typing import Any

from ottla.storage.appends import AppendOrigin
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.compaction.dirtiness import assess
from ottla.storage.segments.compaction.rounds import Compacted, compact
from ottla.storage.segments.segment_log import SegmentLog
from ottla.storage.store import CompactionSettings
from ottla.wire.batch import read_header
from ottla.wire.records import Record, build_batch, read_records
from tests.stage.logs import NOW_MS, read_all
from tests.stage.stepping import take_all

SMALL = CompactionSettings(io_buffer_bytes=1 << 16)
KeyValue = tuple[bytes | None, bytes | None]


def compacted_config(**settings: Any) -> LogConfig:
    return LogConfig(
        **{
            "segment_bytes": 1000,
            "cleanup_policy": frozenset({"compact"}),
            "min_cleanable_dirty_ratio": 0.0,
            "delete_retention_ms": 1000,
            "index_interval_bytes": 100,
            **settings,
        }
    )


def put(log: SegmentLog, *pairs: KeyValue, time_ms: int = NOW_MS, **settings: Any) -> bytes:
    """Append one batch of keys and values."""
    batch = build_batch([Record(0, time_ms, key, value) for key, value in pairs], **settings)
    log.append(memoryview(batch), read_header(batch), 0, NOW_MS, AppendOrigin.CLIENT, transaction_version=1)
    return bytes(batch)


def put_each(log: SegmentLog, pairs: Iterable[KeyValue], **settings: Any) -> None:
    """Append a batch for each key and value."""
    for pair in pairs:
        put(log, pair, **settings)


def clean(
    log: SegmentLog,
    now_ms: int = NOW_MS,
    *,
    cleaned_to: int | None = None,
    settings: CompactionSettings = SMALL,
) -> Compacted | None:
    """Close the last segment, and take a round over all others; None if there is nothing to do."""
    if log.segments[-1].size:
        log.roll()
    part = take_all(assess(log, cleaned_to, now_ms, log.last_stable_offset(log.log_end_offset)))
    return None if part is None else take_all(compact(part, settings, now_ms))


def records(log: SegmentLog) -> list[Record]:
    """All records that a consumer sees, markers too."""
    return [record for batch in read_all(log) for record in read_records(batch)]


def contents(log: SegmentLog) -> list[tuple[int, bytes | None, bytes | None]]:
    """Offset, key and value of all records."""
    return [(record.offset, record.key, record.value) for record in records(log)]


def newest(batches: Sequence[bytes]) -> dict[bytes | None, tuple[int, bytes | None]]:
    """Return what compaction has to keep: for each key the newest offset, with its value."""
    found = {}
    for batch in batches:
        for record in read_records(batch):
            found[record.key] = (record.offset, record.value)
    return found
