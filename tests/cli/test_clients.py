"""`ottla clients` asks a running broker who is connected."""

import json

from click.testing import CliRunner
from kafka import KafkaProducer

from ottla.cli import main
from ottla.testing import Ottla


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["clients", *map(str, words)])
    return result.exit_code, result.output


def test_clients_are_listed_with_library_version_and_apis():
    with Ottla() as broker:
        assert run("--data-dir", broker.data_dir) == (0, "nobody is connected\n")
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


def test_without_a_broker_it_says_so(tmp_path):
    code, output = run("--data-dir", tmp_path)
    assert code == 1
    assert output == f"Error: no broker runs in the data folder {tmp_path}\n"
