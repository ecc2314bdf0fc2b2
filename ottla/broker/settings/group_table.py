"""The settings of groups and of client metrics: Apache's names, types, defaults and bounds."""

import re
from collections.abc import Iterator, Mapping

from ottla.broker.settings.broker_config import DEFINITIONS, BrokerConfig
from ottla.broker.settings.types import (
    BOOLEAN,
    INT,
    LIST,
    STRING,
    Check,
    Definition,
    InvalidSettingError,
    Source,
    at_least,
    one_of,
    table,
)
from ottla.broker.settings.values import Description, Synonym, describe
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

_DURATION = re.compile(r"[+-]?P(?=[+-]?\d|T[+-]?\d)([+-]?\d+D)?(T([+-]?\d+H)?([+-]?\d+M)?([+-]?\d+(\.\d{0,9})?S)?)?")
_OFFSET_RESET = Check(
    "earliest, latest or by_duration:PnDTnHnMn.nS",
    lambda value: (
        value in {"earliest", "latest"}
        or (value.startswith("by_duration:") and _DURATION.fullmatch(value.removeprefix("by_duration:")) is not None)
    ),
)

# The settings that the broker has too, under "group." and the same name, which gives their default.
GROUP_DEFINITIONS: Mapping[str, Definition] = table(
    Definition("consumer.assignment.interval.ms", INT, None, at_least(0)),
    Definition("consumer.heartbeat.interval.ms", INT, None, at_least(1)),
    Definition("consumer.session.timeout.ms", INT, None, at_least(1)),
    Definition("share.assignment.interval.ms", INT, None, at_least(0)),
    Definition("share.auto.offset.reset", STRING, "latest", _OFFSET_RESET),
    Definition("share.delivery.count.limit", INT, None, at_least(2)),
    Definition("share.heartbeat.interval.ms", INT, None, at_least(1)),
    Definition("share.isolation.level", STRING, "read_uncommitted", one_of("read_committed", "read_uncommitted")),
    Definition("share.partition.max.record.locks", INT, None, at_least(100)),
    Definition("share.record.lock.duration.ms", INT, None, at_least(1000)),
    Definition("share.renew.acknowledge.enable", BOOLEAN, True),
    Definition("share.session.timeout.ms", INT, None, at_least(1)),
    Definition("streams.assignment.interval.ms", INT, None, at_least(0)),
    Definition("streams.heartbeat.interval.ms", INT, None, at_least(1)),
    Definition("streams.initial.rebalance.delay.ms", INT, None, at_least(0)),
    Definition("streams.num.standby.replicas", INT, None, at_least(0)),
    Definition("streams.session.timeout.ms", INT, None, at_least(1)),
)

CLIENT_METRICS_DEFINITIONS: Mapping[str, Definition] = table(
    Definition("interval.ms", INT, 300_000),
    Definition("match", LIST, ()),
    Definition("metrics", LIST, ()),
)
MINIMUM_INTERVAL_MS, MAXIMUM_INTERVAL_MS = 100, 3_600_000
MATCHED = (
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
)
"""The attributes of a client that a subscription may match (KIP-714)."""


def describe_group(broker: BrokerConfig, overrides: Mapping[str, str]) -> Iterator[Description]:
    """Yield DescribeConfigs' answer for any group (KIP-848)."""
    for name, definition in GROUP_DEFINITIONS.items():
        broker_name = f"group.{name}"
        if broker_name in DEFINITIONS:
            value, synonyms = broker[broker_name], list(broker.synonyms(broker_name))
        else:
            value = definition.default
            synonyms = [Synonym(name, definition.write(value), Source.DEFAULT_CONFIG)]
        if name in overrides:
            value = definition.read(overrides[name])
            synonyms.insert(0, Synonym(name, definition.write(value), Source.DYNAMIC_GROUP_CONFIG))
        yield describe(definition, value, synonyms, read_only=False)


def check_group(broker: BrokerConfig, overrides: Mapping[str, str]) -> None:
    """Refuse settings that no group may have, some of them by the broker's bounds. Raises KafkaError INVALID_CONFIG."""
    for name, text in overrides.items():
        if name not in GROUP_DEFINITIONS:
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"{name} is not a group's setting")
        try:
            value = GROUP_DEFINITIONS[name].read(text)
        except InvalidSettingError as error:
            raise KafkaError(ErrorCode.INVALID_CONFIG, str(error)) from None
        kind, _, rest = name.partition(".")
        least, most = f"group.{kind}.min.{rest}", f"group.{kind}.max.{rest.removeprefix('num.')}"
        if isinstance(value, int) and least in DEFINITIONS and value < broker.integer(least):
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"{name} must be at least {least}, {broker.integer(least)}")
        if isinstance(value, int) and most in DEFINITIONS and value > broker.integer(most):
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"{name} must be at most {most}, {broker.integer(most)}")


def describe_client_metrics(overrides: Mapping[str, str]) -> Iterator[Description]:
    """Yield DescribeConfigs' answer for any subscription (KIP-714)."""
    for name, definition in CLIENT_METRICS_DEFINITIONS.items():
        value, synonyms = definition.default, []
        if name in overrides:
            value = definition.read(overrides[name])
            synonyms = [Synonym(name, definition.write(value), Source.DYNAMIC_CLIENT_METRICS_CONFIG)]
        yield describe(definition, value, synonyms, read_only=False)


def check_client_metrics(overrides: Mapping[str, str]) -> None:
    """Refuse settings that no subscription may have. Raises KafkaError INVALID_REQUEST, INVALID_CONFIG."""
    for name, text in overrides.items():
        if name not in CLIENT_METRICS_DEFINITIONS:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"{name} is not a setting of client metrics")
        try:
            value = CLIENT_METRICS_DEFINITIONS[name].read(text)
        except InvalidSettingError as error:
            raise KafkaError(ErrorCode.INVALID_CONFIG, str(error)) from None
        if isinstance(value, int) and not MINIMUM_INTERVAL_MS <= value <= MAXIMUM_INTERVAL_MS:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, f"{name} must be from {MINIMUM_INTERVAL_MS} to {MAXIMUM_INTERVAL_MS}"
            )
    read_patterns(overrides.get("match", ""))


def read_patterns(text: str) -> Mapping[str, re.Pattern[str]]:
    """Return the pattern for each attribute that a subscription matches. Raises KafkaError INVALID_CONFIG."""
    patterns = {}
    for part in filter(None, text.split(",")):
        matched, separator, pattern = part.partition("=")
        try:
            if not separator or "=" in pattern or matched.strip() not in MATCHED:
                raise KafkaError(
                    ErrorCode.INVALID_CONFIG, f"{part!r} is not NAME=PATTERN with one of the names {', '.join(MATCHED)}"
                )
            patterns[matched.strip()] = re.compile(pattern.strip())
        except re.error:
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"{pattern!r} is not a regular expression") from None
    return patterns
