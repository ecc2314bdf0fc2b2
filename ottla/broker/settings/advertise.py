"""Chooses the address that clients are told to connect to. Never 0.0.0.0, which to a client means itself."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from ottla.broker.process.options import Address

_WILDCARDS = {"", "0.0.0.0", "::"}  # noqa: S104
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def advertised(listening: Sequence[Address], chosen: Address | None) -> Address:
    """Return what Metadata says. `listening` holds the real ports; a chosen port of 0 means the first of them."""
    first = listening[0]
    if chosen is not None:
        return Address(chosen.host, chosen.port or first.port)
    if any(address.host in _WILDCARDS for address in listening):
        return Address(_host_name(), first.port)
    if len(listening) > 1 and all(address.host in _LOOPBACK for address in listening):
        return Address("localhost", first.port)
    return first


def _host_name() -> str:
    """Return the machine's name where it leads anywhere, else localhost (a laptop's name often resolves nowhere)."""
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return "localhost"
    return name
