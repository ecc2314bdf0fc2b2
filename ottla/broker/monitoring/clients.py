"""The connected clients: their libraries, the time when they connected, and the APIs that they have used.

Learnt from the first request of each API and version on a connection, so that other requests cost nothing.
"""

import logging
from collections.abc import Iterable
from typing import Any

from ottla.broker.apis import BY_KEY
from ottla.broker.monitoring.client import Client
from ottla.wire.codes import ApiKey
from ottla.wire.messages.core import ApiVersionsRequest

log = logging.getLogger(__name__)

MAXIMUM_REMEMBERED = 1000
"""Maximum number of libraries; those that come later are not logged."""
LOGGED_CHARACTERS = 100


class Clients:
    """The libraries of clients that one broker has seen; each is logged once."""

    def __init__(self) -> None:
        self._met: set[tuple[str, str]] = set()

    def meet_unnamed(self, client: Client, api_key: int, version: int) -> None:
        """Log the first request under a client id, of a library that did not name itself (as before KIP-511)."""
        if api_key == ApiKey.API_VERSIONS and ApiVersionsRequest.names_software(version):
            return  # it is about to name its library
        if not client.software_name:
            client_id = (client.id or "")[:LOGGED_CHARACTERS]
            if self._is_new("", client_id.rstrip("0123456789")):  # many programs number their clients
                api = BY_KEY[api_key].name
                log.info(
                    "First request from client %r, whose library does not name itself (%s v%d)", client_id, api, version
                )

    def meet(self, client: Client) -> None:
        """Log a library that an ApiVersions request names for the first time."""
        name, version = client.software_name, client.software_version
        if self._is_new(name, version):
            client_id = (client.id or "")[:LOGGED_CHARACTERS]
            log.info(
                "First request from %s %s (client %r)", name[:LOGGED_CHARACTERS], version[:LOGGED_CHARACTERS], client_id
            )

    def _is_new(self, name: str, version: str) -> bool:
        if (name, version) in self._met or len(self._met) >= MAXIMUM_REMEMBERED:
            return False
        self._met.add((name, version))
        return True


def describe(clients: Iterable[Client]) -> list[dict[str, Any]]:
    """Describe connections, the oldest first, as `ottla clients` gets them."""
    return [
        {
            "host": client.host,
            "port": client.port,
            "client_id": client.id,
            "software_name": client.software_name,
            "software_version": client.software_version,
            "connected_ms": client.connected_ms,
            "apis": {
                BY_KEY[api_key].name: sorted(used & 0xFFFF for used in client.apis_in_use if used >> 16 == api_key)
                for api_key in sorted({used >> 16 for used in client.apis_in_use})
            },
        }
        for client in sorted(clients, key=lambda client: client.connected_ms)
    ]
