"""Decides which of a log's oldest segments go, and takes them out in steps. Follows Apache's ``UnifiedLog``.

A segment goes when it lies wholly below the log's start, when the log is larger than ``retention.bytes`` without it, or
when its newest record is older than ``retention.ms``. Only records have times here: a segment whose records have none
is never too old.
"""

import logging
from collections.abc import Callable

from ottla.scheduling.steps import Steps
from ottla.storage.segments.segment_list import SegmentList

SEGMENTS_AT_ONCE = 4
"""Maximum number taken out in one step: some twenty renames, which take a millisecond or two in a large folder."""

_log = logging.getLogger(__name__)


def apply_retention(log: SegmentList, now_ms: int, high_watermark: int, *, roll: Callable[[], object]) -> Steps[bool]:
    """Remove old segments as the settings say, at most up to ``high_watermark``; returns whether the start moved.

    ``roll`` is called to begin another segment when all records go.
    """
    if log.is_being_cleaned or not log.segments:
        return False
    start = log.log_start_offset
    if "delete" in log.config.cleanup_policy:
        # The size is looked at last: no batch may come between the decision on the last segment and the roll.
        keeps_from = max((yield from _by_time(log, now_ms, high_watermark)), _by_size(log, high_watermark))
        if keeps_from > start and log.segments and not log.is_being_cleaned:
            _log.info("%r: retention removes the records below %d", log, keeps_from)
            if keeps_from == log.log_end_offset and log.segments[-1].size:
                roll()  # There is always a segment to append to.
            log.move_start(keeps_from)
    yield from trim_all(log)
    return log.log_start_offset > start


def trim_all(log: SegmentList) -> Steps[None]:
    """Take out all segments that lie wholly below the log's start, unless compaction works on the log."""
    while not log.is_being_cleaned and not trim(log):
        yield None


def trim(log: SegmentList) -> bool:
    """Take out segments that lie wholly below the log's start, a few at most; returns whether these were all."""
    if log.is_being_cleaned:
        return False
    whole = log.segment_number(log.log_start_offset)
    log.remove_first(min(whole, SEGMENTS_AT_ONCE))
    return whole <= SEGMENTS_AT_ONCE


def _by_size(log: SegmentList, high_watermark: int) -> int:
    """Return the first offset that is kept when the log is to shrink to ``retention.bytes``."""
    keeps_from = log.log_start_offset
    limit = log.config.retention_bytes
    if limit < 0:
        return keeps_from
    surplus = log.size_bytes - limit
    for number, segment in enumerate(log.segments):
        surplus -= segment.size
        end = log.end_of_segment(number)
        if surplus < 0 or end > high_watermark or _is_last_and_empty(log, number):
            break
        keeps_from = end
    return keeps_from


def _by_time(log: SegmentList, now_ms: int, high_watermark: int) -> Steps[int]:
    """Return the first offset that is kept when segments older than ``retention.ms`` go."""
    keeps_from = log.log_start_offset
    limit = log.config.retention_ms
    if limit < 0:
        return keeps_from
    number = 0
    while number < len(log.segments):
        segment = log.segments[number]
        end = log.end_of_segment(number)
        if end > high_watermark or _is_last_and_empty(log, number):
            break
        if segment.size and not 0 <= segment.max_timestamp < now_ms - limit:
            break
        keeps_from = end
        if end == log.log_end_offset:
            break  # The caller's next step must see the log as it is now.
        segment.file.close()  # It goes soon, and descriptors are few.
        yield None
        number = log.segment_number(keeps_from)
    return keeps_from


def _is_last_and_empty(log: SegmentList, number: int) -> bool:
    return number + 1 == len(log.segments) and not log.segments[number].size
