"""Three Apache Kafka brokers as one throw-away cluster: node 1 is broker and controller, the others brokers only.

Each has a `server.properties` and a data folder of its own, free ports, and a small heap. Node 1 must stay up: without
its controller no leader moves.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from compat.apache_broker import ApacheBroker

CONTROLLER = 1


class ApacheCluster:
    """A cluster of Apache Kafka with a node for each of `racks`; `settings` are given to all of them."""

    name = "apache"

    def __init__(
        self,
        directory: Path,
        *,
        racks: tuple[str | None, ...] = (None, None, None),
        settings: dict[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.nodes: dict[int, ApacheBroker] = {}
        for node_id, rack in enumerate(racks, CONTROLLER):
            own = dict(settings or {})
            if rack is not None:
                own["broker.rack"] = rack
            self.nodes[node_id] = ApacheBroker(directory / str(node_id), settings=own, heap="320m")
        controller = self.nodes[CONTROLLER]
        for node_id, node in self.nodes.items():
            own_address = f"PLAINTEXT://127.0.0.1:{node.port}"
            node.settings |= {
                "node.id": str(node_id),
                "process.roles": "broker,controller" if node_id == CONTROLLER else "broker",
                "controller.quorum.voters": f"{CONTROLLER}@127.0.0.1:{controller.controller_port}",
                "listeners": own_address,
                "advertised.listeners": own_address,
            }
        controller.settings["listeners"] += f",CONTROLLER://127.0.0.1:{controller.controller_port}"

    @property
    def bootstrap(self) -> str:
        """The addresses of all nodes, for clients."""
        return ",".join(node.bootstrap for node in self.nodes.values())

    def port(self, node_id: int) -> int:
        """Return the port of a node."""
        return self.nodes[node_id].port

    def stop(self, node_id: int) -> None:
        """Stop a node in order: its leaders move first."""
        self.nodes[node_id].stop()

    def start(self, node_id: int) -> None:
        """Start a node again, on the same port and data."""
        self.nodes[node_id].start()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for node in self.nodes.values():
                stack.enter_context(node)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        # The brokers first: they want to tell the controller.
        self._stack.close()
