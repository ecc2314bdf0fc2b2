"""Descriptors come and go; bytes stay where they were put: the machine keeps the promises of ``files/interface``."""

import os
from pathlib import Path

import pytest

from ottla.storage.files import real as files_module
from ottla.storage.files.interface import SegmentFile
from ottla.storage.files.real import RealFiles, default_open_limit
from ottla.storage.slices import FileSlice


def make(files: RealFiles, folder: Path, count: int) -> list[SegmentFile]:
    made = [files.create(folder / f"{number}.log") for number in range(count)]
    for number, file in enumerate(made):
        assert file.pwrite(b"%04d" % number, 0) == 4
    return made


def test_files_open_again_when_they_are_used(tmp_path: Path) -> None:
    files = RealFiles(open_limit=3)
    made = make(files, tmp_path, 10)
    assert len(files.open_files) == 3
    for number in (0, 9, 5, 0):
        assert made[number].pread(4, 0) == b"%04d" % number
    assert len(files.open_files) == 3


def test_files_in_use_are_kept_rather_than_idle_ones(tmp_path: Path) -> None:
    files = RealFiles(open_limit=4)
    busy, *others = make(files, tmp_path, 30)
    busy.pread(4, 0)
    descriptor = busy.fileno()
    for other in others:
        busy.pread(4, 0)
        other.pread(4, 0)
    assert busy.fileno() == descriptor


def test_a_pinned_file_is_not_closed(tmp_path: Path) -> None:
    files = RealFiles(open_limit=2)
    first, *others = make(files, tmp_path, 5)
    found = first.slice(1, 3)
    assert isinstance(found, FileSlice)
    descriptor = found.fileno()
    for other in others:
        other.pread(4, 0)
    first.close()
    assert os.pread(descriptor, 4, 0) == b"0000"
    assert found.read() == b"000"
    found.release()
    found.release()
    assert files.open_files.pinned == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_pinned_files_that_were_passed_over_are_closed_after_their_release(tmp_path: Path) -> None:
    files = RealFiles(open_limit=3)
    pinned = make(files, tmp_path, 3)
    for file in pinned:
        file.pin()
    others = [files.create(tmp_path / f"other{number}.log") for number in range(4)]
    assert len(files.open_files) == 4, "those that are held, and the newest"
    for file in pinned:
        file.unpin()
    for other in others:
        other.pread(4, 0)
        assert len(files.open_files) <= 4
    files.create(tmp_path / "last.log")
    assert len(files.open_files) == 3
    assert files.open_files.pinned == 0


def test_when_all_are_pinned_bytes_come_instead(tmp_path: Path) -> None:
    files = RealFiles(open_limit=2)
    made = make(files, tmp_path, 4)
    slices = [file.slice(0, 4) for file in made]
    assert [isinstance(each, FileSlice) for each in slices] == [True, True, False, False]
    assert slices[3] == b"0003"
    assert len(files.open_files) == 2
    # A file that is pinned already costs nothing more.
    assert isinstance(made[0].slice(0, 4), FileSlice)


def test_a_dropped_slice_gives_its_file_back(tmp_path: Path) -> None:
    files = RealFiles(open_limit=2)
    (file,) = make(files, tmp_path, 1)
    found = file.slice(0, 4)
    assert files.open_files.pinned == 1
    del found
    assert files.open_files.pinned == 0


def test_replacing_a_file_leaves_nothing_else(tmp_path: Path) -> None:
    files = RealFiles()
    files.replace(tmp_path / "small", b"one", sync=True)
    files.replace(tmp_path / "small", b"two", sync=False)
    assert files.read(tmp_path / "small") == b"two"
    assert files.names(tmp_path) == ["small"]


def test_writing_into_a_file_cuts_it_after_the_data(tmp_path: Path) -> None:
    files = RealFiles()
    files.write(tmp_path / "index", b"0123456789", 0)
    files.write(tmp_path / "index", b"ab", 4)
    assert files.read(tmp_path / "index") == b"0123ab"


def test_what_is_not_there_is_not_there(tmp_path: Path) -> None:
    files = RealFiles()
    assert files.read(tmp_path / "none") is None
    assert files.names(tmp_path / "none") == []
    files.remove(tmp_path / "none")
    files.remove_folder(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        files.file(tmp_path / "none").pread(1, 0)


def test_platforms_without_pwrite_seek(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "_pwrite", files_module._seek_and_write)
    monkeypatch.setattr(files_module, "_pread", files_module._seek_and_read)
    first, second = make(RealFiles(open_limit=1), tmp_path, 2)
    assert second.pwrite(b"tail", 4) == 4
    assert (first.pread(10, 0), second.pread(10, 2)) == (b"0000", b"01tail")
    with monkeypatch.context() as context:
        context.delattr(os, "pwrite")
        assert files_module._positioned() == (files_module._seek_and_write, files_module._seek_and_read)


def test_log_files_may_take_half_of_the_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    for soft, limit in ((256, 128), (resource.RLIM_INFINITY, 16384), (10, 8)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert default_open_limit() == limit
