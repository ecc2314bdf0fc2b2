"""The first requests of a client: ApiVersions, Metadata, DescribeCluster, DescribeTopicPartitions."""

import re
from typing import cast

from ottla.broker.apis import APIS
from ottla.broker.cluster.cluster import Cluster
from ottla.broker.requests.context import Context
from ottla.broker.topics.names import INTERNAL_TOPICS, check_name
from ottla.broker.topics.topic import Topic
from ottla.broker.versions.releases import advertised_versions
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.core import (
    ApiVersionsRequest,
    ApiVersionsResponse,
    DescribeClusterRequest,
    DescribeClusterResponse,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    MetadataRequest,
    MetadataResponse,
)
from ottla.wire.schema import ZERO_UUID

ALL_CLUSTER_OPERATIONS = 8096
ALL_TOPIC_OPERATIONS = 3576
"""Bit sets of ``AclOperation`` codes: all operations, since without an authorizer every client may do them."""

OPERATIONS_NOT_ASKED = -(2**31)
BROKER_ENDPOINT = 1

_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


def api_versions(context: Context, request: ApiVersionsRequest) -> ApiVersionsResponse:
    """Return the APIs and versions that are served. A client's software must have a well-formed name (KIP-511)."""
    if ApiVersionsRequest.names_software(context.api_version):
        if not _SOFTWARE.fullmatch(request.client_software_name) or not _SOFTWARE.fullmatch(
            request.client_software_version
        ):
            return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST, api_keys=[])
        context.client.software_name = request.client_software_name
        context.client.software_version = request.client_software_version
        context.cluster.clients.meet(context.client)
    return ApiVersionsResponse(
        api_keys=[
            ApiVersionsResponse.ApiVersion(api_key=api.key, min_version=versions[0], max_version=versions[1])
            for api in APIS
            if (versions := advertised_versions(api, context.cluster.release)) is not None
        ],
        supported_features=[
            ApiVersionsResponse.SupportedFeature(name=name, min_version=served.least, max_version=served.most)
            for name, served in context.cluster.features.supported()
            if served.least > 0 or ApiVersionsRequest.knows_level_zero(context.api_version)
        ],
        finalized_features_epoch=context.cluster.catalog.metadata_offset,
        finalized_features=[
            ApiVersionsResponse.FinalizedFeature(name=name, max_version_level=level, min_version_level=level)
            for name, level in context.cluster.features.in_force()
        ],
    )


def metadata(context: Context, request: MetadataRequest) -> MetadataResponse:
    """Describe topics and the brokers that lead them, creating missing topics where that is allowed."""
    cluster = context.cluster
    try:
        topics = _find_topics(context, request)
    except KafkaError as error:
        return _refused_metadata(request, error)
    if MetadataRequest.hides_stopped_replicas(context.api_version):
        _hide_stopped_replicas(cluster, topics)
    if request.include_topic_authorized_operations:
        for answer in topics:
            answer.topic_authorized_operations = ALL_TOPIC_OPERATIONS
    return MetadataResponse(
        brokers=[
            MetadataResponse.Broker(
                node_id=node.id,
                host=node.endpoints[context.listener].host,
                port=node.endpoints[context.listener].port,
                rack=node.rack,
            )
            for node in cluster.nodes.running
        ],
        cluster_id=cluster.id,
        controller_id=cluster.nodes.any_running.id,
        topics=topics,
        cluster_authorized_operations=(
            ALL_CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else OPERATIONS_NOT_ASKED
        ),
    )


def _hide_stopped_replicas(cluster: Cluster, topics: list[MetadataResponse.Topic]) -> None:
    """Name only replicas on running nodes, with an error if others are missing, as for version 0 of Metadata."""
    running = {node.id for node in cluster.nodes.running}
    for topic in topics:
        for partition in topic.partitions:
            if running.issuperset(partition.replica_nodes):
                continue
            if partition.error_code == ErrorCode.NONE:
                partition.error_code = ErrorCode.REPLICA_NOT_AVAILABLE
            partition.replica_nodes = [each for each in partition.replica_nodes if each in running]
            partition.isr_nodes = [each for each in partition.isr_nodes if each in running]


def _find_topics(context: Context, request: MetadataRequest) -> list[MetadataResponse.Topic]:
    """Describe the topics of the request: topics that exist come first, then the others, as in Apache."""
    if request.topics is None or (not request.topics and MetadataRequest.empty_means_all(context.api_version)):
        return [_describe_topic(context.cluster, topic) for topic in context.cluster.topics.by_name.values()]
    by_id = any(each.topic_id != ZERO_UUID for each in request.topics)
    names_missing = any(each.name is None for each in request.topics)
    if (by_id or names_missing) and not MetadataRequest.finds_topics_by_id(context.api_version):
        raise KafkaError(ErrorCode.INVALID_REQUEST)
    if by_id:
        ids = dict.fromkeys(each.topic_id for each in request.topics if each.topic_id != ZERO_UUID)
        found = [_find_by_id(context, topic_id) for topic_id in ids]
    elif names_missing:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)  # as in Apache
    else:
        names = dict.fromkeys(cast("str", each.name) for each in request.topics)
        found = [_find_by_name(context, name, may_create=request.allow_auto_topic_creation) for name in names]
    return sorted(found, key=lambda answer: answer.error_code != ErrorCode.NONE)


def _find_by_id(context: Context, topic_id: bytes) -> MetadataResponse.Topic:
    topic = context.cluster.topics.by_id.get(topic_id)
    if topic is None:
        return MetadataResponse.Topic(
            error_code=ErrorCode.UNKNOWN_TOPIC_ID, name=None, topic_id=topic_id, partitions=[]
        )
    return _describe_topic(context.cluster, topic)


def _find_by_name(context: Context, name: str, *, may_create: bool) -> MetadataResponse.Topic:
    topic = context.cluster.topics.by_name.get(name)
    if topic is None:
        try:
            topic = context.cluster.topics.create_on_demand(
                name, allowed=may_create, may_make=context.may_make_partitions
            )
        except KafkaError as error:
            return MetadataResponse.Topic(
                error_code=error.code, name=name, is_internal=name in INTERNAL_TOPICS, partitions=[]
            )
    return _describe_topic(context.cluster, topic)


def _refused_metadata(request: MetadataRequest, error: KafkaError) -> MetadataResponse:
    """Answer an invalid request: the error stands at each topic."""
    topics = [
        MetadataResponse.Topic(error_code=error.code, name=each.name or "", topic_id=each.topic_id, partitions=[])
        for each in request.topics or ()
    ]
    return MetadataResponse(brokers=[], topics=topics, error_code=error.code)


def _describe_topic(cluster: Cluster, topic: Topic) -> MetadataResponse.Topic:
    return MetadataResponse.Topic(
        name=topic.name,
        topic_id=topic.id,
        is_internal=topic.is_internal,
        partitions=[
            MetadataResponse.Topic.Partition(
                error_code=ErrorCode.NONE if partition.leader >= 0 else ErrorCode.LEADER_NOT_AVAILABLE,
                partition_index=partition.index,
                leader_id=partition.leader,
                leader_epoch=partition.leader_epoch,
                replica_nodes=partition.replicas,
                isr_nodes=partition.isr,
                offline_replicas=cluster.nodes.offline_replicas(partition),
            )
            for partition in topic.partitions
        ],
    )


def describe_cluster(context: Context, request: DescribeClusterRequest) -> DescribeClusterResponse:
    """Describe the brokers; the controller has no listener of its own here (KIP-919)."""
    cluster = context.cluster
    if request.endpoint_type != BROKER_ENDPOINT:
        return DescribeClusterResponse(
            error_code=(
                ErrorCode.MISMATCHED_ENDPOINT_TYPE
                if request.endpoint_type == BROKER_ENDPOINT + 1
                else ErrorCode.UNSUPPORTED_ENDPOINT_TYPE
            ),
            error_message="This is the endpoint of a broker, not of a controller",
            cluster_id="",
            brokers=[],
        )
    return DescribeClusterResponse(
        cluster_id=cluster.id,
        controller_id=cluster.nodes.any_running.id,
        brokers=[
            DescribeClusterResponse.Broker(
                broker_id=node.id,
                host=node.endpoints[context.listener].host,
                port=node.endpoints[context.listener].port,
                rack=node.rack,
                is_fenced=not node.runs,
            )
            for node in cluster.nodes.registered
            if node.runs or request.include_fenced_brokers
        ],
        cluster_authorized_operations=(
            ALL_CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else OPERATIONS_NOT_ASKED
        ),
    )


def describe_topic_partitions(
    context: Context, request: DescribeTopicPartitionsRequest
) -> DescribeTopicPartitionsResponse:
    """Describe topics in the order of their names, page by page: the cursor is where the next page begins."""
    cluster = context.cluster
    cursor = request.cursor
    first_name, first_index = (cursor.topic_name, cursor.partition_index) if cursor is not None else ("", 0)
    asked = {each.name for each in request.topics}
    if first_index < 0 or (cursor is not None and asked and first_name not in asked):
        return _refused_description(request)
    names = asked or set(cluster.topics.by_name)
    left = min(request.response_partition_limit, cluster.config.integer("max.request.partition.size.limit"))
    left = max(left, 1)
    response = DescribeTopicPartitionsResponse(topics=[], next_cursor=None)
    for name in sorted(names):
        if name < first_name:
            continue
        if left <= 0:
            response.next_cursor = DescribeTopicPartitionsResponse.Cursor(topic_name=name, partition_index=0)
            break
        topic = cluster.topics.by_name.get(name)
        if topic is None:
            response.topics.append(_unknown_topic(name))
            continue
        start = first_index if name == first_name else 0
        shown = topic.partitions[start : start + left]
        states = cluster.catalog.topics_by_id[topic.id].partitions[start:]
        left -= len(shown)
        response.topics.append(
            DescribeTopicPartitionsResponse.Topic(
                name=name,
                topic_id=topic.id,
                is_internal=topic.is_internal,
                partitions=[
                    DescribeTopicPartitionsResponse.Topic.Partition(
                        error_code=ErrorCode.NONE,  # even without a leader
                        partition_index=partition.index,
                        leader_id=partition.leader,
                        leader_epoch=partition.leader_epoch,
                        replica_nodes=partition.replicas,
                        isr_nodes=partition.isr,
                        eligible_leader_replicas=list(state.eligible_leader_replicas),
                        last_known_elr=list(state.last_known_elr),
                        offline_replicas=cluster.nodes.offline_replicas(partition),
                    )
                    for partition, state in zip(shown, states, strict=False)
                ],
                topic_authorized_operations=ALL_TOPIC_OPERATIONS,
            )
        )
        if start + len(shown) < len(topic.partitions):
            response.next_cursor = DescribeTopicPartitionsResponse.Cursor(
                topic_name=name, partition_index=start + len(shown)
            )
            break
    return response


def _refused_description(request: DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse:
    """Refuse a cursor that is on no page of the request."""
    return DescribeTopicPartitionsResponse(
        topics=[
            DescribeTopicPartitionsResponse.Topic(
                error_code=ErrorCode.INVALID_REQUEST, name=each.name, topic_id=ZERO_UUID, partitions=[]
            )
            for each in request.topics
        ]
    )


def _unknown_topic(name: str) -> DescribeTopicPartitionsResponse.Topic:
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    try:
        check_name(name)
    except KafkaError as error:
        code = error.code
    return DescribeTopicPartitionsResponse.Topic(
        error_code=code,
        name=name,
        topic_id=ZERO_UUID,
        partitions=[],
        topic_authorized_operations=ALL_TOPIC_OPERATIONS,
    )
