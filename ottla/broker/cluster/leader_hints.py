"""Tells those who came to the wrong node who leads what they asked for, and where that node listens (KIP-951)."""

from ottla.broker.cluster.node import Node
from ottla.broker.process.options import Address
from ottla.broker.requests.context import Context
from ottla.broker.topics.partition import Partition


class NewLeaders:
    """The leaders that one answer names. ``found`` are they, each once, at the listener that the client knows."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._nodes: dict[int, Node] = {}

    def of(self, partition: Partition) -> tuple[int, int]:
        """Return a partition's leader and its epoch."""
        node = self._context.cluster.nodes.get(partition.leader)
        if node is not None:
            self._nodes[node.id] = node
        return partition.leader, partition.leader_epoch

    @property
    def found(self) -> list[tuple[Node, Address]]:
        """The nodes, each with its address."""
        return [(node, node.endpoints[self._context.listener]) for node in self._nodes.values()]
