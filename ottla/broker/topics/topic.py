"""A topic: its partitions, and the settings in force."""

from ottla.broker.settings.topic_config import TopicConfig
from ottla.broker.topics.compression import Compression
from ottla.broker.topics.names import INTERNAL_TOPICS
from ottla.broker.topics.partition import Partition
from ottla.storage.log_config import MAX_INT64, LogConfig
from ottla.wire.batch import CREATE_TIME, LOG_APPEND_TIME
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.template import Template


class Topic:
    """One topic. ``partitions[i]`` has index i; ``config`` is replaced whole when a setting changes."""

    __slots__ = (
        "compression",
        "config",
        "id",
        "is_internal",
        "log_config",
        "looks_inside",
        "name",
        "partitions",
        "produced",
        "reads_records",
    )

    def __init__(self, name: str, topic_id: bytes, config: TopicConfig) -> None:
        self.name = name
        self.id = topic_id
        self.is_internal = name in INTERNAL_TOPICS
        self.partitions: list[Partition] = []
        self.produced: dict[int, Template] = {}
        """For each version of Produce, the answer to one batch for one partition."""
        self.configure(config)

    def configure(self, config: TopicConfig) -> None:
        """Put other settings in force, in the logs too."""
        self.config = config
        self.log_config = log_config_of(config)
        self.reads_records = (
            self.log_config.is_compacted
            or self.log_config.message_timestamp_before_max_ms != MAX_INT64
            or config.validates_records
        )
        self.compression = Compression.of(self.log_config)
        self.looks_inside = self.reads_records or self.compression is not None
        """Whether an append must look inside a batch, because its header is not enough."""
        for partition in self.partitions:
            partition.log.configure(self.log_config)
            partition.require_in_sync(self.log_config.min_insync_replicas)

    def partition(self, index: int) -> Partition:
        """Return a partition; raises ``KafkaError`` UNKNOWN_TOPIC_OR_PARTITION."""
        if 0 <= index < len(self.partitions):
            return self.partitions[index]
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

    def check_records(self, batch: memoryview, now_ms: int) -> int:
        """Read the records of a batch; refuse wrong timestamps and missing keys, which its header does not show.

        Returns the greatest timestamp. Raises ``KafkaError`` INVALID_RECORD, INVALID_TIMESTAMP.
        """
        from ottla.wire.records import validate_records

        config = self.log_config
        return validate_records(
            batch,
            timestamp_type=LOG_APPEND_TIME if config.uses_log_append_time else CREATE_TIME,
            earliest_timestamp=now_ms - config.message_timestamp_before_max_ms,
            latest_timestamp=now_ms + config.message_timestamp_after_max_ms,
            keys_required=config.is_compacted,
        )


def log_config_of(config: TopicConfig) -> LogConfig:
    """Return the part of a topic's settings that its logs act on."""
    return LogConfig.from_topic_configs(config.texts())
