"""The settings of topics: Apache's names, types, defaults, bounds, and the broker settings behind them."""

import re
from collections.abc import Mapping

from ottla.broker.settings.types import (
    BOOLEAN,
    COMPRESSION_TYPES,
    DOUBLE,
    GZIP_LEVEL,
    INT,
    LIST,
    LONG,
    LONG_MAX,
    STRING,
    Check,
    Definition,
    at_least,
    between,
    each_of,
    one_of,
    table,
)

_REPLICA = re.compile(r"([0-9]+:[0-9]+)?")
_THROTTLED_REPLICAS = Check(
    "a list of PARTITION:BROKER, or *",
    lambda values: values == ("*",) or all(_REPLICA.fullmatch(value) for value in values),
)

TOPIC_DEFINITIONS: Mapping[str, Definition] = table(
    # Retention and compaction
    Definition("cleanup.policy", LIST, ("delete",), each_of("compact", "delete")),
    Definition("retention.bytes", LONG, -1),
    Definition("retention.ms", LONG, 604_800_000, at_least(-1)),
    Definition("delete.retention.ms", LONG, 86_400_000, at_least(0)),
    Definition("min.compaction.lag.ms", LONG, 0, at_least(0)),
    Definition("max.compaction.lag.ms", LONG, LONG_MAX, at_least(1)),
    Definition("min.cleanable.dirty.ratio", DOUBLE, 0.5, between(0, 1)),
    Definition("file.delete.delay.ms", LONG, 60_000, at_least(0)),
    # Segments and their indexes
    Definition("segment.bytes", INT, 1_073_741_824, at_least(1_048_576)),
    Definition("internal.segment.bytes", INT, internal=True),
    Definition("segment.ms", LONG, 604_800_000, at_least(1)),
    Definition("segment.jitter.ms", LONG, 0, at_least(0)),
    Definition("segment.index.bytes", INT, 10_485_760, at_least(4)),
    Definition("index.interval.bytes", INT, 4096, at_least(0)),
    Definition("preallocate", BOOLEAN, False),
    Definition("flush.messages", LONG, LONG_MAX, at_least(1)),
    Definition("flush.ms", LONG, LONG_MAX, at_least(0)),
    # Limits for producers
    Definition("max.message.bytes", INT, 1_048_588, at_least(0)),
    Definition("message.timestamp.type", STRING, "CreateTime", one_of("CreateTime", "LogAppendTime")),
    Definition("message.timestamp.before.max.ms", LONG, LONG_MAX, at_least(0)),
    Definition("message.timestamp.after.max.ms", LONG, 3_600_000, at_least(0)),
    Definition("compression.type", STRING, "producer", one_of(*COMPRESSION_TYPES)),
    Definition("compression.gzip.level", INT, -1, GZIP_LEVEL),
    Definition("compression.lz4.level", INT, 9, between(1, 17)),
    Definition("compression.zstd.level", INT, 3, between(-131_072, 22)),
    # Replicas
    Definition("min.insync.replicas", INT, 1, at_least(1)),
    Definition("unclean.leader.election.enable", BOOLEAN, False),
    Definition("leader.replication.throttled.replicas", LIST, (), _THROTTLED_REPLICAS),
    Definition("follower.replication.throttled.replicas", LIST, (), _THROTTLED_REPLICAS),
    # Tiered storage, which needs remote.log.storage.system.enable on the broker
    Definition("remote.storage.enable", BOOLEAN, False),
    Definition("remote.log.copy.disable", BOOLEAN, False),
    Definition("remote.log.delete.on.disable", BOOLEAN, False),
    Definition("local.retention.bytes", LONG, -2, at_least(-2)),
    Definition("local.retention.ms", LONG, -2, at_least(-2)),
)

NOT_ACTED_ON = frozenset(
    {
        "leader.replication.throttled.replicas",
        "follower.replication.throttled.replicas",
        "remote.storage.enable",
        "remote.log.copy.disable",
        "remote.log.delete.on.disable",
        "local.retention.bytes",
        "local.retention.ms",
    }
)
"""The settings that are accepted and shown, and change nothing here (docs/settings.md)."""

# The broker settings that stand behind a topic's own, nearest first. Those without one have only their default.
BROKER_NAMES: Mapping[str, tuple[str, ...]] = {
    "cleanup.policy": ("log.cleanup.policy",),
    "retention.bytes": ("log.retention.bytes",),
    "retention.ms": ("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
    "delete.retention.ms": ("log.cleaner.delete.retention.ms",),
    "min.compaction.lag.ms": ("log.cleaner.min.compaction.lag.ms",),
    "max.compaction.lag.ms": ("log.cleaner.max.compaction.lag.ms",),
    "min.cleanable.dirty.ratio": ("log.cleaner.min.cleanable.ratio",),
    "file.delete.delay.ms": ("log.segment.delete.delay.ms",),
    "segment.bytes": ("log.segment.bytes",),
    "segment.ms": ("log.roll.ms", "log.roll.hours"),
    "segment.jitter.ms": ("log.roll.jitter.ms", "log.roll.jitter.hours"),
    "segment.index.bytes": ("log.index.size.max.bytes",),
    "index.interval.bytes": ("log.index.interval.bytes",),
    "preallocate": ("log.preallocate",),
    "flush.messages": ("log.flush.interval.messages",),
    "flush.ms": ("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
    "max.message.bytes": ("message.max.bytes",),
    "message.timestamp.type": ("log.message.timestamp.type",),
    "message.timestamp.before.max.ms": ("log.message.timestamp.before.max.ms",),
    "message.timestamp.after.max.ms": ("log.message.timestamp.after.max.ms",),
    "compression.type": ("compression.type",),
    "compression.gzip.level": ("compression.gzip.level",),
    "compression.lz4.level": ("compression.lz4.level",),
    "compression.zstd.level": ("compression.zstd.level",),
    "min.insync.replicas": ("min.insync.replicas",),
    "unclean.leader.election.enable": ("unclean.leader.election.enable",),
    "local.retention.bytes": ("log.local.retention.bytes",),
    "local.retention.ms": ("log.local.retention.ms",),
}
