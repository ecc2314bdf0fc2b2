"""Decides which nodes hold the partitions of a new or growing topic. Checks what a client asks for; changes nothing."""

from collections.abc import Mapping, Sequence

from ottla.broker.cluster.cluster import Cluster
from ottla.broker.topics.topic import Topic
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

BROKER_DEFAULT = -1
MAX_NEW_PARTITIONS = 10_000
"""How many partitions one request may make (Apache: ``MAX_PARTITIONS_PER_BATCH``)."""

Assignments = list[list[int]]


def default_partitions(cluster: Cluster) -> int:
    """Return how many partitions a topic has if nobody says."""
    return cluster.config.integer("num.partitions")


def place_new_topic(cluster: Cluster, *, num_partitions: int, replication_factor: int) -> Assignments:
    """Return the replicas of each partition; -1 leaves a figure to the broker (KIP-464).

    Raises ``KafkaError`` INVALID_REPLICATION_FACTOR, INVALID_PARTITIONS.
    """
    if replication_factor != BROKER_DEFAULT and replication_factor < 1:
        raise KafkaError(ErrorCode.INVALID_REPLICATION_FACTOR, f"A topic cannot have {replication_factor} replicas")
    if num_partitions != BROKER_DEFAULT and num_partitions < 1:
        raise KafkaError(ErrorCode.INVALID_PARTITIONS, f"A topic cannot have {num_partitions} partitions")
    if replication_factor == BROKER_DEFAULT:
        replication_factor = cluster.config.integer("default.replication.factor")
    if num_partitions == BROKER_DEFAULT:
        num_partitions = default_partitions(cluster)
    check_enough_nodes(cluster, replication_factor)
    return cluster.assign_replicas(num_partitions, replication_factor)


def place_new_topic_by_hand(
    cluster: Cluster, manual: Sequence[tuple[int, Sequence[int]]], *, num_partitions: int, replication_factor: int
) -> Assignments:
    """Return what the client wants: pairs of a partition's index and its replicas, in any order.

    Raises ``KafkaError`` INVALID_REQUEST (a figure besides), INVALID_REPLICA_ASSIGNMENT.
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
    _check_replicas(cluster, assignments, len(assignments[0]))
    _check_running(cluster, assignments)
    return assignments


def place_more_partitions(
    cluster: Cluster, topic: Topic, count: int, manual: Sequence[Sequence[int]] | None
) -> Assignments:
    """Return the replicas of the partitions that a topic lacks to have ``count``.

    Raises ``KafkaError`` INVALID_PARTITIONS (it has as many), INVALID_REPLICA_ASSIGNMENT, POLICY_VIOLATION.
    """
    known = len(topic.partitions)
    if count <= known:
        raise KafkaError(ErrorCode.INVALID_PARTITIONS, f"{topic.name} has {known} partitions; {count} is not more")
    replication_factor = len(topic.partitions[0].replicas)
    if manual is None:
        if count - known > MAX_NEW_PARTITIONS:
            raise too_many_partitions()
        check_enough_nodes(cluster, replication_factor)
        return cluster.assign_replicas(count - known, replication_factor)
    if len(manual) != count - known:
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"{count - known} new partitions need as many assignments"
        )
    assignments = [list(replicas) for replicas in manual]
    _check_replicas(cluster, assignments, replication_factor)
    _check_running(cluster, assignments)
    return assignments


def check_replicas(cluster: Cluster, replicas: Sequence[int]) -> None:
    """Refuse a list of replicas that no partition can have. Raises ``KafkaError`` INVALID_REPLICA_ASSIGNMENT."""
    _check_replicas(cluster, [list(replicas)], len(replicas))


def check_replication_factor(cluster: Cluster, topic: Topic, index: int, replicas: Sequence[int]) -> None:
    """Refuse to change how many replicas there are (KIP-860). Raises ``KafkaError`` INVALID_REPLICATION_FACTOR."""
    state = cluster.elections.state(topic, index)
    before = len(state.replicas) - len(state.adding_replicas)
    if before != len(replicas):
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR, f"The partition has {before} replicas, and would have {len(replicas)}"
        )


def check_enough_nodes(cluster: Cluster, replication_factor: int) -> None:
    """Raise ``KafkaError`` INVALID_REPLICATION_FACTOR if there are fewer nodes than replicas."""
    nodes = len(cluster.registered)
    if replication_factor > nodes:
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"{replication_factor} replicas need as many brokers, and there {'is' if nodes == 1 else 'are'} {nodes}",
        )


def too_many_partitions() -> KafkaError:
    """The answer to a request for more partitions than one request may make."""
    return KafkaError(ErrorCode.POLICY_VIOLATION, f"One request makes at most {MAX_NEW_PARTITIONS} partitions")


def _check_running(cluster: Cluster, assignments: Assignments) -> None:
    running = {node.id for node in cluster.running}
    for replicas in assignments:
        if running.isdisjoint(replicas):
            raise KafkaError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"None of the brokers of {replicas} runs, so nobody could lead"
            )


def _check_replicas(cluster: Cluster, assignments: Assignments, size: int) -> None:
    for replicas in assignments:
        if not replicas:
            problem = "a partition without replicas"
        elif len(set(replicas)) < len(replicas):
            problem = f"a broker twice in {replicas}"
        elif not {node.id for node in cluster.registered} >= set(replicas):
            problem = f"a broker that is not there in {replicas}"
        elif len(replicas) != size:
            problem = f"{len(replicas)} replicas in {replicas} where another partition has {size}"
        else:
            continue
        raise KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"The assignment has {problem}")
