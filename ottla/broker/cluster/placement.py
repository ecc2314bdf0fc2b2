"""Decides which nodes hold the partitions of a new or growing topic. Checks a client's wishes; changes nothing."""

import random
from collections.abc import Mapping, Sequence

from ottla.broker.cluster.leadership import first_state
from ottla.broker.cluster.nodes import Nodes
from ottla.broker.cluster.rack_spread import Place, spread
from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.topics.topic import Topic
from ottla.storage.catalog import PartitionState
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

BROKER_DEFAULT = -1
MAX_NEW_PARTITIONS = 10_000
"""Maximum number of partitions that one request may make (Apache: ``MAX_PARTITIONS_PER_BATCH``)."""

Assignments = list[list[int]]
"""The replicas of each partition, as ids of nodes."""


class Placement:
    """Places the replicas of one cluster."""

    def __init__(self, nodes: Nodes, config: BrokerConfig, random_source: random.Random) -> None:
        self._nodes = nodes
        self._config = config
        self._random = random_source

    def assign_replicas(self, count: int, replication_factor: int) -> Assignments:
        """Spread ``count`` partitions over the nodes, each on ``replication_factor`` of them or on all."""
        nodes = self._nodes
        if nodes.is_alone:
            return [[nodes.first.id] for _ in range(count)]
        places = [Place(node.id, node.rack, node.runs) for node in nodes.registered]
        return spread(places, count, min(replication_factor, len(nodes.by_id)), self._random)

    def first_state(self, replicas: Sequence[int]) -> PartitionState:
        """Return the first state of a new partition with these replicas."""
        return first_state(replicas, (node.id for node in self._nodes.running))

    @property
    def default_partitions(self) -> int:
        """The number of partitions of a topic whose creator names none."""
        return self._config.integer("num.partitions")

    def place_new_topic(self, *, num_partitions: int, replication_factor: int) -> Assignments:
        """Return the replicas of each partition; -1 leaves a figure to the broker (KIP-464).

        Raises ``KafkaError`` INVALID_REPLICATION_FACTOR, INVALID_PARTITIONS.
        """
        if replication_factor != BROKER_DEFAULT and replication_factor < 1:
            raise KafkaError(ErrorCode.INVALID_REPLICATION_FACTOR, f"A topic cannot have {replication_factor} replicas")
        if num_partitions != BROKER_DEFAULT and num_partitions < 1:
            raise KafkaError(ErrorCode.INVALID_PARTITIONS, f"A topic cannot have {num_partitions} partitions")
        if replication_factor == BROKER_DEFAULT:
            replication_factor = self._config.integer("default.replication.factor")
        if num_partitions == BROKER_DEFAULT:
            num_partitions = self.default_partitions
        self._check_enough_nodes(replication_factor)
        return self.assign_replicas(num_partitions, replication_factor)

    def place_new_topic_by_hand(
        self, manual: Sequence[tuple[int, Sequence[int]]], *, num_partitions: int, replication_factor: int
    ) -> Assignments:
        """Return the client's own placement: pairs of a partition's index and its replicas, in any order.

        Raises ``KafkaError`` INVALID_REQUEST (it names their numbers as well), INVALID_REPLICA_ASSIGNMENT.
        """
        if replication_factor != BROKER_DEFAULT or num_partitions != BROKER_DEFAULT:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, "With assignments, the numbers of partitions and replicas must both be -1"
            )
        by_index: Mapping[int, Sequence[int]] = dict(manual)
        if by_index.keys() != set(range(len(manual))):
            raise KafkaError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT, "Partitions must be numbered 0, 1, 2..., each of them once"
            )
        assignments = [list(by_index[index]) for index in range(len(manual))]
        self._check_replicas(assignments, len(assignments[0]))
        self._check_running(assignments)
        return assignments

    def place_more_partitions(self, topic: Topic, count: int, manual: Sequence[Sequence[int]] | None) -> Assignments:
        """Return the replicas of the partitions that a topic lacks to have ``count``.

        Raises ``KafkaError`` INVALID_PARTITIONS (not more than now), INVALID_REPLICA_ASSIGNMENT, POLICY_VIOLATION.
        """
        known = len(topic.partitions)
        if count <= known:
            raise KafkaError(ErrorCode.INVALID_PARTITIONS, f"{topic.name} has {known} partitions; {count} is not more")
        replication_factor = len(topic.partitions[0].replicas)
        if manual is None:
            if count - known > MAX_NEW_PARTITIONS:
                raise too_many_partitions()
            self._check_enough_nodes(replication_factor)
            return self.assign_replicas(count - known, replication_factor)
        if len(manual) != count - known:
            raise KafkaError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"{count - known} new partitions need as many assignments"
            )
        assignments = [list(replicas) for replicas in manual]
        self._check_replicas(assignments, replication_factor)
        self._check_running(assignments)
        return assignments

    def check_replicas(self, replicas: Sequence[int]) -> None:
        """Refuse a list of replicas that no partition can have. Raises ``KafkaError`` INVALID_REPLICA_ASSIGNMENT."""
        self._check_replicas([list(replicas)], len(replicas))

    def _check_enough_nodes(self, replication_factor: int) -> None:
        """Raise ``KafkaError`` INVALID_REPLICATION_FACTOR if there are fewer nodes than replicas."""
        nodes = len(self._nodes.registered)
        if replication_factor > nodes:
            there_are = "there is 1" if nodes == 1 else f"there are {nodes}"
            raise KafkaError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                f"{replication_factor} replicas need as many brokers, and {there_are}",
            )

    def _check_running(self, assignments: Assignments) -> None:
        running = {node.id for node in self._nodes.running}
        for replicas in assignments:
            if running.isdisjoint(replicas):
                raise KafkaError(
                    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                    f"None of the brokers {replicas} runs, so the partition could have no leader",
                )

    def _check_replicas(self, assignments: Assignments, size: int) -> None:
        for replicas in assignments:
            if not replicas:
                problem = "a partition without replicas"
            elif len(set(replicas)) < len(replicas):
                problem = f"a broker twice in {replicas}"
            elif not {node.id for node in self._nodes.registered} >= set(replicas):
                problem = f"an unknown broker in {replicas}"
            elif len(replicas) != size:
                problem = f"{len(replicas)} replicas in {replicas} where another partition has {size}"
            else:
                continue
            raise KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"The assignment has {problem}")


def check_replication_factor(state: PartitionState, replicas: Sequence[int]) -> None:
    """Refuse another number of replicas than before (KIP-860). Raises ``KafkaError`` INVALID_REPLICATION_FACTOR."""
    before = len(state.replicas) - len(state.adding_replicas)
    if before != len(replicas):
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR, f"The partition has {before} replicas, and would have {len(replicas)}"
        )


def too_many_partitions() -> KafkaError:
    """Return the error for a request that makes more partitions than one request may."""
    return KafkaError(ErrorCode.POLICY_VIOLATION, f"One request makes at most {MAX_NEW_PARTITIONS} partitions")
