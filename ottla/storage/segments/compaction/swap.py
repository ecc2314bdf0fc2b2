"""Puts a rewritten segment in the place of those it was made from, so that a crash at any moment loses nothing.

Apache's protocol (``LogSegments.replace``, ``LogLoader``), by the suffix behind the new segment's file names:

``.cleaned``  it is being written; a crash throws it away
``.swap``     it is whole and on the disk; a crash lets the next start finish the swap
none          it is part of the log; the old files have ``.deleted`` behind their names

The names in the folder are synced between the stages, for a power cut may keep a later one and lose an earlier one.
"""

import logging
from functools import partial
from pathlib import Path

from ottla.scheduling.steps import Steps
from ottla.storage.segments.aborted_index import SUFFIX as TRANSACTION_INDEX_SUFFIX
from ottla.storage.segments.retention import SEGMENTS_AT_ONCE
from ottla.storage.segments.scan import CorruptBatchError, read_headers
from ottla.storage.segments.segment import (
    INDEX_SUFFIX,
    LOG_SUFFIX,
    SEGMENT_SUFFIXES,
    TIME_INDEX_SUFFIX,
    Segment,
    file_name,
)
from ottla.storage.segments.segment_list import SegmentList

CLEANED_SUFFIX = ".cleaned"
SWAP_SUFFIX = ".swap"

_OFFSET_DIGITS = 20
_SEGMENT_FILES = (LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX)

_log = logging.getLogger(__name__)


class LogClosedError(Exception):
    """The log was deleted or closed while somebody worked on it: the work is of no use any more."""


def swap_in(log: SegmentList, old: list[Segment], cleaned: Segment) -> Steps[None]:
    """Put ``cleaned``, whose files have the suffix ``.cleaned``, in the place of ``old``.

    ``old`` are closed segments that follow on each other, and nobody else takes them out meanwhile. Raises OSError and
    LogClosedError; then the log is as it was, or as it will be: either is whole.
    """
    files, folder, base_offset, size = log.files, log.folder, cleaned.base_offset, cleaned.size
    cleaned.discard()
    for suffix in _SEGMENT_FILES:
        yield from _sync(log, folder / file_name(base_offset, suffix + CLEANED_SUFFIX))
    check_open(log)
    _rename(log, base_offset, CLEANED_SUFFIX, SWAP_SUFFIX)
    yield partial(files.sync_folder, folder)

    check_open(log)
    number = log.segment_number(base_offset)
    gone = log.replace_segments(number, len(old), log.segment_file(base_offset, size=size, suffix=SWAP_SUFFIX))
    for count, each in enumerate(gone, 1):
        # The snapshot at the first one's base stays: it counts the batches before.
        log.give_up(each, SEGMENT_SUFFIXES if each != base_offset else _SEGMENT_FILES)
        if count % SEGMENTS_AT_ONCE == 0:
            yield None
            check_open(log)
    yield partial(files.sync_folder, folder)

    check_open(log)
    has_aborted = _rename(log, base_offset, SWAP_SUFFIX, "")
    log.replace_segments(log.segment_number(base_offset), 1, log.segment_file(base_offset, size=size))
    if has_aborted:
        log.aborted.found(base_offset)
    yield partial(files.sync_folder, folder)


def _sync(log: SegmentList, path: Path) -> Steps[None]:
    try:
        log.files.size(path)
    except FileNotFoundError:
        return
    file = log.files.file(path)
    file.pin()
    try:
        yield file.sync
    finally:
        file.unpin()
        file.close()


def check_open(log: SegmentList) -> None:
    """Raise LogClosedError if the log was deleted or closed."""
    if log.is_abandoned:
        raise LogClosedError


def _rename(log: SegmentList, base_offset: int, before: str, after: str) -> bool:
    """Rename a segment's files; returns whether it has an index of aborted transactions, which is the last of them."""
    renamed = False
    for suffix in _SEGMENT_FILES:
        name = file_name(base_offset, suffix)
        try:
            log.files.rename(log.folder / (name + before), log.folder / (name + after))
            renamed = True
        except FileNotFoundError:
            if suffix != TRANSACTION_INDEX_SUFFIX:
                raise
            renamed = False
    return renamed


def finish_swaps(log: SegmentList, names: list[str]) -> list[str]:
    """Finish or undo a swap that a crash interrupted; returns the names that are in the log's folder then.

    A ``.swap`` segment takes the place of those in its range, unless one below it is not finished: then it is part of
    something that never became whole, and goes.
    """
    if not any(name.endswith((CLEANED_SUFFIX, SWAP_SUFFIX)) for name in names):
        return names
    left = set(names)
    unfinished = [_offset(name) for name in names if name.endswith(CLEANED_SUFFIX) and _offset(name) >= 0]
    for name in names:
        if name.endswith(CLEANED_SUFFIX) or (
            name.endswith(SWAP_SUFFIX) and unfinished and _offset(name) >= min(unfinished)
        ):
            _remove(log, left, name)
    for name in sorted(left):
        if name.endswith(LOG_SUFFIX + SWAP_SUFFIX):
            _put_in_place(log, left, _offset(name))
    swaps = [name for name in left if name.endswith(SWAP_SUFFIX)]
    for name in swaps:
        final = name.removesuffix(SWAP_SUFFIX)
        log.files.rename(log.folder / name, log.folder / final)
        left.remove(name)
        left.add(final)
    if swaps:
        log.files.sync_folder(log.folder)
    return list(left)


def _put_in_place(log: SegmentList, left: set[str], start: int) -> None:
    """Remove the segments that a ``.swap`` segment was made from; or itself, if it is damaged and they are there."""
    path = log.folder / file_name(start, LOG_SUFFIX + SWAP_SUFFIX)
    end = start + 1
    try:
        for _, header in read_headers(log.files.file(path), 0, log.files.size(path)):
            end = max(end, header.next_offset)
    except CorruptBatchError as damage:
        _log.error("%s: %s", path, damage)
        if file_name(start, LOG_SUFFIX) in left:
            for suffix in _SEGMENT_FILES:
                _remove(log, left, file_name(start, suffix + SWAP_SUFFIX))
            return
    _log.info("%r: segment %d, compacted before the crash, is put in its place", log, start)
    for name in sorted(left):
        # The snapshot at its base stays: it counts the batches before.
        if name.endswith(_SEGMENT_FILES) and start <= _offset(name) < end:
            _remove(log, left, name)


def _remove(log: SegmentList, left: set[str], name: str) -> None:
    log.files.remove(log.folder / name)
    left.discard(name)


def _offset(name: str) -> int:
    digits = name[:_OFFSET_DIGITS]
    return int(digits) if digits.isascii() and digits.isdigit() else -1
