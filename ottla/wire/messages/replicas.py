"""Replicas, leaders and producers of partitions: elections, reassignments, DescribeProducers."""

from ottla.wire.schema import Request, Response, Struct, i8, i16, i32, i64, since


class ElectLeadersRequest(Request, key=43, versions=(0, 2), flexible=2):
    """Elect preferred (0) or unclean (1) leaders (KIP-460); no partitions means all."""

    class Topic(Struct):
        topic: str
        partitions: list[i32]

    election_type: i8 = since(1, default=0)
    topic_partitions: list[Topic] | None
    timeout_ms: i32 = 60000


class ElectLeadersResponse(Response, key=43, versions=(0, 2), flexible=2):
    """How each election went."""

    class Topic(Struct):
        class Partition(Struct):
            partition_id: i32
            error_code: i16 = 0
            error_message: str | None

        topic: str
        partition_result: list[Partition]

    throttle_time_ms: i32 = 0
    error_code: i16 = since(1, default=0)
    replica_election_results: list[Topic]


class AlterPartitionReassignmentsRequest(Request, key=45, versions=(0, 1), flexible=0):
    """Give partitions other replicas (KIP-455); null ends a reassignment that is under way."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32
            replicas: list[i32] | None = None

        name: str
        partitions: list[Partition]

    timeout_ms: i32 = 60000
    allow_replication_factor_change: bool = since(1, default=True)
    topics: list[Topic]


class AlterPartitionReassignmentsResponse(Response, key=45, versions=(0, 1), flexible=0):
    """How each reassignment began."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32
            error_code: i16 = 0
            error_message: str | None

        name: str
        partitions: list[Partition]

    throttle_time_ms: i32 = 0
    allow_replication_factor_change: bool = since(1, default=True)
    error_code: i16 = 0
    error_message: str | None
    responses: list[Topic]


class ListPartitionReassignmentsRequest(Request, key=46, versions=(0, 0), flexible=0):
    """Ask which reassignments are under way (KIP-455); None means those of all topics."""

    class Topic(Struct):
        name: str
        partition_indexes: list[i32]

    timeout_ms: i32 = 60000
    topics: list[Topic] | None = None


class ListPartitionReassignmentsResponse(Response, key=46, versions=(0, 0), flexible=0):
    """The reassignments that are under way."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32
            replicas: list[i32]
            adding_replicas: list[i32]
            removing_replicas: list[i32]

        name: str
        partitions: list[Partition]

    throttle_time_ms: i32 = 0
    error_code: i16 = 0
    error_message: str | None
    topics: list[Topic]


class DescribeProducersRequest(Request, key=61, versions=(0, 0), flexible=0):
    """Ask who writes to partitions, with sequences and transactions (KIP-664)."""

    class Topic(Struct):
        name: str
        partition_indexes: list[i32]

    topics: list[Topic]


class DescribeProducersResponse(Response, key=61, versions=(0, 0), flexible=0):
    """The producers that each partition remembers."""

    class Topic(Struct):
        class Partition(Struct):
            class Producer(Struct):
                producer_id: i64
                producer_epoch: i32
                last_sequence: i32 = -1
                last_timestamp: i64 = -1
                coordinator_epoch: i32
                current_txn_start_offset: i64 = -1

            partition_index: i32
            error_code: i16 = 0
            error_message: str | None = None
            active_producers: list[Producer]

        name: str
        partitions: list[Partition]

    throttle_time_ms: i32 = 0
    topics: list[Topic]
