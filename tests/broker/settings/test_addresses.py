"""Addresses are read and written, Kafka's settings say where to listen, and clients are told one that they can use."""

import re
import socket

import pytest

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
