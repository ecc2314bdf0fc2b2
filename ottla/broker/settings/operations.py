"""What IncrementalAlterConfigs makes of a resource's own settings. Changes nothing itself: it returns the new ones."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from ottla.broker.settings.types import Definition, Type
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError


class Operation(IntEnum):
    """What is done to a setting (KIP-339)."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


def altered(
    overrides: Mapping[str, str], name: str, definition: Definition | None, *, operation: int, value: str | None
) -> Mapping[str, str]:
    """Return the overrides after one operation. `definition` is None for a name that nobody knows.

    Whether the value is allowed is for TopicConfig to say. Follows ConfigurationControlManager: a name that nobody
    knows can be deleted; lists are taken apart at commas, and one that was not set starts from the default. Raises
    KafkaError: INVALID_REQUEST for an unknown operation or a missing value, INVALID_CONFIG for adding to no list.
    """
    if operation not in set(Operation):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{operation} is not an operation on {name}")
    if operation == Operation.DELETE:
        return {other: text for other, text in overrides.items() if other != name}
    if value is None:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{name} has no value")
    if operation == Operation.SET:
        return {**overrides, name: value}
    if definition is None or definition.type is not Type.LIST:
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"{name} is not a list, so nothing is added to it or taken from it")
    before = overrides.get(name, definition.write(definition.default) or "")
    items = [item for item in before.split(",") if item]
    changed = value.split(",")
    if operation == Operation.APPEND:
        items = list(dict.fromkeys([*items, *changed]))
    else:
        items = [item for item in items if item not in changed]
    return {**overrides, name: ",".join(items)}
