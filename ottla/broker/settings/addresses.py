"""Addresses and listeners: those that nodes listen on, those that clients are told, and the settings that name them."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.settings.types import InvalidSettingError

DEFAULT_PORT = 9092
_WILDCARDS = {"", "0.0.0.0", "::"}  # noqa: S104
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True)
class Address:
    """A host and a port. The host is a name, an IPv4 or an IPv6 address (without brackets)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str, *, default_port: int | None = None) -> Address:
        """Read `HOST:PORT` or `[IPV6]:PORT`; raises ValueError with a sentence."""
        host, colon, port = text.rpartition(":")
        if default_port is not None and (not colon or port.endswith("]")):
            host, colon, port = text, ":", str(default_port)
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text!r} needs brackets around the IPv6 address: [{host}]:{port}")
        if not (colon and port.isascii() and port.isdigit() and int(port) <= 0xFFFF):
            raise ValueError(f"{text!r} is not HOST:PORT with a port from 0 to 65535")
        return cls(host, int(port))


@dataclass(frozen=True)
class Listener:
    """An address to listen on. Port 0 asks for a free one, and all listeners of a node that ask for it share one.

    An optional listener is left out silently if the machine does not have its address (::1, mostly). The second
    node has the first of ``more_ports``, the third the next; without them, the port after that of the node before.
    """

    address: Address
    optional: bool = False
    more_ports: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Listener:
        """Read `HOST:PORT`, or `HOST:PORT,PORT...` with a port for each node; raises ValueError with a sentence."""
        first, *more = text.split(",")
        address = Address.parse(first)
        return cls(
            address, more_ports=tuple(Address.parse(f"{address}".rpartition(":")[0] + f":{port}").port for port in more)
        )

    def of_node(self, number: int) -> Listener:
        """Return the listener of a node by its number, counted from 0."""
        port = self.address.port
        if number and self.more_ports:
            port = self.more_ports[number - 1]
        elif port:
            port += number
        return Listener(Address(self.address.host, port), self.optional)


DEFAULT_LISTENERS = (
    Listener(Address("127.0.0.1", DEFAULT_PORT)),
    Listener(Address("::1", DEFAULT_PORT), optional=True),
)


def listeners(config: BrokerConfig) -> tuple[Listener, ...]:
    """Return the listeners in the settings; without the setting, Ottla's own default."""
    if "listeners" not in config.given:
        return DEFAULT_LISTENERS
    found = tuple(Listener(address) for address in _client_addresses(config, "listeners"))
    if not found:
        raise InvalidSettingError("listeners", "listeners names no listener for clients, only the controller's")
    return found


def advertised_listener(config: BrokerConfig) -> Address | None:
    """Return the advertised address in the settings, or None. Apache, too, refuses to advertise 0.0.0.0."""
    found = _client_addresses(config, "advertised.listeners")
    if found and found[0].host in {"", "0.0.0.0"}:  # noqa: S104
        raise InvalidSettingError(
            "advertised.listeners", "advertised.listeners must name a host that clients can reach, not 0.0.0.0"
        )
    return found[0] if found else None


def _client_addresses(config: BrokerConfig, name: str) -> list[Address]:
    protocols = dict(pair.strip().split(":", 1) for pair in config.text("listener.security.protocol.map").split(","))
    addresses: list[Address] = []
    for listener in config.names(name):
        listener_name, separator, address = listener.partition("://")
        if not separator:
            raise InvalidSettingError(name, f"{name} must be a list of NAME://HOST:PORT, not {listener!r}")
        if listener_name in config.names("controller.listener.names"):
            continue
        protocol = protocols.get(listener_name.upper())
        if protocol is None:
            raise InvalidSettingError(
                name, f"{name} uses {listener_name}, which listener.security.protocol.map does not name"
            )
        if protocol.strip().upper() != "PLAINTEXT":
            raise InvalidSettingError(name, f"{name} asks for {protocol}; this Ottla listens in PLAINTEXT only")
        try:
            addresses.append(Address.parse(address))
        except ValueError as error:
            raise InvalidSettingError(name, f"{name}: {error}") from None
    return addresses


def advertised(listening: Sequence[Address], chosen: Address | None) -> Address:
    """Return the address in Metadata. `listening` holds the real ports; a chosen port of 0 means the first of them."""
    first = listening[0]
    if chosen is not None:
        return Address(chosen.host, chosen.port or first.port)
    if any(address.host in _WILDCARDS for address in listening):
        return Address(_host_name(), first.port)
    if len(listening) > 1 and all(address.host in _LOOPBACK for address in listening):
        return Address("localhost", first.port)
    return first


def _host_name() -> str:
    """Return the machine's name if it resolves, else localhost (a laptop's name often does not)."""
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return "localhost"
    return name
