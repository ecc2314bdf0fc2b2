"""Reads records that were not written lately: a thread first brings into memory those that lie on the disk only.

So the loop does not wait for the disk: neither to find an offset nor in ``sendfile``. Records that are in memory
already, as most are, come at once.
"""

from collections.abc import Callable
from typing import TypeVar

from ottla.scheduling.background import Background
from ottla.scheduling.promise import Promise
from ottla.scheduling.steps import CallSteps, run_steps
from ottla.storage.segments.segment import Segment
from ottla.storage.slices import FileSlice, RecordSlice
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

T = TypeVar("T")


def read_when_in_memory(
    segment: Segment, offset: int, read: Callable[[], RecordSlice], background: Background, log_name: str
) -> RecordSlice | Promise[RecordSlice]:
    """Return what ``read`` gives, once neither finding ``offset`` in ``segment`` nor sending waits for the disk."""
    return take_read_steps(_read(segment, offset, read), background, log_name)


def take_read_steps(steps: CallSteps[T], background: Background, log_name: str) -> T | Promise[T]:
    """Return what ``steps`` return: at once, unless they want something done in a thread.

    An error of the disk, in a step or in the thread, becomes a KafkaError KAFKA_STORAGE_ERROR that names the log.
    """
    return run_steps(_in_storage(steps, log_name), background).now_or_later()


def _in_storage(steps: CallSteps[T], log_name: str) -> CallSteps[T]:
    try:
        return (yield from steps)
    except OSError as refusal:
        raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{log_name}: {refusal}") from refusal


def bring_into_memory(records: RecordSlice) -> CallSteps[None]:
    """Let a thread read the records that are not in memory; ``records`` are released."""
    if isinstance(records, FileSlice):
        try:
            if not records.is_in_memory():
                yield records.read_ahead
        finally:
            records.release()


def _read(segment: Segment, offset: int, read: Callable[[], RecordSlice]) -> CallSteps[RecordSlice]:
    if not segment.index.is_loaded:
        yield segment.index.read_ahead
    yield from bring_into_memory(segment.beginning_of_search(offset))
    found = read()  # Things may have changed meanwhile; this looks again at everything.
    if isinstance(found, FileSlice) and not found.is_in_memory():
        yield found.read_ahead
    return found
