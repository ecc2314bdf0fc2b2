"""Apache's DumpLogSegments reads directories with a past, finds nothing to complain of, and what was appended."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.stage.apache.dump import dump, fields
from tests.stage.apache.histories import CONFIGS, COORDINATOR_EPOCH, Appended, History

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # The first run fetches the jars.

STEPS = 150
WITHOUT_GAPS = [name for name in CONFIGS if name != "compacted"]
INDEX_LINE = r"offset: \d+ position: \d+|.*\.index is empty\."
TIME_INDEX_LINE = r"timestamp: \d+ offset: \d+"


class Dumped(NamedTuple):
    """The tool's output about all histories; one run of it for each set of options."""

    histories: dict[str, History]
    logs: dict[Path, list[str]]
    indexes: dict[Path, list[str]]
    snapshots: dict[Path, list[str]]
    checked: dict[Path, list[str]]
    verified: dict[Path, list[str]]
    aborted: dict[Path, list[str]]


@pytest.fixture(scope="module")
def dumped(apache_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Dumped:
    histories = {name: History(tmp_path_factory.mktemp(name), name) for name in CONFIGS}
    for history in histories.values():
        history.live(STEPS)

    def files(*suffixes: str, names: Iterable[str] = CONFIGS) -> list[Path]:
        folders = [histories[name].folder for name in names]
        return [path for folder in folders for path in sorted(folder.iterdir()) if path.suffix in suffixes]

    indexes = files(".index", ".timeindex", names=WITHOUT_GAPS)
    compacted = files(".index", ".timeindex", names=["compacted"])
    deep = "--deep-iteration", "--print-data-log"
    # A log is read with its index: the tool compares them.
    return Dumped(
        histories=histories,
        logs=dump(apache_jars, files(".log", names=WITHOUT_GAPS), *deep)
        | dump(apache_jars, files(".log", names=["compacted"]), *deep, compacted=True),
        indexes=dump(apache_jars, indexes) | dump(apache_jars, compacted, compacted=True),
        snapshots=dump(apache_jars, files(".snapshot")),
        checked=dump(apache_jars, indexes + compacted, "--index-sanity-check"),
        verified=dump(apache_jars, indexes, "--verify-index-only")
        | dump(apache_jars, compacted, "--verify-index-only", compacted=True),
        aborted=dump(apache_jars, files(".txnindex")),
    )


def of(history: History, found: dict[Path, list[str]], suffix: str) -> dict[Path, list[str]]:
    """The output about one history's files, in the order of their names."""
    return {path: found[path] for path in sorted(history.folder.glob(f"*{suffix}"))}


@pytest.fixture(params=CONFIGS)
def history(request: pytest.FixtureRequest, dumped: Dumped) -> History:
    return dumped.histories[request.param]


def batch_fields(batch: Appended, position: int, size: int) -> dict[str, str]:
    _, epoch, sequence = batch.producer
    return {
        "baseOffset": str(batch.base_offset),
        "lastOffset": str(batch.last_offset),
        "count": str(len(batch.records)),
        "baseSequence": str(sequence),
        "lastSequence": str(sequence + len(batch.records) - 1 if sequence >= 0 else -1),
        "producerId": str(batch.producer[0]),
        "producerEpoch": str(epoch),
        "partitionLeaderEpoch": str(batch.leader_epoch),
        "isTransactional": str(batch.is_transactional).lower(),
        "isControl": str(bool(batch.marker)).lower(),
        "deleteHorizonMs": "OptionalLong.empty",
        "position": str(position),
        batch.timestamp_type: str(max(record.timestamp for record in batch.records)),
        "size": str(size),
        "magic": "2",
        "compresscodec": batch.codec,
        "isvalid": "true",
    }


def record_line(batch: Appended, index: int) -> str:
    record = batch.records[index]
    sequence = batch.producer[2]
    line = (
        f"| offset: {record.offset} {batch.timestamp_type}: {record.timestamp}"
        f" keySize: {-1 if record.key is None else len(record.key)}"
        f" valueSize: {-1 if record.value is None else len(record.value)}"
        f" sequence: {-1 if sequence < 0 else sequence + index}"
        f" headerKeys: [{','.join(name for name, _ in record.headers)}]"
    )
    if batch.marker:
        return f"{line} endTxnMarker: {batch.marker} coordinatorEpoch: {COORDINATOR_EPOCH}"
    if record.key is not None:
        line += f" key: {record.key.decode()}"
    if record.value is not None:
        line += f" payload: {record.value.decode()}"
    return line


@pytest.mark.parametrize("name", WITHOUT_GAPS)
def test_apache_reads_from_the_segments_what_was_appended(name: str, dumped: Dumped) -> None:
    history = dumped.histories[name]
    expected = iter(history.in_files())
    for path, lines in of(history, dumped.logs, ".log").items():
        position = 0
        rest = iter(lines)
        assert next(rest) == f"Log starting offset: {int(path.stem)}"
        for line in rest:
            found = fields(line)
            batch = next(expected)
            size = int(found["size"])
            del found["crc"]
            assert found == batch_fields(batch, position, size)
            position += size
            assert [next(rest) for _ in batch.records] == [record_line(batch, i) for i in range(len(batch.records))]
        assert position == path.stat().st_size
    assert next(expected, None) is None


def test_apache_reads_from_compacted_segments_the_newest_record_of_each_key(dumped: Dumped) -> None:
    history = dumped.histories["compacted"]
    lines = [line for each in of(history, dumped.logs, ".log").values() for line in each if line.startswith("| ")]
    appended = {
        record.offset: (record_line(batch, index), record)
        for batch in history.appended
        for index, record in enumerate(batch.records)
    }
    offsets = [int(fields(line)["offset"]) for line in lines]
    assert lines == [appended[offset][0] for offset in offsets]
    assert len(offsets) < len(appended) / 2
    newest = {record.key: record for _, record in appended.values() if record.key is not None}
    kept = {record.offset for record in newest.values() if record.value is not None}
    start = history.start
    assert {offset for offset in kept if offset >= start} <= set(offsets)


def test_apache_finds_each_index_entry_in_the_segment(history: History, dumped: Dumped) -> None:
    entries = 0
    for lines in of(history, dumped.indexes, ".index").values():
        assert [line for line in lines if not re.fullmatch(INDEX_LINE, line)] == []
        entries += len(lines)
    for lines in of(history, dumped.indexes, ".timeindex").values():
        assert [line for line in lines if not re.fullmatch(TIME_INDEX_LINE, line)] == []
        entries += len(lines)
    assert entries > 2


def test_the_indexes_pass_apaches_sanity_check(history: History, dumped: Dumped) -> None:
    for suffix in (".index", ".timeindex"):
        checked = of(history, dumped.checked, suffix)
        assert checked
        for path, lines in checked.items():
            empty = [] if path.stat().st_size else [f"{path} is empty."]
            assert lines == (empty or [f"{path} passed sanity check."])
            assert dumped.verified[path] == empty


def test_apache_reads_from_the_snapshots_what_producers_had_sent(history: History, dumped: Dumped) -> None:
    snapshots = of(history, dumped.snapshots, ".snapshot")
    assert snapshots
    for path, lines in snapshots.items():
        assert sorted(map(str.rstrip, lines)) == sorted(snapshot_lines(history, int(path.stem)))


def snapshot_lines(history: History, offset: int) -> Iterator[str]:
    """The state of producers at an offset: their last batch in their epoch, and an open transaction."""
    batches: dict[int, Appended] = {}
    coordinator_epochs: dict[int, int] = {}
    transactions: dict[int, int] = {}
    for batch in history.appended:
        producer_id = batch.producer[0]
        if producer_id < 0 or batch.last_offset >= offset:
            continue
        batches[producer_id] = batch
        if batch.marker:
            coordinator_epochs[producer_id] = COORDINATOR_EPOCH
            del transactions[producer_id]
        elif batch.is_transactional:
            transactions.setdefault(producer_id, batch.base_offset)
    for producer_id, batch in batches.items():
        _, epoch, sequence = batch.producer
        count = len(batch.records)
        timestamp = max(record.timestamp for record in batch.records)
        transaction = f"[{transactions[producer_id]}]" if producer_id in transactions else ".empty"
        line = (
            f"producerId: {producer_id} producerEpoch: {epoch} "
            f"coordinatorEpoch: {coordinator_epochs.get(producer_id, -1)} "
            f"currentTxnFirstOffset: OptionalLong{transaction} lastTimestamp: {timestamp}"
        )
        if not batch.marker:
            line += (
                f" firstSequence: {sequence} lastSequence: {sequence + count - 1} lastOffset: {batch.last_offset} "
                f"offsetDelta: {count - 1} timestamp: {timestamp}"
            )
        yield line


def test_apache_reads_from_the_transaction_indexes_what_was_aborted(dumped: Dumped) -> None:
    history = dumped.histories["transactions"]
    lines = [line for each in of(history, dumped.aborted, ".txnindex").values() for line in each]
    first = history.in_files()[0].base_offset
    assert lines == [
        f"version: 0 producerId: {each.producer_id} firstOffset: {each.first_offset} lastOffset: {each.last_offset} "
        f"lastStableOffset: {each.last_stable_offset}"
        for each in history.aborted
        if each.last_offset >= first
    ]
    assert len(lines) > 5


def test_retention_has_taken_segments(dumped: Dumped) -> None:
    history = dumped.histories["retention"]
    assert history.in_files()[0].base_offset > 0
    assert sum(path.stat().st_size for path in history.folder.glob("*.log")) < 60_000


def test_the_tool_would_have_seen_a_wrong_byte(dumped: Dumped, apache_jars: Path, tmp_path: Path) -> None:
    history = dumped.histories["by-size"]
    path = next(path for path in sorted(history.folder.glob("*.index")) if path.stat().st_size)
    damaged = bytearray(path.read_bytes())
    damaged[3] ^= 1  # the offset that the first entry names
    (tmp_path / path.name).write_bytes(damaged)
    (tmp_path / f"{path.stem}.log").write_bytes((history.folder / f"{path.stem}.log").read_bytes())
    with pytest.raises(AssertionError, match="Mismatches in"):
        dump(apache_jars, [tmp_path / path.name])
