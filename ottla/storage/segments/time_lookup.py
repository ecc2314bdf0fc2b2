"""Looks for timestamps in a log, segment by segment (ListOffsets).

The loop does not wait for the disk meanwhile: a segment whose times are not known since the start is first read by a
thread, one segment after the other, so that others have their turn however many there are. Segments may go meanwhile.
"""

from collections.abc import Callable
from functools import partial

from ottla.scheduling.steps import CallSteps
from ottla.storage.log import FoundOffset
from ottla.storage.segments.cold_reads import bring_into_memory
from ottla.storage.segments.segment import Segment
from ottla.storage.segments.segment_list import SegmentList
from ottla.storage.slices import FileSlice, RecordSlice


def find_timestamp(log: SegmentList, timestamp_ms: int) -> CallSteps[FoundOffset | None]:
    """Return the first record whose timestamp is ``timestamp_ms`` or later."""
    number = 0
    while number < len(log.segments):
        segment = log.segments[number]
        if segment.times_are_known and segment.max_timestamp < timestamp_ms:
            number += 1
            continue
        found = yield from _find_in(log, segment, timestamp_ms)
        if found is not None:  # Apache gives up here if the record lies below the log's start.
            return found
        number = _next(log, segment)
    _see_that_it_is_open(log)
    return None


def find_max_timestamp(log: SegmentList) -> CallSteps[FoundOffset | None]:
    """Return the first record with the greatest timestamp."""
    number = 0
    while number < len(log.segments):
        segment = log.segments[number]
        yield from _learn_times(segment)
        number = _next(log, segment)
    while log.segments:
        segment = max(log.segments, key=lambda each: each.max_timestamp)
        yield from _bring_closed(log, segment, partial(segment.beginning_of_search, segment.offset_of_max_timestamp))
        if not segment.is_discarded:
            return segment.find_max_timestamp()
    _see_that_it_is_open(log)
    return None


def _find_in(log: SegmentList, segment: Segment, timestamp_ms: int) -> CallSteps[FoundOffset | None]:
    """Return the record found in one segment; None too when the segment is gone."""
    yield from _learn_times(segment)
    if segment.is_discarded or segment.max_timestamp < timestamp_ms:
        return None
    yield from _bring_closed(log, segment, partial(segment.beginning_of_time_search, timestamp_ms))
    return None if segment.is_discarded else segment.find_timestamp(timestamp_ms, log.log_start_offset)


def _learn_times(segment: Segment) -> CallSteps[None]:
    """See that the segment knows its greatest timestamp, unless it goes meanwhile."""
    if segment.times_are_known:
        return
    end = segment.end_of_file()
    try:
        yield partial(_read_ahead, segment, end)
    finally:
        if isinstance(end, FileSlice):
            end.release()
    if not segment.is_discarded:
        segment.load_max_timestamp()


def _read_ahead(segment: Segment, end: RecordSlice) -> None:
    segment.read_indexes_ahead()
    if isinstance(end, FileSlice):
        end.read_ahead()


def _bring_closed(log: SegmentList, segment: Segment, beginning: Callable[[], RecordSlice]) -> CallSteps[None]:
    """Bring into memory the bytes that a search in a closed segment reads first; the last one was used just now."""
    if segment is not log.segments[-1]:
        yield segment.read_indexes_ahead
        if not segment.is_discarded:
            yield from bring_into_memory(beginning())


def _next(log: SegmentList, segment: Segment) -> int:
    """Return the number of the segment to look at after this one: the one in its place, if it is gone."""
    number = log.segment_number(segment.base_offset)
    return number if segment.is_discarded else number + 1


def _see_that_it_is_open(log: SegmentList) -> None:
    """Refuse where no segment is left because the log was closed meanwhile. Raises KafkaError."""
    if log.is_abandoned:
        raise log.closed_error()
