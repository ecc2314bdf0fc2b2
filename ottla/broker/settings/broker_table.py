"""The broker settings that Ottla acts on: Kafka's names, types, defaults and bounds (our own: broker_config.py)."""

from ottla.broker.settings.types import (
    BOOLEAN,
    COMPRESSION_TYPES,
    DOUBLE,
    GZIP_LEVEL,
    INT,
    INT_MAX,
    LIST,
    LONG,
    LONG_MAX,
    SHORT,
    SOME_NAMES,
    STRING,
    Definition,
    at_least,
    between,
    each_of,
    one_of,
    table,
)

BROKER_DEFINITIONS = table(
    # This broker and its listeners
    Definition("node.id", INT, None, at_least(0)),
    Definition("broker.id", INT, -1),
    Definition("broker.rack", STRING),
    Definition("listeners", LIST, ("PLAINTEXT://:9092",), SOME_NAMES, dynamic=True),
    Definition("advertised.listeners", LIST, None, SOME_NAMES),
    Definition(
        "listener.security.protocol.map",
        STRING,
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        dynamic=True,
    ),
    Definition("controller.listener.names", LIST, None, SOME_NAMES),
    Definition("process.roles", LIST, None, each_of("broker", "controller", empty=False)),
    Definition("log.dir", LIST, ("/tmp/kafka-logs",), SOME_NAMES),  # noqa: S108
    Definition("log.dirs", LIST, None, SOME_NAMES),
    # Connections and requests
    Definition("socket.request.max.bytes", INT, 104_857_600, at_least(1)),
    Definition("connections.max.idle.ms", LONG, 600_000),
    Definition("max.connections", INT, INT_MAX, at_least(0), dynamic=True),
    Definition("max.request.partition.size.limit", INT, 2000, at_least(1)),
    # Topics
    Definition("auto.create.topics.enable", BOOLEAN, True),
    Definition("delete.topic.enable", BOOLEAN, True),
    Definition("num.partitions", INT, 1, at_least(1)),
    Definition("default.replication.factor", INT, 1),
    # Topics' defaults: each stands behind a topic setting (see ottla/broker/settings/topic_config.py)
    Definition("min.insync.replicas", INT, 1, at_least(1), dynamic=True),
    Definition("unclean.leader.election.enable", BOOLEAN, False, dynamic=True),
    Definition("message.max.bytes", INT, 1_048_588, at_least(0), dynamic=True),
    Definition("compression.type", STRING, "producer", one_of(*COMPRESSION_TYPES), dynamic=True),
    Definition("compression.gzip.level", INT, -1, GZIP_LEVEL, dynamic=True),
    Definition("compression.lz4.level", INT, 9, between(1, 17), dynamic=True),
    Definition("compression.zstd.level", INT, 3, between(-131_072, 22), dynamic=True),
    Definition("log.cleanup.policy", LIST, ("delete",), each_of("compact", "delete"), dynamic=True),
    Definition("log.cleaner.delete.retention.ms", LONG, 86_400_000, at_least(0), dynamic=True),
    Definition("log.cleaner.min.compaction.lag.ms", LONG, 0, at_least(0), dynamic=True),
    Definition("log.cleaner.max.compaction.lag.ms", LONG, LONG_MAX, at_least(1), dynamic=True),
    Definition("log.cleaner.min.cleanable.ratio", DOUBLE, 0.5, between(0, 1), dynamic=True),
    Definition("log.flush.interval.messages", LONG, LONG_MAX, at_least(1), dynamic=True),
    Definition("log.flush.interval.ms", LONG, dynamic=True),
    Definition("log.flush.scheduler.interval.ms", LONG, LONG_MAX),
    Definition("log.index.interval.bytes", INT, 4096, at_least(0), dynamic=True),
    Definition("log.index.size.max.bytes", INT, 10_485_760, at_least(4), dynamic=True),
    Definition("log.message.timestamp.after.max.ms", LONG, 3_600_000, at_least(0), dynamic=True),
    Definition("log.message.timestamp.before.max.ms", LONG, LONG_MAX, at_least(0), dynamic=True),
    Definition("log.message.timestamp.type", STRING, "CreateTime", one_of("CreateTime", "LogAppendTime"), dynamic=True),
    Definition("log.preallocate", BOOLEAN, False, dynamic=True),
    Definition("log.retention.bytes", LONG, -1, dynamic=True),
    Definition("log.retention.hours", INT, 168),
    Definition("log.retention.minutes", INT),
    Definition("log.retention.ms", LONG, dynamic=True),
    Definition("log.roll.hours", INT, 168, at_least(1)),
    Definition("log.roll.ms", LONG, dynamic=True),
    Definition("log.roll.jitter.hours", INT, 0, at_least(0)),
    Definition("log.roll.jitter.ms", LONG, dynamic=True),
    Definition("log.segment.bytes", INT, 1_073_741_824, at_least(1_048_576), dynamic=True),
    Definition("log.segment.delete.delay.ms", LONG, 60_000, at_least(0), dynamic=True),
    # Retention and compaction
    Definition("log.cleaner.backoff.ms", LONG, 15_000, at_least(0), dynamic=True),
    Definition("log.cleaner.dedupe.buffer.size", LONG, 134_217_728, dynamic=True),
    Definition("log.cleaner.enable", BOOLEAN, True),
    Definition("log.cleaner.io.buffer.load.factor", DOUBLE, 0.9, dynamic=True),
    Definition("log.cleaner.io.buffer.size", INT, 524_288, at_least(0), dynamic=True),
    Definition("log.cleaner.io.max.bytes.per.second", DOUBLE, 1.7976931348623157e308, dynamic=True),
    Definition("log.initial.task.delay.ms", LONG, 30_000, at_least(0), internal=True),
    Definition("log.retention.check.interval.ms", LONG, 300_000, at_least(1)),
    # Recovery
    Definition("log.flush.offset.checkpoint.interval.ms", INT, 60_000, at_least(0)),
    # Quotas
    Definition("quota.window.num", INT, 11, at_least(1)),
    Definition("quota.window.size.seconds", INT, 1, at_least(1)),
    Definition("controller.quota.window.num", INT, 11, at_least(1)),
    Definition("controller.quota.window.size.seconds", INT, 1, at_least(1)),
    # Several nodes
    Definition("replica.selector.class", STRING),
    Definition("auto.leader.rebalance.enable", BOOLEAN, True),
    Definition("leader.imbalance.check.interval.seconds", LONG, 300, at_least(1)),
    Definition("unclean.leader.election.interval.ms", LONG, 300_000, at_least(1), internal=True),
    # Metrics that clients push (KIP-714)
    Definition("telemetry.max.bytes", INT, 1_048_576, at_least(1)),
    # Fetch
    Definition("fetch.max.bytes", INT, 57_671_680, at_least(1024)),
    Definition("max.incremental.fetch.session.cache.slots", INT, 1000, at_least(0)),
    # Idempotent producers
    Definition("producer.id.expiration.ms", INT, 86_400_000, at_least(1), dynamic=True),
    Definition("producer.id.expiration.check.interval.ms", INT, 600_000, at_least(1), internal=True),
    # Classic groups and their offsets
    Definition("group.initial.rebalance.delay.ms", INT, 3000),
    Definition("group.min.session.timeout.ms", INT, 6000),
    Definition("group.max.session.timeout.ms", INT, 1_800_000),
    Definition("group.max.size", INT, INT_MAX, at_least(1)),
    Definition("offset.metadata.max.bytes", INT, 4096),
    Definition("offsets.retention.minutes", INT, 10_080, at_least(1)),
    Definition("offsets.retention.check.interval.ms", LONG, 600_000, at_least(1)),
    Definition("offsets.topic.num.partitions", INT, 50, at_least(1)),
    Definition("offsets.topic.replication.factor", SHORT, 3, at_least(1)),
    Definition("offsets.topic.segment.bytes", INT, 104_857_600, at_least(1)),
)

# Kafka has no such settings, so DescribeConfigs does not show them.
OUR_DEFINITIONS = table(
    # Whether records are read where a batch's header would do; "full" agrees with Apache in every refusal.
    Definition("record.validation", STRING, "header", one_of("header", "full"), internal=True),
)
