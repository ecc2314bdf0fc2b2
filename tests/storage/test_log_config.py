"""Topic settings under Kafka's names."""

import pytest

from ottla.storage.log_config import LogConfig


def test_settings_are_read_by_kafkas_names() -> None:
    config = LogConfig.from_topic_configs(
        {
            "segment.bytes": " 1048576 ",
            "cleanup.policy": "compact, delete",
            "min.cleanable.dirty.ratio": "0.1",
            "preallocate": "TRUE",
            "message.timestamp.type": "LogAppendTime",
            "follower.replication.throttled.replicas": "*",
        }
    )
    assert config.segment_bytes == 1 << 20
    assert config.cleanup_policy == {"compact", "delete"}
    assert config.is_compacted
    assert config.min_cleanable_dirty_ratio == 0.1
    assert config.preallocate
    assert config.uses_log_append_time


def test_what_is_not_set_is_apaches_default() -> None:
    config = LogConfig.from_topic_configs({})
    assert config == LogConfig()
    assert (config.segment_bytes, config.segment_ms, config.max_message_bytes) == (1 << 30, 604_800_000, 1_048_588)
    assert not config.is_compacted
    assert not config.uses_log_append_time


def test_internal_segment_bytes_wins() -> None:
    names = {"internal.segment.bytes": "100", "segment.bytes": "1048576"}
    assert LogConfig.from_topic_configs(names).segment_bytes == 100


@pytest.mark.parametrize(
    ("name", "value"), [("segment.bytes", "x"), ("preallocate", "yes"), ("min.cleanable.dirty.ratio", "")]
)
def test_a_value_of_the_wrong_type_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        LogConfig.from_topic_configs({name: value})
