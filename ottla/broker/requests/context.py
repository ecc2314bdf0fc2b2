"""What a handler knows besides its request: whose it is, over which connection it came, and in which version."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ottla.broker.cluster.cluster import Cluster
    from ottla.broker.cluster.nodes import Node
    from ottla.broker.quotas.throttling import Meter


class Context:
    """One per connection; the fields that belong to a request are set before each handler's call.

    ``listener`` is the index of the listener that the client came through: its advertised address is what
    Metadata names. ``client_host`` is the peer's address without port.
    """

    __slots__ = (
        "__weakref__",
        "api_version",
        "apis_in_use",
        "client_host",
        "client_id",
        "client_name",
        "client_port",
        "client_software_name",
        "client_software_version",
        "cluster",
        "connected_ms",
        "listener",
        "meter",
        "node",
        "routes",
    )

    def __init__(self, *, cluster: "Cluster", node: "Node", listener: int = 0, client_host: str = "") -> None:
        self.cluster = cluster
        self.node = node
        self.listener = listener
        self.client_host = client_host
        self.client_port = 0
        self.client_id: str | None = None
        self.client_name: bytes | bytearray | None = None
        """The client id as it came, so that it is decoded when it changes."""
        self.connected_ms = cluster.clock.wall_ms()
        self.client_software_name = ""
        self.client_software_version = ""
        self.api_version = 0
        self.meter: Meter | None = None
        """What measures this connection while quotas are set (``broker/quotas/throttling``)."""
        self.apis_in_use: set[int] = set()
        """What this client has asked for so far: ``api_key << 16 | version``."""
        self.routes: dict[int, Any] = {}
        """What has been asked for, by API and version, and how to answer it. Each connection has its own, so that the
        first request of a version can be told from the others without a look at each of them."""
        cluster.throttling.watch(self)

    def changes_partitions(self, count: int, *, client_is_told: bool) -> None:
        """Hold the client to its quota of partitions made and deleted: see ``Meter.changes_partitions``."""
        if self.meter is not None:
            self.meter.changes_partitions(count, client_is_told=client_is_told)

    def may_make_partitions(self, count: int) -> bool:
        """Whether the client's quota lets a topic of so many partitions be made on demand."""
        return self.meter is None or self.meter.may_make_partitions(count)

    def measure(self, meter: "Meter | None") -> None:
        """Go through a meter from the next request on, or no longer."""
        self.meter = meter
        self.routes = {}
