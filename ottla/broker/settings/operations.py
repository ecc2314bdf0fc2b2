"""The operations of IncrementalAlterConfigs on a resource's own settings. Changes nothing: returns the new settings."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from ottla.broker.settings.types import Definition, Type
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError


class Operation(IntEnum):
    """The operations on a setting (KIP-339)."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


def altered(
    overrides: Mapping[str, str], name: str, definition: Definition | None, *, operation: int, value: str | None
) -> Mapping[str, str]:
    """Return the overrides after one operation. `definition` is None for an unknown name.

    TopicConfig decides whether the value is allowed. Follows ConfigurationControlManager: an unknown name can be
    deleted; lists are split at commas, and one that was not set starts from the default. Raises KafkaError:
    INVALID_REQUEST for an unknown operation or a missing value, INVALID_CONFIG for adding to a setting that is no list.
    """
    if operation not in set(Operation):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Operation {operation} on {name} is unknown")
    if operation == Operation.DELETE:
        return {other: text for other, text in overrides.items() if other != name}
    if value is None:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{name} has no value")
    if operation == Operation.SET:
        return {**overrides, name: value}
    if definition is None or definition.type is not Type.LIST:
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"{name} is not a list: values cannot be added or removed")
    before = overrides.get(name, definition.write(definition.default) or "")
    items = [item for item in before.split(",") if item]
    changed = value.split(",")
    if operation == Operation.APPEND:
        items = list(dict.fromkeys([*items, *changed]))
    else:
        items = [item for item in items if item not in changed]
    return {**overrides, name: ",".join(items)}
