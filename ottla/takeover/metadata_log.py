"""Reads the metadata log of a stopped Apache broker or controller: its newest snapshot, then the records after it.

``__cluster_metadata-0`` holds segments like any log, and snapshots named ``<end offset>-<epoch>.checkpoint``: batches
of records that replace all records before the end offset, between two control records. A record's value is::

    frame version 1, key of the record's kind, its version: unsigned varints; then the record
"""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from struct import Struct

from ottla.storage.files.interface import SegmentFile
from ottla.storage.files.real import RealFiles
from ottla.storage.segments.scan import CorruptBatchError, check_batches
from ottla.storage.segments.segment import LOG_SUFFIX
from ottla.wire.batch import BatchHeader
from ottla.wire.errors import KafkaError, ProtocolError
from ottla.wire.messages import metadata_records
from ottla.wire.primitives import read_unsigned_varint
from ottla.wire.records import read_records
from ottla.wire.schema import MetadataRecord

FOLDER = "__cluster_metadata-0"

KINDS: dict[int, type[MetadataRecord]] = {
    kind.api_key: kind
    for kind in vars(metadata_records).values()
    if isinstance(kind, type) and issubclass(kind, MetadataRecord) and kind is not MetadataRecord
}
ABOUT_PROCESSES = frozenset({0, 1, 7, 8, 17, 20, 21, 27})
"""The kinds of records about running brokers and controllers, or without content, which are skipped."""

_FRAME_VERSION = 1
_SNAPSHOT = re.compile(r"(\d{20})-(\d{10})\.checkpoint")
_SEGMENT = re.compile(r"(\d{20})" + re.escape(LOG_SUFFIX))
_CONTROL_KEY = Struct(">hh")
_SNAPSHOT_FOOTER = 4

_log = logging.getLogger(__name__)


class MetadataLogError(Exception):
    """The error of a metadata log that is damaged, has a gap, or is of an unknown Kafka. A sentence for a person."""


def read_metadata(folder: Path, *, was_clean: bool) -> Iterator[MetadataRecord]:
    """Yield the log's records in order. Raises MetadataLogError, OSError.

    If the broker was not stopped cleanly, a torn batch at the end was left by the crash, and is skipped.
    """
    files = RealFiles()
    snapshots, bases = _take_stock(folder)
    next_offset = 0
    if snapshots:
        next_offset, path = snapshots[-1]
        yield from _read_snapshot(files, path)
    if not bases and not snapshots:
        raise MetadataLogError(f"{folder} holds neither a log nor a snapshot")
    if bases and bases[0][0] > next_offset:
        raise MetadataLogError(f"{folder} lacks the records from offset {next_offset} to {bases[0][0] - 1}")
    for number, (_, path) in enumerate(bases):
        is_last = number + 1 == len(bases)
        if not is_last and bases[number + 1][0] <= next_offset:
            continue
        file = files.file(path)
        try:
            for position, header in check_batches(file, 0, files.size(path)):
                if header.next_offset <= next_offset:
                    continue
                if header.base_offset > next_offset:
                    raise MetadataLogError(f"{path} lacks the offsets {next_offset} to {header.base_offset - 1}")
                next_offset = header.next_offset
                yield from _read_batch(file, path, position, header)
        except CorruptBatchError as damage:
            if was_clean or not is_last:
                raise MetadataLogError(f"{path} is damaged {damage}") from None
            lost = files.size(path) - damage.position
            _log.warning("%s: ignored the last %d bytes, a batch that was torn when the broker crashed", path, lost)
        finally:
            file.close()


def _take_stock(folder: Path) -> tuple[list[tuple[int, Path]], list[tuple[int, Path]]]:
    """Return the snapshots with their end offsets and the segments with their base offsets, ascending."""
    snapshots, bases = [], []
    for path in sorted(folder.iterdir()):
        if matched := _SNAPSHOT.fullmatch(path.name):
            snapshots.append((int(matched[1]), path))
        elif matched := _SEGMENT.fullmatch(path.name):
            bases.append((int(matched[1]), path))
    return snapshots, bases


def _read_snapshot(files: RealFiles, path: Path) -> Iterator[MetadataRecord]:
    file = files.file(path)
    is_complete = False
    try:
        for position, header in check_batches(file, 0, files.size(path)):
            if header.is_control:
                keys = (record.key for record in read_records(file.pread(header.size, position)))
                is_complete = any(key and _CONTROL_KEY.unpack(key)[1] == _SNAPSHOT_FOOTER for key in keys)
            else:
                yield from _read_batch(file, path, position, header)
    except CorruptBatchError as damage:
        raise MetadataLogError(f"{path} is damaged {damage}") from None
    finally:
        file.close()
    if not is_complete:
        raise MetadataLogError(f"{path} is cut off: it does not end as a snapshot does")


def _read_batch(file: SegmentFile, path: Path, position: int, header: BatchHeader) -> Iterator[MetadataRecord]:
    if header.is_control:
        return
    try:
        for record in read_records(file.pread(header.size, position)):
            decoded = decode_record(record.value or b"")
            if decoded is not None:
                yield decoded
    except (KafkaError, ProtocolError) as problem:
        raise MetadataLogError(f"{path}, batch at offset {header.base_offset}: {problem}") from None


def decode_record(value: bytes) -> MetadataRecord | None:
    """Return the record in a value; None for records about processes. Raises ProtocolError, also for unknown kinds."""
    frame, position = read_unsigned_varint(value, 0)
    if frame != _FRAME_VERSION:
        raise ProtocolError(f"a record's frame has version {frame}; only {_FRAME_VERSION} is known")
    key, position = read_unsigned_varint(value, position)
    version, position = read_unsigned_varint(value, position)
    if key in ABOUT_PROCESSES:
        return None
    kind = KINDS.get(key)
    if kind is None:
        raise ProtocolError(f"record kind {key} is unknown: it is of a newer Kafka than 4.3")
    if version > kind.versions[1]:
        raise ProtocolError(f"{kind.__name__} of version {version} is unknown: it is of a newer Kafka than 4.3")
    return kind.decode(value, version, position)
