"""Addresses: how they are read, which one clients are told, and where Kafka's own settings say to listen."""

import re
import resource
import socket
import subprocess
import sys

import pytest

from ottla.broker.process.open_files import raise_open_file_limit
from ottla.broker.settings.acknowledgement import acknowledgement
from ottla.broker.settings.addresses import DEFAULT_LISTENERS, Address, advertised, advertised_listener, listeners
from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.settings.types import InvalidSettingError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:9092", Address("localhost", 9092)),
        ("[::1]:0", Address("::1", 0)),
        (":9092", Address("", 9092)),
    ],
)
def test_an_address_is_read_and_written(text, address):
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(("text", "host"), [("kafka", "kafka"), ("[::1]", "::1")])
def test_a_port_may_be_left_out_where_there_is_a_default(text, host):
    assert Address.parse(text, default_port=7) == Address(host, 7)


@pytest.mark.parametrize("text", ["", "localhost", "localhost:", "localhost:x", "localhost:65536", "::1:9092", "a:b:1"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match=r"HOST:PORT|brackets"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("listening", "chosen", "expected"),
    [
        (["127.0.0.1:9092", "[::1]:9092"], None, "localhost:9092"),
        (["127.0.0.1:9092"], None, "127.0.0.1:9092"),
        (["10.0.0.7:9092"], None, "10.0.0.7:9092"),
        (["127.0.0.1:41000"], "kafka:0", "kafka:41000"),
        (["0.0.0.0:9092"], "kafka:19092", "kafka:19092"),
    ],
)
def test_clients_are_told_an_address_that_they_can_use(listening, chosen, expected):
    addresses = [Address.parse(text) for text in listening]
    assert str(advertised(addresses, Address.parse(chosen) if chosen else None)) == expected


@pytest.mark.parametrize("wildcard", ["0.0.0.0:9092", "[::]:9092", ":9092"])
def test_a_wildcard_is_never_advertised(wildcard):
    host = advertised([Address.parse(wildcard)], None).host
    assert host in {socket.gethostname(), "localhost"}
    assert socket.getaddrinfo(host, 9092)


def test_without_settings_ottla_listens_on_this_machine_only():
    assert listeners(BrokerConfig()) == DEFAULT_LISTENERS
    assert advertised_listener(BrokerConfig()) is None


def test_a_stock_server_properties_says_where_to_listen():
    config = BrokerConfig(
        {
            "process.roles": "broker,controller",
            "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "advertised.listeners": "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL",
        }
    )
    assert [listener.address for listener in listeners(config)] == [Address("", 9092)]
    assert advertised_listener(config) == Address("localhost", 9092)


def test_the_limit_of_open_files_is_raised_to_what_the_system_allows():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
        assert raise_open_file_limit() > 128
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 128
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"listeners": "CONTROLLER://:9093"}, "listeners names no listener for clients"),
        ({"listeners": "INTERNAL://:9092"}, "listeners uses INTERNAL, which listener.security.protocol.map does not"),
        ({"listeners": "PLAINTEXT://::1:9092"}, "needs brackets around the IPv6 address"),
    ],
)
def test_a_listener_that_cannot_be_served_is_named(given, sentence):
    with pytest.raises(InvalidSettingError, match=re.escape(sentence)):
        listeners(BrokerConfig(given))


def test_too_few_open_files_are_said_before_anything_fails():
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))"
    code = f"{limit}; from ottla.cli import main; main(['serve', '--listen', '127.0.0.1:0', '--ephemeral'])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: only 32 files may be open at once, and a broker needs at least 64")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "a record survives kill -9, but not a power cut; with -c log.flush.interval.messages=1 it does"),
        ({"messages": "1"}, "a record is on the disk, and survives kill -9 and a power cut"),
        (
            {"messages": "1000"},
            "a record survives kill -9; a power cut may take the last 999 records of a partition",
        ),
        ({"ms": "50"}, "a record survives kill -9; a power cut may take the last 50 ms"),
        (
            {"messages": "3", "ms": "50"},
            "a record survives kill -9; a power cut may take the last 2 records of a partition or the last 50 ms",
        ),
    ],
)
def test_what_an_acknowledgement_means_is_said(settings, sentence):
    config = BrokerConfig({f"log.flush.interval.{name}": value for name, value in settings.items()})
    assert acknowledgement(config, ephemeral=False) == sentence
    assert acknowledgement(config, ephemeral=True) == "a record is there until the broker ends"
