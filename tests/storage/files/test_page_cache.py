"""Telling what is in memory never waits for the disk, and never says yes where nobody knows.

That what lies on the disk only is told from what is in memory, ``tests/storage/segments/test_cold_reads.py`` shows.
"""

import os
import sys
from pathlib import Path

import pytest

from ottla.storage.files import page_cache
from ottla.storage.files.page_cache import is_in_memory

FLAG = getattr(os, "RWF_NOWAIT", 0)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what lies in memory")
def test_the_start_of_each_step_and_the_last_byte_are_probed(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probed = []

    def preadv(descriptor: int, buffers: list[bytearray], position: int, flags: int) -> int:
        assert flags == FLAG
        probed.append(position)
        return 1

    monkeypatch.setattr(os, "preadv", preadv)
    assert is_in_memory(5, 1000, 300 << 10)
    assert probed == [1000, 1000 + (128 << 10), 1000 + (256 << 10), 999 + (300 << 10)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what lies in memory")
@pytest.mark.parametrize("refused", [0, 1, 2])
def test_one_probe_that_would_wait_says_no(written: Path, monkeypatch: pytest.MonkeyPatch, refused: int) -> None:
    probes = iter(range(10))

    def preadv(*_: object) -> int:
        if next(probes) == refused:
            raise BlockingIOError
        return 1

    monkeypatch.setattr(os, "preadv", preadv)
    assert not is_in_memory(5, 0, 200 << 10)


def test_where_nobody_can_tell_the_answer_is_no(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "_NOWAIT", None)
    with written.open("rb") as file:
        assert not is_in_memory(file.fileno(), 0, 1)


def test_a_descriptor_that_is_closed_says_no(written: Path) -> None:
    descriptor = os.open(written, os.O_RDONLY)
    os.close(descriptor)
    assert not is_in_memory(descriptor, 0, 10)
