"""A slice keeps its file open until it is released, once, whatever becomes of it."""

import gc
from pathlib import Path

import pytest

from ottla.storage.files.real import RealFiles
from ottla.storage.slices import FileSlice
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError


@pytest.fixture
def files() -> RealFiles:
    return RealFiles(durable=False)


def sliced(files: RealFiles, folder: Path, position: int = 10, size: int = 20) -> FileSlice:
    (folder / "file").write_bytes(bytes(range(100)))
    found = files.file(folder / "file").slice(position, size)
    assert isinstance(found, FileSlice)
    return found


def test_the_bytes_are_those_of_the_range_and_of_parts_of_it(files: RealFiles, tmp_path: Path) -> None:
    records = sliced(files, tmp_path)
    assert len(records) == 20
    assert records.read() == bytes(range(10, 30))
    assert records.read(5) == bytes(range(15, 30))
    assert records.read(5, 3) == bytes(range(15, 18))
    assert records.read(15, 50) == bytes(range(25, 30))
    records.read_ahead()
    assert files.open_files.pinned == 1
    records.release()


def test_a_released_slice_is_of_no_use_and_may_be_released_again(files: RealFiles, tmp_path: Path) -> None:
    records = sliced(files, tmp_path)
    records.release()
    records.release()
    assert files.open_files.pinned == 0
    for use in (records.read, records.fileno, records.read_ahead, records.is_in_memory):
        with pytest.raises(ValueError, match="has been released"):
            use()


def test_taking_the_bytes_releases_the_slice(files: RealFiles, tmp_path: Path) -> None:
    assert sliced(files, tmp_path).take() == bytes(range(10, 30))
    assert files.open_files.pinned == 0


def test_a_disk_that_fails_is_a_storage_error_and_the_slice_is_released() -> None:
    class Broken:
        pins = 0

        def pin(self) -> None:
            self.pins += 1

        def unpin(self) -> None:
            self.pins -= 1

        def pread(self, size: int, position: int) -> bytes:
            raise OSError("the disk is gone")

        def fileno(self) -> int:
            raise NotImplementedError

        def is_in_memory(self, position: int, size: int) -> bool:
            raise NotImplementedError

    file = Broken()
    with pytest.raises(KafkaError, match="the disk is gone") as refused:
        FileSlice(file, 0, 10).take()
    assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    assert file.pins == 0


def test_a_slice_that_is_forgotten_does_not_hold_its_descriptor(files: RealFiles, tmp_path: Path) -> None:
    records = sliced(files, tmp_path)
    assert files.open_files.pinned == 1
    del records
    gc.collect()
    assert files.open_files.pinned == 0
