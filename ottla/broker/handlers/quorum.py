"""The controllers, as a cluster of one node shows them: DescribeQuorum, voters, UpdateFeatures, UnregisterBroker."""

from ottla.broker.requests.context import Context
from ottla.broker.topics.names import CLUSTER_METADATA
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.quorum import (
    AddRaftVoterRequest,
    AddRaftVoterResponse,
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    RemoveRaftVoterRequest,
    RemoveRaftVoterResponse,
    ReplicaState,
    UnregisterBrokerRequest,
    UnregisterBrokerResponse,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from ottla.wire.schema import ZERO_UUID

FIRST_EPOCH = 1
"""The only epoch: there is one controller, and no other ever takes its place."""

DescribedTopic = DescribeQuorumResponse.Topic
ControllerNode = DescribeQuorumResponse.Node


def describe_quorum(context: Context, request: DescribeQuorumRequest) -> DescribeQuorumResponse:
    """Describe the one partition of the metadata log; refuse a request for another one, or for several."""
    asked = [(topic.topic_name, each.partition_index) for topic in request.topics for each in topic.partitions]
    if not asked or asked == [(CLUSTER_METADATA, 0)]:
        topics = [
            DescribedTopic(topic_name=topic.topic_name, partitions=[_described(context) for _ in topic.partitions])
            for topic in request.topics
        ]
        return DescribeQuorumResponse(error_message="", topics=topics, nodes=_controllers(context) if asked else [])
    return DescribeQuorumResponse(
        error_message="",
        topics=[
            DescribedTopic(
                topic_name=topic.topic_name, partitions=[_unknown(each.partition_index) for each in topic.partitions]
            )
            for topic in request.topics
        ],
    )


def _described(context: Context) -> DescribedTopic.Partition:
    cluster = context.cluster
    end_offset = cluster.catalog.metadata_offset + 1
    now_ms = cluster.clock.wall_ms()
    return DescribedTopic.Partition(
        partition_index=0,
        error_message="",
        leader_id=cluster.nodes.controller_id,
        leader_epoch=FIRST_EPOCH,
        high_watermark=end_offset,
        current_voters=[
            ReplicaState(
                replica_id=cluster.nodes.controller_id,
                log_end_offset=end_offset,
                last_fetch_timestamp=now_ms,
                last_caught_up_timestamp=now_ms,
                replica_directory_id=ZERO_UUID,
            )
        ],
        # The observers, brokers without a vote: all but the one that is the controller, too.
        observers=[
            ReplicaState(
                replica_id=node.id,
                log_end_offset=end_offset,
                last_fetch_timestamp=now_ms,
                last_caught_up_timestamp=now_ms,
                replica_directory_id=ZERO_UUID,
            )
            for node in cluster.nodes.running
            if node.id != cluster.nodes.controller_id
        ],
    )


def _unknown(index: int) -> DescribedTopic.Partition:
    return DescribedTopic.Partition(
        partition_index=index,
        error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        error_message=f"Only {CLUSTER_METADATA}-0 has a quorum",
        leader_id=0,
        leader_epoch=0,
        high_watermark=0,
        current_voters=[],
        observers=[],
    )


def _controllers(context: Context) -> list[ControllerNode]:
    """Return the controller's address: that of its broker, because Ottla has no listener for controllers."""
    cluster = context.cluster
    endpoint = cluster.nodes.by_id[cluster.nodes.controller_id].endpoints[context.listener]
    names = cluster.config.names("controller.listener.names")
    listener = ControllerNode.Listener(name=names[0] if names else "CONTROLLER", host=endpoint.host, port=endpoint.port)
    return [ControllerNode(node_id=cluster.nodes.controller_id, listeners=[listener])]


def add_raft_voter(context: Context, request: AddRaftVoterRequest) -> AddRaftVoterResponse:
    """Refuse: voters can be added and removed only from kraft.version 1 on."""
    try:
        _check_voter(context, request.cluster_id, request.voter_id, request.voter_directory_id)
        names = context.cluster.config.names("controller.listener.names")
        if not {listener.name for listener in request.listeners} & set(names[:1]):
            raise KafkaError(ErrorCode.INVALID_REQUEST, "The voter has no address for the controller's listener")
    except KafkaError as error:
        return AddRaftVoterResponse(error_code=error.code, error_message=error.message)
    return AddRaftVoterResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, error_message=_FIXED_QUORUM)


def remove_raft_voter(context: Context, request: RemoveRaftVoterRequest) -> RemoveRaftVoterResponse:
    """Refuse, as ``add_raft_voter`` does."""
    try:
        _check_voter(context, request.cluster_id, request.voter_id, request.voter_directory_id)
    except KafkaError as error:
        return RemoveRaftVoterResponse(error_code=error.code, error_message=error.message)
    return RemoveRaftVoterResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, error_message=_FIXED_QUORUM)


_FIXED_QUORUM = "The quorum is fixed: kraft.version is 0"


def _check_voter(context: Context, cluster_id: str | None, voter_id: int, directory_id: bytes) -> None:
    if cluster_id not in {None, context.cluster.id}:
        raise KafkaError(ErrorCode.INCONSISTENT_CLUSTER_ID, f"This is cluster {context.cluster.id}")
    if voter_id < 0 or directory_id == ZERO_UUID:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "A voter must have an id and a directory id")


def update_features(context: Context, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse:
    """Change the levels of features, all or none."""
    wanted = {each.feature: (each.max_version_level, each.upgrade_type) for each in request.feature_updates}
    try:
        context.cluster.features.update(wanted, validate_only=request.validate_only)
    except KafkaError as error:
        return UpdateFeaturesResponse(error_code=error.code, error_message=error.message)
    return UpdateFeaturesResponse(
        error_message=None,
        results=[
            # Apache writes the name of the code NONE here.
            UpdateFeaturesResponse.Result(feature=each.feature, error_message=ErrorCode.NONE.name)
            for each in request.feature_updates
        ],
    )


def unregister_broker(context: Context, request: UnregisterBrokerRequest) -> UnregisterBrokerResponse:
    """Forget a stopped broker until it starts again; refuse for one that runs or is unknown."""
    node = context.cluster.nodes.by_id.get(request.broker_id)
    if node is None or not node.is_registered:
        return UnregisterBrokerResponse(
            error_code=ErrorCode.BROKER_ID_NOT_REGISTERED, error_message=f"Broker {request.broker_id} is not registered"
        )
    if not node.runs:
        context.cluster.elections.forget(node)
        return UnregisterBrokerResponse(error_message=None)
    return UnregisterBrokerResponse(
        error_code=ErrorCode.INVALID_REQUEST, error_message=f"Broker {request.broker_id} is running"
    )
