"""The lives of topics: CreateTopics, CreatePartitions, DeleteRecords, DeleteTopics."""

import logging
from collections import Counter
from collections.abc import Iterable

from ottla.broker.cluster.cluster import Cluster
from ottla.broker.cluster.placement import MAX_NEW_PARTITIONS, Assignments, too_many_partitions
from ottla.broker.requests.context import Context
from ottla.broker.settings.topic_config import TopicConfig
from ottla.broker.topics.names import CLUSTER_METADATA
from ottla.scheduling.promise import Promise, gather, then
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.topics import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreateTopicsRequest,
    CreateTopicsResponse,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
)
from ottla.wire.schema import ZERO_UUID

log = logging.getLogger(__name__)


CreatedTopic = CreateTopicsResponse.Topic
DeletedTopic = DeleteTopicsResponse.Topic
Shortened = DeleteRecordsResponse.Topic.Partition


def create_topics(context: Context, request: CreateTopicsRequest) -> CreateTopicsResponse:
    """Create topics, each by itself; with ``validate_only``, only return what would come of it."""
    cluster = context.cluster
    times = Counter(topic.name for topic in request.topics)
    single = [topic for topic in request.topics if times[topic.name] == 1 and topic.name != CLUSTER_METADATA]
    refusal = _refusal_of_creation(cluster, request.timeout_ms, single)
    # All are checked against the topics before the request: two new ones may have names that collide in metrics.
    decided = [_decide(context, topic, refusal) for topic in single]
    answers = [
        item if isinstance(item, CreatedTopic) else _create(cluster, *item, validate_only=request.validate_only)
        for item in decided
    ]
    for name in times:
        if name == CLUSTER_METADATA:
            answers.append(_not_created(name, KafkaError(ErrorCode.INVALID_REQUEST, f"{name} is reserved")))
        elif times[name] > 1:
            answers.append(_not_created(name, _named_twice()))
    return CreateTopicsResponse(topics=answers)


def _refusal_of_creation(
    cluster: Cluster, timeout_ms: int, topics: Iterable[CreateTopicsRequest.Topic]
) -> KafkaError | None:
    """Return the error that refuses all topics of the request, or None."""
    if timeout_ms <= 0:
        return KafkaError(ErrorCode.REQUEST_TIMED_OUT)
    total = 0
    for topic in topics:
        if topic.assignments:
            total += len(topic.assignments)
        else:
            total += topic.num_partitions if topic.num_partitions > 0 else cluster.placement.default_partitions
    return too_many_partitions() if total > MAX_NEW_PARTITIONS else None


def _decide(
    context: Context, asked: CreateTopicsRequest.Topic, refusal: KafkaError | None
) -> tuple[str, Assignments, TopicConfig] | CreatedTopic:
    cluster, name = context.cluster, asked.name
    try:
        if refusal is not None:
            raise refusal
        cluster.topics.check_new_name(name)
        overrides = {}
        for config in asked.configs:
            if config.value is None:
                raise KafkaError(ErrorCode.INVALID_CONFIG, f"{config.name} has no value")
            overrides[config.name] = config.value
        settings = TopicConfig(cluster.config, overrides)
        assignments = _place(cluster, asked)
        told = CreateTopicsRequest.knows_throttling_quota(context.api_version)
        context.changes_partitions(len(assignments), client_is_told=told)
    except KafkaError as error:
        return _not_created(name, error)
    return name, assignments, settings


def _place(cluster: Cluster, asked: CreateTopicsRequest.Topic) -> Assignments:
    figures = {"num_partitions": asked.num_partitions, "replication_factor": asked.replication_factor}
    if not asked.assignments:
        return cluster.placement.place_new_topic(**figures)
    by_hand = [(each.partition_index, each.broker_ids) for each in asked.assignments]
    return cluster.placement.place_new_topic_by_hand(by_hand, **figures)


def _create(
    cluster: Cluster, name: str, assignments: Assignments, settings: TopicConfig, *, validate_only: bool
) -> CreatedTopic:
    if validate_only:
        topic_id = cluster.topics.new_id()
    else:
        try:
            topic_id = cluster.topics.create(name, assignments=assignments, configs=settings.overrides).id
        except KafkaError as error:
            return _not_created(name, error)
    return CreatedTopic(
        name=name,
        topic_id=topic_id,
        error_message=None,
        num_partitions=len(assignments),
        replication_factor=len(assignments[0]),
        configs=[
            CreatedTopic.Config(
                name=setting.name,
                value=settings.overrides.get(setting.name, setting.value),  # Apache repeats the numbers of the request.
                read_only=setting.read_only,
                config_source=setting.source,
                is_sensitive=setting.sensitive,
            )
            for setting in settings.describe()
        ],
    )


def _not_created(name: str, error: KafkaError) -> CreatedTopic:
    return CreatedTopic(name=name, error_code=error.code, error_message=error.message)


def delete_topics(context: Context, request: DeleteTopicsRequest) -> DeleteTopicsResponse:
    """Delete topics, named by name or by id; a topic named twice is left unchanged."""
    cluster = context.cluster
    asked = _named_topics(request)
    refusal = None
    if not cluster.config.boolean("delete.topic.enable"):
        known_code = DeleteTopicsRequest.knows_deletion_disabled(context.api_version)
        refusal = KafkaError(
            ErrorCode.TOPIC_DELETION_DISABLED if known_code else ErrorCode.INVALID_REQUEST,
            "delete.topic.enable is false",
        )
    elif request.timeout_ms <= 0:
        refusal = KafkaError(ErrorCode.REQUEST_TIMED_OUT)
    if refusal is not None:
        return DeleteTopicsResponse(responses=[_not_deleted(each, refusal) for each in asked])
    answers = []
    found: dict[bytes, list[DeleteTopicsRequest.Topic]] = {}
    times = Counter((each.name, each.topic_id) for each in asked)
    for each in asked:
        count = times.pop((each.name, each.topic_id), 0)
        if not count:
            continue
        try:
            _check_deletion(each, times=count)
            topic = cluster.topics.find(each.name, each.topic_id)
        except KafkaError as error:
            answers.append(_not_deleted(each, error))
        else:
            found.setdefault(topic.id, []).append(each)
    for topic_id, names in found.items():
        topic = cluster.topics.by_id[topic_id]
        answer = DeletedTopic(name=topic.name, topic_id=topic_id)
        if len(names) == 1:
            try:
                told = DeleteTopicsRequest.knows_throttling_quota(context.api_version)
                context.changes_partitions(len(topic.partitions), client_is_told=told)
                cluster.topics.delete(topic)
            except KafkaError as error:
                answer.error_code = error.code
                answer.error_message = error.message
        else:
            answer.error_code = ErrorCode.INVALID_REQUEST
            answer.error_message = f"Topic {topic.name} is given by name and by id"
        answers.append(answer)
    return DeleteTopicsResponse(responses=answers)


def _named_topics(request: DeleteTopicsRequest) -> list[DeleteTopicsRequest.Topic]:
    """Return the topics to delete, from the fields of this version."""
    return request.topics or [DeleteTopicsRequest.Topic(name=name, topic_id=ZERO_UUID) for name in request.topic_names]


def _check_deletion(asked: DeleteTopicsRequest.Topic, *, times: int) -> None:
    if asked.name is not None and asked.topic_id != ZERO_UUID:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "A topic is given by its name or by its id, not by both")
    if asked.name is None and asked.topic_id == ZERO_UUID:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "A topic has neither name nor id")
    if times > 1:
        raise _named_twice()


def _not_deleted(asked: DeleteTopicsRequest.Topic, error: KafkaError) -> DeletedTopic:
    return DeletedTopic(name=asked.name, topic_id=asked.topic_id, error_code=error.code, error_message=error.message)


def create_partitions(context: Context, request: CreatePartitionsRequest) -> CreatePartitionsResponse:
    """Add partitions to topics; records stay in the partition that they are in."""
    times = Counter(topic.name for topic in request.topics)
    answers = [
        CreatePartitionsResponse.Topic(
            name=name, error_code=ErrorCode.INVALID_REQUEST, error_message=_named_twice().message
        )
        for name, count in times.items()
        if count > 1
    ]
    for asked in request.topics:
        if times[asked.name] > 1:
            continue
        answer = CreatePartitionsResponse.Topic(name=asked.name)
        try:
            if request.timeout_ms <= 0:
                raise KafkaError(ErrorCode.REQUEST_TIMED_OUT)
            _grow(context, asked, validate_only=request.validate_only)
        except KafkaError as error:
            answer.error_code = error.code
            answer.error_message = error.message
        answers.append(answer)
    return CreatePartitionsResponse(results=answers)


def _grow(context: Context, asked: CreatePartitionsRequest.Topic, *, validate_only: bool) -> None:
    cluster = context.cluster
    topic = cluster.topics.by_name.get(asked.name)
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    manual = None if asked.assignments is None else [each.broker_ids for each in asked.assignments]
    assignments = cluster.placement.place_more_partitions(topic, asked.count, manual)
    told = CreatePartitionsRequest.knows_throttling_quota(context.api_version)
    context.changes_partitions(len(assignments), client_is_told=told)
    if not validate_only:
        cluster.topics.add_partitions(topic, assignments)


def delete_records(
    context: Context, request: DeleteRecordsRequest
) -> DeleteRecordsResponse | Promise[DeleteRecordsResponse]:
    """Delete records before an offset (KIP-107); of a partition named twice, the last offset counts."""
    offsets = {(topic.name, each.partition_index): each.offset for topic in request.topics for each in topic.partitions}
    names = list(offsets)

    def answer(partitions: list[Shortened]) -> DeleteRecordsResponse:
        topics: dict[str, list[Shortened]] = {}
        for (name, _), partition in zip(names, partitions, strict=True):
            topics.setdefault(name, []).append(partition)
        return DeleteRecordsResponse(
            topics=[DeleteRecordsResponse.Topic(name=name, partitions=found) for name, found in topics.items()]
        )

    return then(gather([_shorten(context, name, index, offsets[name, index]) for name, index in names]), answer)


def _shorten(context: Context, name: str, index: int, before_offset: int) -> Shortened | Promise[Shortened]:
    answer = Shortened(partition_index=index, low_watermark=-1)

    def accept(low_watermark: int) -> Shortened:
        answer.low_watermark = low_watermark
        return answer

    def refuse(error: KafkaError) -> Shortened:
        answer.error_code = error.code
        return answer

    try:
        partition = context.cluster.topics.partition(name, index)
        topic = context.cluster.topics.by_name[name]
        if topic.is_internal:
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION)
        if topic.log_config.cleanup_policy == {"compact"}:
            raise KafkaError(ErrorCode.POLICY_VIOLATION)
        partition.check_asked(context.node_id)
        return then(partition.delete_records(before_offset), accept, refuse=refuse)
    except KafkaError as error:
        return refuse(error)


def _named_twice() -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REQUEST, "The topic is named more than once")
