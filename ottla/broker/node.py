"""A broker of the cluster as clients see it: an id, a rack, and an address for each listener."""

from typing import NamedTuple


class Endpoint(NamedTuple):
    """Where clients are told to connect."""

    host: str
    port: int


class Node:
    """One broker. ``endpoints[i]`` is what those are told who came through listener ``i``."""

    __slots__ = ("endpoints", "id", "rack")

    def __init__(self, node_id: int, rack: str | None) -> None:
        self.id = node_id
        self.rack = rack
        self.endpoints: list[Endpoint] = []
