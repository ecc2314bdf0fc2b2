"""Reads a topic's configuration as its logs use it. Names, defaults and units are Apache's (``LogConfig``, 4.3.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

MAX_INT64 = (1 << 63) - 1
_DAY_MS = 24 * 60 * 60 * 1000


def _setting(name: str, default: Any) -> Any:
    return field(default=default, metadata={"name": name})


@dataclass(frozen=True, kw_only=True, slots=True)
class LogConfig:
    """One topic's settings, whole: a change makes a new one. -1 means no limit where Kafka says so."""

    segment_bytes: int = _setting("segment.bytes", 1 << 30)
    segment_ms: int = _setting("segment.ms", 7 * _DAY_MS)
    segment_jitter_ms: int = _setting("segment.jitter.ms", 0)
    segment_index_bytes: int = _setting("segment.index.bytes", 10 << 20)
    index_interval_bytes: int = _setting("index.interval.bytes", 4096)
    retention_ms: int = _setting("retention.ms", 7 * _DAY_MS)
    retention_bytes: int = _setting("retention.bytes", -1)
    cleanup_policy: frozenset[str] = _setting("cleanup.policy", frozenset({"delete"}))
    delete_retention_ms: int = _setting("delete.retention.ms", _DAY_MS)
    min_compaction_lag_ms: int = _setting("min.compaction.lag.ms", 0)
    max_compaction_lag_ms: int = _setting("max.compaction.lag.ms", MAX_INT64)
    min_cleanable_dirty_ratio: float = _setting("min.cleanable.dirty.ratio", 0.5)
    file_delete_delay_ms: int = _setting("file.delete.delay.ms", 60_000)
    flush_messages: int = _setting("flush.messages", MAX_INT64)
    flush_ms: int = _setting("flush.ms", MAX_INT64)
    max_message_bytes: int = _setting("max.message.bytes", 1_048_588)
    message_timestamp_type: str = _setting("message.timestamp.type", "CreateTime")
    message_timestamp_before_max_ms: int = _setting("message.timestamp.before.max.ms", MAX_INT64)
    message_timestamp_after_max_ms: int = _setting("message.timestamp.after.max.ms", 3_600_000)
    compression_type: str = _setting("compression.type", "producer")
    compression_gzip_level: int = _setting("compression.gzip.level", -1)
    compression_lz4_level: int = _setting("compression.lz4.level", 9)
    compression_zstd_level: int = _setting("compression.zstd.level", 3)
    min_insync_replicas: int = _setting("min.insync.replicas", 1)
    unclean_leader_election_enable: bool = _setting("unclean.leader.election.enable", False)
    preallocate: bool = _setting("preallocate", False)
    uses_log_append_time: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "uses_log_append_time", self.message_timestamp_type == "LogAppendTime")

    @property
    def is_compacted(self) -> bool:
        """Whether the newest record of each key is kept, so that records must have keys."""
        return "compact" in self.cleanup_policy

    @property
    def longest_segment_ms(self) -> int:
        """The age at which a segment rolls: compaction must get at its records in time (``LogConfig.maxSegmentMs``)."""
        if self.is_compacted and self.max_compaction_lag_ms > 0:
            return min(self.segment_ms, self.max_compaction_lag_ms)
        return self.segment_ms

    @classmethod
    def from_topic_configs(cls, configs: Mapping[str, str]) -> "LogConfig":
        """Read Kafka's topic settings by their names; those that logs do not use are passed over.

        ``internal.segment.bytes`` (for tests) wins over ``segment.bytes``, as in Apache. Raises ValueError, naming the
        setting, for a value that is not of its type; whether the value is sensible is checked where configs are set.
        """
        values: dict[str, Any] = {}
        for name, text in configs.items():
            setting = _SETTINGS.get(name)
            if setting is not None and not (name == "segment.bytes" and "internal.segment.bytes" in configs):
                attribute, default = setting
                values[attribute] = _parse(name, text, default)
        return cls(**values)


_SETTINGS: dict[str, tuple[str, Any]] = {
    item.metadata["name"]: (item.name, item.default) for item in fields(LogConfig) if item.metadata
}
_SETTINGS["internal.segment.bytes"] = _SETTINGS["segment.bytes"]


def _parse(name: str, text: str, default: Any) -> Any:
    text = text.strip()
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, frozenset):
            return frozenset(part.strip() for part in text.split(",") if part.strip())
        return type(default)(text)
    except (ValueError, KeyError):
        raise ValueError(f"{name}: {text!r} is not a valid value") from None
