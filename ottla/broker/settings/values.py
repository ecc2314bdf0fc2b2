"""Values of settings, by Kafka's names, and how DescribeConfigs shows them. Knows no particular setting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ottla.broker.settings.types import Definition, Source, Type, Value


class Synonym(NamedTuple):
    """A place that a value may come from, with the value there."""

    name: str
    value: str | None
    source: Source


class Description(NamedTuple):
    """The answer of DescribeConfigs about one setting. `value` is None for unset and for secrets."""

    name: str
    value: str | None
    type: Type
    source: Source
    read_only: bool
    sensitive: bool
    synonyms: tuple[Synonym, ...]

    @property
    def is_default(self) -> bool:
        """Whether the value is the default (the flag of versions before KIP-226)."""
        return self.source is Source.DEFAULT_CONFIG


class Settings:
    """Checked values by name. Each accessor has one type, so that callers stay typed."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def integer(self, name: str) -> int:
        """Return the value of an INT, SHORT or LONG that is always set."""
        value = self._values[name]
        assert isinstance(value, int), name  # noqa: S101
        return value

    def number(self, name: str) -> float:
        """Return the value of a DOUBLE."""
        value = self._values[name]
        assert isinstance(value, float | int), name  # noqa: S101
        return value

    def boolean(self, name: str) -> bool:
        """Return the value of a BOOLEAN."""
        value = self._values[name]
        assert isinstance(value, bool), name  # noqa: S101
        return value

    def text(self, name: str) -> str:
        """Return the value of a STRING that is always set."""
        value = self._values[name]
        assert isinstance(value, str), name  # noqa: S101
        return value

    def names(self, name: str) -> tuple[str, ...]:
        """Return the value of a LIST; unset is empty."""
        value = self._values[name] or ()
        assert isinstance(value, tuple), name  # noqa: S101
        return value


def describe(definition: Definition, value: Value, synonyms: Iterable[Synonym], *, read_only: bool) -> Description:
    """Build one answer. Its source is that of the nearest synonym, as in Apache's ConfigHelper."""
    sensitive = definition.type is Type.PASSWORD
    found = tuple(synonym._replace(value=None) if sensitive else synonym for synonym in synonyms)
    return Description(
        definition.name,
        definition.write(value),
        definition.type,
        found[0].source if found else Source.DEFAULT_CONFIG,
        read_only,
        sensitive,
        found,
    )
