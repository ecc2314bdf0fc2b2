"""What an administrator reads and alters: configurations and log directories."""

from ottla.wire.schema import Request, Response, Struct, i8, i16, i32, i64, since


class DescribeConfigsRequest(Request, key=32, versions=(1, 4), flexible=4):
    """Read configurations: all keys, or the named ones (KIP-133)."""

    class Resource(Struct):
        resource_type: i8
        resource_name: str
        configuration_keys: list[str] | None

    resources: list[Resource]
    include_synonyms: bool = False
    include_documentation: bool = since(3, default=False)


class DescribeConfigsResponse(Response, key=32, versions=(1, 4), flexible=4):
    """Values and where each comes from, with synonyms (KIP-226) and documentation (KIP-569)."""

    class Resource(Struct):
        class Config(Struct):
            class Synonym(Struct):
                name: str
                value: str | None
                source: i8

            name: str
            value: str | None
            read_only: bool
            config_source: i8 = -1
            is_sensitive: bool
            synonyms: list[Synonym]
            config_type: i8 = since(3, default=0)
            documentation: str | None = since(3, default="")

        error_code: i16 = 0
        error_message: str | None
        resource_type: i8
        resource_name: str
        configs: list[Config]

    throttle_time_ms: i32 = 0
    results: list[Resource]


class IncrementalAlterConfigsRequest(Request, key=44, versions=(0, 1), flexible=1):
    """Change single keys: set (0), delete (1), append (2), subtract (3) (KIP-339)."""

    class Resource(Struct):
        class Config(Struct):
            name: str
            config_operation: i8
            value: str | None

        resource_type: i8
        resource_name: str
        configs: list[Config]

    resources: list[Resource]
    validate_only: bool


class IncrementalAlterConfigsResponse(Response, key=44, versions=(0, 1), flexible=1):
    """How each resource's change went."""

    class Resource(Struct):
        error_code: i16 = 0
        error_message: str | None
        resource_type: i8
        resource_name: str

    throttle_time_ms: i32 = 0
    responses: list[Resource]


class DescribeLogDirsRequest(Request, key=35, versions=(1, 5), flexible=2):
    """Ask for the sizes of partitions on disk (KIP-113); None means all topics."""

    class Topic(Struct):
        topic: str
        partitions: list[i32]

    topics: list[Topic] | None


class DescribeLogDirsResponse(Response, key=35, versions=(1, 5), flexible=2):
    """Log directories and what they hold, with free space from version 4 (KIP-827)."""

    class LogDir(Struct):
        class Topic(Struct):
            class Partition(Struct):
                partition_index: i32
                partition_size: i64
                offset_lag: i64
                is_future_key: bool

            name: str
            partitions: list[Partition]

        error_code: i16 = 0
        log_dir: str
        topics: list[Topic]
        total_bytes: i64 = since(4, default=-1)
        usable_bytes: i64 = since(4, default=-1)
        is_cordoned: bool = since(5, default=False)

    throttle_time_ms: i32 = 0
    error_code: i16 = since(3, default=0)
    results: list[LogDir]
