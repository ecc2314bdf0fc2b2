"""The definition of a setting: name, type, allowed values. Reads and writes values as Apache's ConfigDef does."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

Value: TypeAlias = bool | int | float | str | tuple[str, ...] | None


class Type(IntEnum):
    """The type of a setting, with the codes of DescribeConfigs (KIP-569)."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9
    UNKNOWN = 0
    """The type of a logger's level, and of a name that only a plugin knows."""


BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE, LIST, CLASS, PASSWORD, _ = Type
INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1


class Source(IntEnum):
    """The source of a value, with the codes of DescribeConfigs (KIP-226)."""

    DYNAMIC_TOPIC_CONFIG = 1
    DYNAMIC_BROKER_CONFIG = 2
    DYNAMIC_DEFAULT_BROKER_CONFIG = 3
    STATIC_BROKER_CONFIG = 4
    DEFAULT_CONFIG = 5
    DYNAMIC_BROKER_LOGGER_CONFIG = 6
    DYNAMIC_CLIENT_METRICS_CONFIG = 7
    DYNAMIC_GROUP_CONFIG = 8


class InvalidSettingError(ValueError):
    """The error for a setting that does not exist or cannot have a value; its message is a sentence that names it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class Check(NamedTuple):
    """A check of values of the right type. `description` ends the sentence "NAME must be ..."."""

    description: str
    accepts: Callable[[Any], bool]
    of_set: bool = False
    """Whether it is of a list in which a repeated value counts once (KIP-1161)."""


class Definition(NamedTuple):
    """One setting. A default of None with a type other than STRING means "unset"."""

    name: str
    type: Type
    default: Value = None
    check: Check | None = None
    dynamic: bool = False
    """Whether Apache can change it while running; the others are read-only in DescribeConfigs."""
    internal: bool = False
    """Whether it is accepted, but absent from DescribeConfigs."""

    def read(self, text: str) -> Value:
        """Read a value as a person or a client wrote it; raises InvalidSettingError."""
        value = self._parse(text.strip(_BLANKS))
        if self.check is not None and not self.check.accepts(value):
            raise self.refusal(text, self.check.description)
        return value

    def write(self, value: Value) -> str | None:
        """Write a value as DescribeConfigs shows it; None for unset and for secrets."""
        if value is None or self.type is Type.PASSWORD:
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float):
            return _java_double(value)
        return ",".join(value) if isinstance(value, tuple) else str(value)

    def refusal(self, text: str, wanted: str) -> InvalidSettingError:
        """Return the error that says what this setting must be."""
        shown = "a secret that is not" if self.type is Type.PASSWORD else repr(text)
        return InvalidSettingError(self.name, f"{self.name} must be {wanted}, not {shown}")

    def _parse(self, text: str) -> Value:
        if self.type in _RANGES:
            low, high = _RANGES[self.type]
            if not _INTEGER.fullmatch(text):
                raise self.refusal(text, "a whole number")
            if not low <= int(text) <= high:
                raise self.refusal(text, f"a whole number from {low} to {high}")
            return int(text)
        if self.type is Type.BOOLEAN:
            if text.lower() not in {"true", "false"}:
                raise self.refusal(text, "true or false")
            return text.lower() == "true"
        if self.type is Type.DOUBLE:
            if not _DOUBLE.fullmatch(text):
                raise self.refusal(text, "a number")
            return float(text.rstrip("fFdD") if text[-1] in "fFdD" else text)
        if self.type is Type.LIST:
            items = _COMMA.split(text) if text else []
            return tuple(dict.fromkeys(items)) if self.check is not None and self.check.of_set else tuple(items)
        return text


def table(*definitions: Definition) -> Mapping[str, Definition]:
    """Index definitions by name."""
    return {definition.name: definition for definition in definitions}


# The comparisons are written so that NaN passes, as it does in ConfigDef.Range.
def at_least(low: float) -> Check:
    """Return a check for numbers from `low` on."""
    return Check(f"at least {low}", lambda value: not value < low)


def between(low: float, high: float) -> Check:
    """Return a check for numbers from `low` to `high`, both allowed."""
    return Check(f"from {low} to {high}", lambda value: not (value < low or value > high))


def one_of(*words: str) -> Check:
    """Return a check for one of these words."""
    return Check(f"one of {', '.join(words)}", words.__contains__)


def one_of_any_case(*words: str) -> Check:
    """Return a check for one of these words, in capitals or not."""
    lower = {word.lower() for word in words}
    return Check(f"one of {', '.join(words)}", lambda value: value.lower() in lower)


def each_of(*words: str, empty: bool = True) -> Check:
    """Return a check for a list of some of these words."""
    description = f"a list of {', '.join(words)}"
    return Check(description, lambda values: (empty or bool(values)) and set(words).issuperset(values), of_set=True)


NAMES = Check("a list of names", lambda values: "" not in values, of_set=True)
SOME_NAMES = Check("a list of one or more names", lambda values: bool(values) and "" not in values, of_set=True)
NOT_BLANK = Check("some text", bool)
GZIP_LEVEL = Check("from 1 to 9, or -1", lambda level: level == -1 or 1 <= level <= 9)
COMPRESSION_TYPES = ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")

_BLANKS = "".join(map(chr, range(0x21)))  # the characters that Java's String.trim removes
_COMMA = re.compile(r"\s*,\s*")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_DOUBLE = re.compile(r"[+-]?(NaN|Infinity|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[fFdD]?)")
_RANGES = {
    Type.SHORT: (-(2**15), 2**15 - 1),
    Type.INT: (-(2**31), 2**31 - 1),
    Type.LONG: (-(2**63), 2**63 - 1),
}


def _java_double(value: float) -> str:
    """Return the text of a double as Java writes it: `0.5`, `1.0`, `1.0E-5`, `NaN`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    from decimal import Decimal  # slow to import and hardly ever needed

    exact = Decimal(repr(value)).normalize()
    first, *others = exact.as_tuple().digits
    return f"{'-' * (value < 0)}{first}.{''.join(map(str, others)) or 0}E{exact.adjusted()}"
