"""Files that were given up are renamed at once, and unlinked in the background when their time has come."""

from pathlib import Path

import pytest

from ottla.scheduling.background import Inline
from ottla.storage.files.real import RealFiles
from ottla.storage.segments.unlinking import Removals
from tests.stage.held import Held


def make(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number}.log" for number in range(count)]
    for path in paths:
        path.write_bytes(b"")
    return paths


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_renamed_at_once_and_go_after_the_delay(tmp_path: Path) -> None:
    removals = Removals(RealFiles(durable=False), Inline())
    removals.give_up([*make(tmp_path, 2), tmp_path / "missing"], 500)
    assert names(tmp_path) == ["0.log.deleted", "1.log.deleted"]
    assert len(removals) == 2
    removals.remove_due(1000)  # the delay counts from here
    removals.remove_due(1499)
    assert len(removals) == 2
    removals.remove_due(1500)
    assert names(tmp_path) == []
    assert len(removals) == 0


def test_leftovers_of_the_last_run_go_at_the_first_time(tmp_path: Path) -> None:
    removals = Removals(RealFiles(durable=False), Inline())
    removals.clear_away(make(tmp_path, 2))
    removals.remove_due(0)
    assert names(tmp_path) == []


def test_a_few_files_are_unlinked_at_a_time(tmp_path: Path) -> None:
    thread = Held()
    removals = Removals(RealFiles(durable=False), thread)  # type: ignore[arg-type]
    removals.give_up(make(tmp_path, 150), 0)
    removals.remove_due(0)
    removals.remove_due(0)
    left = []
    while thread.jobs:
        assert len(thread.jobs) == 1
        thread.work()
        left.append(len(names(tmp_path)))
    assert left == [86, 22, 0]


def test_a_file_that_cannot_be_renamed_goes_under_its_own_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(RealFiles):
        def rename(self, old: Path, new: Path) -> None:
            raise PermissionError("somebody reads it")

    removals = Removals(Stubborn(durable=False), Inline())
    removals.give_up(make(tmp_path, 1), 0)
    assert "is removed under its own name" in caplog.text
    removals.remove_due(0)
    assert names(tmp_path) == []


def test_one_file_that_cannot_be_unlinked_keeps_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn(RealFiles):
        def remove(self, path: Path) -> None:
            if path.name.startswith("0"):
                raise OSError("the disk is gone")
            super().remove(path)

    removals = Removals(Stubborn(durable=False), Inline())
    removals.give_up(make(tmp_path, 3), 0)
    removals.remove_due(0)
    assert names(tmp_path) == ["0.log.deleted"]
    assert "an old file could not be removed: the disk is gone" in caplog.text
