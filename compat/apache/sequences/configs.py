"""Settings set, appended to, subtracted from and deleted: of topics, brokers, groups and metrics subscriptions."""

from __future__ import annotations

from compat.apache.base import own_topic
from compat.apache.sequence import Ask, Sequence, Steps
from compat.apache.sequences.topic_reads import alter, describe_configs, let_changes_arrive
from compat.apache.side import Side
from ottla.wire.messages.configs import AlterConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest
from ottla.wire.messages.telemetry import GetTelemetrySubscriptionsRequest

SET, DELETE, APPEND, SUBTRACT = range(4)
TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
_Replaced = AlterConfigsRequest.Resource
_Altered = IncrementalAlterConfigsRequest.Resource


def _replace(name: str, *, kind: int = TOPIC, validate_only: bool = False, **values: str) -> AlterConfigsRequest:
    configs = [_Replaced.Config(name=key.replace("_", "."), value=value) for key, value in values.items()]
    resource = _Replaced(resource_type=kind, resource_name=name, configs=configs)
    return AlterConfigsRequest(resources=[resource], validate_only=validate_only)


def _changes(side: Side, name: str, *, kind: int, changes: tuple[tuple[str, int, str | None], ...]) -> Steps:
    """Each change, and what is set then."""
    keys = list(dict.fromkeys(key for key, _, _ in changes))
    for key, operation, value in changes:
        yield Ask(alter(name, key, value, operation=operation, kind=kind))
        let_changes_arrive(side)
        yield Ask(describe_configs(name, *keys, kind=kind))


def _of_a_topic(side: Side) -> Steps:
    own_topic(side)
    changes = (
        ("cleanup.policy", APPEND, "compact"),
        ("cleanup.policy", APPEND, "compact"),
        ("cleanup.policy", SUBTRACT, "delete"),
        ("cleanup.policy", SUBTRACT, "delete"),
        ("cleanup.policy", SUBTRACT, "compact"),
        ("cleanup.policy", SET, "compact,delete"),
        ("cleanup.policy", SET, "nonsense"),
        ("cleanup.policy", DELETE, None),
        ("retention.ms", SET, "5000"),
        ("retention.ms", SET, "-7"),
        ("retention.ms", DELETE, None),
        ("retention.ms", DELETE, "5"),
        ("max.message.bytes", APPEND, "5"),
        ("leader.replication.throttled.replicas", APPEND, "0:1,1:1"),
        ("leader.replication.throttled.replicas", SUBTRACT, "0:1"),
        ("leader.replication.throttled.replicas", SET, "*"),
        ("leader.replication.throttled.replicas", SET, "x:y"),
        ("leader.replication.throttled.replicas", DELETE, None),
        ("segment.bytes", SET, None),
        ("no.such.setting", SET, "1"),
        ("no.such.setting", DELETE, None),
    )
    yield from _changes(side, side.topic, kind=TOPIC, changes=changes)


def _several_at_once(side: Side) -> Steps:
    own_topic(side)

    def several(*changes: tuple[str, int, str | None]) -> IncrementalAlterConfigsRequest:
        configs = [_Altered.Config(name=key, config_operation=how, value=value) for key, how, value in changes]
        resource = _Altered(resource_type=TOPIC, resource_name=side.topic, configs=configs)
        return IncrementalAlterConfigsRequest(resources=[resource], validate_only=False)

    keys = ("retention.ms", "segment.ms", "cleanup.policy")
    for request in (
        several(("retention.ms", SET, "1000"), ("segment.ms", SET, "1000")),
        several(("retention.ms", SET, "2000"), ("segment.ms", SET, "-1")),
        several(("retention.ms", SET, "3000"), ("retention.ms", SET, "4000")),
        several(("cleanup.policy", APPEND, "compact"), ("cleanup.policy", SUBTRACT, "delete")),
        several(("retention.ms", DELETE, None), ("segment.ms", DELETE, None)),
        several(),
        _replace(side.topic, retention_ms="7000"),
        _replace(side.topic, segment_ms="7000", validate_only=True),
        _replace(side.topic, segment_ms="7000"),
        _replace(side.topic, segment_ms="x"),
        _replace(side.topic, no_such_setting="1"),
        _replace(side.topic),
        _replace("no-such-topic", retention_ms="7000"),
        _replace("", retention_ms="7000"),
    ):
        yield Ask(request)
        let_changes_arrive(side)
        yield Ask(describe_configs(side.topic, *keys))


def _of_brokers(side: Side) -> Steps:
    keys = ("log.retention.ms", "message.max.bytes", "log.cleaner.threads", "background.threads", "log.segment.bytes")
    for name, key, operation, value in (
        ("", "log.retention.ms", SET, "86400000"),
        ("1", "log.retention.ms", SET, "43200000"),
        ("", "log.retention.ms", DELETE, None),
        ("1", "message.max.bytes", SET, "2000000"),
        ("", "message.max.bytes", SET, "x"),
        ("1", "log.dirs", SET, "elsewhere"),
        ("1", "no.such.setting", SET, "1"),
        ("7", "message.max.bytes", SET, "1"),
        ("x", "message.max.bytes", SET, "1"),
        ("1", "log.segment.bytes", SET, "1"),
        ("1", "no.such.setting", DELETE, None),
        ("1", "message.max.bytes", DELETE, None),
        ("1", "log.retention.ms", DELETE, None),
    ):
        yield Ask(alter(name, key, value, operation=operation, kind=BROKER))
        let_changes_arrive(side)
        for described in ("1", ""):
            yield Ask(describe_configs(described, *keys, kind=BROKER))


def _topics_follow_the_broker(side: Side) -> Steps:
    own_topic(side)
    yield Ask(alter("", "log.cleanup.policy", "compact", kind=BROKER))
    let_changes_arrive(side)
    yield Ask(describe_configs(side.topic, "cleanup.policy"))
    yield Ask(alter("1", "log.cleanup.policy", "compact,delete", kind=BROKER))
    let_changes_arrive(side)
    yield Ask(describe_configs(side.topic, "cleanup.policy"))
    yield Ask(alter(side.topic, "cleanup.policy", "delete"))
    let_changes_arrive(side)
    yield Ask(describe_configs(side.topic, "cleanup.policy"))
    for name in ("1", ""):
        yield Ask(alter(name, "log.cleanup.policy", None, operation=DELETE, kind=BROKER))
    let_changes_arrive(side)
    yield Ask(describe_configs(side.topic, "cleanup.policy"))


def _of_groups(side: Side) -> Steps:
    changes = (
        ("consumer.session.timeout.ms", SET, "50000"),
        ("consumer.session.timeout.ms", SET, "1"),
        ("consumer.heartbeat.interval.ms", SET, "6000"),
        ("no.such.setting", SET, "1"),
        ("consumer.session.timeout.ms", DELETE, None),
        ("consumer.heartbeat.interval.ms", DELETE, None),
    )
    yield from _changes(side, side.group, kind=GROUP, changes=changes)
    yield Ask(ListConfigResourcesRequest(resource_types=[GROUP]))


def _of_metrics_subscriptions(side: Side) -> Steps:
    name = f"subscription-{side.case}"
    changes = (
        ("metrics", SET, "org.apache.kafka.producer.,*"),
        ("interval.ms", SET, "5000"),
        ("interval.ms", SET, "1"),
        ("match", SET, "client_software_name=nobody"),
        ("match", SET, "client_software_name"),
        ("no.such.setting", SET, "1"),
    )
    yield from _changes(side, name, kind=METRICS, changes=changes)
    yield Ask(ListConfigResourcesRequest(resource_types=[METRICS]))
    yield Ask(GetTelemetrySubscriptionsRequest(client_instance_id=bytes(16)))
    deletions = tuple((key, DELETE, None) for key in ("metrics", "interval.ms", "match"))
    yield from _changes(side, name, kind=METRICS, changes=deletions)
    yield Ask(ListConfigResourcesRequest(resource_types=[METRICS]))


SEQUENCES = (
    Sequence("settings of a topic", _of_a_topic),
    Sequence("several settings at once", _several_at_once, old=True),
    Sequence("settings of brokers", _of_brokers),
    Sequence("topics follow the broker's settings", _topics_follow_the_broker),
    Sequence("settings of a group", _of_groups),
    Sequence("metrics subscriptions", _of_metrics_subscriptions),
)
