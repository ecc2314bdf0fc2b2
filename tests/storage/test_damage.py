"""Whatever the files hold, a log opens, and what it then serves are batches that were written, or a named error."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ottla.storage.log_config import LogConfig
from ottla.storage.segment_log import SegmentLog
from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from tests.storage.conftest import Disk
from tests.storage.logs import NOW_MS, append, batch_of, read, split

CONFIG = LogConfig(segment_bytes=1500, index_interval_bytes=200)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(clean=st.booleans(), data=st.data())
def test_damaged_files_give_true_batches_or_an_error(clean: bool, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        disk = Disk(Path(temporary))
        log = disk.open(CONFIG)
        written = set()
        for number in range(40):
            sent = batch_of([b"%d" % number], timestamps=[NOW_MS + number], producer=(1, 0, number))
            append(log, sent)
            written.add(bytes(sent[16:]))
        disk.close() if clean else disk.crash()
        paths = sorted(path for path in disk.folder.iterdir() if path.suffix != ".metadata")
        for path in data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=3, unique=True)):
            damage(path, data)
        log = disk.open(CONFIG)
        with suppress_storage_errors():
            for batch in serve(log):
                # Only a crash makes anyone look at the CRC again.
                assert clean or batch[16:] in written
            log.offset_for_timestamp(NOW_MS + 20)
            log.max_timestamp()
            append(log)
            assert split(read(log, log.log_end_offset - 1))
        disk.close()


@contextmanager
def suppress_storage_errors() -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        if error.code is not ErrorCode.KAFKA_STORAGE_ERROR:
            raise


def damage(path: Path, data: st.DataObject) -> None:
    content = bytearray(path.read_bytes())
    kind = data.draw(st.sampled_from(["remove", "cut", "flip", "fill", "extend"]))
    where = data.draw(st.integers(0, max(len(content) - 1, 0)))
    if kind == "remove":
        path.unlink()
        return
    if kind == "cut":
        del content[where:]
    elif kind == "flip" and content:
        content[where] ^= data.draw(st.integers(1, 255))
    elif kind == "fill":
        content[where:] = bytes(len(content) - where)
    else:
        content += data.draw(st.binary(max_size=100))
    path.write_bytes(content)


def serve(log: SegmentLog) -> Iterator[bytes]:
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        batches = split(read(log, offset))
        if not batches:
            return
        yield from batches
        offset = max(offset + 1, read_header(batches[-1]).next_offset)
