"""Finding a batch by the headers on the way to it: right, and without reading what lies between them."""

from pathlib import Path

import pytest

from ottla.storage.files.real import OpenFiles, RealFile
from ottla.storage.segments.scan import FIRST_CHUNK, find_batch
from ottla.wire.batch import set_offsets
from tests.stage.logs import batch_of


class Counted(RealFile):
    """A file that counts the bytes read from it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, OpenFiles(10))
        self.bytes_read = 0

    def pread(self, size: int, position: int) -> bytes:
        self.bytes_read += size
        return super().pread(size, position)


def file_of(path: Path, sizes: list[int]) -> tuple[Counted, list[int]]:
    """A file of batches of one record, about that large; and where each begins, and the file's end."""
    data = bytearray()
    positions = []
    for offset, size in enumerate(sizes):
        batch = batch_of([bytes(size)])
        set_offsets(batch, offset, 0)
        positions.append(len(data))
        data += batch
    path.write_bytes(data)
    return Counted(path), [*positions, len(data)]


@pytest.mark.parametrize("size", [10, 3_000, 30_000, 300_000])
def test_each_batch_is_found_from_the_start(tmp_path: Path, size: int) -> None:
    file, positions = file_of(tmp_path / "log", [size] * 20)
    for offset in range(20):
        found = find_batch(file, 0, positions[-1], offset)
        assert found == (positions[offset], positions[offset + 1] - positions[offset])
    assert find_batch(file, 0, positions[-1], 20) is None
    file.close()


def test_the_way_from_an_index_entry_over_a_large_batch_takes_little_reading(tmp_path: Path) -> None:
    file, positions = file_of(tmp_path / "log", [1_000_000, 1_000_000])
    found = find_batch(file, 0, positions[-1], 1)
    assert found is not None
    assert found[0] == positions[1]
    assert file.bytes_read <= 3 * FIRST_CHUNK
    file.close()
