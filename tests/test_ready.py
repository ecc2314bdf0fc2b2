"""A broker that is ready says so: a banner for a person, a JSON file for a program."""

import json
import os
from pathlib import Path

from ottla.ready import READY_LINE, Ready, ReadyNode, banner, write_port_file

ONE = ReadyNode(1, "localhost", 9092, "localhost:9092", ("127.0.0.1:9092", "[::1]:9092"), None)
TWO = ReadyNode(2, "localhost", 9093, "localhost:9093", ("127.0.0.1:9093",), "b")


def ready(*nodes: ReadyNode) -> Ready:
    return Ready(nodes=nodes, data_dir=Path("/data"), cluster_id="abc", acknowledgement="a record is on the disk")


def test_the_banner_begins_with_the_line_that_programs_wait_for():
    lines = banner(ready(ONE)).splitlines()
    assert lines[0] == READY_LINE + "localhost:9092"
    assert lines[1].split() == ["listening", "127.0.0.1:9092,", "[::1]:9092"]


def test_the_banner_says_where_the_data_is_and_what_an_acknowledgement_means():
    text = banner(ready(ONE))
    assert "data        /data\n" in text
    assert "acks mean   a record is on the disk\n" in text
    assert "kcat -b localhost:9092 -L" in text


def test_the_banner_names_each_of_several_nodes_with_its_rack():
    lines = banner(ready(ONE, TWO)).splitlines()
    assert lines[0] == READY_LINE + "localhost:9092,localhost:9093"
    assert [line.split() for line in lines[1:3]] == [
        ["node", "1", "127.0.0.1:9092,", "[::1]:9092"],
        ["node", "2", "127.0.0.1:9093", "rack", "b"],
    ]


def test_the_file_has_the_first_nodes_address_and_those_of_all(tmp_path):
    file = tmp_path / "port.json"
    write_port_file(file, ready(ONE, TWO))
    facts = json.loads(file.read_text())
    nodes = facts.pop("nodes")
    assert facts == {
        "host": "localhost",
        "port": 9092,
        "bootstrap": "localhost:9092,localhost:9093",
        "listening": ["127.0.0.1:9092", "[::1]:9092"],
        "pid": os.getpid(),
        "node_id": 1,
        "cluster_id": "abc",
        "data_dir": "/data",
    }
    assert nodes[1] == {
        "id": 2,
        "host": "localhost",
        "port": 9093,
        "bootstrap": "localhost:9093",
        "listening": ["127.0.0.1:9093"],
        "rack": "b",
    }


def test_the_file_replaces_another_and_leaves_nothing_beside_it(tmp_path):
    file = tmp_path / "port.json"
    file.write_text("that of the broker before")
    write_port_file(file, ready(ONE))
    assert json.loads(file.read_text())["port"] == 9092
    assert [*tmp_path.iterdir()] == [file]
