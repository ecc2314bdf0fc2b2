"""Many logs, and huge ones: opening them costs what their number costs, not what they hold."""

from pathlib import Path
from struct import Struct

import pytest

from ottla.storage.files.real import RealFile, RealFiles
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.data_directory import DataDirectory
from ottla.wire.batch import set_offsets
from tests.stage.logs import NOW_MS, TOPIC_ID, append, append_records, batch_of, offsets, read

GIB = 1 << 30
SEGMENTS = 100
OFFSETS_PER_SEGMENT = 1_000_000
CONFIG = LogConfig()
INDEX_ENTRY = Struct(">ii")
TIME_ENTRY = Struct(">qi")


def hasty() -> RealFiles:
    return RealFiles(durable=False)


class CountedFile(RealFile):
    """A file that knows how much was read of it."""

    __slots__ = ()

    read_bytes = 0

    def sync(self) -> None:
        """Nothing: a test's data need not outlive the machine."""

    def pread(self, size: int, position: int) -> bytes:
        data = super().pread(size, position)
        CountedFile.read_bytes += len(data)
        return data


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> RealFiles:
    monkeypatch.setattr(CountedFile, "read_bytes", 0)
    files = hasty()
    files._file_type = CountedFile
    return files


def write_sparse_segment(folder: Path, base_offset: int) -> int:
    """One GiB with a batch at its start and one at its end, indexed, and a hole between; returns the last offset."""
    last_offset = base_offset + OFFSETS_PER_SEGMENT - 1
    first, last = batch_of(timestamps=[NOW_MS]), batch_of(timestamps=[NOW_MS + 1])
    set_offsets(first, base_offset, 0)
    set_offsets(last, last_offset, 0)
    position = GIB - len(last)
    with (folder / f"{base_offset:020d}.log").open("wb") as file:
        file.write(first)
        file.seek(position)
        file.write(last)
    (folder / f"{base_offset:020d}.index").write_bytes(INDEX_ENTRY.pack(OFFSETS_PER_SEGMENT - 1, position))
    (folder / f"{base_offset:020d}.timeindex").write_bytes(TIME_ENTRY.pack(NOW_MS + 1, OFFSETS_PER_SEGMENT - 1))
    return last_offset


def test_a_log_of_100_gib_opens_without_being_read(tmp_path: Path, counted: RealFiles) -> None:
    DataDirectory(tmp_path, files=hasty()).close()
    folder = tmp_path / "topic-0"
    folder.mkdir()
    for number in range(SEGMENTS):
        last_offset = write_sparse_segment(folder, number * OFFSETS_PER_SEGMENT)
    (folder / "leader-epoch-checkpoint").write_text("0\n1\n0 0\n")

    directory = DataDirectory(tmp_path, files=counted)
    log = directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG)
    assert (log.log_start_offset, log.log_end_offset) == (0, last_offset + 1)
    assert log.size_bytes == SEGMENTS * GIB
    assert CountedFile.read_bytes < 1000
    assert offsets(read(log, last_offset)) == [last_offset]
    middle = 50 * OFFSETS_PER_SEGMENT
    assert offsets(read(log, middle - 1)) == [middle - 1]
    assert append(log).base_offset == last_offset + 1
    assert CountedFile.read_bytes < 10_000
    directory.close()


def test_a_long_segment_opens_from_its_last_index_entry(tmp_path: Path, counted: RealFiles) -> None:
    directory = DataDirectory(tmp_path, files=hasty())
    append_records(directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG), 2000, bytes(1000))
    directory.close()
    directory = DataDirectory(tmp_path, files=counted)
    assert directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG).log_end_offset == 2000
    assert CountedFile.read_bytes < 10_000
    directory.close()


def test_idle_logs_hold_no_descriptor_after_a_start(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path, files=hasty())
    for partition in range(50):
        append(directory.open_log("topic", partition, topic_id=TOPIC_ID, config=CONFIG))
    directory.close()
    files = hasty()
    directory = DataDirectory(tmp_path, files=files)
    for partition in range(50):
        assert directory.open_log("topic", partition, topic_id=TOPIC_ID, config=CONFIG).log_end_offset == 1
    assert len(files.open_files) == 0
    directory.close()


def test_many_busy_logs_share_few_descriptors(tmp_path: Path) -> None:
    files = RealFiles(open_limit=10, durable=False)
    directory = DataDirectory(tmp_path, files=files)
    logs = [directory.open_log("topic", number, topic_id=TOPIC_ID, config=CONFIG) for number in range(50)]
    for _ in range(3):
        for log in logs:
            append(log)
            assert len(files.open_files) <= 10
    assert all(log.log_end_offset == 3 for log in logs)
    assert offsets(read(logs[0], 0)) == [0, 1, 2]
    directory.close()
