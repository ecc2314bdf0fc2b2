"""Decides which part of a log may be compacted, and how filthy the log is. Follows Apache's ``LogCleanerManager``.

::

    start           first dirty            first uncleanable        end
      | clean: compacted | dirty: cleanable     | not yet            |

Not yet: the last segment, records that are not decided (``last_stable_offset``), and those younger than
``min.compaction.lag.ms``.
"""

from typing import NamedTuple

from ottla.scheduling.steps import Steps
from ottla.storage.segments.segment_list import SegmentList

_SEGMENTS_PER_STEP = 256


class Cleanable(NamedTuple):
    """The part of one log that may be compacted."""

    log: SegmentList
    first_dirty_offset: int
    first_uncleanable_offset: int
    clean_bytes: int
    dirty_bytes: int
    is_overdue: bool
    """Whether a dirty record is older than ``max.compaction.lag.ms``."""

    @property
    def ratio(self) -> float:
        """The share of dirty bytes among those that are or could be clean, from 0 to 1."""
        total = self.clean_bytes + self.dirty_bytes
        return self.dirty_bytes / total if total else 0.0

    @property
    def is_filthy(self) -> bool:
        """Whether it is to be compacted now."""
        return (self.is_overdue and self.dirty_bytes > 0) or self.ratio > self.log.config.min_cleanable_dirty_ratio


def assess(log: SegmentList, cleaned_to: int | None, now_ms: int, last_stable_offset: int) -> Steps[Cleanable | None]:
    """Return the part of a log that may be compacted, or None. ``cleaned_to``: how far the last round came, if known.

    Raises OSError if a segment's times cannot be read.
    """
    if len(log.segments) < 2:
        return None
    first_dirty = log.log_start_offset
    if cleaned_to is not None and first_dirty <= cleaned_to <= log.log_end_offset:
        first_dirty = cleaned_to
    uncleanable = min(log.segments[-1].base_offset, last_stable_offset)
    lag_ms = log.config.min_compaction_lag_ms
    if lag_ms > 0:
        uncleanable = yield from _before_lag(log, first_dirty, uncleanable, now_ms - lag_ms)
    uncleanable = max(first_dirty, uncleanable)
    # Compaction takes whole segments.
    end = log.segment_number(uncleanable)
    uncleanable = min(uncleanable, log.segments[end].base_offset)
    clean_bytes = dirty_bytes = 0
    for number in range(end):
        if number % _SEGMENTS_PER_STEP == _SEGMENTS_PER_STEP - 1:
            yield None
        if log.end_of_segment(number) <= first_dirty:
            clean_bytes += log.segments[number].size
        else:
            dirty_bytes += log.segments[number].size
    if not dirty_bytes or uncleanable <= first_dirty:
        return None
    is_overdue = yield from _is_overdue(log, first_dirty, now_ms)
    return Cleanable(log, first_dirty, uncleanable, clean_bytes, dirty_bytes, is_overdue)


def _before_lag(log: SegmentList, first_dirty: int, uncleanable: int, latest_ms: int) -> Steps[int]:
    """Return the base of the first dirty segment with a record too young to be compacted; else ``uncleanable``."""
    number = log.segment_number(first_dirty)
    while number < len(log.segments) - 1 and log.segments[number].base_offset < uncleanable:
        segment = log.segments[number]
        if segment.max_timestamp > latest_ms:
            return segment.base_offset
        yield None
        number = log.segment_number(segment.base_offset) + 1
    return uncleanable


def _is_overdue(log: SegmentList, first_dirty: int, now_ms: int) -> Steps[bool]:
    """Return whether a dirty segment began longer ago than ``max.compaction.lag.ms``."""
    oldest_ms = now_ms - log.config.max_compaction_lag_ms
    number = log.segment_number(first_dirty)
    while oldest_ms > 0 and number < len(log.segments) - 1:
        segment = log.segments[number]
        if 0 < segment.first_timestamp() < oldest_ms:
            return True
        yield None
        number = log.segment_number(segment.base_offset) + 1
    return False
