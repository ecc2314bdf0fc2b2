"""Keeps what producer snapshots leave out, in a file of our own: of each producer, the batches before its last one.

A producer may have five batches on their way, and sends all of them again when the broker ends before it answered.
Apache's ``.snapshot`` holds the last one only: the others would be refused as out of order, or written twice by clients
that make that good with another epoch. So there is ``producers.batches`` beside the snapshots, which Apache's tools
pass over::

    version int16, CRC-32C uint32 of what follows, and for each batch, a producer's oldest first:
    producer id int64, epoch int16, first and last sequence int32, first and last offset int64, timestamp int64

It is replaced before a snapshot is written. A crash between the two leaves an older snapshot, and the batches after
that are scanned. Without it, or with a damaged one, no more is known than Apache knows.
"""

import logging
from collections import defaultdict
from pathlib import Path
from struct import Struct

from crc32c import crc32c

from ottla.storage.files.interface import SegmentFiles
from ottla.storage.producers import LAST_SEQUENCE, Producers, RememberedBatch

FILE_NAME = "producers.batches"

_VERSION = 1
_PREFIX = Struct(">hI")
_BATCH = Struct(">qhiiqqq")

_log = logging.getLogger(__name__)


def write_older_batches(files: SegmentFiles, folder: Path, producers: Producers) -> None:
    """Write the batches that a snapshot of these producers leaves out. Raises OSError."""
    body = b"".join(
        _BATCH.pack(producer_id, state.epoch, *batch)
        for producer_id, state in producers.items()
        if len(state.batches) > 1
        for batch in list(state.batches)[:-1]
    )
    if body:
        files.replace(folder / FILE_NAME, _PREFIX.pack(_VERSION, crc32c(body)) + body, sync=False)
    else:
        files.remove(folder / FILE_NAME)


def add_older_batches(files: SegmentFiles, folder: Path, producers: Producers) -> None:
    """Give producers that come from a snapshot the batches before their last ones, as far as they join on."""
    known: defaultdict[tuple[int, ...], list[RememberedBatch]] = defaultdict(list)
    for fields in _read(files, folder / FILE_NAME):
        known[fields[:2]].append(RememberedBatch(*fields[2:]))
    for producer_id, state in producers.items():
        for batch in reversed(known.get((producer_id, state.epoch), ())):
            if state.batches and _joins(batch, state.batches[0]):
                state.batches.appendleft(batch)


def _joins(batch: RememberedBatch, following: RememberedBatch) -> bool:
    return (
        batch.last_offset < following.base_offset
        and (batch.last_sequence + 1) & LAST_SEQUENCE == following.base_sequence
    )


def _read(files: SegmentFiles, path: Path) -> list[tuple[int, ...]]:
    raw = files.read(path)
    if raw is None:
        return []
    body = raw[_PREFIX.size :]
    if raw[: _PREFIX.size] != _PREFIX.pack(_VERSION, crc32c(body)) or len(body) % _BATCH.size:
        _log.warning("%s is damaged; the broker goes on without it", path)
        return []
    return list(_BATCH.iter_unpack(body))
