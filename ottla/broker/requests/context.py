"""The context of a request: the node it came to, the client and connection it came from, and its version."""

from typing import Any

from ottla.broker.cluster.cluster import Cluster
from ottla.broker.cluster.nodes import Node
from ottla.broker.monitoring.client import Client
from ottla.broker.quotas.throttling import Meter
from ottla.broker.requests.metadata_cache import Answers
from ottla.broker.security.principal import ANONYMOUS


class Context:
    """The context of one connection's requests; the fields of a single request are set before each handler's call.

    ``listener`` is the index of the listener that the client came through: its advertised address is what
    Metadata names.
    """

    __slots__ = (
        "__weakref__",
        "answers",
        "api_version",
        "client",
        "client_name",
        "cluster",
        "listener",
        "meter",
        "node",
        "node_id",
        "principal",
        "routes",
    )

    def __init__(self, *, cluster: Cluster, node: Node, client: Client, answers: Answers, listener: int = 0) -> None:
        self.cluster = cluster
        self.node = node
        self.node_id = node.id
        self.client = client
        self.answers = answers
        self.listener = listener
        self.client_name: bytes | bytearray | None = None
        """The client id as it came with the latest request, so that it is decoded only when it changes."""
        self.principal = ANONYMOUS
        self.api_version = 0
        self.meter: Meter | None = None
        """The meter of this connection while quotas are set (``quotas.throttling``)."""
        self.routes: dict[int, Any] = {}
        """The routes of the APIs and versions that were used. Each connection has its own, so that the first
        request of a version is recognised without a check in the others."""

    def changes_partitions(self, count: int, *, client_is_told: bool) -> None:
        """Hold the client to its quota of partitions made and deleted: see ``Meter.changes_partitions``."""
        if self.meter is not None:
            self.meter.changes_partitions(count, client_is_told=client_is_told)

    def may_make_partitions(self, count: int) -> bool:
        """Return whether the client's quota allows a topic of ``count`` partitions to be created on demand."""
        return self.meter is None or self.meter.may_make_partitions(count)

    def measure(self, meter: Meter | None) -> None:
        """Measure requests with a meter from the next one on; None stops that."""
        self.meter = meter
        self.routes = {}


class Contexts:
    """Makes the context of each connection to one cluster. All of them share the kept answers."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._answers = Answers(cluster.catalog, cluster.nodes, cluster.topics)

    def make(self, node: Node, host: str = "", *, listener: int = 0) -> Context:
        """Return the context of a client that has just connected to a node, measured if quotas are set."""
        cluster = self._cluster
        client = Client(host, connected_ms=cluster.clock.wall_ms())
        context = Context(cluster=cluster, node=node, client=client, answers=self._answers, listener=listener)
        cluster.throttling.watch(context)
        return context
