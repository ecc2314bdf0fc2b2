"""`ottla log check` finds damage in a stopped broker's logs, and `ottla log repair` mends it.

Covers ``recovery/log_check`` too.
"""

from pathlib import Path

import pytest

from ottla.storage.files.real import RealFiles
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.recovery.log_check import LogReport, check_directory
from ottla.storage.segments.recovery.log_repair import repair
from ottla.storage.segments.recovery.opening import DamagedLogError
from tests.stage.crashable import CrashableFiles
from tests.stage.logs import NOW_MS, append, batch_of, offsets, read_all
from tests.storage.conftest import Disk
from tests.storage.segments.recovery.test_opening import flip_byte

SEGMENTS = LogConfig(segment_bytes=2000, index_interval_bytes=200)
FIRST = "00000000000000000000"


@pytest.fixture
def closed(disk: Disk) -> Disk:
    """A log of many segments with an idempotent producer's records, closed well."""
    log = disk.open(SEGMENTS)
    for number in range(100):
        append(log, batch_of([b"%d" % number], timestamps=[NOW_MS + number], producer=(7, 0, number)), leader_epoch=2)
    disk.close()
    return disk


def check(disk: Disk) -> LogReport:
    (report,) = check_directory(RealFiles(), disk.root)
    return report


def mend(disk: Disk) -> None:
    repair(RealFiles(durable=False), disk.root, "topic-0")


def segments(disk: Disk) -> list[Path]:
    return sorted(disk.folder.glob("*.log"))


def test_a_good_log_has_nothing_to_repair(closed: Disk) -> None:
    before = {path: path.read_bytes() for path in closed.folder.iterdir()}
    report = check(closed)
    assert (report.bad, report.rebuilt, report.needs_repair) == ([], [], False)
    assert (report.batches, report.end_offset) == (100, 100)
    mend(closed)
    assert {path: path.read_bytes() for path in closed.folder.iterdir()} == before
    assert closed.open(SEGMENTS).log_end_offset == 100


@pytest.mark.parametrize("position", [0, 4, 8, 16, 18, 40, 60, 65])
def test_a_bad_batch_is_found_and_left_out_and_all_others_stay(closed: Disk, position: int) -> None:
    path = segments(closed)[1]
    first = int(path.stem)
    size = path.stat().st_size // len(offsets(path.read_bytes()))
    good = path.read_bytes()
    flip_byte(path, 3 * size + position)
    (bad,) = check(closed).bad
    assert (bad.segment, bad.start, bad.end) == (first, 3 * size, 4 * size)
    assert (bad.next_offset, bad.resumes_at) == (first + 3, first + 4)
    mend(closed)
    assert path.with_name(path.name + ".damaged").read_bytes() != good
    log = closed.open(SEGMENTS)
    assert offsets(b"".join(read_all(log))) == [each for each in range(100) if each != first + 3]
    assert log.offset_for_timestamp(NOW_MS + first + 3) == (NOW_MS + first + 4, first + 4, 2)
    assert append(log, batch_of([b"again"], producer=(7, 0, 99))).duplicate
    assert append(log, batch_of([b"next"], producer=(7, 0, 100))).base_offset == 100
    closed.close()
    assert not check(closed).needs_repair


def test_garbage_in_front_of_good_batches_is_passed_over(closed: Disk) -> None:
    path = segments(closed)[1]
    data = path.read_bytes()
    path.write_bytes(b"\2" * 1000 + data)
    (bad,) = check(closed).bad
    assert (bad.start, bad.end, bad.next_offset) == (0, 1000, bad.resumes_at)
    mend(closed)
    assert path.read_bytes() == data
    assert len(read_all(closed.open(SEGMENTS))) == 100


def test_a_log_that_ends_too_early_is_offline_until_it_is_repaired(closed: Disk) -> None:
    last = segments(closed)[-1]
    last.unlink()
    with pytest.raises(DamagedLogError, match=rf"ends at offset {int(last.stem)}, and everything up to 100 was there"):
        closed.open(SEGMENTS)
    closed.crash()
    assert check(closed).lacks_the_end
    mend(closed)
    assert closed.open(SEGMENTS).log_end_offset == int(last.stem)


def test_a_bad_batch_below_the_recovery_point_is_not_cut(closed: Disk) -> None:
    last = segments(closed)[-1]
    (closed.root / ".kafka_cleanshutdown").unlink()
    flip_byte(last, 70)
    before = last.read_bytes()
    with pytest.raises(DamagedLogError, match=rf"{last.name} is bad from offset {int(last.stem)}, below .* 100"):
        closed.open(SEGMENTS)
    closed.crash()
    assert last.read_bytes() == before
    mend(closed)
    assert offsets(b"".join(read_all(closed.open(SEGMENTS)))) == [n for n in range(100) if n != int(last.stem)]


def test_what_a_crash_tore_needs_no_repair(disk: Disk) -> None:
    log = disk.open(SEGMENTS)
    append(log, batch_of([b"torn"]))
    disk.crash()
    path = disk.folder / f"{FIRST}.log"
    path.write_bytes(path.read_bytes()[:-1])
    report = check(disk)
    assert len(report.bad) == 1
    assert not report.needs_repair


@pytest.mark.parametrize(
    "name", [f"{FIRST}.index", f"{FIRST}.timeindex", "leader-epoch-checkpoint", "partition.metadata", ".snapshot"]
)
def test_what_is_made_anew_is_named(closed: Disk, name: str) -> None:
    path = next(path for path in closed.folder.iterdir() if path.name.endswith(name))
    path.write_bytes(b"nonsense")
    report = check(closed)
    assert not report.needs_repair
    assert len(report.rebuilt) == 1
    assert path.name in report.rebuilt[0]


def test_an_index_entry_that_leads_astray_is_named(closed: Disk) -> None:
    for suffix in (".index", ".timeindex"):
        flip_byte(closed.folder / f"{FIRST}{suffix}", 7)
    assert len(check(closed).rebuilt) == 1


def test_a_repair_that_is_cut_short_loses_nothing(closed: Disk, tmp_path: Path) -> None:
    """A repair that a power failure cut short ends well when it is done again."""
    path = segments(closed)[1]
    flip_byte(path, 70)
    files = in_memory(closed.root)
    repair(files, closed.root, "topic-0")
    from random import Random

    for event in range(len(files.events) + 1):
        for mercy in ("nothing", "something", "everything"):
            left = files.after_power_failure(Random(event), mercy, at=event)
            repair(left, closed.root, "topic-0")
            (report,) = check_directory(left, closed.root)
            assert not report.needs_repair
            assert (report.batches, report.end_offset) == (99, 100)


def in_memory(root: Path) -> CrashableFiles:
    """A copy of a folder in memory, all of it on disk."""
    files = CrashableFiles(root.parent)
    for path in [root, *sorted(root.rglob("*"))]:
        if path.is_dir():
            files.make_folder(path)
        else:
            files.create(path).pwrite(path.read_bytes(), 0)
    from random import Random

    return files.after_power_failure(Random(0), "everything")
