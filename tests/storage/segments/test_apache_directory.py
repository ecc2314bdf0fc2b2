"""A data directory that Apache wrote, and what we make of the same batches.

``apache-4.3.1`` is from a broker that was stopped well: topic ``topic`` with ``internal.segment.bytes=4096`` and
``index.interval.bytes=500``, written by five idempotent producers with 60 records each and one codec each.
"""

import shutil
from pathlib import Path

import pytest

from ottla.storage.files.identity import uuid_from_text
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.data_directory import DataDirectory, StoredPartition
from ottla.storage.segments.recovery.producer_snapshots import decode_snapshot
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import read_header
from ottla.wire.records import read_records
from tests.stage.logs import offsets, read, read_all

SOURCE = Path(__file__).parent / "apache-4.3.1"
TOPIC_ID = uuid_from_text("ylqswDSTSNGEwU2QbDyp4Q")
CONFIG = LogConfig.from_topic_configs({"internal.segment.bytes": "4096", "index.interval.bytes": "500"})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    shutil.copytree(SOURCE, root)
    return root


def open_log(root: Path) -> tuple[DataDirectory, SegmentLog]:
    directory = DataDirectory(root)
    return directory, directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG)


def written(root: Path, *suffixes: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "topic-0").iterdir() if path.suffix in suffixes}


def test_apaches_directory_is_opened(root: Path) -> None:
    directory, log = open_log(root)
    assert directory.was_clean
    assert directory.identity.node_id == 1
    assert directory.stored_partitions() == [StoredPartition("topic", 0, TOPIC_ID)]
    assert (log.log_start_offset, log.log_end_offset, len(log.segments)) == (0, 300, 7)
    assert log.epochs.entries == [(0, 0)]
    records = [record for batch in read_all(log) for record in read_records(batch)]
    assert [record.offset for record in records] == list(range(300))
    assert {len(record.value or b"") for record in records} == {60}
    for offset in range(300):
        assert offsets(read(log, offset, 1))[0] <= offset
    directory.abandon()


def test_our_restart_leaves_apaches_files_as_they_are(root: Path) -> None:
    before = written(root, ".log", ".index", ".timeindex", ".snapshot", ".metadata", "")
    directory, _ = open_log(root)
    directory.close()
    assert written(root, ".log", ".index", ".timeindex", ".snapshot", ".metadata", "") == before
    for name in ("meta.properties", "recovery-point-offset-checkpoint", "log-start-offset-checkpoint"):
        assert (root / name).read_bytes() == (SOURCE / name).read_bytes()


def test_the_indexes_that_recovery_builds_are_apaches_byte_for_byte(root: Path) -> None:
    before = written(root, ".index", ".timeindex")
    (root / ".kafka_cleanshutdown").unlink()
    (root / "recovery-point-offset-checkpoint").unlink()
    for name in before:
        (root / "topic-0" / name).unlink()
    directory, _ = open_log(root)
    directory.close()
    assert written(root, ".index", ".timeindex") == before


def test_appending_the_same_batches_writes_apaches_files_byte_for_byte(root: Path, tmp_path: Path) -> None:
    source_directory, source = open_log(root)
    directory = DataDirectory(tmp_path / "ours")
    log = directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG)
    for batch in read_all(source):
        header = read_header(batch)
        log.append(memoryview(bytearray(batch)), header, leader_epoch=0, now_ms=header.max_timestamp)
    directory.close()
    source_directory.abandon()
    suffixes = (".log", ".index", ".timeindex", ".metadata", "")
    assert written(tmp_path / "ours", *suffixes) == written(root, *suffixes)
    ours, apaches = written(tmp_path / "ours", ".snapshot"), written(root, ".snapshot")
    assert ours.keys() == apaches.keys()
    for name, snapshot in ours.items():
        # Apache writes a snapshot's producers in the order of its hash map.
        assert states(snapshot) == states(apaches[name])


def states(snapshot: bytes) -> dict[int, tuple[int, list[object], int]]:
    return {
        producer_id: (state.epoch, list(state.batches), state.last_timestamp)
        for producer_id, state in decode_snapshot(snapshot).items()
    }
