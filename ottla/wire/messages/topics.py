"""How topics come, grow, shrink and go: CreateTopics, CreatePartitions, DeleteRecords, DeleteTopics."""

from ottla.wire.schema import ZERO_UUID, Request, Response, Struct, field, i8, i16, i32, i64, since, tagged, uuid


class CreateTopicsRequest(Request, key=19, versions=(0, 7), flexible=5):
    """Create topics. From version 4, -1 leaves partitions or replication factor to the broker (KIP-464)."""

    class Topic(Struct):
        class Assignment(Struct):
            partition_index: i32
            broker_ids: list[i32]

        class Config(Struct):
            name: str
            value: str | None

        name: str
        num_partitions: i32
        replication_factor: i16
        assignments: list[Assignment]
        configs: list[Config]

    topics: list[Topic]
    timeout_ms: i32 = 60000
    validate_only: bool = since(1, default=False)

    @staticmethod
    def knows_throttling_quota(version: int) -> bool:
        """Whether the client knows THROTTLING_QUOTA_EXCEEDED; before, it was only slowed down (KIP-599)."""
        return version >= 6


class CreateTopicsResponse(Response, key=19, versions=(0, 7), flexible=5):
    """How each creation went, with the effective configuration from version 5 (KIP-525)."""

    class Topic(Struct):
        class Config(Struct):
            name: str
            value: str | None
            read_only: bool
            config_source: i8 = -1
            is_sensitive: bool

        name: str
        topic_id: uuid = since(7, default=ZERO_UUID)
        error_code: i16 = 0
        error_message: str | None = since(1, default="")
        topic_config_error_code: i16 = tagged(0, 5, default=0)
        num_partitions: i32 = since(5, default=-1)
        replication_factor: i16 = since(5, default=-1)
        configs: list[Config] | None = since(5, default=[])

    throttle_time_ms: i32 = since(2, default=0)
    topics: list[Topic]


class DeleteTopicsRequest(Request, key=20, versions=(0, 6), flexible=4):
    """Delete topics: by name, or by name or id from version 6 (KIP-516)."""

    class Topic(Struct):
        name: str | None = None
        topic_id: uuid

    topics: list[Topic] = since(6, default=[])
    topic_names: list[str] = field(until=5, default=[])
    timeout_ms: i32

    @staticmethod
    def knows_deletion_disabled(version: int) -> bool:
        """Whether the client knows TOPIC_DELETION_DISABLED (KIP-322)."""
        return version >= 3

    @staticmethod
    def knows_throttling_quota(version: int) -> bool:
        """Whether the client knows THROTTLING_QUOTA_EXCEEDED; before, it was only slowed down (KIP-599)."""
        return version >= 5


class DeleteTopicsResponse(Response, key=20, versions=(0, 6), flexible=4):
    """How each deletion went."""

    class Topic(Struct):
        name: str | None = field(nullable=6)
        topic_id: uuid = since(6, default=ZERO_UUID)
        error_code: i16 = 0
        error_message: str | None = since(5, default=None)

    throttle_time_ms: i32 = since(1, default=0)
    responses: list[Topic]


class CreatePartitionsRequest(Request, key=37, versions=(0, 3), flexible=2):
    """Grow topics to `count` partitions (KIP-195)."""

    class Topic(Struct):
        class Assignment(Struct):
            broker_ids: list[i32]

        name: str
        count: i32
        assignments: list[Assignment] | None

    topics: list[Topic]
    timeout_ms: i32
    validate_only: bool

    @staticmethod
    def knows_throttling_quota(version: int) -> bool:
        """Whether the client knows THROTTLING_QUOTA_EXCEEDED; before, it was only slowed down (KIP-599)."""
        return version >= 3


class CreatePartitionsResponse(Response, key=37, versions=(0, 3), flexible=2):
    """How each topic's growth went."""

    class Topic(Struct):
        name: str
        error_code: i16 = 0
        error_message: str | None = None

    throttle_time_ms: i32 = 0
    results: list[Topic]


class DeleteRecordsRequest(Request, key=21, versions=(0, 2), flexible=2):
    """Drop what lies before an offset (KIP-107); -1 means the high watermark."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32
            offset: i64

        name: str
        partitions: list[Partition]

    topics: list[Topic]
    timeout_ms: i32


class DeleteRecordsResponse(Response, key=21, versions=(0, 2), flexible=2):
    """The new first offset of each partition."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32
            low_watermark: i64
            error_code: i16 = 0

        name: str
        partitions: list[Partition]

    throttle_time_ms: i32 = 0
    topics: list[Topic]
