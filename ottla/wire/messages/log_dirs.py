"""Where partitions lie on disk: DescribeLogDirs, AlterReplicaLogDirs."""

from ottla.wire.schema import Request, Response, Struct, i16, i32, i64, since


class DescribeLogDirsRequest(Request, key=35, versions=(0, 5), flexible=2):
    """Ask for the sizes of partitions on disk (KIP-113); None means all topics."""

    class Topic(Struct):
        topic: str
        partitions: list[i32]

    topics: list[Topic] | None


class DescribeLogDirsResponse(Response, key=35, versions=(0, 5), flexible=2):
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


class AlterReplicaLogDirsRequest(Request, key=34, versions=(0, 2), flexible=2):
    """Move replicas to another log directory of the same broker (KIP-113)."""

    class Dir(Struct):
        class Topic(Struct):
            name: str
            partitions: list[i32]

        path: str
        topics: list[Topic]

    dirs: list[Dir]


class AlterReplicaLogDirsResponse(Response, key=34, versions=(0, 2), flexible=2):
    """How each move began."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32
            error_code: i16 = 0

        topic_name: str
        partitions: list[Partition]

    throttle_time_ms: i32 = 0
    results: list[Topic]
