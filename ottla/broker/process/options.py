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
    """The options of one server. `on_ready` is called once, when the broker can answer clients.

    `advertise` is the address that clients are told to connect to, as the person chose it (port 0: the port that is
    listened on; else the second node has the next port); None leaves the choice to ottla.broker.settings.addresses.
    `config` has the settings of the first node, `more_nodes` those of the others.
    """

    listeners: tuple[Listener, ...]
    advertise: Address | None
    data_dir: Path
    ephemeral: bool
    config: BrokerConfig
    on_ready: Callable[[Ready], None]
    more_nodes: tuple[BrokerConfig, ...] = ()
    release: Release | None = None
    """The release of Apache Kafka whose APIs are served; None for all APIs that Ottla has."""
