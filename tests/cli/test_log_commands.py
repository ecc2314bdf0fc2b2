"""`ottla log check` and `ottla log repair`: what they say, and their exit status."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ottla.cli import main
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.data_directory import DataDirectory
from tests.stage.logs import TOPIC_ID, append_records


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["log", *map(str, words)])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = DataDirectory(tmp_path)
    for partition in range(2):
        append_records(directory.open_log("orders", partition, topic_id=TOPIC_ID, config=LogConfig()), 3)
    directory.close()
    return tmp_path


@pytest.fixture
def hurt(root):
    """The second of three batches of orders-1 is bad."""
    path = root / "orders-1" / "00000000000000000000.log"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return root


def test_good_logs_end_with_status_0(root):
    result = run("check", root)
    assert result.exit_code == 0
    assert result.output.startswith("2 logs with 6 batches in ")
    assert result.output.endswith("; none in need of repair\n")


def test_damage_is_named_and_ends_with_status_1(hurt):
    result = run("check", hurt)
    assert result.exit_code == 1
    assert "orders-1/00000000000000000000.log, bytes " in result.output
    assert "the CRC is not the one in the header; DAMAGED, offsets 1 to 1" in result.output
    assert run("check", hurt, "orders-0").exit_code == 0


def test_repair_says_what_it_did(hurt):
    result = run("repair", hurt, "orders-1", "orders-0")
    assert result.exit_code == 0
    assert "orders-1: the damaged segment is kept as 00000000000000000000.log.damaged" in result.output
    assert "orders-0: needs no repair" in result.output
    assert run("check", hurt).exit_code == 0


def test_a_running_broker_is_left_alone(root):
    directory = DataDirectory(root)
    result = run("check", root)
    directory.close()
    assert result.exit_code == 1
    assert "is in use by another broker" in result.output


@pytest.mark.parametrize("name", ["orders", "../x-0", "-0"])
def test_what_is_no_logs_name_is_refused(root, name):
    result = run("repair", root, "--", name)
    assert result.exit_code == 1
    assert "is not a log's name" in result.output


def test_another_folder_is_refused(tmp_path):
    result = run("check", tmp_path)
    assert result.exit_code == 1
    assert "is not a broker's data folder" in result.output
