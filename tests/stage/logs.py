"""Builds batches and reads logs back, for the tests of storage."""

from collections.abc import Sequence

from ottla.scheduling.promise import Promise
from ottla.storage.appends import Appended, AppendOrigin
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import HEADER_SIZE, BatchHeader, check_produced, read_header
from ottla.wire.records import Record, build_batch

NOW_MS = 1_700_000_000_000
TOPIC_ID = bytes(range(16))
DEFAULTS = LogConfig()


def batch_of(
    values: Sequence[bytes] = (b"value",),
    *,
    timestamps: Sequence[int] | None = None,
    producer: tuple[int, int, int] = (-1, -1, -1),
    codec: int = 0,
    transactional: bool = False,
) -> bytearray:
    """A batch as a producer sends it; ``producer`` is id, epoch, first sequence."""
    times = timestamps if timestamps is not None else [NOW_MS] * len(values)
    producer_id, epoch, sequence = producer
    return build_batch(
        [Record(0, time, b"key", value) for time, value in zip(times, values, strict=True)],
        producer_id=producer_id,
        producer_epoch=epoch,
        base_sequence=sequence,
        codec=codec,
        is_transactional=transactional,
    )


def append(
    log: SegmentLog,
    batch: bytearray | None = None,
    *,
    leader_epoch: int = 0,
    now_ms: int = NOW_MS,
    origin: AppendOrigin = AppendOrigin.CLIENT,
) -> Appended:
    """Append a batch of one record, or the given one."""
    view = memoryview(batch if batch is not None else batch_of())
    outcome = log.append(view, check_produced(view), leader_epoch=leader_epoch, now_ms=now_ms, origin=origin)
    return outcome.result() if isinstance(outcome, Promise) else outcome


def append_records(log: SegmentLog, count: int, value: bytes = b"value") -> None:
    """Append batches of one record each."""
    for _ in range(count):
        append(log, batch_of([value]))


def read(
    log: SegmentLog, offset: int, max_bytes: int = 1 << 30, *, end_offset: int | None = None, whole: bool = True
) -> bytes:
    """The bytes that a fetch would send."""
    end_offset = log.log_end_offset if end_offset is None else end_offset
    found = log.read_now(offset, max_bytes, end_offset=end_offset, minimum_one_batch=whole)
    if isinstance(found, bytes):
        return found
    try:
        return found.read()
    finally:
        found.release()


def read_all(log: SegmentLog, offset: int | None = None, *, holes: bool = False) -> list[bytes]:
    """Every whole batch from ``offset`` (the log's start) to the end, read as a consumer does.

    With ``holes``, batches may be missing at the end.
    """
    offset = log.log_start_offset if offset is None else offset
    found: list[bytes] = []
    while offset < log.log_end_offset:
        batches = split(read(log, offset, 10_000))
        if holes and not batches:
            break
        assert batches, f"{log} has nothing at {offset}"
        found += batches
        offset = read_header(batches[-1]).next_offset
    return found


def split(data: bytes) -> list[bytes]:
    """The whole batches in a range; a cut one at the end is left out."""
    batches = []
    position = 0
    while position + HEADER_SIZE <= len(data):
        header = read_header(data, position)
        if header.size < HEADER_SIZE or position + header.size > len(data):
            break
        batches.append(data[position : position + header.size])
        position += header.size
    return batches


def headers(data: bytes) -> list[BatchHeader]:
    """The headers of the whole batches in a range."""
    return [read_header(batch) for batch in split(data)]


def offsets(data: bytes) -> list[int]:
    """The base offsets of the whole batches in a range."""
    return [header.base_offset for header in headers(data)]
