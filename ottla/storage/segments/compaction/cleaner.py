"""Compacts the logs of a data directory, the filthiest first, and remembers how far each of them is clean.

It is written down in ``cleaner-offset-checkpoint`` after each round; a round that a crash interrupts is taken again.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from ottla.scheduling.steps import Steps
from ottla.storage.segments.compaction.dirtiness import Cleanable, assess
from ottla.storage.segments.compaction.rounds import compact
from ottla.storage.segments.compaction.swap import LogClosedError
from ottla.storage.segments.scan import CorruptBatchError
from ottla.storage.segments.segment_log import SegmentLog
from ottla.storage.store import CompactionSettings
from ottla.wire.errors import KafkaError

_LOGS_PER_STEP = 16

Key = tuple[str, int]

_log = logging.getLogger(__name__)


class CompactedLogs(Protocol):
    """A data directory, as compaction needs it."""

    logs: dict[Key, SegmentLog]
    """Its open logs."""
    cleaned_offsets: dict[Key, int]
    """The offset up to which each of them is compacted."""

    def write_cleaned_offsets(self) -> None:
        """Write down ``cleaned_offsets``. Raises OSError."""
        ...


class Cleaner:
    """The compaction of one data directory. One log at a time."""

    def __init__(self, directory: CompactedLogs) -> None:
        self._directory = directory

    def clean_filthiest(
        self, settings: CompactionSettings, now_ms: int, last_stable_offset: Callable[[Key], int]
    ) -> Steps[bool]:
        """Compact the filthiest log, if any is filthy enough; returns whether one was.

        ``last_stable_offset`` is asked for topic and partition. A log whose batches cannot be read is left alone from
        then on, as Apache does, with an error in the broker's log.
        """
        filthy: list[tuple[Cleanable, Key]] = []
        for count, (key, log) in enumerate(list(self._directory.logs.items())):
            if log.config.is_compacted and not log.is_uncleanable:
                part = yield from self._assess(key, log, now_ms, last_stable_offset)
                if part is not None and part.is_filthy:
                    filthy.append((part, key))
            if count % _LOGS_PER_STEP == 0:
                yield None
        for part, key in sorted(filthy, key=lambda each: each[0].ratio, reverse=True):
            if (yield from self._clean(part, key, settings, now_ms)):
                return True
        return False

    def _assess(
        self, key: Key, log: SegmentLog, now_ms: int, last_stable_offset: Callable[[Key], int]
    ) -> Steps[Cleanable | None]:
        try:
            cleaned_to = self._directory.cleaned_offsets.get(key)
            return (yield from assess(log, cleaned_to, now_ms, last_stable_offset(key)))
        except (OSError, KafkaError) as failure:
            _log.warning("%r cannot be looked at for compaction: %s", log, failure)
            return None

    def _clean(self, part: Cleanable, key: Key, settings: CompactionSettings, now_ms: int) -> Steps[bool]:
        """Compact a log; returns whether that came to an end."""
        log = part.log
        try:
            if log.is_abandoned:
                return False
            done = yield from compact(part, settings, now_ms)
        except LogClosedError:
            return False
        except (CorruptBatchError, KafkaError) as damage:
            log.is_uncleanable = True
            _log.error("%r is not compacted any more until the next start: %s", log, damage)
            return False
        except OSError as failure:
            _log.warning("%r could not be compacted now: %s", log, failure)
            return False
        if self._directory.logs.get(key) is log:
            self._directory.cleaned_offsets[key] = done.next_dirty_offset
            try:
                self._directory.write_cleaned_offsets()
            except OSError as failure:
                _log.warning("How far %r is compacted could not be written down: %s", log, failure)
        _log.info(
            "%r is compacted up to %d: %d bytes of %d are left",
            log,
            done.next_dirty_offset,
            done.bytes_after,
            done.bytes_before,
        )
        return True
