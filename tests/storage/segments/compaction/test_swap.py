"""A crash at any moment of compaction: the log is whole afterwards, as it was or as it was to be."""

from pathlib import Path

import pytest

from ottla.storage.files.real import RealFiles
from ottla.storage.segments.compaction.dirtiness import assess
from ottla.storage.segments.compaction.rounds import compact
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.primitives import Buffer
from tests.stage.logs import NOW_MS, read_all
from tests.stage.stepping import take_all
from tests.storage.compacting import SMALL, compacted_config, contents, newest, put
from tests.storage.conftest import Disk

CONFIG = compacted_config(segment_bytes=2000)


class CrashError(BaseException):
    """The process is gone."""


class CrashingFiles(RealFiles):
    """A file system that lives for so many changes."""

    def __init__(self) -> None:
        super().__init__(durable=False)
        self.left: int | None = None

    def _live(self) -> None:
        if self.left is not None:
            if not self.left:
                raise CrashError
            self.left -= 1

    def rename(self, old: Path, new: Path) -> None:
        self._live()
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._live()
        super().remove(path)

    def write(self, path: Path, data: Buffer, position: int) -> None:
        self._live()
        super().write(path, data, position)

    def replace(self, path: Path, data: bytes, *, sync: bool) -> None:
        self._live()
        super().replace(path, data, sync=sync)


def fill(log: SegmentLog) -> list[bytes]:
    """Some segments, of which compaction makes fewer."""
    batches = [
        put(log, *[(b"k%d" % ((number + each) % 9), b"%d" % number) for each in range(3)]) for number in range(70)
    ]
    batches += [put(log, (b"k%d" % number, None)) for number in range(3)]
    batches += [put(log, (b"l%d" % number, b"v")) for number in range(40)]
    log.roll()
    return batches


def run(log: SegmentLog) -> None:
    part = take_all(assess(log, None, NOW_MS, log.log_end_offset))
    assert part is not None
    take_all(compact(part, SMALL, NOW_MS))


def crash_in_compaction(folder: Path, after: int) -> bool:
    """Crash after so many changes and check what is found then; returns whether compaction came to its end."""
    disk = Disk(folder)
    files = disk.files = CrashingFiles()
    log = disk.open(CONFIG)
    batches = fill(log)
    before = dict.fromkeys(read_all(log))
    files.left = after
    try:
        run(log)
        finished = True
    except CrashError:
        finished = False
    files.left = None
    for clean in (False, True):
        log = disk.reopen(CONFIG, clean=clean)
        assert (log.log_start_offset, log.log_end_offset) == (0, 253)
        assert {key: (offset, value) for offset, key, value in contents(log)} == newest(batches)
        offsets = [offset for offset, _, _ in contents(log)]
        assert offsets == sorted(set(offsets))
        assert not [name for name in disk.names() if name.endswith((".swap", ".cleaned"))]
        assert [segment.base_offset for segment in log.segments] == sorted(
            int(path.name[:20]) for path in disk.folder.glob("*.log")
        )
    if not after:
        assert set(read_all(log)) == set(before)
    run(log)
    assert len(contents(log)) == len(newest(batches))
    disk.crash()
    return finished


@pytest.mark.slow
def test_a_crash_after_any_change_to_the_folder_loses_nothing(tmp_path: Path) -> None:
    after = 0
    while not crash_in_compaction(tmp_path / str(after), after):
        after += 1
    assert after > 30


def test_a_swap_that_belongs_to_something_unfinished_goes(disk: Disk) -> None:
    log = disk.open(CONFIG)
    fill(log)
    before = read_all(log)
    base = log.segments[1].base_offset
    disk.crash()
    for suffix in (".log.cleaned", ".index.swap", ".log.swap"):
        (disk.folder / f"{base:020d}{suffix}").write_bytes(b"")
    assert read_all(disk.open(CONFIG)) == before


def test_a_swap_is_finished_though_the_old_segments_are_still_there(disk: Disk) -> None:
    log = disk.open(CONFIG)
    fill(log)
    first, second, third = (segment.base_offset for segment in log.segments[:3])
    whole = b"".join((disk.folder / f"{base:020d}.log").read_bytes() for base in (first, second))
    before = read_all(log)
    disk.crash()
    (disk.folder / f"{first:020d}.log.swap").write_bytes(whole)
    log = disk.open(CONFIG)
    assert [segment.base_offset for segment in log.segments[:2]] == [first, third]
    assert read_all(log) == before


def test_a_damaged_swap_does_not_take_the_place_of_what_is_whole(disk: Disk) -> None:
    log = disk.open(CONFIG)
    fill(log)
    before = read_all(log)
    base = log.segments[1].base_offset
    disk.crash()
    (disk.folder / f"{base:020d}.log.swap").write_bytes(bytes(100))
    assert read_all(disk.open(CONFIG)) == before


def test_a_swap_without_any_batch_takes_the_place_of_its_segment(disk: Disk) -> None:
    log = disk.open(CONFIG)
    fill(log)
    first, second = (segment.base_offset for segment in log.segments[:2])
    disk.crash()
    (disk.folder / f"{first:020d}.log.swap").write_bytes(b"")
    log = disk.open(CONFIG)
    assert [segment.base_offset for segment in log.segments[:2]] == [first, second]
    assert contents(log)[0][0] == second
