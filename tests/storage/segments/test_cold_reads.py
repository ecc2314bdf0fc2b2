"""Data that lies on the disk only is brought into memory by a thread; data in memory comes at once."""

import os
import sys
from pathlib import Path

import pytest

from ottla.scheduling.promise import Promise
from ottla.storage.files.page_cache import is_in_memory
from ottla.storage.files.real import RealFiles
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.data_directory import DataDirectory
from ottla.storage.segments.segment_log import SegmentLog
from ottla.storage.slices import FileSlice
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from tests.stage.held import Held
from tests.stage.logs import TOPIC_ID, append_records, batch_of, offsets

CONFIG = LogConfig(segment_bytes=200_000)
RECORDS = 500
VALUE = bytes(range(250)) * 4
BATCH = len(batch_of([VALUE]))
ATTEMPTS = 1000
OF_A_SEGMENT = CONFIG.segment_bytes // BATCH


def cool(path: Path) -> None:
    """Let the system forget a file's bytes. It is free not to, and keeps some for a while on a busy machine."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


class Cold:
    """A log whose files were just opened, and put out of memory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        directory = DataDirectory(root)
        append_records(self._open(directory), RECORDS, VALUE)
        directory.close()
        self.thread = Held()
        self.files = RealFiles(durable=False)
        self.directory = DataDirectory(root, files=self.files, background=self.thread)
        self.log = self._open(self.directory)
        self.cool()

    def _open(self, directory: DataDirectory) -> SegmentLog:
        return directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG)

    def cool(self) -> None:
        """Let the system forget the files."""
        for path in (self.root / "topic-0").iterdir():
            cool(path)

    def read_cold(self, offset: int, max_bytes: int = 50 * BATCH) -> Promise[FileSlice]:
        """Read what the system has forgotten: asked to forget it until it does."""
        for _ in range(ATTEMPTS):
            found = self.read(offset, max_bytes)
            if isinstance(found, Promise):
                return found
            found.release()
            self.cool()
        raise AssertionError("the log takes what was put out of memory for what is in memory")

    def read(self, offset: int, max_bytes: int = 50 * BATCH) -> FileSlice | Promise[FileSlice]:
        found = self.log.read(offset, max_bytes, end_offset=RECORDS, minimum_one_batch=True)
        assert not isinstance(found, bytes)
        return found  # type: ignore[return-value]


@pytest.fixture
def cold(tmp_path: Path) -> Cold:
    if sys.platform != "linux":
        pytest.skip("only Linux says what lies in memory")
    sample = tmp_path / "sample"
    sample.write_bytes(bytes(1 << 20))
    for _ in range(ATTEMPTS):
        cool(sample)
        with sample.open("rb") as file:
            if not is_in_memory(file.fileno(), 0, 1 << 20):
                return Cold(tmp_path / "data")
    pytest.skip("this file system keeps everything in memory")


def taken(found: "FileSlice | Promise[FileSlice]") -> bytes:
    records = found.result() if isinstance(found, Promise) else found
    data = records.read()
    records.release()
    return data


@pytest.mark.parametrize("offset", [0, OF_A_SEGMENT + 7, RECORDS - 30])
def test_what_lies_on_the_disk_comes_later_and_is_in_memory_then(cold: Cold, offset: int) -> None:
    found = cold.read_cold(offset, 20 * BATCH)
    assert not found.done
    cold.thread.work_to_the_end()
    assert found.result().is_in_memory()
    assert offsets(taken(found)) == list(range(offset, offset + 20))
    assert cold.files.open_files.pinned == 0


def test_what_lies_in_memory_comes_at_once(cold: Cold) -> None:
    later = cold.read_cold(0)
    cold.thread.work_to_the_end()
    assert taken(later) == taken(cold.read(0))
    assert not cold.thread.jobs


def test_what_was_just_appended_comes_at_once(cold: Cold) -> None:
    append_records(cold.log, 3)
    found = cold.log.read(RECORDS, 1 << 20, end_offset=RECORDS + 3, minimum_one_batch=True)
    assert isinstance(found, FileSlice)
    found.release()


def test_a_log_cut_while_the_disk_is_read_refuses_what_is_gone(cold: Cold) -> None:
    found = cold.read_cold(0)
    cold.log.delete_records(RECORDS - 10)
    cold.thread.work_to_the_end()
    with pytest.raises(KafkaError) as refusal:
        found.result()
    assert refusal.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
    assert cold.files.open_files.pinned == 0


def test_a_disk_that_cannot_be_read_fails_the_read(cold: Cold) -> None:
    found = cold.read_cold(0)
    _, then = cold.thread.jobs.pop()
    then(OSError("the disk is gone"))
    with pytest.raises(KafkaError) as refusal:
        found.result()
    assert refusal.value.code is ErrorCode.KAFKA_STORAGE_ERROR


def test_a_file_that_is_gone_fails_the_read(cold: Cold) -> None:
    found = cold.read(0)
    assert isinstance(found, Promise)  # The index comes first; the file is not open yet.
    (cold.root / "topic-0" / f"{0:020d}.log").unlink()
    cold.thread.work_to_the_end()
    with pytest.raises(KafkaError) as refusal:
        found.result()
    assert refusal.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    assert cold.files.open_files.pinned == 0


def test_where_nobody_can_tell_a_thread_reads_to_be_safe(cold: Cold, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ottla.storage.files.page_cache._NOWAIT", None)
    for _ in range(2):
        found = cold.read(0)
        assert isinstance(found, Promise)
        cold.thread.work_to_the_end()
        assert offsets(taken(found)) == list(range(50))


def test_the_end_of_a_range_counts_too(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    with path.open("rb") as file:
        assert not is_in_memory(file.fileno(), 0, 1001)
