"""Makes messages to encode: by Hypothesis, or two fixed ones (full and bare) where a run must be cheap."""

from functools import cache
from typing import Any

from hypothesis import strategies as st

from ottla.wire.schema import ArrayOf, Field, Message, Primitive, Struct
from tests.wire.declarations import fields_in

BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64, "uint16": 16, "uint32": 32}
EARLIEST, LATEST = -1, 4_102_444_800_000  # the year 2100: as far as a library's dates are asked to go


def _integers(kind: str, name: str) -> st.SearchStrategy[int]:
    if name.endswith("error_code"):
        return st.integers(-1, 100)
    if kind == "int64" and name.endswith(("timestamp", "time_ms")):
        return st.integers(EARLIEST, LATEST)
    if kind == "int64" and name.endswith(("timestamp_ms", "period_ms")):
        return st.integers(0, LATEST)  # kio has dates and spans of time there, and none for -1
    bits = BITS[kind]
    return st.integers(0, 2**bits - 1) if kind.startswith("u") else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _primitive(type_: Primitive, name: str) -> st.SearchStrategy[Any]:
    if type_.name in BITS:
        return _integers(type_.name, name)
    return {
        "bool": st.booleans(),
        "float64": st.floats(allow_nan=False),
        "uuid": st.binary(min_size=16, max_size=16),
        "string": st.text(max_size=6),
        "bytes": st.binary(max_size=6),
        "records": st.binary(max_size=6),
    }[type_.name]


def _value(field: Field, version: int) -> st.SearchStrategy[Any]:
    if isinstance(field.type, Primitive):
        value = _primitive(field.type, field.name)
    elif isinstance(field.type, ArrayOf):
        element = field.type.element
        of = _primitive(element, field.name) if isinstance(element, Primitive) else structs(element, version)
        value = st.lists(of, max_size=3)
    else:
        value = structs(field.type, version)
    return st.none() | value if field.nullable_in(version) else value


def _with_defaults(struct: type[Struct], version: int, **values: Any) -> Struct:
    absent = {field.name: field.default for field in struct.fields() if not field.in_version(version)}
    return struct(**absent, **values)


@cache
def structs(struct: type[Struct], version: int) -> st.SearchStrategy[Any]:
    """Instances that the version can carry whole: fields that it lacks hold their defaults."""
    fields = {field.name: _value(field, version) for field in fields_in(struct, version)}
    return st.builds(_with_defaults, st.just(struct), st.just(version), **fields)


class _Counter:
    """Gives each field another value, so that two swapped fields show."""

    def __init__(self) -> None:
        self.count = 0

    def next(self, type_: Primitive) -> Any:
        self.count += 1
        text = f"text-{self.count}"
        return {
            "bool": True,
            "float64": self.count / 2,
            "uuid": self.count.to_bytes(16, "big"),
            "string": text,
            "bytes": text.encode(),
            "records": text.encode(),
        }.get(type_.name, self.count % 100)


def full(struct: type[Struct], version: int, counter: _Counter | None = None) -> Any:
    """Everything present and different from its default; two elements in each array."""
    counter = counter or _Counter()

    def one(type_: Primitive | type[Struct]) -> Any:
        return counter.next(type_) if isinstance(type_, Primitive) else full(type_, version, counter)

    values = {
        field.name: [one(field.type.element), one(field.type.element)]
        if isinstance(field.type, ArrayOf)
        else one(field.type)
        for field in fields_in(struct, version)
    }
    return _with_defaults(struct, version, **values)


def bare(struct: type[Struct], version: int) -> Any:
    """As little as the version allows: null, empty, default."""

    def least(field: Field) -> Any:
        if field.tag is not None:
            return field.default
        if field.nullable_in(version):
            return None
        if isinstance(field.type, ArrayOf):
            return []
        if not isinstance(field.type, Primitive):
            return bare(field.type, version)
        return field.type.zero

    return _with_defaults(struct, version, **{field.name: least(field) for field in fields_in(struct, version)})


def samples(message: type[Message], version: int) -> list[Any]:
    return [full(message, version), bare(message, version)]
