"""The controllers, the brokers they know and the features they have agreed on."""

from ottla.wire.schema import ZERO_UUID, Request, Response, Struct, field, i8, i16, i32, i64, since, u16, uuid


class ReplicaState(Struct):
    """How far one voter or observer has come."""

    replica_id: i32
    replica_directory_id: uuid = since(2, default=ZERO_UUID)
    log_end_offset: i64
    last_fetch_timestamp: i64 = since(1, default=-1)
    last_caught_up_timestamp: i64 = since(1, default=-1)


class DescribeQuorumRequest(Request, key=55, versions=(0, 2), flexible=0):
    """Ask who keeps the metadata log (KIP-595)."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32

        topic_name: str
        partitions: list[Partition]

    topics: list[Topic]


class DescribeQuorumResponse(Response, key=55, versions=(0, 2), flexible=0):
    """The voters and observers, with how far they are (KIP-836), and their addresses from version 2 (KIP-853)."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32
            error_code: i16 = 0
            error_message: str | None = since(2, default="")
            leader_id: i32
            leader_epoch: i32
            high_watermark: i64
            current_voters: list[ReplicaState]
            observers: list[ReplicaState]

        topic_name: str
        partitions: list[Partition]

    class Node(Struct):
        class Listener(Struct):
            name: str = since(2, default="")
            host: str = since(2, default="")
            port: u16 = since(2, default=0)

        node_id: i32 = since(2, default=0)
        listeners: list[Listener] = since(2, default=[])

    error_code: i16 = 0
    error_message: str | None = since(2, default="")
    topics: list[Topic]
    nodes: list[Node] = since(2, default=[])


class UpdateFeaturesRequest(Request, key=57, versions=(0, 2), flexible=0):
    """Raise or lower the levels of features (KIP-584); level 0 removes one."""

    class FeatureUpdate(Struct):
        feature: str
        max_version_level: i16
        allow_downgrade: bool = field(default=False, until=0)
        upgrade_type: i8 = since(1, default=1)

    timeout_ms: i32 = 60000
    feature_updates: list[FeatureUpdate]
    validate_only: bool = since(1, default=False)


class UpdateFeaturesResponse(Response, key=57, versions=(0, 2), flexible=0):
    """How it went: for each feature up to version 1, for all of them together from version 2."""

    class Result(Struct):
        feature: str
        error_code: i16 = 0
        error_message: str | None

    throttle_time_ms: i32 = 0
    error_code: i16 = 0
    error_message: str | None
    results: list[Result] = field(default=[], until=1)


class UnregisterBrokerRequest(Request, key=64, versions=(0, 0), flexible=0):
    """Let the cluster forget a broker (KIP-500)."""

    broker_id: i32


class UnregisterBrokerResponse(Response, key=64, versions=(0, 0), flexible=0):
    """Whether it did."""

    throttle_time_ms: i32 = 0
    error_code: i16 = 0
    error_message: str | None


class AddRaftVoterRequest(Request, key=80, versions=(0, 1), flexible=0):
    """Add a controller to the quorum (KIP-853)."""

    class Listener(Struct):
        name: str
        host: str
        port: u16

    cluster_id: str | None
    timeout_ms: i32
    voter_id: i32
    voter_directory_id: uuid
    listeners: list[Listener]
    ack_when_committed: bool = since(1, default=True)


class AddRaftVoterResponse(Response, key=80, versions=(0, 1), flexible=0):
    """Whether it was added."""

    throttle_time_ms: i32 = 0
    error_code: i16 = 0
    error_message: str | None


class RemoveRaftVoterRequest(Request, key=81, versions=(0, 0), flexible=0):
    """Remove a controller from the quorum (KIP-853)."""

    cluster_id: str | None
    voter_id: i32
    voter_directory_id: uuid


class RemoveRaftVoterResponse(Response, key=81, versions=(0, 0), flexible=0):
    """Whether it was removed."""

    throttle_time_ms: i32 = 0
    error_code: i16 = 0
    error_message: str | None
