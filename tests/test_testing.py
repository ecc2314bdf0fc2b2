"""`Ottla`, its fixture, and `ottla serve` as a process: real brokers, started, stopped and killed."""

import contextlib
import json
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from ottla.testing import BrokerFailedError, Ottla

API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 7, -1)


def answers(bootstrap: str) -> bool:
    """Tell whether a broker answers ApiVersions there, with the same correlation id."""
    host, port = bootstrap.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(API_VERSIONS)
        header = connection.recv(10, socket.MSG_WAITALL)
    return struct.unpack(">ih", header[4:]) == (7, 0)


@contextlib.contextmanager
def serving(*words: object, **options):
    """Run `ottla serve`, and give the process once it has said that it is ready, with that line."""
    command = [sys.executable, "-m", "ottla", "serve", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options) as process:
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


def test_the_fixture_is_a_broker_that_answers(ottla):
    assert answers(ottla.bootstrap)


def test_the_test_process_imports_nothing_heavy():
    code = (
        "import sys, ottla.pytest_plugin, ottla.testing\n"
        "rooms = {f'ottla.{room}' for room in ('broker', 'scheduling', 'storage', 'wire')}\n"
        "heavy = {'trio', 'click', *rooms} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_are_keywords_with_underscores():
    with pytest.raises(BrokerFailedError, match=r"num\.partitions must be a whole number, not 'many'"):
        Ottla(num_partitions="many").start()
    with pytest.raises(BrokerFailedError, match=r"auto\.create\.topics\.enabled is not a setting.*did you mean"):
        Ottla(config={"auto.create.topics.enabled": True}).start()


@pytest.mark.slow
def test_a_restart_keeps_the_address_and_the_data():
    with Ottla() as broker:
        bootstrap, pid, kept = broker.bootstrap, broker.pid, set(broker.data_dir.iterdir())
        broker.restart()
        assert broker.bootstrap == bootstrap
        assert broker.pid != pid
        assert answers(bootstrap)
        assert kept <= set(broker.data_dir.iterdir())


@pytest.mark.slow
def test_a_killed_broker_starts_again():
    with Ottla() as broker:
        broker.kill()
        with pytest.raises(ConnectionRefusedError):
            answers(broker.bootstrap)
        broker.start()
        assert answers(broker.bootstrap)


def test_nothing_is_left_of_a_broker_that_was_closed():
    with Ottla() as broker:
        folder = broker.data_dir.parent
        assert folder.exists()
    assert not folder.exists()


def test_data_stays_in_a_folder_that_was_given(tmp_path):
    with Ottla(data_dir=tmp_path / "data") as broker:
        assert broker.data_dir == tmp_path / "data"
    assert (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_second_broker_cannot_have_the_same_data_folder(tmp_path):
    with Ottla(data_dir=tmp_path):
        with pytest.raises(BrokerFailedError) as failed:
            Ottla(data_dir=tmp_path).start()
        assert f"The data directory {tmp_path} is in use by another broker" in str(failed.value)
        assert "Traceback" not in str(failed.value)


@pytest.mark.slow
def test_a_second_broker_cannot_have_the_same_port():
    with Ottla() as broker:
        with pytest.raises(BrokerFailedError) as failed:
            Ottla(port=broker.port).start()
        assert f"port {broker.port} of 127.0.0.1 is in use" in str(failed.value)
        assert "Traceback" not in str(failed.value)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_broker_well(number, tmp_path):
    with serving("--listen", "127.0.0.1:0", "--data-dir", tmp_path) as (process, line):
        assert line.startswith("Ottla is ready on 127.0.0.1:")
        process.send_signal(number)
        assert process.wait() == 0
        assert "Traceback" not in process.stdout.read()


def test_the_banner_says_what_an_acknowledgement_means(tmp_path):
    words = ("--listen", "127.0.0.1:0", "--data-dir", tmp_path, "-c", "log.flush.interval.messages=1")
    with serving(*words) as (process, _):
        meant = next(line for line in process.stdout if "acks mean" in line)
        assert meant.split("acks mean")[1].strip() == "a record is on the disk, and survives kill -9 and a power cut"


def test_a_broker_does_not_outlive_the_program_that_started_it():
    with serving("--listen", "127.0.0.1:0", "--ephemeral", "--until-stdin-closes", stdin=subprocess.PIPE) as (
        process,
        _,
    ):
        process.stdin.close()
        assert process.wait() == 0


def test_the_port_file_says_where_the_broker_is(tmp_path):
    file = tmp_path / "port.json"
    with serving("--listen", "127.0.0.1:0", "--ephemeral", "--port-file", file) as (process, line):
        facts = json.loads(file.read_text())
        assert line.split()[-1] == facts["bootstrap"] == f"{facts['host']}:{facts['port']}"
        assert facts["pid"] == process.pid
        assert facts["node_id"] == 1
        assert answers(facts["bootstrap"])


def test_an_ephemeral_broker_leaves_no_folder(tmp_path):
    file = tmp_path / "port.json"
    with serving("--listen", "127.0.0.1:0", "--ephemeral", "--port-file", file) as (process, _):
        folder = Path(json.loads(file.read_text())["data_dir"])
        assert folder.exists()
        process.terminate()
        assert process.wait() == 0
    assert not folder.exists()


def test_what_is_advertised_can_be_chosen(tmp_path):
    file = tmp_path / "port.json"
    words = ("--listen", "127.0.0.1:0", "--advertise", "kafka.example", "--ephemeral", "--port-file", file)
    with serving(*words) as (_, line):
        port = json.loads(file.read_text())["port"]
        assert line.split()[-1] == f"kafka.example:{port}"
        assert port != 0
