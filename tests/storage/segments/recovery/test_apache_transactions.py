"""Transactions that Apache wrote, and what it answered about them, beside what we make of the same files and batches.

``apache-4.3.1-transactions`` was recorded by ``compat/record_transactions``: a partition with segments of 4096 bytes
and an index entry every 500, and Apache's answers to read_committed fetches at each offset, with three limits.
The broker was stopped while one transaction was open.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ottla.storage.appends import AppendOrigin
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import read_header
from ottla.wire.markers import build_marker, read_marker
from ottla.wire.records import read_records
from tests.stage.logs import read, read_all
from tests.storage.committed import committed_records
from tests.storage.conftest import Disk

SOURCE = Path(__file__).parent / "apache-4.3.1-transactions"
ANSWERS = json.loads((SOURCE / "answers.json").read_text())
CONFIG = LogConfig.from_topic_configs({"internal.segment.bytes": "4096", "index.interval.bytes": "500"})


@pytest.fixture
def apaches(tmp_path: Path) -> Iterator[Disk]:
    """Apache's partition as the log of a directory that was closed well."""
    disk = Disk(tmp_path / "apaches")
    disk.open()
    disk.close()
    shutil.copytree(SOURCE / "transactions-0", disk.folder)
    (disk.folder / "partition.metadata").unlink()
    yield disk
    disk.crash()


def contents(folder: Path, *suffixes: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in suffixes}


def fetch(log: SegmentLog, offset: int, size: int) -> list[object]:
    """Our answer, as the recorded ones are written."""
    stable = log.last_stable_offset(log.log_end_offset)
    if offset >= stable:
        return [offset, size, 0, []]
    found = len(read(log, offset, size, end_offset=stable))
    return [
        offset,
        size,
        found,
        [[each.producer_id, each.first_offset] for each in log.aborted_transactions(offset, found)],
    ]


def check_answers(log: SegmentLog) -> None:
    assert log.log_end_offset == ANSWERS["high_watermark"]
    assert log.last_stable_offset(log.log_end_offset) == ANSWERS["last_stable_offset"] == ANSWERS["latest_committed"]
    for recorded in ANSWERS["fetches"]:
        assert fetch(log, recorded[0], recorded[1]) == recorded


def test_apaches_files_give_apaches_answers_and_stay_as_they_are(apaches: Disk) -> None:
    before = contents(apaches.folder, ".log", ".index", ".timeindex", ".txnindex", ".snapshot")
    check_answers(apaches.open(CONFIG))
    apaches.close()
    assert contents(apaches.folder, ".log", ".index", ".timeindex", ".txnindex", ".snapshot") == before


def test_what_recovery_builds_is_apaches_byte_for_byte(apaches: Disk) -> None:
    before = contents(apaches.folder, ".txnindex", ".snapshot")
    assert len(before) == 12
    for name in before:
        (apaches.folder / name).unlink()
    (apaches.root / ".kafka_cleanshutdown").unlink()
    check_answers(apaches.open(CONFIG))
    apaches.close()
    assert contents(apaches.folder, ".txnindex", ".snapshot") == before


def test_the_same_appends_write_apaches_files_byte_for_byte(apaches: Disk, tmp_path: Path) -> None:
    source = apaches.open(CONFIG)
    ours = Disk(tmp_path / "ours")
    log = ours.open(CONFIG)
    for batch in read_all(source):
        header = read_header(batch)
        log.append(
            memoryview(bytearray(batch)),
            header,
            0,
            header.max_timestamp,
            AppendOrigin.COORDINATOR if header.is_control else AppendOrigin.CLIENT,
            transaction_version=2,
        )
    check_answers(log)
    ours.close()
    suffixes = (".log", ".index", ".timeindex", ".txnindex", ".snapshot")
    assert contents(ours.folder, *suffixes) == contents(apaches.folder, *suffixes)


def test_apaches_markers_are_read_and_built_byte_for_byte(apaches: Disk) -> None:
    markers = 0
    for batch in read_all(apaches.open(CONFIG)):
        header = read_header(batch)
        if header.is_control:
            markers += 1
            marker = read_marker(batch)
            assert marker is not None
            built = build_marker(
                marker,
                producer_id=header.producer_id,
                producer_epoch=header.producer_epoch,
                timestamp_ms=header.max_timestamp,
                base_offset=header.base_offset,
            )
            assert bytes(built[16:]) == batch[16:]
    assert markers > 30


def test_leaving_out_what_is_aborted_leaves_what_was_committed(apaches: Disk) -> None:
    log = apaches.open(CONFIG)
    stable = log.last_stable_offset(log.log_end_offset)
    kept = [record.offset for record in committed_records(log)]
    assert kept == committed_by_markers(log, stable)
    assert len(kept) > 50


def committed_by_markers(log: SegmentLog, stable: int) -> list[int]:
    """The same by the markers alone: records of a transaction that ends with an abort go."""
    kept: list[int] = []
    waiting: dict[int, list[int]] = {}
    for batch in read_all(log):
        header = read_header(batch)
        offsets = [record.offset for record in read_records(batch)]
        if header.is_control:
            marker = read_marker(batch)
            of_transaction = waiting.pop(header.producer_id, [])
            if marker is not None and marker.commits:
                kept += of_transaction
        elif header.is_transactional:
            waiting.setdefault(header.producer_id, []).extend(offsets)
        else:
            kept += offsets
    return sorted(offset for offset in kept if offset < stable)
