"""Where leader epochs begin and end (Apache's ``LeaderEpochFileCache``)."""

from pathlib import Path

import pytest

from ottla.storage.files.real import RealFiles
from ottla.storage.segments.leader_epochs import LeaderEpochs
from tests.stage.logs import append
from tests.storage.conftest import Disk

PATH = "leader-epoch-checkpoint"


def epochs_of(folder: Path, *entries: tuple[int, int]) -> LeaderEpochs:
    epochs = LeaderEpochs(RealFiles(durable=False), folder / PATH)
    for epoch, start in entries:
        epochs.assign(epoch, start)
    return epochs


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (-1, (-1, -1)),
        (0, (0, 10)),
        (1, (1, 20)),
        (2, (2, 30)),
        (3, (2, 30)),
        (5, (5, 99)),
        (6, (-1, -1)),
    ],
)
def test_an_epoch_ends_where_the_next_begins(tmp_path: Path, asked: int, answer: tuple[int, int]) -> None:
    epochs = epochs_of(tmp_path, (1, 10), (2, 20), (5, 30))
    assert epochs.end_offset_for(asked, 99) == answer


def test_without_epochs_none_is_known(tmp_path: Path) -> None:
    assert epochs_of(tmp_path).end_offset_for(0, 99) == (-1, -1)


def test_later_entries_go_when_an_older_epoch_comes(tmp_path: Path) -> None:
    assert epochs_of(tmp_path, (1, 10), (4, 20), (2, 15)).entries == [(1, 10), (2, 15)]


def test_an_epoch_that_started_where_the_next_does_was_never_written_in(tmp_path: Path) -> None:
    assert epochs_of(tmp_path, (1, 10), (2, 20), (3, 20)).entries == [(1, 10), (3, 20)]


def test_the_checkpoint_is_apaches(tmp_path: Path) -> None:
    epochs = epochs_of(tmp_path, (0, 0), (3, 17))
    epochs.write(sync=False)
    assert (tmp_path / PATH).read_bytes() == b"0\n2\n0 0\n3 17\n"
    again = epochs_of(tmp_path)
    assert again.load()
    assert again.entries == [(0, 0), (3, 17)]


@pytest.mark.parametrize("content", ["", "0", "1\n0\n", "0\n2\n0 0\n", "0\n1\n0\n", "0\n1\n0 x\n", "\xff"])
def test_a_damaged_checkpoint_is_not_believed(tmp_path: Path, content: str) -> None:
    (tmp_path / PATH).write_bytes(content.encode("latin-1"))
    assert not epochs_of(tmp_path).load()


def test_epochs_below_the_start_shrink_to_it(tmp_path: Path) -> None:
    epochs = epochs_of(tmp_path, (1, 10), (2, 20), (3, 30))
    epochs.truncate_from_start(25)
    assert epochs.entries == [(2, 25), (3, 30)]
    assert [epochs.epoch_at(offset) for offset in (24, 25, 29, 30)] == [-1, 2, 2, 3]


def test_a_log_answers_by_its_batches(disk: Disk) -> None:
    log = disk.open()
    log.begin_leader_epoch(2)
    assert log.offset_for_leader_epoch(2) == (2, 0)
    append(log, leader_epoch=2)
    append(log, leader_epoch=2)
    log.begin_leader_epoch(5)
    assert log.offset_for_leader_epoch(5) == (5, 2)
    append(log, leader_epoch=5)
    assert log.offset_for_leader_epoch(2) == (2, 2)
    assert log.offset_for_leader_epoch(3) == (2, 2)
    assert log.offset_for_leader_epoch(5) == (5, 3)
    assert [log.leader_epoch_at(offset) for offset in (0, 1, 2, 3)] == [2, 2, 5, 5]
    log.delete_records(2)
    assert log.offset_for_leader_epoch(2) == (2, 2)
