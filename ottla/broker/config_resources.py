"""What has a configuration, by type and name: describes any of them, and changes that of topics."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

from ottla.broker.cluster import Cluster
from ottla.broker.config_changes import Operation, altered
from ottla.broker.group_definitions import (
    CLIENT_METRICS_DEFINITIONS,
    GROUP_DEFINITIONS,
    describe_client_metrics,
    describe_group,
)
from ottla.broker.log_levels import describe_loggers
from ottla.broker.node import Node
from ottla.broker.settings import Description
from ottla.broker.topic_config import TopicConfig
from ottla.broker.topic_definitions import TOPIC_DEFINITIONS
from ottla.broker.topics import check_name
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

_INTEGER = re.compile(r"[+-]?[0-9]+")

Change = tuple[str, int, str | None]
"""A setting's name, the operation on it, and the value."""


class ResourceType(IntEnum):
    """What can have a configuration (``ConfigResource.Type``)."""

    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


def describe_resource(cluster: Cluster, node: Node, resource_type: ResourceType, name: str) -> Iterable[Description]:
    """Return every setting of a resource; groups and subscriptions need not exist.

    Raises ``KafkaError``: UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION, INVALID_REQUEST (no such broker).
    """
    match resource_type:
        case ResourceType.TOPIC:
            check_name(name)
            topic = cluster.topics.get(name)
            if topic is None:
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            return topic.config.describe()
        case ResourceType.BROKER:
            if not name:
                return cluster.config.describe_cluster_wide()
            _check_broker(node, name)
            return cluster.config.describe()
        case ResourceType.BROKER_LOGGER:
            _check_broker(node, name)
            return describe_loggers()
        case ResourceType.CLIENT_METRICS:
            _check_named(name)
            return describe_client_metrics()
        case ResourceType.GROUP:
            _check_named(name)
            return describe_group(cluster.config)


def alter_resource(
    cluster: Cluster, node: Node, resource: tuple[int, str], changes: Sequence[Change], *, validate_only: bool
) -> None:
    """Change some settings of a resource, all of them or none. Follows ``ConfigAdminManager``.

    Raises ``KafkaError``: INVALID_REQUEST, INVALID_CONFIG, INVALID_TOPIC_EXCEPTION, UNKNOWN_TOPIC_OR_PARTITION.
    """
    resource_type, name = resource
    if len({key for key, _, _ in changes}) < len(changes):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "A setting is changed more than once")
    for key, operation, value in changes:
        if value is None and operation != Operation.DELETE:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"{key} has no value")
    if resource_type == ResourceType.TOPIC:
        _alter_topic(cluster, name, changes, validate_only=validate_only)
    else:
        _check_alterable(node, resource_type, name, changes)


def _alter_topic(cluster: Cluster, name: str, changes: Sequence[Change], *, validate_only: bool) -> None:
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Settings of all topics are settings of the broker")
    check_name(name)
    topic = cluster.topics.get(name)
    before: Mapping[str, str] = {} if topic is None else topic.config.overrides
    overrides = before
    for key, operation, value in changes:
        overrides = altered(overrides, key, TOPIC_DEFINITIONS.get(key), operation=operation, value=value)
    TopicConfig(cluster.config, overrides)
    # Apache looks for the topic last, too: a wrong value is named even where the topic is missing.
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"There is no topic {name}")
    if overrides != before and not validate_only:
        cluster.set_topic_configs(topic, overrides)


def _check_alterable(node: Node, resource_type: int, name: str, changes: Sequence[Change]) -> None:
    """Refuse to change what is no topic, in the order in which Apache finds something wrong with it."""
    match resource_type:
        case ResourceType.BROKER:
            if name:
                _check_broker(node, name)
        case ResourceType.BROKER_LOGGER:
            _check_broker(node, name)
        case ResourceType.CLIENT_METRICS:
            _check_named(name)
            _check_known(changes, CLIENT_METRICS_DEFINITIONS, ErrorCode.INVALID_REQUEST)
        case ResourceType.GROUP:
            _check_named(name)
            _check_known(changes, GROUP_DEFINITIONS, ErrorCode.INVALID_CONFIG)
        case _:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Nothing of type {resource_type} has a configuration")
    if changes:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            "Only the settings of topics can be changed while Ottla runs; give the others at its start",
        )


def _check_known(changes: Sequence[Change], definitions: Mapping[str, object], code: ErrorCode) -> None:
    for key, _, _ in changes:
        if key not in definitions:
            raise KafkaError(code, f"There is no setting {key} here")


def _check_named(name: str) -> None:
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "The resource has no name")


def _check_broker(node: Node, name: str) -> None:
    if not _INTEGER.fullmatch(name):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{name!r} is not a broker's id")
    if int(name) != node.id:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"This is broker {node.id}, which cannot answer for {name}")
