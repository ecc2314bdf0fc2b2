"""The limits of groups, read from the broker's settings once. Apache's names, units and meanings."""

from typing import NamedTuple, Protocol


class Config(Protocol):
    """The part of the broker's settings that this module reads."""

    def integer(self, name: str) -> int:
        """Return the value of an integer setting by its name."""
        ...


class GroupSettings(NamedTuple):
    """The limits of groups. Times are in milliseconds."""

    min_session_timeout_ms: int = 6000
    max_session_timeout_ms: int = 1_800_000
    initial_rebalance_delay_ms: int = 3000
    max_size: int = 2**31 - 1
    new_member_join_timeout_ms: int = 300_000
    """The time that a new member may wait for its first generation; not a setting in Apache either."""
    offset_metadata_max_length: int = 4096
    offsets_retention_ms: int = 10_080 * 60_000
    offsets_retention_check_interval_ms: int = 600_000
    offsets_topic_partitions: int = 50


def read_settings(config: Config) -> GroupSettings:
    """Return the limits in the broker's settings."""
    return GroupSettings(
        min_session_timeout_ms=config.integer("group.min.session.timeout.ms"),
        max_session_timeout_ms=config.integer("group.max.session.timeout.ms"),
        initial_rebalance_delay_ms=config.integer("group.initial.rebalance.delay.ms"),
        max_size=config.integer("group.max.size"),
        offset_metadata_max_length=config.integer("offset.metadata.max.bytes"),
        offsets_retention_ms=config.integer("offsets.retention.minutes") * 60_000,
        offsets_retention_check_interval_ms=config.integer("offsets.retention.check.interval.ms"),
        offsets_topic_partitions=config.integer("offsets.topic.num.partitions"),
    )
