"""Directories with a past: random appends, deletions, restarts and crashes, and what must be there after them."""

from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from ottla.scheduling.promise import Promise
from ottla.storage.appends import AppendOrigin
from ottla.storage.files.real import RealFiles
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.data_directory import DataDirectory
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import read_header
from ottla.wire.markers import Marker, build_marker
from ottla.wire.records import Record, build_batch, read_records
from tests.stage.logs import NOW_MS, TOPIC_ID
from tests.storage.compacting import clean, compacted_config

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PRODUCERS = (-1, -1, 7, 8, 4_294_967_296)

CONFIGS: dict[str, LogConfig] = {
    "by-size": LogConfig(segment_bytes=8_000, index_interval_bytes=500),
    "one-segment": LogConfig(index_interval_bytes=0),
    "by-time": LogConfig(segment_ms=50_000, index_interval_bytes=200),
    "by-index": LogConfig(segment_index_bytes=120, index_interval_bytes=100),
    "append-time": LogConfig(segment_bytes=10_000, message_timestamp_type="LogAppendTime", index_interval_bytes=300),
    "wide": LogConfig(segment_bytes=60_000),
    "transactions": LogConfig(segment_bytes=6_000, index_interval_bytes=500),
    "retention": LogConfig(segment_bytes=6_000, index_interval_bytes=500, retention_bytes=30_000),
    "compacted": compacted_config(segment_bytes=6_000, delete_retention_ms=100_000),
}
COORDINATOR_EPOCH = 5
TRANSACTIONAL = (100, 101, 102)


class Appended(NamedTuple):
    """A batch as it must stand in the log."""

    base_offset: int
    records: list[Record]
    codec: str
    leader_epoch: int
    timestamp_type: str
    producer: tuple[int, int, int]
    """Id, epoch, first sequence."""
    is_transactional: bool = False
    marker: str = ""
    """The type of a control batch's record: COMMIT or ABORT."""

    @property
    def last_offset(self) -> int:
        return self.base_offset + len(self.records) - 1


class Aborted(NamedTuple):
    """A transaction that consumers must be told of; offsets inclusive, the last one is the marker's."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


class History:
    """One log's life in a directory of its own, and what was appended."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.name = name
        self.folder = root / "topic-0"
        self.random = Random(name)
        self.config = CONFIGS[name]
        self.now_ms = NOW_MS
        self.leader_epoch = 0
        self.appended: list[Appended] = []
        self.sequences: dict[int, int] = {}
        self.epochs = dict.fromkeys(TRANSACTIONAL, 0)
        self.transactions: dict[int, int] = {}
        """The first offsets of those that are open, by their producers."""
        self.aborted: list[Aborted] = []
        self.open()

    def open(self) -> None:
        self.directory = DataDirectory(self.root, node_id=1, files=RealFiles(durable=False), random=Random(1))
        self.log: SegmentLog = self.directory.open_log("topic", 0, topic_id=TOPIC_ID, config=self.config)

    def live(self, steps: int) -> None:
        actions = [self.append] * 40 + [self.delete_records, self.elect, self.restart, self.crash]
        if self.name == "transactions":
            actions += [self.append_transactional] * 30 + [self.end_transaction] * 15
        if self.config.is_compacted:
            actions += [self.compact] * 3
        if self.config.retention_bytes > 0:
            actions += [self.apply_retention] * 5
        for _ in range(steps):
            self.random.choice(actions)()
        self.append()  # not always just sealed
        self.start = self.log.log_start_offset
        self.directory.close()

    def append(self) -> None:
        producer_id = self.random.choice(PRODUCERS)
        self._append(producer_id, 3 if producer_id >= 0 else -1)

    def append_transactional(self) -> None:
        producer_id = self.random.choice(TRANSACTIONAL)
        placed = self._append(producer_id, self.epochs[producer_id], is_transactional=True)
        self.transactions.setdefault(producer_id, placed.base_offset)

    def _append(self, producer_id: int, epoch: int, *, is_transactional: bool = False) -> Appended:
        random = self.random
        self.now_ms += random.randrange(4_000)
        codec = random.randrange(5)
        records = [self._record() for _ in range(random.choice([1, 1, 3, 20]))]
        sequence = self.sequences.get(producer_id, 0) if producer_id >= 0 else -1
        batch = build_batch(
            records,
            codec=codec,
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=sequence,
            is_transactional=is_transactional,
        )
        base_offset = self._place(batch, AppendOrigin.CLIENT)
        if producer_id >= 0:
            self.sequences[producer_id] = sequence + len(records)
        if self.config.uses_log_append_time:
            records = [record._replace(timestamp=self.now_ms) for record in records]
        return self._note(
            base_offset,
            records,
            codec=CODECS[codec],
            producer=(producer_id, epoch, sequence),
            is_transactional=is_transactional,
        )

    def end_transaction(self) -> None:
        """A marker, with the producer's next epoch, as the second version of transactions has it (KIP-890)."""
        if not self.transactions:
            return
        producer_id = self.random.choice(list(self.transactions))
        first_offset = self.transactions.pop(producer_id)
        commits = self.random.random() < 0.5
        self.epochs[producer_id] += 1
        self.sequences[producer_id] = 0
        epoch = self.epochs[producer_id]
        marker = build_marker(
            Marker(commits, COORDINATOR_EPOCH), producer_id=producer_id, producer_epoch=epoch, timestamp_ms=self.now_ms
        )
        (record,) = read_records(marker)
        offset = self._place(marker, AppendOrigin.COORDINATOR)
        self._note(
            offset,
            [record],
            codec="none",
            producer=(producer_id, epoch, -1),
            is_transactional=True,
            marker="COMMIT" if commits else "ABORT",
        )
        if not commits:
            stable = min(self.transactions.values(), default=offset + 1)
            self.aborted.append(Aborted(producer_id, first_offset, offset, stable))

    def _place(self, batch: bytearray, origin: AppendOrigin) -> int:
        """Append the batch; returns the offset that it got."""
        header = read_header(batch)
        placed = self.log.append(
            memoryview(batch), header, self.leader_epoch, self.now_ms, origin, transaction_version=2
        )
        assert not isinstance(placed, Promise)
        return placed.base_offset

    def _note(self, base_offset: int, records: list[Record], **known: Any) -> Appended:
        self.appended.append(
            Appended(
                base_offset=base_offset,
                records=[record._replace(offset=base_offset + index) for index, record in enumerate(records)],
                leader_epoch=self.leader_epoch,
                timestamp_type="LogAppendTime" if self.config.uses_log_append_time else "CreateTime",
                **known,
            )
        )
        return self.appended[-1]

    def apply_retention(self) -> None:
        for _ in self.log.apply_retention(self.now_ms, self.log.log_end_offset):
            pass

    def compact(self) -> None:
        if self.log.segments:
            clean(self.log, self.now_ms)

    def _record(self) -> Record:
        random = self.random
        return Record(
            offset=0,
            timestamp=self.now_ms - random.choice([0, 0, 0, 30_000]),
            key=random.choice([None, b"", b"key-%d" % random.randrange(10)]),
            value=random.choice([None, b"", b"value " * random.randrange(40)]),
            headers=random.choice([(), (), (("name", b"x"), ("empty", None))]),
        )

    def delete_records(self) -> None:
        start, end = self.log.log_start_offset, self.log.log_end_offset
        self.log.delete_records(self.random.randint(start, start + (end - start) // 4))

    def elect(self) -> None:
        self.leader_epoch += 1
        self.log.begin_leader_epoch(self.leader_epoch)

    def restart(self) -> None:
        self.directory.close()
        self.open()

    def crash(self) -> None:
        """The process is killed in the middle of an append; of what was not synced, some index files are lost, too."""
        unsynced = self.log.recovery_point
        self.directory.abandon()
        if logs := sorted(self.folder.glob("*.log")):
            whole = build_batch([Record(0, self.now_ms, None, b"torn" * 30)], base_offset=self.log.log_end_offset)
            with logs[-1].open("ab") as file:
                file.write(whole[: self.random.randrange(len(whole))])
            for path in sorted(self.folder.glob("*index")):
                if int(path.stem) >= unsynced and self.random.random() < 0.2:
                    path.unlink()
        self.open()

    def in_files(self) -> list[Appended]:
        """The batches that must stand in the segments: from the one on that holds the log's start."""
        first = min(int(path.stem) for path in self.folder.glob("*.log"))
        return [batch for batch in self.appended if batch.base_offset >= first]
