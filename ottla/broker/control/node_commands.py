"""The commands of ``ottla nodes`` to a running broker: lists, stops and starts its nodes.

A stop is Apache's controlled shutdown: leaders move first, then the node is gone for its clients.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ottla.broker.cluster.cluster import Cluster
from ottla.broker.cluster.nodes import Node
from ottla.broker.network.endpoints import Endpoints
from ottla.broker.network.loop import Loop
from ottla.broker.requests.context import Context, Contexts
from ottla.broker.user_errors import CommandError, StartError
from ottla.wire.errors import KafkaError

log = logging.getLogger(__name__)


class NodeCommands:
    """The commands on the nodes of one process, which open and close their endpoints."""

    def __init__(self, cluster: Cluster, loop: Loop, endpoints: Mapping[int, Endpoints]) -> None:
        self._cluster = cluster
        self._loop = loop
        self._endpoints = endpoints
        self._contexts = Contexts(cluster)
        for node in cluster.nodes.by_id.values():
            its = endpoints[node.id]
            node.endpoints = [its.advertised] * len(its.listening)

    def listen(self) -> None:
        """Let every node accept connections."""
        for node in self._cluster.nodes.by_id.values():
            self._endpoints[node.id].listen(self._loop, self._context_maker(node))

    def list(self) -> list[dict[str, Any]]:
        """Return the state of each node, as values that JSON can hold."""
        topics = list(self._cluster.topics.by_name.values())
        partitions = [partition for topic in topics for partition in topic.partitions]
        return [
            {
                "id": node.id,
                "address": str(self._endpoints[node.id].advertised),
                "rack": node.rack,
                "runs": node.runs,
                "leads": sum(partition.leader == node.id for partition in partitions),
                "replicas": sum(node.id in partition.replicas for partition in partitions),
                "in_sync": sum(node.id in partition.isr for partition in partitions),
                "connections": sum(each.context.node is node for each in self._loop.connections.values()),
            }
            for node in self._cluster.nodes.by_id.values()
        ]

    def stop(self, node_id: int) -> None:
        """Stop a node, if it runs. Raises CommandError."""
        node = self._find(node_id)
        if not node.runs:
            return
        try:
            self._cluster.elections.stop(node)
        except KafkaError as error:
            raise CommandError(f"node {node_id} runs on: {error.message}") from None
        self._endpoints[node_id].close()
        for connection in list(self._loop.connections.values()):
            if connection.context.node is node:
                connection.close(f"node {node_id} is stopped")
        log.info("Node %d is stopped", node_id)

    def start(self, node_id: int) -> None:
        """Start a node that was stopped, on the same ports. Raises CommandError."""
        node = self._find(node_id)
        if node.runs:
            return
        endpoints = self._endpoints[node_id]
        try:
            endpoints.open()
        except StartError as error:
            raise CommandError(str(error)) from None
        try:
            self._cluster.elections.start(node)
        except KafkaError as error:
            endpoints.close()
            raise CommandError(f"node {node_id} stays stopped: {error.message}") from None
        endpoints.listen(self._loop, self._context_maker(node))
        log.info("Node %d is started", node_id)

    def _context_maker(self, node: Node) -> Callable[[int, str], Context]:
        return lambda listener, host: self._contexts.make(node, host, listener=listener)

    def _find(self, node_id: int) -> Node:
        node = self._cluster.nodes.by_id.get(node_id)
        if node is None:
            known = ", ".join(map(str, self._cluster.nodes.by_id))
            raise CommandError(f"node {node_id} does not exist; there are: {known}")
        return node
