"""The resources that have a configuration, by type and name: lists them, describes and changes their settings."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ottla.broker.cluster.cluster import Cluster
from ottla.broker.cluster.nodes import Node
from ottla.broker.settings.group_table import (
    check_client_metrics,
    check_group,
    describe_client_metrics,
    describe_group,
)
from ottla.broker.settings.log_levels import alter_loggers, describe_loggers
from ottla.broker.settings.operations import Operation, altered
from ottla.broker.settings.topic_config import TopicConfig
from ottla.broker.settings.topic_table import TOPIC_DEFINITIONS
from ottla.broker.settings.types import Definition
from ottla.broker.settings.values import Description
from ottla.broker.settings.while_running import check_dynamic
from ottla.broker.topics.names import check_name
from ottla.broker.versions.features import ELIGIBLE_LEADER_REPLICAS
from ottla.wire.codes import ErrorCode, ResourceType
from ottla.wire.errors import KafkaError

_INTEGER = re.compile(r"[+-]?[0-9]+")

Change = tuple[str, int, str | None]
"""A setting's name, the operation on it, and the value."""

Resource = tuple[int, str]
"""A type and a name."""

Overrides = Mapping[str, str]


def list_resources(cluster: Cluster, types: Iterable[int]) -> Iterator[tuple[ResourceType, str]]:
    """Yield the resources of these types that have or may have a configuration, in Apache's order of types.

    Groups and subscriptions are among them if a setting of theirs is set. Raises ``KafkaError`` UNSUPPORTED_VERSION.
    """
    wanted = set(types)
    if not wanted.issubset(set(ResourceType)):
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, "A resource type is unknown")
    nodes = [str(node) for node in sorted(cluster.nodes.by_id)]
    names: Mapping[ResourceType, Iterable[str]] = {
        ResourceType.GROUP: cluster.catalog.config_names(ResourceType.GROUP),
        ResourceType.CLIENT_METRICS: cluster.catalog.config_names(ResourceType.CLIENT_METRICS),
        ResourceType.BROKER_LOGGER: nodes,
        ResourceType.BROKER: nodes,
        ResourceType.TOPIC: sorted(cluster.topics.by_name),
    }
    for resource_type, found in names.items():
        if resource_type in wanted:
            yield from ((resource_type, name) for name in found)


def describe_resource(cluster: Cluster, node: Node, resource_type: ResourceType, name: str) -> Iterable[Description]:
    """Return every setting of a resource; groups and subscriptions need not exist.

    Raises ``KafkaError``: UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION, INVALID_REQUEST (no such broker).
    """
    match resource_type:
        case ResourceType.TOPIC:
            check_name(name)
            topic = cluster.topics.by_name.get(name)
            if topic is None:
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            return topic.config.describe()
        case ResourceType.BROKER:
            if not name:
                return cluster.config.describe_cluster_wide()
            _check_broker(node, name)
            return node.config.describe()
        case ResourceType.BROKER_LOGGER:
            _check_broker(node, name)
            return describe_loggers()
        case ResourceType.CLIENT_METRICS:
            _check_named(name)
            return describe_client_metrics(cluster.catalog.configs(resource_type, name))
        case ResourceType.GROUP:
            _check_named(name)
            return describe_group(cluster.config, cluster.catalog.configs(resource_type, name))


def change_resource(
    cluster: Cluster,
    node: Node,
    resource: Resource,
    changes: Sequence[Change],
    *,
    replaces: bool = False,
    validate_only: bool,
) -> None:
    """Change some settings of a resource, all of them or none. Follows ``ConfigAdminManager``.

    With ``replaces``, the changes begin from no settings, and their result replaces all settings (KIP-133).
    Raises ``KafkaError``: INVALID_REQUEST, INVALID_CONFIG, INVALID_TOPIC_EXCEPTION, UNKNOWN_TOPIC_OR_PARTITION.
    """
    _check_changes(changes)
    resource_type, name = resource
    if resource_type == ResourceType.BROKER_LOGGER and not replaces:
        _check_broker(node, name)
        alter_loggers(changes, validate_only=validate_only)
        return
    if resource_type == ResourceType.TOPIC:
        _change_topic(cluster, name, changes, replaces=replaces, validate_only=validate_only)
        return
    if resource_type == ResourceType.BROKER:
        before, after = _changed_broker(cluster, node, name, changes, replaces=replaces)
    elif resource_type in {ResourceType.CLIENT_METRICS, ResourceType.GROUP}:
        _check_named(name)
        before = cluster.catalog.configs(resource_type, name)
        after = _changed(before, changes, lambda _: None, replaces=replaces)
        if resource_type == ResourceType.GROUP:
            check_group(cluster.config, after)
        else:
            check_client_metrics(after)
    else:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Resources of type {resource_type} cannot be altered")
    if after != before and not validate_only:
        cluster.configs.replace(resource_type, name, after)


def _check_changes(changes: Sequence[Change]) -> None:
    for name, operation, value in changes:
        if value is None and operation != Operation.DELETE:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"{name} has no value")
    if len({name for name, _, _ in changes}) < len(changes):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "A setting is changed more than once")


def _changed(
    before: Overrides, changes: Sequence[Change], find: Callable[[str], Definition | None], *, replaces: bool
) -> Overrides:
    """Return the new settings; ``find`` returns the definition of a setting by its name."""
    overrides: Overrides = {} if replaces else before
    for name, operation, value in changes:
        overrides = altered(overrides, name, find(name), operation=operation, value=value)
    return overrides


def _change_topic(
    cluster: Cluster, name: str, changes: Sequence[Change], *, replaces: bool, validate_only: bool
) -> None:
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "There are no settings for all topics: alter those of the broker")
    check_name(name)
    topic = cluster.topics.by_name.get(name)
    before: Overrides = {} if topic is None else topic.config.overrides
    after = _changed(before, changes, TOPIC_DEFINITIONS.get, replaces=replaces)
    TopicConfig(cluster.config, after)
    # Apache looks for the topic last, too: a wrong value is named even where the topic is missing.
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Topic {name} does not exist")
    if after != before and not validate_only:
        cluster.topics.configure(topic, after)


_ELR = "min.insync.replicas"
"""The setting that KIP-966 keeps for the whole cluster: no broker has its own value, and it is never unset."""


def _changed_broker(
    cluster: Cluster, node: Node, name: str, changes: Sequence[Change], *, replaces: bool
) -> tuple[Overrides, Overrides]:
    config = node.config if name else cluster.config
    if name:
        _check_broker(node, name)
    before = cluster.catalog.configs(ResourceType.BROKER, name)
    if not name:
        before = {_ELR: config.dynamic_defaults[_ELR], **before}

    def find(key: str) -> Definition | None:
        return None if config.base_name(key) is None else config.definition(key)

    after = _changed(before, changes, find, replaces=replaces)
    check_dynamic(config, after, whole_cluster=not name)
    always_set = cluster.features.level(ELIGIBLE_LEADER_REPLICAS) > 0
    if always_set and ((name and any(key == _ELR for key, _, _ in changes)) or (not name and _ELR not in after)):
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"{_ELR} belongs to the cluster: not to one broker, and always set")
    return before, after


def _check_named(name: str) -> None:
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "The resource has no name")


def _check_broker(node: Node, name: str) -> None:
    if not _INTEGER.fullmatch(name):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{name!r} is not a broker's id")
    if int(name) != node.id:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"This is broker {node.id}, which cannot answer for {name}")
