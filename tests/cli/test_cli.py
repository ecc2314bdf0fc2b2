"""The command: its help, its errors, and what it makes of a person's words."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ottla.broker.apis import APIS
from ottla.cli import main

ROOT = Path(__file__).resolve().parents[2]


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def properties(tmp_path):
    def write(text: str):
        file = tmp_path / "server.properties"
        file.write_text(text)
        return file

    return write


def test_help_says_what_to_type():
    result = run("--help")
    assert result.exit_code == 0
    assert "ottla serve --ephemeral" in result.output


def test_every_option_of_serve_is_explained():
    options = re.findall(r"^  (?:-\w, )?(--[\w-]+)(.*)", run("serve", "--help").output, re.MULTILINE)
    assert {name for name, _ in options} >= {
        "--listen",
        "--advertise",
        "--data-dir",
        "--ephemeral",
        "--config",
        "--properties",
        "--port-file",
        "--as-kafka",
        "--log-level",
    }


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--listen", "9092"], "'9092' is not HOST:PORT with a port from 0 to 65535"),
        (["--listen", "localhost:90921"], "'localhost:90921' is not HOST:PORT with a port from 0 to 65535"),
        (["--listen", "::1:9092"], "'::1:9092' needs brackets around the IPv6 address: [::1]:9092"),
        (["--config", "num.partitions"], "--config num.partitions: write it as KEY=VALUE"),
        (["--config", "num.partition=3"], "did you mean num.partitions?"),
        (["--config", "num.partitions=three"], "num.partitions must be a whole number, not 'three'"),
        (["--ephemeral", "--data-dir", "data"], "--ephemeral keeps nothing, so it cannot go with --data-dir"),
        (["--properties", "no-such-file"], "'no-such-file' does not exist"),
        (["--as-kafka", "5.0"], "Kafka 5.0 is not a known release; known are 0.9, 0.10.0,"),
        (["--config", "log.dirs=a,b"], "log.dirs names 2 folders; Ottla keeps its data in one"),
        (["--config", "listeners=SSL://:9093"], "listeners asks for SSL; this Ottla listens in PLAINTEXT only"),
        (["--config", "listeners=:9092"], "listeners must be a list of NAME://HOST:PORT, not ':9092'"),
        (
            ["--config", "advertised.listeners=PLAINTEXT://0.0.0.0:9092"],
            "advertised.listeners must name a host that clients can reach, not 0.0.0.0",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(words, sentence):
    result = run("serve", *words)
    assert result.exit_code != 0
    assert sentence in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_wrong_setting_in_a_properties_file_is_named(properties):
    result = run("serve", "--properties", properties("num.partitions=\\\n  many\n"))
    assert result.exit_code == 1
    assert "num.partitions must be a whole number, not 'many'" in result.output


def test_a_setting_of_the_command_line_comes_before_the_files(properties):
    file = properties("num.partitions=1\n")
    result = run("serve", "--properties", file, "--config", "num.partitions=0")
    assert "num.partitions must be at least 1, not '0'" in result.output


def test_settings_without_effect_are_said_in_one_line(properties):
    file = properties("num.io.threads=8\nnum.network.threads=3\nbroker.id=x\nnode.id=y\n")
    assert "broker.id and node.id" in run("serve", "--properties", file).output
    file = properties("num.io.threads=8\nnum.network.threads=3\nlog.dirs=a,b\n")
    assert "without effect here: num.io.threads, num.network.threads\n" in run("serve", "--properties", file).output


def test_apis_lists_every_api_with_its_versions():
    lines = run("apis").output.splitlines()
    assert len(lines) == len(APIS) + 1
    keys = [int(line.split()[0]) for line in lines[1:]]
    assert keys == sorted(keys)
    assert next(line for line in lines if " Fetch " in line).split() == ["1", "Fetch", "0-18", "4-18", "fetch"]


@pytest.mark.parametrize("name", ["ListOffsets", "list_offsets", "LISTOFFSETS", "2"])
def test_apis_says_where_an_api_lives(name):
    assert "ottla/broker/handlers/fetch.py" in run("apis", name).output


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
def test_what_apis_names_is_there(api):
    named = re.findall(r"ottla/\S+", run("apis", api.name).output)
    assert len(named) == 2
    assert [file for file in named if not (ROOT / file).is_file()] == []


def test_apis_knows_what_was_meant():
    result = run("apis", "ListOfsets")
    assert result.exit_code == 1
    assert "ListOfsets is not served; did you mean ListOffsets?" in result.output
