"""A broker of the cluster as clients see it: an id, a rack, an address for each listener, and its fetch sessions."""

import random
from typing import cast

from ottla.broker.config import BrokerConfig
from ottla.broker.fetch_sessions import FetchSessions
from ottla.broker.options import Address


class Node:
    """One broker. ``endpoints[i]`` is what those are told to connect to who came through listener ``i``."""

    __slots__ = ("endpoints", "fetch_sessions", "id", "rack")

    def __init__(self, config: BrokerConfig, random_source: random.Random) -> None:
        self.id = config.integer("node.id")
        self.rack = cast("str | None", config["broker.rack"])
        self.endpoints: list[Address] = []
        self.fetch_sessions = FetchSessions(
            slots=config.integer("max.incremental.fetch.session.cache.slots"), random_source=random_source
        )
