"""Spreads new partitions over the nodes and their racks, as Apache's ``StripedReplicaPlacer`` does."""

from collections.abc import Iterable
from random import Random
from typing import NamedTuple


class Place(NamedTuple):
    """A node that can have replicas. A stopped one gets them if its rack has no other, and never leads."""

    node: int
    rack: str | None
    runs: bool = True


def spread(places: Iterable[Place], count: int, replication_factor: int, random: Random) -> list[list[int]]:
    """Return ``count`` lists of nodes, each with ``replication_factor`` different ones; the first is to lead.

    There must be at least ``replication_factor`` places, and one of them must run. Leaders go round the racks, replicas
    to as many racks as there are; the first node is drawn at random.
    """
    placer = _Placer(places, random)
    return [placer.place(replication_factor) for _ in range(count)]


class _Nodes:
    """Nodes of one rack; each round begins with the next of them."""

    def __init__(self, nodes: Iterable[int], random: Random) -> None:
        self.nodes = sorted(nodes)
        self._round = 0
        self._taken = 0
        self._first = random.randrange(len(self.nodes)) if self.nodes else 0

    def next(self, round_number: int) -> int | None:
        """Return a node that this round has not had; None if it had all."""
        count = len(self.nodes)
        if self._round != round_number:
            self._round = round_number
            self._taken = 0
            self._first += 1
        if self._taken >= count:
            return None
        self._taken += 1
        return self.nodes[(self._first + self._taken - 1) % count]


class _Placer:
    def __init__(self, places: Iterable[Place], random: Random) -> None:
        by_name: dict[str, list[Place]] = {}
        for place in places:
            by_name.setdefault(place.rack or "", []).append(place)
        self._racks = [
            (
                _Nodes((each.node for each in by_name[name] if each.runs), random),
                _Nodes((each.node for each in by_name[name] if not each.runs), random),
            )
            for name in sorted(by_name)
        ]
        self._random = random
        self._running = sum(len(running.nodes) for running, _ in self._racks)
        self._round = 0
        self._first = random.randrange(len(self._racks))

    def place(self, replication_factor: int) -> list[int]:
        """Return the nodes of the next partition."""
        if self._round == self._running:  # from here on the same combinations would come again
            self._round = 0
            self._random.shuffle(self._racks)
            for rack in self._racks:
                for each in rack:
                    self._random.shuffle(each.nodes)
        leader, position = self._leader()
        nodes = [leader]
        # The rack of the leader has had its turn; the others follow in order, and begin anew where that is not enough.
        turns = [index for index in range(self._first, self._first + len(self._racks)) if index != position]
        while len(nodes) < replication_factor:
            for index in turns:
                running, stopped = self._racks[index % len(self._racks)]
                node = running.next(self._round)
                if node is None:
                    node = stopped.next(self._round)
                if node is not None and len(nodes) < replication_factor:
                    nodes.append(node)
            turns = list(range(self._first, self._first + len(self._racks)))
        self._round += 1
        self._first = (self._first + 1) % len(self._racks)
        return nodes

    def _leader(self) -> tuple[int, int]:
        for index in range(self._first, self._first + len(self._racks)):
            node = self._racks[index % len(self._racks)][0].next(self._round)
            if node is not None:
                return node, index
        raise ValueError("no node runs")
