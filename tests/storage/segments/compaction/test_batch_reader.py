"""All batches of a closed segment, chunk by chunk: whole, checked, and with the file held only while it is read."""

from pathlib import Path

import pytest

from ottla.storage.files.real import RealFiles
from ottla.storage.segments.compaction.batch_reader import BatchReader
from ottla.storage.segments.scan import CorruptBatchError
from tests.stage.logs import batch_of
from tests.stage.stepping import take_all

FILES = RealFiles(durable=False)
BATCHES = [bytes(batch_of([b"%d" % number * 40])) for number in range(5)]
SIZE = sum(map(len, BATCHES))


def read(folder: Path, data: bytes, chunk_bytes: int, *, position: int = 0, end: int = SIZE) -> list[bytes]:
    path = folder / "segment"
    path.write_bytes(data)
    reader = BatchReader(FILES.file(path), position, end, chunk_bytes)
    found = []
    while (chunk := take_all(reader.next_chunk())) is not None:
        for header, batch in reader.batches(chunk):
            assert header.size == len(batch)
            found.append(bytes(batch))
        assert FILES.open_files.pinned == 0
    return found


@pytest.mark.parametrize("chunk_bytes", [1, len(BATCHES[0]), len(BATCHES[0]) + 1, 1 << 20])
def test_batches_come_whole_whatever_the_chunks_are(tmp_path: Path, chunk_bytes: int) -> None:
    assert read(tmp_path, b"".join(BATCHES), chunk_bytes) == BATCHES


def test_only_the_range_is_read(tmp_path: Path) -> None:
    first, size = len(BATCHES[0]), len(BATCHES[0] + BATCHES[1] + BATCHES[2])
    assert read(tmp_path, b"".join(BATCHES), 1 << 20, position=first, end=size) == BATCHES[1:3]


@pytest.mark.parametrize("chunk_bytes", [1, 1 << 20])
def test_a_wrong_byte_is_found(tmp_path: Path, chunk_bytes: int) -> None:
    data = bytearray(b"".join(BATCHES))
    data[len(BATCHES[0]) + 70] ^= 1
    with pytest.raises(CorruptBatchError, match=f"at byte {len(BATCHES[0])}: the CRC is not the one in the header"):
        read(tmp_path, data, chunk_bytes)


def test_a_batch_that_is_cut_off_is_found(tmp_path: Path) -> None:
    data = b"".join(BATCHES)[:-1]
    with pytest.raises(CorruptBatchError, match="there is no whole batch"):
        read(tmp_path, data, 1, end=SIZE - 1)
    with pytest.raises(CorruptBatchError, match="a batch header is cut off"):
        read(tmp_path, data, 1, end=SIZE - len(BATCHES[4]) + 20)
