"""The compatibility harness reads manifests and judges outcomes."""

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from compat.harness.codecs import stored_codecs
from compat.harness.document import Document
from compat.harness.ledger import Entry, Ledger
from compat.harness.manifest import Client, ManifestError, parse, read_clients
from compat.harness.ottla_broker import OttlaBroker
from compat.harness.scenarios import BY_NAME
from compat.harness.stage import ROOT, Outcome
from compat.harness.table import Results
from compat.record.golden import Golden
from compat.record.proxy import Exchange, Frames

VERSIONS = {"apache": "Apache Kafka 4.3.1", "ottla": "Ottla 0.1"}

MANIFEST = """
name = "some-client"
version = "1.2.3"
install = [["true"]]
run = ["{cache}/program", "--flag"]
[without]
topics = "it has no admin client"
[extra]
own = "something of its own"
"""


def some_client(text: str = MANIFEST) -> Client:
    return some_clients(text)[0]


def some_clients(text: str) -> list[Client]:
    return parse(text, Path("compat/some-client"), {"topics", "produce-none"})


def outcome(scenario: str, broker: str, *, passed: bool) -> Outcome:
    return Outcome(client="some-client", scenario=scenario, broker=broker, passed=passed, error="" if passed else "why")


def test_a_client_takes_part_in_what_it_can_do() -> None:
    assert some_client().scenarios(["topics", "produce-none"]) == ["own", "produce-none"]


def test_places_are_filled_into_commands() -> None:
    client = some_client()
    assert client.fill(client.run, {"cache": "/there"}) == ["/there/program", "--flag"]


def test_an_older_version_adds_to_the_tables_and_replaces_the_rest() -> None:
    older = """
[older."1.1.0, 1.0.0"]
run = ["{cache}/program"]
[older."1.0.0".without]
produce-none = "it could not yet"
"""
    newest, newer, oldest = some_clients(MANIFEST + older)
    assert [one.name for one in (newer, oldest)] == ["some-client-1.1.0", "some-client-1.0.0"]
    assert newer.run == oldest.run == ["{cache}/program"]
    assert newest.without == newer.without
    assert oldest.without == newest.without | {"produce-none": "it could not yet"}
    assert (oldest.install, oldest.extra, oldest.ci) == (newest.install, newest.extra, [])
    assert len({one.stamp() for one in (newest, newer, oldest)}) == 3


def test_ottla_offers_an_older_version_what_the_manifest_wants(tmp_path: Path) -> None:
    newest, older = some_clients(MANIFEST + '[older."1.1.0"]\nas_kafka = "3.9"\n')
    assert "--as-kafka" not in OttlaBroker(tmp_path, as_kafka=newest.as_kafka).command()
    words = OttlaBroker(tmp_path, as_kafka=older.as_kafka).command()
    assert words[words.index("--as-kafka") + 1] == "3.9"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('version = "1.2.3"', "", "version is missing"),
        ('name = "some-client"', 'name = "other"', "its name says 'other'"),
        ("topics =", "tropics =", "without names no scenario"),
        ("own =", "produce-none =", "are not extra"),
        ("[without]", "typo = 1\n[without]", "unknown keys"),
        ("[without]", "without", "some-client"),
    ],
)
def test_a_wrong_manifest_is_refused_by_name(old: str, new: str, complaint: str) -> None:
    with pytest.raises(ManifestError, match=complaint):
        some_client(MANIFEST.replace(old, new))


def test_every_manifest_of_the_repository_is_right() -> None:
    assert {client.name for client in read_clients(ROOT / "compat", set(BY_NAME))} >= {"kafka-python", "java"}


def test_a_scenario_that_apache_fails_is_one_failure() -> None:
    results = Results(
        [outcome("own", "apache", passed=False), outcome("own", "ottla", passed=False)], ["apache", "ottla"]
    )
    assert [(failure.scenario, failure.broker) for failure in results.failed()] == [("own", "apache")]


def test_a_scenario_that_only_ottla_fails_is_a_failure_of_ottla() -> None:
    results = Results(
        [outcome("own", "apache", passed=True), outcome("own", "ottla", passed=False)], ["apache", "ottla"]
    )
    assert [failure.broker for failure in results.failed()] == ["ottla"]
    assert results.passes() == 1


def test_the_document_shows_both_brokers_and_the_reasons() -> None:
    outcomes = [outcome("own", "apache", passed=True), outcome("own", "ottla", passed=False)]
    entries = [Entry(outcome=one, client_version="1.2.3", commit="c0ffee", date="2026-11-28") for one in outcomes]
    client = some_client()
    document = Document([client], entries, VERSIONS, {"other-client": "nobody has it"}).text()
    count = len(client.scenarios(list(BY_NAME)))
    assert f"| some-client | 1.2.3 | 1 of {count} | 0 of {count} | 1 | 0 | c0ffee (2026-11-28) |" in document
    assert "| `own` | pass / FAIL | something of its own |" in document
    assert "- some-client, `topics`: it has no admin client" in document
    assert "| `topics` | n/a |" in document
    assert "- some-client, `own`, Ottla: why" in document
    assert "- other-client: nobody has it" in document


def test_the_document_passes_over_a_scenario_that_a_client_has_no_more() -> None:
    entries = [
        Entry(outcome=outcome(name, "apache", passed=True), client_version="1.2.3", commit=commit, date="2026-11-28")
        for name, commit in [("topics", "01d"), ("own", "c0ffee")]
    ]
    client = some_client()
    assert "topics" in client.without
    document = Document([client], entries, VERSIONS, {}).text()
    assert "c0ffee" in document
    assert "01d" not in document


def test_the_document_says_what_a_client_was_compared_on() -> None:
    client = some_client('reference = "3.9.1"\nas_kafka = "3.9"\n' + MANIFEST)
    assert "| some-client | 1.2.3 (Apache 3.9.1) (Ottla as 3.9) |" in Document([client], [], VERSIONS, {}).text()


def test_what_a_later_run_finds_takes_the_place_of_the_same_alone(tmp_path: Path) -> None:
    client = some_client()
    for commit, found in (("first", [("own", False), ("topics", True)]), ("second", [("own", True)])):
        ledger = Ledger(tmp_path / "results", commit)
        for scenario, passed in found:
            ledger.keep(client, replace(outcome(scenario, "ottla", passed=passed), against="Ottla 0.1"))
    found_now = {one.outcome.scenario: (one.outcome.passed, one.commit) for one in ledger.entries([client], VERSIONS)}
    assert found_now == {"topics": (True, "first"), "own": (True, "second")}


def test_what_was_found_with_another_version_counts_no_more(tmp_path: Path) -> None:
    ledger, client = Ledger(tmp_path), some_client()
    ledger.keep(client, replace(outcome("own", "ottla", passed=True), against="Ottla 0.1"))
    assert len(ledger.entries([client], VERSIONS)) == 1
    assert ledger.entries([replace(client, version="1.2.4")], VERSIONS) == []
    assert ledger.entries([client], VERSIONS | {"ottla": "Ottla 0.2"}) == []


def test_frames_are_cut_wherever_the_bytes_are_cut() -> None:
    stream = struct.pack(">i", 3) + b"abc" + struct.pack(">i", 0) + struct.pack(">i", 1) + b"d"
    frames = Frames()
    cut = [frame for byte in stream for frame in frames.feed(bytes([byte]))]
    assert cut == list(Frames().feed(stream)) == [stream[:7], stream[7:11], stream[11:]]


def test_the_longest_short_exchange_becomes_the_golden_one(tmp_path: Path) -> None:
    golden = Golden()
    for size in (10, 200, 100, 5000):
        golden.keep(Exchange(api_key=3, version=12, request=b"\x01" * size, response=b"\x02"))
    assert golden.write(tmp_path, "some-client 1", "Apache Kafka 4.3.1") == 2
    head, *lines = (tmp_path / "metadata-v12-request-1.hex").read_text().splitlines()
    assert head == "# client: some-client 1; broker: Apache Kafka 4.3.1; api: metadata (3); version: 12; request"
    assert bytes.fromhex("".join(lines)) == b"\x01" * 200


def test_codecs_are_read_from_the_segments_of_one_topic(tmp_path: Path) -> None:
    for folder, attributes in (("events-0", (0, 4)), ("events-1", (2 | 0b1000,)), ("other-0", (1,))):
        batches = [struct.pack(">qiiBIh", 0, 20, 0, 2, 0, codec).ljust(32, b"\0") for codec in attributes]
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "00000000000000000000.log").write_bytes(b"".join(batches))
    assert stored_codecs(tmp_path, "events") == {"none", "snappy", "zstd"}
