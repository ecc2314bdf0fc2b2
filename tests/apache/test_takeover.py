"""One folder, served by Apache, then by Ottla, then by Apache again, then killed: each finds what the others wrote.

In between, segments that Ottla wrote elsewhere are put into a partition of the stopped Apache broker.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import TopicPartition

from compat.apache_broker import ApacheBroker
from ottla.cli import main
from ottla.testing import Ottla
from tests.stage.apache.dump import dump
from tests.stage.apache.histories import History
from tests.stage.apache.librdkafka import TIMEOUT_S, Clients, Place, Read, send

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # The first run fetches the jars.

SETTINGS = {
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.num.partitions": "2",
    # Several snapshots in a minute's life.
    "metadata.log.max.record.bytes.between.snapshots": "3000",
}
COMPLAINTS = ("orrupt", "ebuilding", "ecovering segment", "Error while", "stray")
"""Words in Apache's log when it does not like files that it finds."""


@dataclass
class Seen:
    """A broker as clients saw it."""

    records: dict[Place, list[Read]]
    committed_records: dict[Place, list[Read]]
    ids: dict[str, str]
    configs: dict[str, Any]
    offsets: dict[str, dict[Place, int]]
    passwords: dict[str, list[int]]

    @classmethod
    def by(cls, clients: Clients) -> "Seen":
        return cls(
            records=clients.read_all(),
            committed_records=clients.read_all(isolation="read_committed"),
            ids=clients.ids(),
            configs=clients.configs(),
            offsets={group: clients.committed(group) for group in ("classic", "modern")},
            passwords=clients.iterations(),
        )

    def values(self, place: Place) -> list[bytes | None]:
        return [record.value for record in self.records[place]]


@dataclass
class Story:
    """The folder at each stage of its life, as clients saw it, and what was said."""

    history: History
    apache: Seen
    taken_over: Seen
    ottlas: Seen
    apache_again: Seen
    after_kill: Seen
    apaches_log: str
    import_said: str
    folder: Path
    group_records: list[str] = field(default_factory=list)


def values(name: str, count: int) -> list[bytes]:
    return [b"%s %d " % (name.encode(), number) + b"." * (number % 50) for number in range(count)]


def write_with_apache(clients: Clients) -> None:
    """Topics of all kinds, with a past."""
    clients.create("small", internal_segment_bytes="4096", index_interval_bytes="300")
    clients.create("codecs", partitions=5)
    clients.create("compacted", cleanup_policy="compact", retention_ms="1000")
    clients.create("appended", message_timestamp_type="LogAppendTime")
    clients.create("transactions")
    clients.create("gone")
    clients.create("swapped", retention_ms="-1")
    clients.alter("compacted", retention_ms="100000", segment_ms="60000")
    producers = [clients.producer(enable_idempotence=idempotent) for idempotent in (True, False, True)]
    for batch in range(21):
        send(producers[batch % 3], ("small", 0), values(f"batch {batch}", 10))
    for number, codec in enumerate(("none", "gzip", "snappy", "lz4", "zstd")):
        clients.produce(("codecs", number), values(codec, 200), compression_type=codec, enable_idempotence=True)
    clients.produce(("compacted", 0), values("compacted", 5))
    clients.produce(("appended", 0), values("appended", 5))
    producer = clients.producer(transactional_id="writer")
    producer.init_transactions(TIMEOUT_S)
    for number in range(4):
        producer.begin_transaction()
        send(producer, ("transactions", 0), values(f"transaction {number}", 3))
        producer.commit_transaction(TIMEOUT_S) if number % 2 else producer.abort_transaction(TIMEOUT_S)
    clients.admin.delete_topics(["gone"])["gone"].result(TIMEOUT_S)
    clients.admin.delete_records([TopicPartition("small", 0, 77)])[TopicPartition("small", 0)].result(TIMEOUT_S)
    clients.give_password("alice", b"secret", 5000)
    clients.take("classic", "codecs", 30)
    clients.take("modern", "codecs", 20, group_protocol="consumer")


def swap_in(history: History, folder: Path) -> None:
    """Put the files of a log of ours into Apache's folder of another topic, whose log is empty."""
    for path in folder.iterdir():
        if path.name != "partition.metadata":
            path.unlink()
    for path in history.folder.iterdir():
        if path.name != "partition.metadata":
            shutil.copyfile(path, folder / path.name)


def import_folder(*words: object) -> str:
    result = CliRunner().invoke(main, ["import", *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def story(apache_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    root = tmp_path_factory.mktemp("takeover")
    history = History(tmp_path_factory.mktemp("swapped"), "by-size")
    history.live(150)
    with ApacheBroker(root, settings=SETTINGS) as apache:
        folder = root / "data"
        clients = Clients(apache.bootstrap)
        write_with_apache(clients)
        survivor = clients.producer(enable_idempotence=True)
        send(survivor, ("small", 0), values("survivor", 10))
        by_apache = Seen.by(clients)
        apache.stop()
        swap_in(history, folder / "swapped-0")
        said = import_folder(folder)

        with Ottla(data_dir=folder, port=apache.port, config=SETTINGS) as ottla:
            ours = Clients(ottla.bootstrap)
            taken_over = Seen.by(ours)
            send(survivor, ("small", 0), values("survivor with ottla", 10))
            ours.produce(("codecs", 3), values("ottla", 100), compression_type="zstd", enable_idempotence=True)
            ours.take("classic", "codecs", 10)
            by_ottla = Seen.by(ours)
        dumped = dump(apache_jars, sorted(folder.glob("__consumer_offsets-*/*.log")), "--offsets-decoder")

        written = len(apache.log_tail(1 << 30))
        apache.start()
        send(survivor, ("small", 0), values("survivor with apache", 10))
        apache_again = Seen.by(Clients(apache.bootstrap))
        apache.kill()
        log = apache.log_tail(1 << 30)[written:]

    (folder / "catalog.sqlite").unlink()
    import_folder(folder, "--to", root / "copy")
    with Ottla(data_dir=root / "copy", config=SETTINGS) as ottla:
        after_kill = Seen.by(Clients(ottla.bootstrap))
    return Story(
        history=history,
        apache=by_apache,
        taken_over=taken_over,
        ottlas=by_ottla,
        apache_again=apache_again,
        after_kill=after_kill,
        apaches_log=log,
        import_said=said,
        folder=folder,
        group_records=[line for lines in dumped.values() for line in lines],
    )


def test_ottla_serves_what_apache_wrote(story: Story) -> None:
    assert story.taken_over.records | {("swapped", 0): []} == story.apache.records
    assert story.taken_over.records["small", 0][0].offset == 77
    assert len(story.taken_over.records["codecs", 4]) == 200


def test_ottla_knows_apaches_topics_by_their_ids_and_settings(story: Story) -> None:
    assert story.taken_over.ids == story.apache.ids
    assert story.taken_over.configs == story.apache.configs
    assert story.taken_over.configs["compacted"] == {
        "cleanup.policy": "compact",
        "retention.ms": "100000",
        "segment.ms": "60000",
    }
    assert "gone" not in story.taken_over.ids


def test_ottla_knows_what_groups_had_committed(story: Story) -> None:
    assert story.taken_over.offsets == story.apache.offsets
    assert sum(story.taken_over.offsets["classic"].values()) == 30
    assert sum(story.taken_over.offsets["modern"].values()) == 20


def test_ottla_knows_who_has_a_password(story: Story) -> None:
    assert story.taken_over.passwords == story.apache.passwords == {"alice": [5000]}


def test_apache_serves_segments_that_ottla_wrote(story: Story) -> None:
    expected = [record for batch in story.history.in_files() for record in batch.records]
    assert expected
    for seen in (story.taken_over, story.apache_again):
        read = seen.records["swapped", 0]
        assert [(each.offset, each.timestamp[1], each.key, each.value, each.headers) for each in read] == [
            (record.offset, record.timestamp, record.key, record.value, record.headers) for record in expected
        ]


def test_a_producer_goes_on_over_every_change_of_broker(story: Story) -> None:
    sent = [*values("survivor", 10), *values("survivor with ottla", 10), *values("survivor with apache", 10)]
    assert story.apache_again.values(("small", 0))[-30:] == sent


def test_apache_serves_what_ottla_wrote_into_its_folder(story: Story) -> None:
    again = story.apache_again
    assert again.values(("codecs", 3))[200:] == values("ottla", 100)
    assert {place: records for place, records in again.records.items() if place != ("small", 0)} == {
        place: records for place, records in story.ottlas.records.items() if place != ("small", 0)
    }
    assert again.records["small", 0][:-10] == story.ottlas.records["small", 0]
    assert again.ids == story.apache.ids


def test_apache_knows_what_groups_committed_with_ottla(story: Story) -> None:
    assert story.apache_again.offsets == story.ottlas.offsets
    assert sum(story.apache_again.offsets["classic"].values()) == 40


def test_apache_decodes_the_group_records_that_ottla_wrote(story: Story) -> None:
    assert any('"group":"classic"' in line and '"topic":"codecs"' in line for line in story.group_records)
    assert [line for line in story.group_records if "nknown" in line] == []


def test_apache_finds_nothing_wrong_with_ottlas_files(story: Story) -> None:
    assert [line for line in story.apaches_log.splitlines() if any(each in line for each in COMPLAINTS)] == []


def test_what_a_killed_apache_leaves_is_taken_over_whole(story: Story) -> None:
    assert story.after_kill == story.apache_again


def test_nobody_sees_aborted_records(story: Story) -> None:
    committed = [*values("transaction 1", 3), *values("transaction 3", 3)]
    for seen in (story.apache, story.taken_over, story.apache_again, story.after_kill):
        assert [record.value for record in seen.committed_records["transactions", 0]] == committed


def test_the_command_said_what_it_took_over(story: Story) -> None:
    assert "node 1: 8 topics" in story.import_said
    assert "compacted" in story.import_said
    assert "Left out" not in story.import_said
