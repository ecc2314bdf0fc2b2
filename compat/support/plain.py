"""Turns what a library answers (objects, enums, errors) into text by which two brokers can be compared."""

from __future__ import annotations

import enum
import pprint
import re
from collections.abc import Iterable
from typing import Any

VOLATILE = {
    "cluster_id",
    "topic_id",
    "directory_id",
    "replica_directory_id",
    "throttle_time_ms",
    "error_message",
    "log_dir",
    "timestamp",
    "port",
    "host",
    "salt",
    "salted_password",
}
"""Fields that each broker has its own of, or words in its own way."""


def plain(value: Any, without: Iterable[str] = VOLATILE) -> Any:
    """`value` as dicts with names, lists and scalars; fields named in `without` become "..." unless they are empty."""
    leave = frozenset(without)
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, str):
        # "[Error 40] InvalidConfigurationError: ..." goes on in the broker's words.
        return re.sub(r"(?s)(\[Error \d+\] \w+):.*", r"\1", value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, BaseException):
        return f"raised {type(value).__name__}"
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return _named(value, leave)
    if hasattr(value, "_asdict"):
        return _named(value._asdict(), leave)
    if isinstance(value, Iterable):
        listed = [plain(one, leave) for one in value]
        return sorted(listed, key=str) if isinstance(value, set | frozenset) else listed
    fields = {name: getattr(value, name) for name in getattr(type(value), "__slots__", ())} | getattr(
        value, "__dict__", {}
    )
    return _named({name: one for name, one in fields.items() if not name.startswith("_")}, leave)


def _named(fields: dict[Any, Any], leave: frozenset[str]) -> dict[str, Any]:
    named = {_key(key): (key, one) for key, one in fields.items()}
    return {
        name: "..." if key in leave and one not in (None, "", {}, []) else plain(one, leave)
        for name, (key, one) in sorted(named.items())
    }


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    return str(plain(key))


def text(value: Any, without: Iterable[str] = VOLATILE) -> str:
    """`value` as lines, in a stable order."""
    return pprint.pformat(plain(value, without), width=160)
