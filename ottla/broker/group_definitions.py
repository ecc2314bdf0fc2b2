"""The settings of groups and of client metrics: Apache's names, types and defaults. Nothing sets them yet."""

from collections.abc import Iterator, Mapping

from ottla.broker.config import DEFINITIONS, BrokerConfig
from ottla.broker.definitions import BOOLEAN, INT, LIST, STRING, Definition, Source, table
from ottla.broker.settings import Description, Synonym, describe

# Those that the broker has too, as "group." and the same name: it gives them their default.
GROUP_DEFINITIONS: Mapping[str, Definition] = table(
    Definition("consumer.assignment.interval.ms", INT),
    Definition("consumer.heartbeat.interval.ms", INT),
    Definition("consumer.session.timeout.ms", INT),
    Definition("share.assignment.interval.ms", INT),
    Definition("share.auto.offset.reset", STRING, "latest"),
    Definition("share.delivery.count.limit", INT),
    Definition("share.heartbeat.interval.ms", INT),
    Definition("share.isolation.level", STRING, "read_uncommitted"),
    Definition("share.partition.max.record.locks", INT),
    Definition("share.record.lock.duration.ms", INT),
    Definition("share.renew.acknowledge.enable", BOOLEAN, True),
    Definition("share.session.timeout.ms", INT),
    Definition("streams.assignment.interval.ms", INT),
    Definition("streams.heartbeat.interval.ms", INT),
    Definition("streams.initial.rebalance.delay.ms", INT),
    Definition("streams.num.standby.replicas", INT),
    Definition("streams.session.timeout.ms", INT),
)

CLIENT_METRICS_DEFINITIONS: Mapping[str, Definition] = table(
    Definition("interval.ms", INT, 300_000),
    Definition("match", LIST, ()),
    Definition("metrics", LIST, ()),
)


def describe_group(broker: BrokerConfig) -> Iterator[Description]:
    """Yield what DescribeConfigs answers for any group (KIP-848)."""
    for name, definition in GROUP_DEFINITIONS.items():
        broker_name = f"group.{name}"
        if broker_name in DEFINITIONS:
            yield describe(definition, broker[broker_name], broker.synonyms(broker_name), read_only=False)
        else:
            default = Synonym(name, definition.write(definition.default), Source.DEFAULT_CONFIG)
            yield describe(definition, definition.default, [default], read_only=False)


def describe_client_metrics() -> Iterator[Description]:
    """Yield what DescribeConfigs answers for any subscription (KIP-714)."""
    for definition in CLIENT_METRICS_DEFINITIONS.values():
        yield describe(definition, definition.default, (), read_only=False)
