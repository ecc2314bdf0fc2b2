"""Configurations read and changed."""

from __future__ import annotations

from compat.apache.base import FIXED, Base, own_topic
from compat.apache.cases.topics import SETTINGS
from compat.apache.side import Side
from ottla.wire.messages.configs import (
    AlterConfigsRequest,
    DescribeConfigsRequest,
    IncrementalAlterConfigsRequest,
    ListConfigResourcesRequest,
)

TOPIC = 2
Described = DescribeConfigsRequest.Resource
Altered = IncrementalAlterConfigsRequest.Resource


def _describe(name: str, *keys: str, kind: int = TOPIC) -> DescribeConfigsRequest:
    resource = Described(resource_type=kind, resource_name=name, configuration_keys=list(keys) or None)
    return DescribeConfigsRequest(resources=[resource], include_synonyms=True)


def _alter(side: Side, name: str, operation: int, value: str | None) -> IncrementalAlterConfigsRequest:
    config = Altered.Config(name=name, config_operation=operation, value=value)
    resource = Altered(resource_type=TOPIC, resource_name=side.topic, configs=[config])
    return IncrementalAlterConfigsRequest(resources=[resource], validate_only=False)


def _altered(name: str, operation: int, value: str | None) -> Base:
    return Base(
        f"IncrementalAlterConfigs, {name} {operation} {value!r}",
        lambda side: _alter(side, name, operation, value),
        before=own_topic,
        first_version=1,
        mutate=False,
    )


def _replace(side: Side) -> AlterConfigsRequest:
    config = AlterConfigsRequest.Resource.Config(name="retention.ms", value="5000")
    resource = AlterConfigsRequest.Resource(resource_type=TOPIC, resource_name=side.topic, configs=[config])
    return AlterConfigsRequest(resources=[resource], validate_only=False)


def _listed(types: list[int]) -> Base:
    return Base(
        f"ListConfigResources of types {types}",
        lambda _: ListConfigResourcesRequest(resource_types=types),
        first_version=1,
        mutate=False,
    )


def _described(kind: int, name: str) -> Base:
    return Base(f"DescribeConfigs of type {kind}, {name!r}", lambda _: _describe(name, kind=kind), mutate=False)


BASES = (
    Base("DescribeConfigs", lambda _: _describe(FIXED, "retention.ms", "cleanup.policy")),
    Base("DescribeConfigs, all of a topic", lambda _: _describe(FIXED)),
    Base("IncrementalAlterConfigs", lambda side: _alter(side, "retention.ms", 0, "5000"), before=own_topic),
    *(_altered(name, 0, value) for name, values in SETTINGS for value in values),
    _altered("retention.ms", 1, None),
    _altered("retention.ms", 2, "5"),
    _altered("cleanup.policy", 2, "compact"),
    _altered("cleanup.policy", 3, "delete"),
    _altered("cleanup.policy", 3, "compact"),
    Base("AlterConfigs", _replace, before=own_topic),
    Base("ListConfigResources", lambda _: ListConfigResourcesRequest(), last_version=0),
    *map(_listed, ([], [2], [4], [8], [16], [32], [2, 4], [7])),
    *(_described(kind, name) for kind in (2, 4, 8, 16, 32) for name in ("", "unknown")),
    *(_described(kind, "1") for kind in (2, 16, 32)),  # Of a broker and its loggers, much is its own.
)
