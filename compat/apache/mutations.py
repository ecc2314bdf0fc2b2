"""Makes a good request bad, or unusual, in one place at a time: by its declaration, so that no field is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ottla.wire.schema import ZERO_UUID, ArrayOf, Primitive, Request, Struct

Path = tuple[str | int, ...]

UNKNOWN_ID = bytes(range(16))
LONG_NAME = "x" * 250
RANGES = {"int8": 8, "int16": 16, "int32": 32, "int64": 64, "uint16": 16}
WAITS = frozenset({"max_wait_ms", "rebalance_timeout_ms"})
"""How long an answer may take: the largest values would only be waited for."""


@dataclass(frozen=True)
class Mutation:
    """One change. `path` leads to a field, through lists by index."""

    path: Path
    label: str
    change: Callable[[Any], Any]

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path))} {self.label}"

    def apply(self, request: Request) -> None:
        """Change `request` in place."""
        target: Any = request
        for step in self.path[:-1]:
            target = target[step] if isinstance(step, int) else getattr(target, step)
        last = str(self.path[-1])
        setattr(target, last, self.change(getattr(target, last)))


def mutations(request: Request, version: int) -> Iterator[Mutation]:
    """Every change of one field of `request` that `version` can carry."""
    yield from _of_struct(request, version, ())


def _of_struct(struct: Struct, version: int, path: Path) -> Iterator[Mutation]:
    for each in struct.fields():
        if not each.in_version(version):
            continue
        here = (*path, each.name)
        value = getattr(struct, each.name)
        if each.nullable_in(version) and value is not None:
            yield Mutation(here, "null", lambda _: None)
        if isinstance(each.type, ArrayOf):
            yield from _of_array(each.type, value, version, here)
        elif isinstance(each.type, Primitive):
            yield from _of_primitive(each.type, each.name, value, here)
        elif value is not None:
            yield from _of_struct(value, version, here)


def _of_array(array: ArrayOf, value: list[Any] | None, version: int, path: Path) -> Iterator[Mutation]:
    if value is None:
        yield Mutation(path, "empty", lambda _: [])
        return
    if value:
        yield Mutation(path, "empty", lambda _: [])
        yield Mutation(path, "first one twice", lambda old: [old[0], *old])
    element = array.element
    if isinstance(element, Primitive):
        for new in _unusual(element, "", value[0] if value else None):
            yield Mutation(path, f"= [{_shown(new)}]", partial(_instead, [new]))
    elif value:
        yield from _of_struct(value[0], version, (*path, 0))


def _of_primitive(type_: Primitive, name: str, value: Any, path: Path) -> Iterator[Mutation]:
    for new in _unusual(type_, name, value):
        yield Mutation(path, f"= {_shown(new)}", partial(_instead, new))


def _instead(new: Any, _: Any) -> Any:
    return new


def _unusual(type_: Primitive, name: str, value: Any) -> list[Any]:
    if type_.name in RANGES:
        bits = RANGES[type_.name]
        first, last = (0, 2**bits - 1) if type_.name.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        near = [] if value is None else [value + 1, value - 1]
        found = [0, 1, -1, -2, 7, first, *near, *(() if name in WAITS else (last,))]
        return [new for new in dict.fromkeys(found) if first <= new <= last and new != value]
    texts: dict[str, list[Any]] = {
        "bool": [not value],
        "string": ["", "unknown", "not a name!", LONG_NAME, "ü"],
        "bytes": [b"", b"\0", b"\xff" * 20],
        "uuid": [ZERO_UUID, UNKNOWN_ID],
        "records": [b"", b"\0" * 61, b"\0" * 10],
    }
    return [new for new in texts.get(type_.name, []) if new != value]


def _shown(value: Any) -> str:
    text = value.hex() if isinstance(value, bytes) else repr(value)
    return text if len(text) <= 40 else f"{text[:20]}... ({len(value)})"
