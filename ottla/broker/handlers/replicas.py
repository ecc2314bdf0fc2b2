"""The leaders, replicas and producers of partitions: elections, reassignments, DescribeProducers."""

from ottla.broker.cluster.cluster import Cluster
from ottla.broker.cluster.leadership import is_being_reassigned
from ottla.broker.cluster.placement import check_replication_factor
from ottla.broker.requests.context import Context
from ottla.broker.topics.names import check_name
from ottla.broker.topics.partition import Partition
from ottla.broker.topics.topic import Topic
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.replicas import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    DescribeProducersRequest,
    DescribeProducersResponse,
    ElectLeadersRequest,
    ElectLeadersResponse,
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)

PREFERRED, UNCLEAN = 0, 1
"""The types of elections."""

ElectedTopic = ElectLeadersResponse.Topic
ReassignedTopic = AlterPartitionReassignmentsResponse.Topic
ListedTopic = ListPartitionReassignmentsResponse.Topic
WrittenTopic = DescribeProducersResponse.Topic


def elect_leaders(context: Context, request: ElectLeadersRequest) -> ElectLeadersResponse:
    """Elect the first replica, or any, as leader of partitions (KIP-460): of those named, or of all that need it."""
    cluster = context.cluster
    asked = request.topic_partitions
    refusal = _refusal_of_elections(request)
    if asked is None:
        every = [] if refusal else list(cluster.topics.by_name.values())
        topics = [(topic.name, list(range(len(topic.partitions)))) for topic in every]
    else:
        topics = [(each.topic, each.partitions) for each in asked]
    answers = []
    for name, indexes in topics:
        results = []
        for index in indexes:
            result = ElectedTopic.Partition(partition_id=index, error_message=None)
            try:
                if refusal is not None:
                    raise refusal
                _elect(cluster, _find(cluster, name, index), request.election_type)
            except KafkaError as error:
                if asked is None and error.code == ErrorCode.ELECTION_NOT_NEEDED:
                    continue
                result.error_code, result.error_message = error.code, error.message
            results.append(result)
        answers.append(ElectedTopic(topic=name, partition_result=results))
    code = ErrorCode.NONE if refusal is None or asked == [] else refusal.code
    return ElectLeadersResponse(error_code=code, replica_election_results=answers)


def _refusal_of_elections(request: ElectLeadersRequest) -> KafkaError | None:
    if request.election_type not in {PREFERRED, UNCLEAN}:
        return KafkaError(ErrorCode.INVALID_REQUEST, f"Election type {request.election_type} is unknown")
    return KafkaError(ErrorCode.REQUEST_TIMED_OUT) if request.timeout_ms <= 0 else None


def _find(cluster: Cluster, name: str, index: int) -> tuple[Topic, Partition]:
    try:
        topic = cluster.topics.by_name[name]
        return topic, topic.partition(index)
    except (KeyError, KafkaError):
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Partition {name}-{index} does not exist") from None


def _elect(cluster: Cluster, found: tuple[Topic, Partition], election_type: int) -> None:
    """Elect a leader. Raises ``KafkaError`` ELECTION_NOT_NEEDED, or the reason why no replica can be elected."""
    topic, partition = found
    if not partition.is_offline:
        cluster.elections.elect(topic, partition.index, unclean=election_type == UNCLEAN)
    elif election_type == PREFERRED:
        raise KafkaError(ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, "Its log is offline")
    else:
        raise KafkaError(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, "Its log is offline")


def alter_partition_reassignments(
    context: Context, request: AlterPartitionReassignmentsRequest
) -> AlterPartitionReassignmentsResponse:
    """Give partitions other replicas (KIP-455), or end a reassignment."""
    timed_out = request.timeout_ms <= 0
    topics = []
    for topic in request.topics:
        answers = []
        for each in topic.partitions:
            answer = ReassignedTopic.Partition(partition_index=each.partition_index, error_message=None)
            try:
                if timed_out:
                    raise KafkaError(ErrorCode.REQUEST_TIMED_OUT)
                _reassign(context.cluster, topic.name, each, request=request)
            except KafkaError as error:
                answer.error_code, answer.error_message = error.code, error.message
            answers.append(answer)
        topics.append(ReassignedTopic(name=topic.name, partitions=answers))
    if not topics:  # as in Apache
        return AlterPartitionReassignmentsResponse(error_message="", responses=[])
    return AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=request.allow_replication_factor_change,
        error_code=ErrorCode.REQUEST_TIMED_OUT if timed_out else ErrorCode.NONE,
        error_message=None,
        responses=topics,
    )


def _reassign(
    cluster: Cluster,
    name: str,
    asked: AlterPartitionReassignmentsRequest.Topic.Partition,
    *,
    request: AlterPartitionReassignmentsRequest,
) -> None:
    topic, partition = _find(cluster, name, asked.partition_index)
    if asked.replicas is not None:
        cluster.placement.check_replicas(asked.replicas)
        if not request.allow_replication_factor_change:
            check_replication_factor(cluster.elections.state(topic, partition.index), asked.replicas)
    cluster.elections.reassign(topic, partition.index, asked.replicas)


def list_partition_reassignments(
    context: Context,
    request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse:
    """List the reassignments under way: those whose new replicas are on nodes that do not run."""
    cluster = context.cluster
    if request.topics is None:
        asked = [(topic, list(range(len(topic.partitions)))) for topic in cluster.topics.by_name.values()]
    else:
        asked = [
            (topic, each.partition_indexes)
            for each in request.topics
            if (topic := cluster.topics.by_name.get(each.name)) is not None
        ]
    topics = []
    for topic, indexes in asked:
        states = cluster.catalog.topics_by_id[topic.id].partitions
        found = [
            ListedTopic.Partition(
                partition_index=index,
                replicas=list(states[index].replicas),
                adding_replicas=list(states[index].adding_replicas),
                removing_replicas=list(states[index].removing_replicas),
            )
            for index in indexes
            if 0 <= index < len(states) and is_being_reassigned(states[index])
        ]
        if found:
            topics.append(ListedTopic(name=topic.name, partitions=found))
    return ListPartitionReassignmentsResponse(error_message=None, topics=topics)


def describe_producers(context: Context, request: DescribeProducersRequest) -> DescribeProducersResponse:
    """List the producers with an id that have written to partitions, and their open transactions (KIP-664)."""
    topics = []
    for topic in request.topics:
        answers = []
        for index in topic.partition_indexes:
            answer = WrittenTopic.Partition(partition_index=index, active_producers=[])
            try:
                answer.active_producers = _producers(context, topic.name, index)
            except KafkaError as error:
                answer.error_code, answer.error_message = error.code, error.message
            answers.append(answer)
        topics.append(WrittenTopic(name=topic.name, partitions=answers))
    return DescribeProducersResponse(topics=topics)


def _producers(context: Context, name: str, index: int) -> list[WrittenTopic.Partition.Producer]:
    check_name(name)
    if name not in context.cluster.topics.by_name:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Topic {name} does not exist")
    partition = context.cluster.topics.partition(name, index)
    partition.check_asked(context.node_id, needs_leader=False)
    return [
        WrittenTopic.Partition.Producer(
            producer_id=producer_id,
            producer_epoch=state.epoch,
            last_sequence=state.last_sequence,
            last_timestamp=state.last_timestamp,
            coordinator_epoch=state.coordinator_epoch,
            current_txn_start_offset=state.transaction_offset,
        )
        for producer_id, state in partition.log.active_producers()
    ]
