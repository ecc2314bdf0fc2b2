"""The classic group APIs: converts between topic names and ids, and leaves the rest to the coordinator."""

from functools import partial

from ottla.broker.cluster.nodes import Node
from ottla.broker.requests.context import Context
from ottla.scheduling.promise import Promise, gather, then
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.groups import (
    DeleteGroupsRequest,
    DeleteGroupsResponse,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
    HeartbeatRequest,
    HeartbeatResponse,
    JoinGroupRequest,
    JoinGroupResponse,
    LeaveGroupRequest,
    LeaveGroupResponse,
    ListGroupsRequest,
    ListGroupsResponse,
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetFetchRequest,
    OffsetFetchResponse,
    SyncGroupRequest,
    SyncGroupResponse,
)

GROUP = 0
TRANSACTION = 1
SHARE = 2
SHARE_KEY_PARTS = 3

NO_NODE = -1
ALL_GROUP_OPERATIONS = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11
"""A bit set of ``AclOperation`` codes: READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS."""

Coordinator = FindCoordinatorResponse.Coordinator
CommitTopic = OffsetCommitResponse.Topic
DeleteTopic = OffsetDeleteResponse.Topic
FetchGroupRequest = OffsetFetchRequest.Group
FetchGroup = OffsetFetchResponse.Group


# --- coordinators ----------------------------------------------------------------------------------------------------


def find_coordinator(context: Context, request: FindCoordinatorRequest) -> FindCoordinatorResponse:
    """Return the coordinator of each key: for a group, the node that leads its offsets' partition."""
    version = context.api_version
    if FindCoordinatorRequest.names_several_keys(version):
        return FindCoordinatorResponse(
            coordinators=[
                _coordinator(context, request.key_type, key, version=version) for key in request.coordinator_keys
            ]
        )
    found = _coordinator(context, request.key_type, request.key, version=version)
    return FindCoordinatorResponse(
        error_code=found.error_code,
        error_message=found.error_message or ErrorCode.NONE.name,
        node_id=found.node_id,
        host=found.host,
        port=found.port,
    )


def _coordinator(context: Context, key_type: int, key: str, *, version: int) -> Coordinator:
    node = context.node
    try:
        _check_key(key_type, key, version=version)
        if key_type == GROUP:
            context.node.groups.prepare()
            node = _group_coordinator(context, key)
    except KafkaError as error:
        return Coordinator(
            key=key, node_id=NO_NODE, host="", port=NO_NODE, error_code=error.code, error_message=error.message
        )
    endpoint = node.endpoints[context.listener]
    return Coordinator(key=key, node_id=node.id, host=endpoint.host, port=endpoint.port, error_message="")


def _group_coordinator(context: Context, key: str) -> Node:
    """Return the node that has loaded, or is loading, a group. Raises ``KafkaError`` COORDINATOR_NOT_AVAILABLE."""
    for node in context.cluster.nodes.by_id.values():
        if node.groups.runtime.coordinates(key):
            return node
    raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, "No node can read the offsets of this group")


def _check_key(key_type: int, key: str, *, version: int) -> None:
    if key_type in {GROUP, TRANSACTION}:
        return
    if key_type != SHARE or not FindCoordinatorRequest.knows_share_coordinators(version):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Coordinator type {key_type} is unknown")
    if len(key.split(":")) != SHARE_KEY_PARTS or not key.rsplit(":", 1)[1].isdigit():
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{key!r} is not GROUP:TOPIC_ID:PARTITION")


# --- members ---------------------------------------------------------------------------------------------------------


def join_group(context: Context, request: JoinGroupRequest) -> JoinGroupResponse | Promise[JoinGroupResponse]:
    """Let a member join; the answer comes when the group's next generation begins."""
    version = context.api_version
    joined = context.node.groups.join(
        request,
        version=version,
        client_id=context.client.id or "",
        client_host=_java_address(context.client.host),
    )
    return then(joined, partial(_name_protocol, version))


def _name_protocol(version: int, response: JoinGroupResponse) -> JoinGroupResponse:
    response.protocol_name = response.protocol_name or JoinGroupResponse.no_protocol_name(version)
    return response


def sync_group(context: Context, request: SyncGroupRequest) -> SyncGroupResponse | Promise[SyncGroupResponse]:
    """Give a member its assignment; the answer comes when the leader has sent it."""
    is_named = request.protocol_type is not None and request.protocol_name is not None
    if SyncGroupRequest.must_name_protocol(context.api_version) and not is_named:
        return SyncGroupResponse(error_code=ErrorCode.INCONSISTENT_GROUP_PROTOCOL, assignment=b"")
    return context.node.groups.sync(request)


def heartbeat(context: Context, request: HeartbeatRequest) -> HeartbeatResponse | Promise[HeartbeatResponse]:
    """Note a member's heartbeat."""
    return context.node.groups.heartbeat(request)


def leave_group(context: Context, request: LeaveGroupRequest) -> LeaveGroupResponse | Promise[LeaveGroupResponse]:
    """Remove members from a group."""
    if LeaveGroupRequest.names_several_members(context.api_version):
        return context.node.groups.leave(request.group_id, request.members)
    leaving = [LeaveGroupRequest.Member(member_id=request.member_id)]
    return then(context.node.groups.leave(request.group_id, leaving), _of_one_member)


def _of_one_member(response: LeaveGroupResponse) -> LeaveGroupResponse:
    if response.error_code == ErrorCode.NONE:
        response.error_code = response.members[0].error_code
    return response


def _java_address(host: str) -> str:
    """Write an address as Java does, because tools show it as a member's host: `/127.0.0.1`, `/0:0:0:0:0:0:0:1`."""
    if ":" not in host:
        return f"/{host}"
    from ipaddress import IPv6Address

    address = IPv6Address(host.partition("%")[0])
    if address.ipv4_mapped is not None:
        return f"/{address.ipv4_mapped}"
    return "/" + ":".join(f"{int(part, 16):x}" for part in address.exploded.split(":"))


# --- offsets ---------------------------------------------------------------------------------------------------------


def offset_commit(
    context: Context, request: OffsetCommitRequest
) -> OffsetCommitResponse | Promise[OffsetCommitResponse]:
    """Commit offsets of the topics and partitions that exist."""
    cluster = context.cluster
    by_id = OffsetCommitRequest.names_topics_by_id(context.api_version)
    refused: list[CommitTopic] = []
    accepted = []
    for topic in request.topics:
        found = cluster.topics.by_id.get(topic.topic_id) if by_id else cluster.topics.by_name.get(topic.name)
        code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if found is not None or not by_id else ErrorCode.UNKNOWN_TOPIC_ID
        count = 0
        if found is not None:
            topic.name, topic.topic_id = found.name, found.id
            count = len(found.partitions)
        known = [each for each in topic.partitions if 0 <= each.partition_index < count]
        if len(known) < len(topic.partitions):
            unknown = [each.partition_index for each in topic.partitions if not 0 <= each.partition_index < count]
            partitions = [CommitTopic.Partition(partition_index=index, error_code=code) for index in unknown]
            _merge(refused, CommitTopic(name=topic.name, topic_id=topic.topic_id, partitions=partitions))
        if known:
            topic.partitions = known
            accepted.append(topic)
    if not accepted:
        return OffsetCommitResponse(topics=refused)
    request.topics = accepted
    return then(
        context.node.groups.commit_offsets(request, version=context.api_version),
        lambda done: _with_refused(done, refused),
    )


def _with_refused(response: OffsetCommitResponse, refused: list[CommitTopic]) -> OffsetCommitResponse:
    if refused:
        for topic in response.topics:
            _merge(refused, topic)
        response.topics = refused
    return response


def _merge(topics: list[CommitTopic], topic: CommitTopic) -> None:
    """Add partitions to the answer of their topic, or the topic if it has no answer yet."""
    for each in topics:
        if each.name == topic.name and each.topic_id == topic.topic_id:
            each.partitions.extend(topic.partitions)
            return
    topics.append(topic)


def offset_fetch(context: Context, request: OffsetFetchRequest) -> OffsetFetchResponse | Promise[OffsetFetchResponse]:
    """Read the committed offsets of one group, or of several."""
    version = context.api_version
    if OffsetFetchRequest.names_several_groups(version):
        answers = [_fetch_group(context, group, require_stable=request.require_stable) for group in request.groups]
        return then(gather(answers), lambda groups: OffsetFetchResponse(groups=groups))
    topics = None
    if request.topics is not None:
        topics = [
            FetchGroupRequest.Topic(name=topic.name, partition_indexes=topic.partition_indexes)
            for topic in request.topics
        ]
    group = FetchGroupRequest(group_id=request.group_id, topics=topics)
    answer = _fetch_group(context, group, require_stable=request.require_stable)
    return then(answer, lambda group: _of_one_group(request, group, version=version))


def _fetch_group(
    context: Context, group: FetchGroupRequest, *, require_stable: bool
) -> FetchGroup | Promise[FetchGroup]:
    coordinator = context.node.groups
    if not OffsetFetchRequest.names_topics_by_id(context.api_version):
        return coordinator.fetch_offsets(group, require_stable=require_stable)
    if group.topics is None:
        return then(
            coordinator.fetch_offsets(group, require_stable=require_stable),
            lambda answer: _name_by_id(context, answer),
        )
    missing = []
    for topic in group.topics:
        found = context.cluster.topics.by_id.get(topic.topic_id)
        if found is None:
            missing.append(_missing_topic(topic))
        else:
            topic.name = found.name
    group.topics = [topic for topic in group.topics if topic.name]
    return then(
        coordinator.fetch_offsets(group, require_stable=require_stable),
        lambda answer: _with_missing(answer, missing),
    )


def _name_by_id(context: Context, answer: FetchGroup) -> FetchGroup:
    """Give topics their ids; deleted topics have none."""
    for topic in answer.topics:
        found = context.cluster.topics.by_name.get(topic.name)
        if found is not None:
            topic.topic_id = found.id
    answer.topics = [topic for topic in answer.topics if topic.name in context.cluster.topics.by_name]
    return answer


def _missing_topic(topic: FetchGroupRequest.Topic) -> FetchGroup.Topic:
    return FetchGroup.Topic(
        topic_id=topic.topic_id,
        partitions=[
            FetchGroup.Topic.Partition(
                partition_index=index, committed_offset=-1, metadata="", error_code=ErrorCode.UNKNOWN_TOPIC_ID
            )
            for index in topic.partition_indexes
        ],
    )


def _with_missing(answer: FetchGroup, missing: list[FetchGroup.Topic]) -> FetchGroup:
    if answer.error_code == ErrorCode.NONE:
        answer.topics.extend(missing)
    return answer


def _of_one_group(request: OffsetFetchRequest, group: FetchGroup, *, version: int) -> OffsetFetchResponse:
    topics = [
        OffsetFetchResponse.Topic(
            name=topic.name,
            partitions=[
                OffsetFetchResponse.Topic.Partition(
                    partition_index=each.partition_index,
                    committed_offset=each.committed_offset,
                    committed_leader_epoch=each.committed_leader_epoch,
                    metadata=each.metadata,
                    error_code=each.error_code,
                )
                for each in topic.partitions
            ],
        )
        for topic in group.topics
    ]
    if group.error_code != ErrorCode.NONE and not OffsetFetchResponse.has_group_error(version):
        topics = [
            OffsetFetchResponse.Topic(
                name=topic.name,
                partitions=[
                    OffsetFetchResponse.Topic.Partition(
                        partition_index=index, committed_offset=-1, metadata="", error_code=group.error_code
                    )
                    for index in topic.partition_indexes
                ],
            )
            for topic in request.topics or ()
        ]
    return OffsetFetchResponse(error_code=group.error_code, topics=topics)


def offset_delete(
    context: Context, request: OffsetDeleteRequest
) -> OffsetDeleteResponse | Promise[OffsetDeleteResponse]:
    """Forget committed offsets of the topics and partitions that exist."""
    refused: dict[str, DeleteTopic] = {}
    accepted: dict[str, OffsetDeleteRequest.Topic] = {}
    for topic in request.topics:
        found = context.cluster.topics.by_name.get(topic.name)
        count = 0 if found is None else len(found.partitions)
        for each in topic.partitions:
            if 0 <= each.partition_index < count:
                kept = accepted.setdefault(topic.name, OffsetDeleteRequest.Topic(name=topic.name, partitions=[]))
                kept.partitions.append(each)
            else:
                answer = refused.setdefault(topic.name, DeleteTopic(name=topic.name, partitions=[]))
                answer.partitions.append(
                    DeleteTopic.Partition(
                        partition_index=each.partition_index, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                    )
                )
    request.topics = [*accepted.values()]
    return then(context.node.groups.delete_offsets(request), lambda done: _with_unknown(done, refused))


def _with_unknown(response: OffsetDeleteResponse, refused: dict[str, DeleteTopic]) -> OffsetDeleteResponse:
    if response.error_code == ErrorCode.NONE:
        for topic in response.topics:
            refused.setdefault(topic.name, DeleteTopic(name=topic.name, partitions=[])).partitions.extend(
                topic.partitions
            )
        response.topics = [*refused.values()]
    return response


# --- groups ----------------------------------------------------------------------------------------------------------


def describe_groups(context: Context, request: DescribeGroupsRequest) -> DescribeGroupsResponse:
    """Describe classic groups."""
    described = [context.node.groups.describe(group_id, version=context.api_version) for group_id in request.groups]
    if request.include_authorized_operations:
        for group in described:
            if group.error_code == ErrorCode.NONE:
                group.authorized_operations = ALL_GROUP_OPERATIONS
    return DescribeGroupsResponse(groups=described)


def list_groups(context: Context, request: ListGroupsRequest) -> ListGroupsResponse:
    """List groups, filtered by state and type."""
    return context.node.groups.list_groups(request)


def delete_groups(
    context: Context, request: DeleteGroupsRequest
) -> DeleteGroupsResponse | Promise[DeleteGroupsResponse]:
    """Delete groups that have no members."""
    return context.node.groups.delete_groups(request.groups_names)
