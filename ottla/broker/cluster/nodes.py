"""The brokers of one cluster as clients see them: ids, racks, addresses, fetch sessions, groups, running or not."""

import random
from collections.abc import Iterable
from typing import cast

from ottla.broker.coordinators.groups.coordinator import GroupCoordinator
from ottla.broker.fetching.delayed_fetch import FetchSource
from ottla.broker.fetching.sessions import FetchSessions
from ottla.broker.settings.addresses import Address
from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.topics.partition import Partition


class Node:
    """One broker. ``endpoints[i]`` is the address for clients that came through listener ``i``."""

    __slots__ = (
        "config",
        "endpoints",
        "fetch_sessions",
        "fetch_source",
        "groups",
        "id",
        "is_registered",
        "rack",
        "runs",
    )

    fetch_source: FetchSource
    """The partitions that it serves to fetches; given to it when the cluster is built."""
    groups: GroupCoordinator
    """The coordinator of the groups whose offsets it leads; given to it before the broker serves."""

    def __init__(self, config: BrokerConfig, random_source: random.Random) -> None:
        self.config = config
        self.id = config.integer("node.id")
        self.rack = cast("str | None", config["broker.rack"])
        self.runs = True
        """False while it is stopped: other nodes lead, and clients cannot connect to it."""
        self.is_registered = True
        """False once the controller was told to forget it, until it starts again."""
        self.endpoints: list[Address] = []
        self.fetch_sessions = FetchSessions(
            slots=config.integer("max.incremental.fetch.session.cache.slots"), random_source=random_source
        )


class Nodes:
    """All brokers of one cluster, in the order in which they were given. The first is the controller, too."""

    def __init__(self, configs: Iterable[BrokerConfig], random_source: random.Random) -> None:
        nodes = [Node(config, random_source) for config in configs]
        self.by_id = {node.id: node for node in nodes}
        self.first = nodes[0]
        self.controller_id = self.first.id
        self.is_alone = len(nodes) == 1
        """Whether there is one node only, which leads and coordinates everything."""
        self.version = 0
        """A number that rises when a node stops, starts or is forgotten, which the catalog need not know."""
        self._random = random_source

    @property
    def registered(self) -> list[Node]:
        """The nodes that the controller knows."""
        return [node for node in self.by_id.values() if node.is_registered]

    @property
    def running(self) -> list[Node]:
        """The nodes that run."""
        return [node for node in self.by_id.values() if node.runs]

    @property
    def any_running(self) -> Node:
        """One of the nodes that run: clients may send it requests that only the controller answers (KIP-590)."""
        return self.first if self.is_alone else self._random.choice(self.running)

    def offline_replicas(self, partition: Partition) -> list[int]:
        """The replicas of a partition that cannot be served: their nodes are stopped, or its log is offline."""
        if partition.is_offline:
            return list(partition.replicas)
        return [each for each in partition.replicas if each not in self.by_id or not self.by_id[each].runs]
