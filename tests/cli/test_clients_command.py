"""`ottla clients` asks a running broker who is connected."""

import json

from click.testing import CliRunner
from kafka import KafkaProducer

from ottla.cli import main
from ottla.testing import Ottla
from ottla.wire.messages.core import MetadataRequest
from ottla.wire.messages.fetch import ListOffsetsRequest
from tests.stage.raw import RawClient


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["clients", *map(str, words)])
    return result.exit_code, result.output


def test_clients_are_listed_with_library_version_and_apis():
    with Ottla() as broker:
        assert run("--data-dir", broker.data_dir) == (0, "no clients are connected\n")
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap, client_id="orders")
        producer.send("topic", b"value").get(10)
        code, output = run("--data-dir", broker.data_dir)
        heading, row = output.splitlines()
        assert code == 0
        assert heading.split() == ["LIBRARY", "CLIENT", "ID", "HOST", "SINCE", "CONNECTIONS", "APIS"]
        assert row.startswith("kafka-python")
        assert "orders" in row
        assert "Produce v" in row
        code, output = run("--data-dir", broker.data_dir, "--json")
        for line in output.splitlines():
            assert json.loads(line)["client_id"] == "orders"
        producer.close()


def test_a_release_says_who_is_too_old_for_it():
    with Ottla() as broker:
        old, plain = RawClient(broker, "old"), RawClient(broker, "plain")
        old.ask(ListOffsetsRequest(replica_id=-1, topics=[]), 0)
        plain.ask(MetadataRequest(topics=[]), 13)

        def verdict(client, release):
            code, output = run("--data-dir", broker.data_dir, "--for", release)
            assert code == 0
            assert f"WITH KAFKA {release}" in output
            return output

        assert "too old: ListOffsets v0, where 1 is the first" in verdict(old, "4.0")
        assert "too new: Metadata v13, where 12 is the last" in verdict(plain, "3.9")
        old.close()
        plain.close()


def test_an_unknown_release_is_refused(tmp_path):
    code, output = run("--data-dir", tmp_path, "--for", "5.0")
    assert code == 1
    assert "Kafka 5.0 is not a known release" in output


def test_a_broker_is_like_an_old_one_for_clients():
    with Ottla(as_kafka="0.10.2") as broker:
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap, client_id="orders")
        producer.send("topic", b"value").get(10)
        code, output = run("--data-dir", broker.data_dir)
        assert code == 0
        assert "Produce v2" in output
        producer.close()


def test_without_a_broker_it_says_so(tmp_path):
    code, output = run("--data-dir", tmp_path)
    assert code == 1
    assert output == f"Error: no broker runs in the data folder {tmp_path}\n"
