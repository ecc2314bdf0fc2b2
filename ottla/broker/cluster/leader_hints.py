"""Tells clients that came to the wrong node which node leads a partition, and where it listens (KIP-951)."""

from ottla.broker.cluster.nodes import Node, Nodes
from ottla.broker.settings.addresses import Address
from ottla.broker.topics.partition import Partition


class NewLeaders:
    """The leaders that one answer names. ``found`` lists each once, at the listener that the client knows."""

    def __init__(self, nodes: Nodes, listener: int) -> None:
        self._nodes = nodes
        self._listener = listener
        self._found: dict[int, Node] = {}

    def of(self, partition: Partition) -> tuple[int, int]:
        """Return a partition's leader and its epoch."""
        node = self._nodes.by_id.get(partition.leader)
        if node is not None:
            self._found[node.id] = node
        return partition.leader, partition.leader_epoch

    @property
    def found(self) -> list[tuple[Node, Address]]:
        """The leaders, each with its address."""
        return [(node, node.endpoints[self._listener]) for node in self._found.values()]
