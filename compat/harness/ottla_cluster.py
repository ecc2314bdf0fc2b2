"""Ottla as a throw-away cluster: `ottla serve --nodes` of this checkout, driven like three Apache brokers."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from ottla.testing import Ottla


class OttlaCluster:
    """`racks` says how many nodes there are, and the rack of each; `settings` are given to all of them."""

    name = "ottla"

    def __init__(self, directory: Path, *, racks: tuple[str, ...], settings: dict[str, str] | None = None) -> None:
        self._broker = Ottla(config=settings, data_dir=directory / "data", nodes=len(racks), racks=racks)

    @property
    def bootstrap(self) -> str:
        """The addresses of all nodes, for clients."""
        return self._broker.bootstrap

    def port(self, node_id: int) -> int:
        """Where a node listens."""
        return self._broker.nodes[node_id].port

    def stop(self, node_id: int) -> None:
        """Let a node leave in order."""
        self._broker.nodes[node_id].stop()

    def start(self, node_id: int) -> None:
        """Start a node again, on the same port."""
        self._broker.nodes[node_id].start()

    def __enter__(self) -> Self:
        self._broker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._broker.close()
