"""A broker of the cluster as clients see it: an id, a rack, addresses, its fetch sessions, and its groups."""

import random
from typing import TYPE_CHECKING, cast

from ottla.broker.fetching.sessions import FetchSessions
from ottla.broker.process.options import Address
from ottla.broker.settings.broker_config import BrokerConfig

if TYPE_CHECKING:
    from ottla.broker.coordinators.groups.coordinator import GroupCoordinator


class Node:
    """One broker. ``endpoints[i]`` is what those are told to connect to who came through listener ``i``."""

    __slots__ = ("config", "endpoints", "fetch_sessions", "groups", "id", "is_registered", "rack", "runs")

    groups: "GroupCoordinator"

    def __init__(self, config: BrokerConfig, random_source: random.Random) -> None:
        self.config = config
        self.id = config.integer("node.id")
        self.rack = cast("str | None", config["broker.rack"])
        self.runs = True
        """False while it is stopped: others lead, and nobody can connect to it."""
        self.is_registered = True
        """False when the controller was told to forget it, until it starts again."""
        self.endpoints: list[Address] = []
        self.fetch_sessions = FetchSessions(
            slots=config.integer("max.incremental.fetch.session.cache.slots"), random_source=random_source
        )
