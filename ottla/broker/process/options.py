"""The options of `ottla serve`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ottla.broker.settings.addresses import Address, Listener
from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.versions.releases import Release
from ottla.ready import Ready


@dataclass(frozen=True)
class ServeOptions:
    """All that the server needs to know. `on_ready` is called once, when the first client would be answered.

    `advertise` is what the person chose for clients to connect to (port 0: the port that is listened on; else the
    second node has the next port); None leaves it to ottla.broker.settings.addresses. `config` is the first node's,
    `more_nodes` are those of the others.
    """

    listeners: tuple[Listener, ...]
    advertise: Address | None
    data_dir: Path
    ephemeral: bool
    config: BrokerConfig
    on_ready: Callable[[Ready], None]
    more_nodes: tuple[BrokerConfig, ...] = ()
    release: Release | None = None
    """The release of Apache's that clients are to find; None: all that is served."""
