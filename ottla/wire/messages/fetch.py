"""How records and their offsets are read: Fetch, ListOffsets, OffsetForLeaderEpoch."""

from ottla.wire.schema import (
    ZERO_UUID,
    Records,
    Request,
    Response,
    Struct,
    field,
    i8,
    i16,
    i32,
    i64,
    since,
    tagged,
    uuid,
)


class FetchRequest(Request, key=1, versions=(0, 18), flexible=12):
    """Read batches; in a session from version 7 (KIP-227), topics named by id from version 13 (KIP-516)."""

    class ReplicaState(Struct):
        replica_id: i32 = -1
        replica_epoch: i64 = -1

    class Topic(Struct):
        class Partition(Struct):
            partition: i32
            current_leader_epoch: i32 = since(9, default=-1)
            fetch_offset: i64
            last_fetched_epoch: i32 = since(12, default=-1)
            log_start_offset: i64 = since(5, default=-1)
            partition_max_bytes: i32
            replica_directory_id: uuid = tagged(0, 17, default=ZERO_UUID)
            high_watermark: i64 = tagged(1, 18, default=2**63 - 1)

        topic: str = field(until=12, default="")
        topic_id: uuid = since(13, default=ZERO_UUID)
        partitions: list[Partition]

    class ForgottenTopic(Struct):
        topic: str = field(until=12, default="")
        topic_id: uuid = since(13, default=ZERO_UUID)
        partitions: list[i32]

    cluster_id: str | None = tagged(0, 12, default=None)
    replica_id: i32 = field(until=14, default=-1)
    replica_state: ReplicaState = tagged(1, 15, default=ReplicaState)
    max_wait_ms: i32
    min_bytes: i32
    max_bytes: i32 = since(3, default=2**31 - 1)
    isolation_level: i8 = since(4, default=0)
    session_id: i32 = since(7, default=0)
    session_epoch: i32 = since(7, default=-1)
    topics: list[Topic]
    forgotten_topics_data: list[ForgottenTopic] = since(7, default=[])
    rack_id: str = since(11, default="")

    @staticmethod
    def may_read_from_followers(version: int) -> bool:
        """Tell whether a consumer may read from any replica (KIP-392)."""
        return version >= 11

    @staticmethod
    def is_told_of_new_leaders(version: int) -> bool:
        """Tell whether an answer from the wrong node names the right one (KIP-951)."""
        return version >= 16

    @staticmethod
    def names_topics_by_id(version: int) -> bool:
        """Tell whether topics are named by id (KIP-516)."""
        return version >= 13

    @staticmethod
    def newest_format(version: int) -> int:
        """Return the newest record format that the client reads: messages before batches (KIP-98), v0 before KIP-32."""
        return 0 if version < 2 else 1 if version < 4 else 2


class FetchResponse(Response, key=1, versions=(0, 18), flexible=12):
    """Batches of each partition and how far it may be read; diverging epochs from version 12 (KIP-595)."""

    class Topic(Struct):
        class Partition(Struct):
            class EpochEndOffset(Struct):
                epoch: i32 = -1
                end_offset: i64 = -1

            class LeaderIdAndEpoch(Struct):
                leader_id: i32 = -1
                leader_epoch: i32 = -1

            class SnapshotId(Struct):
                end_offset: i64 = -1
                epoch: i32 = -1

            class AbortedTransaction(Struct):
                producer_id: i64
                first_offset: i64

            partition_index: i32
            error_code: i16 = 0
            high_watermark: i64
            last_stable_offset: i64 = since(4, default=-1)
            log_start_offset: i64 = since(5, default=-1)
            diverging_epoch: EpochEndOffset = tagged(0, 12, default=EpochEndOffset)
            current_leader: LeaderIdAndEpoch = tagged(1, 12, default=LeaderIdAndEpoch)
            snapshot_id: SnapshotId = tagged(2, 12, default=SnapshotId)
            aborted_transactions: list[AbortedTransaction] | None = since(4, default=[])
            preferred_read_replica: i32 = since(11, default=-1)
            records: Records | None

        topic: str = field(until=12, default="")
        topic_id: uuid = since(13, default=ZERO_UUID)
        partitions: list[Partition]

    class NodeEndpoint(Struct):
        node_id: i32
        host: str
        port: i32
        rack: str | None = None

    throttle_time_ms: i32 = since(1, default=0)
    error_code: i16 = since(7, default=0)
    session_id: i32 = since(7, default=0)
    responses: list[Topic]
    node_endpoints: list[NodeEndpoint] = tagged(0, 16, default=[])


class ListOffsetsRequest(Request, key=2, versions=(0, 11), flexible=6):
    """Find offsets by timestamp: -1 latest, -2 earliest, -3 max timestamp (KIP-734), -4 to -6 for tiered storage."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32
            current_leader_epoch: i32 = since(4, default=-1)
            timestamp: i64
            max_num_offsets: i32 = field(until=0, default=1)

        name: str
        partitions: list[Partition]

    replica_id: i32
    isolation_level: i8 = since(2, default=0)
    topics: list[Topic]
    timeout_ms: i32 = since(10, default=0)

    @staticmethod
    def wants_several_offsets(version: int) -> bool:
        """Tell whether offsets are listed, up to a number (before KIP-79); since, the one for a timestamp is found."""
        return version < 1


class ListOffsetsResponse(Response, key=2, versions=(0, 11), flexible=6):
    """The offset that answers each timestamp, with its leader epoch from version 4 (KIP-320)."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32
            error_code: i16 = 0
            old_style_offsets: list[i64] = field(until=0, default=[])
            timestamp: i64 = since(1, default=-1)
            offset: i64 = since(1, default=-1)
            leader_epoch: i32 = since(4, default=-1)

        name: str
        partitions: list[Partition]

    throttle_time_ms: i32 = since(2, default=0)
    topics: list[Topic]


class OffsetForLeaderEpochRequest(Request, key=23, versions=(0, 4), flexible=4):
    """Ask where a leader epoch ended, to find truncation (KIP-101, KIP-320)."""

    class Topic(Struct):
        class Partition(Struct):
            partition: i32
            current_leader_epoch: i32 = since(2, default=-1)
            leader_epoch: i32

        topic: str
        partitions: list[Partition]

    replica_id: i32 = since(3, default=-2)
    topics: list[Topic]


class OffsetForLeaderEpochResponse(Response, key=23, versions=(0, 4), flexible=4):
    """The largest epoch not above the one asked for, and its end offset (exclusive)."""

    class Topic(Struct):
        class Partition(Struct):
            error_code: i16 = 0
            partition: i32
            leader_epoch: i32 = since(1, default=-1)
            end_offset: i64 = -1

        topic: str
        partitions: list[Partition]

    throttle_time_ms: i32 = since(2, default=0)
    topics: list[Topic]
