"""One owner per data directory, in this process too."""

from pathlib import Path

import pytest

from ottla.storage.files.directory_lock import DirectoryInUseError, DirectoryLock


def test_the_second_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    with pytest.raises(DirectoryInUseError, match="is in use by another broker"):
        DirectoryLock(tmp_path)
    lock.release()
    lock.release()
    DirectoryLock(tmp_path).release()


def test_a_lock_file_that_is_left_over_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(b"")
    DirectoryLock(tmp_path).release()
