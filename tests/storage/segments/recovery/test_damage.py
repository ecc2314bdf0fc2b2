"""Damaged files: a directory opens or says what is wrong, and what it serves is all that was written.

Not held here, because nothing on disk tells it from the truth: a batch's base offset and leader epoch, which no CRC
covers; a closed segment that is missing or ends with an earlier batch; the numbers in Apache's text files, which have
no checksum. `ottla log check` reads what a start does not: it finds the first two.
"""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ottla.storage.files.identity import IdentityError
from ottla.storage.files.real import RealFiles
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.recovery.log_check import check_directory
from ottla.storage.segments.recovery.opening import DamagedLogError
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from tests.stage.logs import NOW_MS, append, batch_of, read, read_all, split
from tests.storage.conftest import Disk
from tests.storage.test_open_transactions import Producer

pytestmark = pytest.mark.slow

CONFIG = LogConfig(segment_bytes=1500, index_interval_bytes=200)
CHECKS = list(HealthCheck)
KINDS = ["remove", "cut", "flip", "fill", "extend"]
UNCOVERED_BYTES = 16
"""The first bytes of a batch, which its CRC does not cover, up to the format."""


class Written:
    """A closed log of several segments, with a producer's records, two epochs and aborted transactions."""

    def __init__(self, root: Path, *, clean: bool, checkpoint: bool = False) -> None:
        self.disk = Disk(root)
        log = self.disk.open(CONFIG)
        transactional = Producer(lambda: log, 2)
        for number in range(40):
            batch = batch_of([b"%d" % number], timestamps=[NOW_MS + number], producer=(1, 0, number))
            append(log, batch, leader_epoch=number // 25)
            if number % 9 == 0:
                transactional.write()
                transactional.abort()
        self.batches = read_all(log)
        self.aborted = transactions_in(log)
        self.recovery_point = log.recovery_point
        if checkpoint and self.disk.directory is not None:
            self.disk.directory.checkpoint()
        self.disk.close() if clean else self.disk.crash()

    def files(self, *endings: str) -> list[Path]:
        return sorted(path for path in self.disk.folder.iterdir() if path.name.endswith(endings))

    def check_everything(self, log: SegmentLog) -> None:
        assert read_all(log) == self.batches
        for number in range(0, 40, 3):
            found = log.offset_for_timestamp(NOW_MS + number)
            assert found is not None
            assert found.timestamp == NOW_MS + number
        again = append(log, batch_of([b"39"], producer=(1, 0, 39)))
        assert again.duplicate


def transactions_in(log: SegmentLog) -> list[tuple[int, int]]:
    return [(each.producer_id, each.first_offset) for each in log.aborted_transactions(0, log.size_bytes)]


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(clean=st.booleans(), data=st.data())
def test_indexes_and_metadata_cost_nothing(clean: bool, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        written = Written(Path(temporary), clean=clean)
        paths = written.files(".index", ".timeindex", ".batches")
        for path in data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=3, unique=True)):
            damage(path, data)
        written.check_everything(written.disk.open(CONFIG))
        written.disk.close()


@settings(max_examples=40, deadline=None, suppress_health_check=CHECKS)
@given(clean=st.booleans(), data=st.data())
def test_a_damaged_snapshot_is_made_good_from_the_batches(clean: bool, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        written = Written(Path(temporary), clean=clean)
        for path in written.files(".snapshot"):
            if data.draw(st.booleans()):
                damage(path, data, kinds=KINDS[1:])
        written.check_everything(written.disk.open(CONFIG))
        written.disk.close()


@settings(max_examples=40, deadline=None, suppress_health_check=CHECKS)
@given(clean=st.booleans(), data=st.data())
def test_epochs_and_transactions_open_as_far_as_they_can_be_believed(clean: bool, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        written = Written(Path(temporary), clean=clean)
        path = data.draw(st.sampled_from(written.files(".txnindex", "-checkpoint")))
        kind = damage(path, data, kinds=["cut", "flip", "fill", "extend"])
        log = written.disk.open(CONFIG)
        written.check_everything(log)
        if not clean or (kind == "cut" and path.stat().st_size % 34):
            assert transactions_in(log) == written.aborted
        written.disk.close()


@settings(max_examples=80, deadline=None, suppress_health_check=CHECKS)
@given(clean=st.booleans(), data=st.data())
def test_what_is_served_of_damaged_segments_was_written(clean: bool, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        written = Written(Path(temporary), clean=clean, checkpoint=data.draw(st.booleans()))
        path = data.draw(st.sampled_from(written.files(".log")))
        kind = damage(path, data)
        try:
            log = written.disk.open(CONFIG)
        except DamagedLogError:
            needs_repair = [report.needs_repair for report in check_directory(RealFiles(), written.disk.root)]
            assert needs_repair == [True]
            written.disk.crash()
            return
        served, whole = serve(log)
        bodies = {batch[UNCOVERED_BYTES:] for batch in written.batches}
        for batch in served:
            # A clean start checks no CRC; consumers do.
            assert clean or int(path.stem) < written.recovery_point or batch[UNCOVERED_BYTES:] in bodies
        if whole and kind != "remove" and log.log_end_offset == read_header(written.batches[-1]).next_offset:
            assert len(served) == len(written.batches) or kind in {"cut", "flip"}
        append(log)
        assert split(read(log, log.log_end_offset - 1))
        written.disk.close()


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(clean=st.booleans(), data=st.data())
def test_a_damaged_root_opens_or_says_what_is_wrong(clean: bool, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        written = Written(Path(temporary), clean=clean, checkpoint=True)
        names = ["meta.properties", "recovery-point-offset-checkpoint", "log-start-offset-checkpoint"]
        paths = [path for name in names if (path := written.disk.root / name).exists()] + written.files(".metadata")
        damage(data.draw(st.sampled_from(paths)), data)
        try:
            log = written.disk.open(CONFIG)
        except (IdentityError, DamagedLogError):
            written.disk.crash()
            return
        assert set(read_all(log)) <= set(written.batches)
        append(log)
        written.disk.close()


def serve(log: SegmentLog) -> tuple[list[bytes], bool]:
    """Every batch that a consumer gets from the start on, and whether nothing was refused on the way."""
    served: list[bytes] = []
    offset = log.log_start_offset
    try:
        while offset < log.log_end_offset:
            batches = split(read(log, offset))
            if not batches:
                return served, False
            served += batches
            offset = max(offset + 1, read_header(batches[-1]).next_offset)
        log.offset_for_timestamp(NOW_MS + 20)
        log.max_timestamp()
    except KafkaError as error:
        if error.code is not ErrorCode.KAFKA_STORAGE_ERROR:
            raise
        return served, False
    return served, True


def damage(path: Path, data: st.DataObject, kinds: list[str] = KINDS) -> str:
    content = bytearray(path.read_bytes())
    kind = data.draw(st.sampled_from(kinds))
    where = data.draw(st.integers(0, max(len(content) - 1, 0)))
    if kind == "remove":
        path.unlink()
        return kind
    if kind == "cut":
        del content[where:]
    elif kind == "flip" and content:
        content[where] ^= data.draw(st.integers(1, 255))
    elif kind == "fill":
        content[where:] = bytes(len(content) - where)
    else:
        content += data.draw(st.binary(max_size=100))
    path.write_bytes(content)
    return kind
