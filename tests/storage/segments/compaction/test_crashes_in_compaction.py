"""A power failure at any moment of compaction: the newest record of each key is there, whatever the disk kept."""

from pathlib import Path
from random import Random

import pytest

from ottla.storage.segments.data_directory import DataDirectory
from ottla.storage.segments.segment_log import SegmentLog
from tests.stage.crashable import MERCIES, CrashableFiles
from tests.stage.logs import NOW_MS, TOPIC_ID
from tests.storage.compacting import clean, compacted_config, put, records
from tests.storage.segments.recovery.test_crashes import HISTORIES

Newest = dict[bytes, tuple[int, bytes | None]]
CONFIG = compacted_config(file_delete_delay_ms=0, delete_retention_ms=1 << 40)
KEYS = [b"a", b"b", b"c", b"d", b"e", b"f"]


class Kept:
    """A compacted log on a file system that may fail, and the newest record of each key."""

    def __init__(self, root: Path, files: CrashableFiles) -> None:
        self.files = files
        self.directory = DataDirectory(root, node_id=1, files=files, random=Random(1))
        self.log: SegmentLog = self.directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG)
        self.directory.all_opened()

    def newest(self) -> Newest:
        found: Newest = {}
        last = -1
        for record in records(self.log):
            assert record.offset > last
            last = record.offset
            assert record.key is not None
            found[record.key] = record.offset, record.value
        return found

    def compact(self) -> None:
        clean(self.log)
        self.directory.removals.remove_due(NOW_MS)

    def fill(self, random: Random) -> None:
        """Write keys again and again, some of them tombstones, and sync them."""
        for _ in range(40):
            pairs = [(random.choice(KEYS), random.choice([None, random.randbytes(30)])) for _ in range(3)]
            put(self.log, *pairs)
        flushed = self.log.flush()
        assert flushed is None or flushed.done


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(max(HISTORIES // 25, 1)))
def test_no_key_loses_its_newest_record(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    kept = Kept(tmp_path, CrashableFiles(tmp_path.parent))
    phases = []
    for _ in range(2):
        kept.fill(random)
        kept.directory.checkpoint()
        newest = kept.newest()
        begin = len(kept.files.events)
        size = kept.log.size_bytes
        kept.compact()
        assert kept.log.size_bytes < size
        assert kept.newest() == newest
        phases.append((begin, len(kept.files.events), newest))
    end_offset = kept.log.log_end_offset
    kept.directory.abandon()
    for begin, end, newest in phases:
        for event in range(begin, end + 1):
            mercy = random.choice(MERCIES)
            left = Kept(tmp_path, kept.files.after_power_failure(random, mercy, at=event))
            assert left.newest() == newest, (event, mercy)
            assert left.log.log_end_offset <= end_offset
            left.compact()
            assert left.newest() == newest, f"compacted again after {event}, {mercy}"
            left.directory.abandon()
