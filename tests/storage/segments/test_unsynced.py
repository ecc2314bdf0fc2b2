"""What changed beside a log's batches is synced, bytes before names, and what changes meanwhile is not forgotten."""

from pathlib import Path
from typing import Any

import pytest

from ottla.storage.segments.unsynced import MANY_FILES, Unsynced

FOLDER = Path("data/topic-0")


class Recording:
    """A file system that says what was synced."""

    def __init__(self) -> None:
        self.synced: list[str] = []

    def sync_file(self, path: Path) -> None:
        self.synced.append(path.name)

    def sync_folder(self, path: Path) -> None:
        self.synced.append(f"{path.name}/")


class OpenFile:
    def __init__(self, files: Recording) -> None:
        self._files = files

    def sync(self) -> None:
        self._files.synced.append("open")


@pytest.fixture
def files() -> Any:
    return Recording()


def test_bytes_come_before_names_and_inner_folders_before_outer_ones(files: Any) -> None:
    beside = Unsynced(files)
    assert not beside
    beside.renamed(FOLDER.parent)
    beside.replaced(FOLDER / "epochs")
    assert beside
    syncing = beside.syncing([OpenFile(files)], [FOLDER / "closed.log"])  # type: ignore[list-item]
    syncing.run()
    assert files.synced == ["open", "closed.log", "epochs", "topic-0/", "data/"]
    assert beside
    syncing.done()
    assert not beside


def test_what_changes_while_it_is_synced_is_synced_again(files: Any) -> None:
    beside = Unsynced(files)
    beside.replaced(FOLDER / "epochs")
    beside.replaced(FOLDER / "snapshot")
    syncing = beside.syncing([], [])
    syncing.run()
    beside.replaced(FOLDER / "epochs")
    syncing.done()
    files.synced.clear()
    beside.syncing([], []).run()
    assert files.synced == ["epochs", "topic-0/"]


def test_a_sync_through_one_file_leaves_later_ones(files: Any) -> None:
    beside = Unsynced(files)
    for name in ("first", "second", "third"):
        beside.replaced(FOLDER / name)
    syncing = beside.syncing([], [], through=FOLDER / "second")
    syncing.run()
    syncing.done()
    assert files.synced == ["first", "second", "topic-0/"]
    files.synced.clear()
    beside.syncing([], []).run()
    assert files.synced == ["third"]


def test_a_sync_through_a_file_that_is_not_noted_is_of_everything(files: Any) -> None:
    beside = Unsynced(files)
    beside.replaced(FOLDER / "first")
    beside.syncing([], [], through=FOLDER / "other").run()
    assert files.synced == ["first", "topic-0/"]


def test_many_files_are_synced_at_once_and_a_failure_is_raised(files: Any) -> None:
    beside = Unsynced(files)
    for number in range(MANY_FILES):
        beside.replaced(FOLDER / str(number))
    beside.syncing([], []).run(4)
    assert sorted(files.synced[:-1]) == sorted(map(str, range(MANY_FILES)))

    def fail(path: Path) -> None:
        raise OSError(path.name)

    files.sync_file = fail
    with pytest.raises(OSError, match=r"\d"):
        beside.syncing([], []).run(4)
