"""A client's first questions: the served APIs, the cluster, its topics."""

from ottla.wire.schema import ZERO_UUID, Request, Response, Struct, field, i8, i16, i32, i64, since, tagged, uuid


class ApiVersionsRequest(Request, key=18, versions=(0, 4), flexible=3):
    """Which APIs does this broker serve? From version 3, the client names its software (KIP-511)."""

    client_software_name: str = since(3, default="")
    client_software_version: str = since(3, default="")

    @staticmethod
    def names_software(version: int) -> bool:
        """Tell whether the client says what it is (KIP-511)."""
        return version >= 3

    @staticmethod
    def knows_level_zero(version: int) -> bool:
        """Tell whether the client reads features that begin at level 0 (KIP-1022)."""
        return version >= 4


class ApiVersionsResponse(Response, key=18, versions=(0, 4), flexible=3):
    """The served versions of each API; from version 3, the features too (KIP-584). Its header stays at version 0."""

    class ApiVersion(Struct):
        api_key: i16
        min_version: i16
        max_version: i16

    class SupportedFeature(Struct):
        name: str
        min_version: i16
        max_version: i16

    class FinalizedFeature(Struct):
        name: str
        max_version_level: i16
        min_version_level: i16

    error_code: i16 = 0
    api_keys: list[ApiVersion]
    throttle_time_ms: i32 = since(1, default=0)
    supported_features: list[SupportedFeature] = tagged(0, 3, default=[])
    finalized_features_epoch: i64 = tagged(1, 3, default=-1)
    finalized_features: list[FinalizedFeature] = tagged(2, 3, default=[])
    zk_migration_ready: bool = tagged(3, 3, default=False)


class MetadataRequest(Request, key=3, versions=(0, 13), flexible=9):
    """Ask about topics: None means all (in version 0, an empty list does). From version 12, also by id (KIP-516)."""

    class Topic(Struct):
        topic_id: uuid = since(10, default=ZERO_UUID)
        name: str | None = field(nullable=10)

    topics: list[Topic] | None = field(nullable=1)
    allow_auto_topic_creation: bool = since(4, default=True)
    include_cluster_authorized_operations: bool = field(since=8, until=10, default=False)
    include_topic_authorized_operations: bool = since(8, default=False)

    @staticmethod
    def empty_means_all(version: int) -> bool:
        """Tell whether an empty list asks for all topics, because null cannot be said."""
        return version == 0

    @staticmethod
    def hides_stopped_replicas(version: int) -> bool:
        """Tell whether replicas on nodes that do not run are left out."""
        return version == 0

    @staticmethod
    def finds_topics_by_id(version: int) -> bool:
        """Tell whether topics may be asked for by id; versions 10 and 11 have the field and no use for it."""
        return version >= 12


class MetadataResponse(Response, key=3, versions=(0, 13), flexible=9):
    """Brokers, topics and the leaders of their partitions, with topic ids from version 10 (KIP-516)."""

    class Broker(Struct):
        node_id: i32
        host: str
        port: i32
        rack: str | None = since(1, default=None)

    class Topic(Struct):
        class Partition(Struct):
            error_code: i16 = 0
            partition_index: i32
            leader_id: i32
            leader_epoch: i32 = since(7, default=-1)
            replica_nodes: list[i32]
            isr_nodes: list[i32]
            offline_replicas: list[i32] = since(5, default=[])

        error_code: i16 = 0
        name: str | None = field(nullable=12)
        topic_id: uuid = since(10, default=ZERO_UUID)
        is_internal: bool = since(1, default=False)
        partitions: list[Partition]
        topic_authorized_operations: i32 = since(8, default=-(2**31))

    throttle_time_ms: i32 = since(3, default=0)
    brokers: list[Broker]
    cluster_id: str | None = since(2, default=None)
    controller_id: i32 = since(1, default=-1)
    topics: list[Topic]
    cluster_authorized_operations: i32 = field(since=8, until=10, default=-(2**31))
    error_code: i16 = since(13, default=0)


class DescribeClusterRequest(Request, key=60, versions=(0, 2), flexible=0):
    """Ask who is in the cluster (KIP-700): brokers, or controllers (KIP-919), with fenced ones from version 2."""

    include_cluster_authorized_operations: bool
    endpoint_type: i8 = since(1, default=1)
    include_fenced_brokers: bool = since(2, default=False)


class DescribeClusterResponse(Response, key=60, versions=(0, 2), flexible=0):
    """The brokers of the cluster and which of them controls it (KIP-700)."""

    class Broker(Struct):
        broker_id: i32
        host: str
        port: i32
        rack: str | None = None
        is_fenced: bool = since(2, default=False)

    throttle_time_ms: i32 = 0
    error_code: i16 = 0
    error_message: str | None = None
    endpoint_type: i8 = since(1, default=1)
    cluster_id: str
    controller_id: i32 = -1
    brokers: list[Broker]
    cluster_authorized_operations: i32 = -(2**31)


class DescribeTopicPartitionsRequest(Request, key=75, versions=(0, 0), flexible=0):
    """Describe topics page by page (KIP-966); the cursor says where the next page begins."""

    class Topic(Struct):
        name: str

    class Cursor(Struct):
        topic_name: str
        partition_index: i32

    topics: list[Topic]
    response_partition_limit: i32 = 2000
    cursor: Cursor | None = None


class DescribeTopicPartitionsResponse(Response, key=75, versions=(0, 0), flexible=0):
    """One page of partitions, with their eligible leader replicas (KIP-966)."""

    class Topic(Struct):
        class Partition(Struct):
            error_code: i16 = 0
            partition_index: i32
            leader_id: i32
            leader_epoch: i32 = -1
            replica_nodes: list[i32]
            isr_nodes: list[i32]
            eligible_leader_replicas: list[i32] | None = None
            last_known_elr: list[i32] | None = None
            offline_replicas: list[i32]

        error_code: i16 = 0
        name: str | None
        topic_id: uuid
        is_internal: bool = False
        partitions: list[Partition]
        topic_authorized_operations: i32 = -(2**31)

    class Cursor(Struct):
        topic_name: str
        partition_index: i32

    throttle_time_ms: i32 = 0
    topics: list[Topic]
    next_cursor: Cursor | None = None
