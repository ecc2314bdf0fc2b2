"""The same log compacted by Apache's own cleaner and by ours, with the same time: what is left must be the same."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from ottla.storage.appends import AppendOrigin
from ottla.storage.files.real import RealFiles
from ottla.storage.open_transactions import AbortedTransaction
from ottla.storage.segments.compaction.dirtiness import assess
from ottla.storage.segments.compaction.rounds import compact
from ottla.storage.segments.data_directory import DataDirectory
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import read_header
from ottla.wire.markers import Marker, build_marker
from ottla.wire.records import read_records
from tests.stage.logs import NOW_MS, TOPIC_ID, split
from tests.stage.stepping import take_all
from tests.storage.compacting import SMALL, compacted_config, put

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # The first run fetches the jars.

SOURCE = Path(__file__).parent / "java" / "CompactLogs.java"
CONFIG = compacted_config(segment_bytes=4000, delete_retention_ms=1000)
SETTINGS = ["cleanup.policy=compact", "internal.segment.bytes=4000", "delete.retention.ms=1000"]


class ApacheCleaner:
    """One JVM for all rounds."""

    def __init__(self, jars: Path, classes: Path) -> None:
        subprocess.run(["javac", "-cp", f"{jars}/*", "-d", classes, SOURCE], check=True)
        java = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{classes}:{jars}/*", "CompactLogs"]
        self._process = subprocess.Popen(java, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def compact(self, folder: Path, now_ms: int, first_dirty_offset: int) -> int:
        """Take a round; returns up to where the log is clean."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(folder, now_ms, first_dirty_offset, *SETTINGS, sep="\t", file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def apache(apache_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheCleaner]:
    cleaner = ApacheCleaner(apache_jars, tmp_path_factory.mktemp("classes"))
    yield cleaner
    cleaner.close()


class History:
    """Random writers: without ids, idempotent, in transactions; with values and tombstones, of all codecs."""

    def __init__(self, log: SegmentLog, random: Random) -> None:
        self.log = log
        self.random = random
        self.sequences: dict[int, int] = {}
        self.open: set[int] = set()
        self.time = NOW_MS

    def write(self, count: int) -> None:
        for _ in range(count):
            self.time += self.random.randrange(10)
            kind = self.random.random()
            if kind < 0.5:
                self._put(-1)
            elif kind < 0.65:
                self._put(self.random.randrange(1, 4))
            elif kind < 0.9:
                producer = self.random.randrange(10, 14)
                self.open.add(producer)
                self._put(producer, is_transactional=True)
            elif self.open:
                self.end(self.random.choice(sorted(self.open)))

    def end(self, producer: int) -> None:
        self.open.discard(producer)
        marker = Marker(self.random.random() < 0.5, 0)
        batch = build_marker(marker, producer_id=producer, producer_epoch=0, timestamp_ms=self.time)
        header = read_header(batch)
        self.log.append(memoryview(batch), header, 0, NOW_MS, AppendOrigin.COORDINATOR, transaction_version=1)

    def _put(self, producer: int, **settings: bool) -> None:
        random = self.random
        count = random.randrange(1, 6)
        pairs = [
            (
                b"key-%d" % random.randrange(60),
                None if random.random() < 0.15 else random.randbytes(random.randrange(90)),
            )
            for _ in range(count)
        ]
        sequence = -1
        if producer >= 0:
            sequence = self.sequences.get(producer, 0)
            self.sequences[producer] = sequence + count
        put(
            self.log,
            *pairs,
            time_ms=self.time,
            codec=random.choice([0, 0, 0, 1, 2, 3, 4]),
            producer_id=producer,
            producer_epoch=0 if producer >= 0 else -1,
            base_sequence=sequence,
            **settings,
        )


def segments(folder: Path) -> dict[str, list[bytes]]:
    """The batches of each segment file that is part of the log."""
    return {path.name: split(path.read_bytes()) for path in sorted(folder.glob("*.log"))}


def comparable(batch: bytes) -> object:
    """A batch; of a compressed one, which need not have the same bytes, the header and the records."""
    header = read_header(batch)
    if not header.codec:
        return batch
    return header._replace(length=0, crc=0), list(read_records(batch))


def transactions(folder: Path) -> dict[str, list[AbortedTransaction]]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.txnindex")) if path.stat().st_size}  # type: ignore[misc]


@pytest.mark.parametrize("seed", range(12))
def test_what_is_left_is_what_apache_leaves(tmp_path: Path, apache: ApacheCleaner, seed: int) -> None:
    random = Random(seed)
    root = tmp_path / "ottla"
    cleaned_to = 0
    now_ms = NOW_MS
    sequences: dict[int, int] = {}
    still_open: set[int] = set()
    compared = 0
    for number in range(5):
        directory = DataDirectory(root, node_id=1, files=RealFiles(durable=False))
        log = directory.open_log("t", 0, topic_id=TOPIC_ID, config=CONFIG)
        history = History(log, random)
        history.sequences, history.open, history.time = sequences, still_open, now_ms
        history.write(random.randrange(20, 120))
        if random.random() < 0.7:
            for producer in sorted(still_open):
                history.end(producer)
        if random.random() < 0.3:
            log.producers.expire(1 << 60, 1)
            if not still_open:
                sequences.clear()
        directory.close()
        theirs = tmp_path / f"apache-{number}" / "t-0"
        shutil.copytree(root / "t-0", theirs)

        directory = DataDirectory(root, node_id=1, files=RealFiles(durable=False))
        log = directory.open_log("t", 0, topic_id=TOPIC_ID, config=CONFIG)
        part = take_all(assess(log, cleaned_to, now_ms, log.last_stable_offset(log.log_end_offset)))
        if part is not None:
            assert part.first_dirty_offset == cleaned_to
            done = take_all(compact(part, SMALL, now_ms))
            assert done.next_dirty_offset == apache.compact(theirs, now_ms, cleaned_to)
            cleaned_to = done.next_dirty_offset
            directory.close()
            ours, apaches = segments(root / "t-0"), segments(theirs)
            assert list(ours) == list(apaches)
            for name, batches in ours.items():
                assert [comparable(batch) for batch in batches] == [comparable(batch) for batch in apaches[name]], name
            assert transactions(root / "t-0") == transactions(theirs)
            compared += 1
        else:
            directory.close()
        now_ms += random.choice([0, 400, 1200])
    assert compared
