"""Who is connected: which library in which version, since when, and which versions of which APIs it has used.

Learnt where a request is the first of its kind on a connection, so that the others cost nothing.
"""

import logging
from collections.abc import Iterable
from typing import Any

from ottla.broker.apis import BY_KEY
from ottla.broker.requests.context import Context
from ottla.wire.codes import ApiKey
from ottla.wire.messages.core import ApiVersionsRequest

log = logging.getLogger(__name__)

MOST_REMEMBERED = 1000
LOGGED_CHARACTERS = 100


class Clients:
    """What one broker has seen of its clients' libraries; each is worth a line in the log once."""

    def __init__(self) -> None:
        self._met: set[tuple[str, str]] = set()

    def meet_unnamed(self, context: Context, api_key: int, version: int) -> None:
        """The first request under a client id, of a library that did not name itself (as before KIP-511)."""
        if api_key == ApiKey.API_VERSIONS and ApiVersionsRequest.names_software(version):
            return  # it is about to say
        if not context.client_software_name:
            client_id = (context.client_id or "")[:LOGGED_CHARACTERS]
            if self._is_new("", client_id.rstrip("0123456789")):  # many count their clients
                api = BY_KEY[api_key].name
                log.info("new: client %r, of a library that does not name itself (%s v%d)", client_id, api, version)

    def meet(self, context: Context) -> None:
        """A connection's ApiVersions that names its library."""
        name, version = context.client_software_name, context.client_software_version
        if self._is_new(name, version):
            client_id = (context.client_id or "")[:LOGGED_CHARACTERS]
            log.info("new: %s %s (client %r)", name[:LOGGED_CHARACTERS], version[:LOGGED_CHARACTERS], client_id)

    def _is_new(self, name: str, version: str) -> bool:
        if (name, version) in self._met or len(self._met) >= MOST_REMEMBERED:
            return False
        self._met.add((name, version))
        return True


def describe(contexts: Iterable[Context]) -> list[dict[str, Any]]:
    """Describe connections, the oldest first, as `ottla clients` gets them."""
    return [
        {
            "host": context.client_host,
            "port": context.client_port,
            "client_id": context.client_id,
            "software_name": context.client_software_name,
            "software_version": context.client_software_version,
            "connected_ms": context.connected_ms,
            "apis": {
                BY_KEY[api_key].name: sorted(used & 0xFFFF for used in context.apis_in_use if used >> 16 == api_key)
                for api_key in sorted({used >> 16 for used in context.apis_in_use})
            },
        }
        for context in sorted(contexts, key=lambda context: context.connected_ms)
    ]
