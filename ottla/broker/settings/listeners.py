"""Reads Kafka's `listeners` and `advertised.listeners`: plaintext ones for clients; the controller's are skipped."""

from __future__ import annotations

from ottla.broker.process.options import DEFAULT_LISTENERS, Address, Listener
from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.settings.types import InvalidSettingError


def listeners(config: BrokerConfig) -> tuple[Listener, ...]:
    """Return where the settings say to listen; without the setting, Ottla's own default."""
    if "listeners" not in config.given:
        return DEFAULT_LISTENERS
    found = tuple(Listener(address) for address in _client_addresses(config, "listeners"))
    if not found:
        raise InvalidSettingError("listeners", "listeners names no listener for clients, only the controller's")
    return found


def advertised_listener(config: BrokerConfig) -> Address | None:
    """Return what the settings say to advertise, if they do. Apache, too, refuses to advertise 0.0.0.0."""
    found = _client_addresses(config, "advertised.listeners")
    if found and found[0].host in {"", "0.0.0.0"}:  # noqa: S104
        raise InvalidSettingError(
            "advertised.listeners", "advertised.listeners must name a host that clients can reach, not 0.0.0.0"
        )
    return found[0] if found else None


def _client_addresses(config: BrokerConfig, name: str) -> list[Address]:
    protocols = dict(pair.strip().split(":", 1) for pair in config.text("listener.security.protocol.map").split(","))
    addresses = []
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
