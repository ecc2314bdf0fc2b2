"""The two indexes: what they find, and what stays in memory."""

from pathlib import Path

import pytest

from ottla.storage.files.real import RealFiles
from ottla.storage.log_config import MAX_INT64
from ottla.storage.segments.index import CorruptIndexError, IndexMemory, OffsetIndex, TimeIndex


def offset_index(folder: Path, memory: IndexMemory, name: str = "index", *, new: bool = True) -> OffsetIndex:
    return OffsetIndex(RealFiles(durable=False), folder / name, base_offset=100, memory=memory, new=new)


def time_index(folder: Path, *, new: bool = True) -> TimeIndex:
    return TimeIndex(RealFiles(durable=False), folder / "timeindex", base_offset=100, new=new)


def test_an_offset_leads_to_the_last_entry_not_above_it(tmp_path: Path) -> None:
    index = offset_index(tmp_path, IndexMemory())
    for offset, position in ((105, 4000), (110, 8000), (130, 12000)):
        index.append(offset, position)
    found = [index.lookup(offset) for offset in (100, 104, 105, 109, 110, 129, 130, 1000)]
    first, second, third = (4000, 105), (8000, 110), (12000, 130)
    assert found == [(0, MAX_INT64), (0, MAX_INT64), first, first, second, second, third, third]
    index.seal()
    entries = [(5, 4000), (10, 8000), (30, 12000)]
    assert (tmp_path / "index").read_bytes() == b"".join(
        offset.to_bytes(4, "big") + position.to_bytes(4, "big") for offset, position in entries
    )
    again = offset_index(tmp_path, IndexMemory(), new=False)
    assert again.lookup(110) == (8000, 110)
    assert again.last_entry() == (12000, 130)


def test_indexes_leave_memory_when_there_are_too_many(tmp_path: Path) -> None:
    memory = IndexMemory(limit_bytes=20_000)
    indexes = [offset_index(tmp_path, memory, f"{number}.index") for number in range(10)]
    for index in indexes:
        for entry in range(1, 1025):
            index.append(100 + entry, entry * 10)
    loaded = [index for index in indexes if index._offsets is not None]
    assert 0 < len(loaded) <= 3
    for index in indexes:
        assert index.entries == 1024
        assert index.lookup(100 + 77) == (770, 177)
    # One that was unloaded takes further entries.
    indexes[0].append(5000, 20_000)
    assert indexes[0].lookup(5000) == (20_000, 5000)
    indexes[0].seal()
    assert (tmp_path / "0.index").stat().st_size == 1025 * 8


def test_an_empty_index_is_an_empty_file(tmp_path: Path) -> None:
    index, times = offset_index(tmp_path, IndexMemory()), time_index(tmp_path)
    index.seal()
    times.seal()
    assert (tmp_path / "index").read_bytes() == (tmp_path / "timeindex").read_bytes() == b""
    assert offset_index(tmp_path, IndexMemory(), new=False).lookup(500) == (0, MAX_INT64)
    assert time_index(tmp_path, new=False).lookup(500) is None


def test_a_time_leads_to_the_last_entry_not_above_it(tmp_path: Path) -> None:
    index = time_index(tmp_path)
    for timestamp, offset in ((1000, 105), (1000, 107), (900, 109), (2000, 120)):
        index.maybe_append(timestamp, offset)
    assert index.entries == 2
    found = [index.lookup(time) for time in (0, 999, 1000, 1999, 2000, 9999)]
    assert found == [None, None, (1000, 105), (1000, 105), (2000, 120), (2000, 120)]
    expected = b"".join(time.to_bytes(8, "big") + offset.to_bytes(4, "big") for time, offset in ((1000, 5), (2000, 20)))
    assert (tmp_path / "timeindex").read_bytes() == expected
    again = time_index(tmp_path, new=False)
    again.maybe_append(2000, 130)
    assert (again.entries, again.last_timestamp, again.last_offset) == (2, 2000, 120)
    again.maybe_append(3000, 130)
    assert again.lookup(3000) == (3000, 130)


@pytest.mark.parametrize("content", [None, b"1234567", bytes(8) + b"\1" * 16, b"\2" * 8 + b"\1" * 8])
def test_what_is_no_index_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "index").write_bytes(content)
    with pytest.raises(CorruptIndexError):
        offset_index(tmp_path, IndexMemory(), new=False).lookup(100)


@pytest.mark.parametrize("content", [None, b"1" * 13, b"\1" * 24, b"\2" * 12 + b"\1" * 12])
def test_what_is_no_time_index_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "timeindex").write_bytes(content)
    with pytest.raises(CorruptIndexError):
        time_index(tmp_path, new=False).lookup(100)
