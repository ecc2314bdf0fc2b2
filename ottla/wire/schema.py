"""The notation in which messages are declared: one class for all versions of a message.

A declaration says, field by field, the protocol's type and the versions that carry it; ``compiler`` turns that into
straight-line codecs when a version is first used. Nothing else knows the layout of a version.

Modules of declarations must not use ``from __future__ import annotations``: the annotations are read as values.
"""

import sys
import types
import typing
from collections.abc import Callable, Mapping, Sized
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self, cast, dataclass_transform

from ottla.wire.errors import ProtocolError

ZERO_UUID = bytes(16)
NO_TAGS: Mapping[int, bytes] = types.MappingProxyType({})
MISSING: Any = object()


class Primitive(NamedTuple):
    """A type of the protocol that holds no other: its name in Apache's schemas, ``struct`` code, and zero."""

    name: str
    code: str | None
    zero: Any


i8 = Annotated[int, Primitive("int8", "b", 0)]
i16 = Annotated[int, Primitive("int16", "h", 0)]
i32 = Annotated[int, Primitive("int32", "i", 0)]
i64 = Annotated[int, Primitive("int64", "q", 0)]
u16 = Annotated[int, Primitive("uint16", "H", 0)]
u32 = Annotated[int, Primitive("uint32", "I", 0)]
f64 = Annotated[float, Primitive("float64", "d", 0.0)]
uuid = Annotated[bytes, Primitive("uuid", "16s", ZERO_UUID)]
Records = Annotated[Sized, Primitive("records", None, None)]
"""Record batches: decoded to a ``memoryview`` of the buffer, encoded from anything that ``send`` takes."""

_PLAIN = {
    bool: Primitive("bool", "?", False),
    str: Primitive("string", None, ""),
    bytes: Primitive("bytes", None, b""),
}


class ArrayOf(NamedTuple):
    """An array of primitives or structs."""

    element: "Primitive | type[Struct]"


class Field(NamedTuple):
    """One field as declared. Versions are inclusive; ``nullable`` is the first version in which it may be null."""

    name: str
    type: "Primitive | ArrayOf | type[Struct]"
    since: int
    until: int
    nullable: int | None
    default: Any
    tag: int | None

    def in_version(self, version: int) -> bool:
        """Tell whether ``version`` carries the field."""
        return self.since <= version <= self.until

    def nullable_in(self, version: int) -> bool:
        """Tell whether the field may be null in ``version``."""
        return self.nullable is not None and version >= self.nullable


class FieldSpec(NamedTuple):
    """The declaration that ``field``, ``since`` and ``tagged`` leave in a class body."""

    default: Any = MISSING
    since: int | None = None
    until: int | None = None
    nullable: int | None = None
    tag: int | None = None


def field(
    *,
    default: Any = MISSING,
    since: int | None = None,
    until: int | None = None,
    nullable: int | None = None,
) -> Any:
    """Declare a field that only some versions carry, that is null only in some, or that has a list as default."""
    return FieldSpec(default, since, until, nullable)


def since(first: int, *, default: Any = MISSING, until: int | None = None, nullable: int | None = None) -> Any:
    """Declare a field that versions from ``first`` on carry."""
    return FieldSpec(default, first, until, nullable)


def tagged(tag: int, since: int, *, default: Any = MISSING, nullable: int | None = None) -> Any:
    """Declare a tagged field (KIP-482): written only where it differs from its default.

    A struct's class as default stands for that struct with nothing but defaults.
    """
    return FieldSpec(default, since, None, nullable, tag)


LAST_VERSION = 32767


def _annotations(namespace: dict[str, Any]) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib

        annotate = annotationlib.get_annotate_from_class_namespace(namespace)
        if annotate is None:
            return {}
        return cast(
            "dict[str, Any]", annotationlib.call_annotate_function(annotate, annotationlib.Format.VALUE, owner=None)
        )
    return cast("dict[str, Any]", namespace.get("__annotations__", {}))


@dataclass_transform(kw_only_default=True, field_specifiers=(field, since, tagged))
class StructMeta(type):
    """Turns annotations into slots and keeps the declaration for the compiler."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> "StructMeta":
        """Create the class; ``options`` go to ``__init_subclass__``."""
        declared = {
            key: hint for key, hint in _annotations(namespace).items() if typing.get_origin(hint) is not ClassVar
        }
        specs: dict[str, FieldSpec] = {}
        for key in declared:
            given = namespace.pop(key, MISSING)
            specs[key] = given if isinstance(given, FieldSpec) else FieldSpec(given)
        namespace["__slots__"] = (*declared, *namespace.get("__slots__", ()))
        namespace["_declared"] = (declared, specs)
        return super().__new__(mcs, name, bases, namespace, **options)


class Struct(metaclass=StructMeta):
    """Part of a message: typed fields, and the tagged fields that this release does not know."""

    __slots__ = ("unknown_tags",)
    if TYPE_CHECKING:
        unknown_tags: Mapping[int, bytes] = NO_TAGS
    _declared: ClassVar[tuple[dict[str, Any], dict[str, FieldSpec]]]
    _fields: ClassVar[tuple[Field, ...]]

    def __init__(self, **values: Any) -> None:
        from ottla.wire.compiler import compile_constructor

        constructor = compile_constructor(type(self))
        type(self).__init__ = constructor  # type: ignore[method-assign]
        constructor(self, **values)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.unknown_tags == other.unknown_tags and all(
            getattr(self, name) == getattr(other, name) for name in self._declared[0]
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._declared[0])
        return f"{type(self).__qualname__}({shown})"

    @classmethod
    def fields(cls) -> tuple[Field, ...]:
        """Return the declared fields, in wire order."""
        if "_fields" not in cls.__dict__:
            declared, specs = cls._declared
            cls._fields = tuple(_field(name, hint, specs[name]) for name, hint in declared.items())
        return cls._fields


class Message(Struct):
    """A struct that stands alone: it has versions, and codecs for each of them."""

    versions: ClassVar[tuple[int, int]]
    flexible: ClassVar[int | None]
    _decoders: ClassVar[dict[int, Any]]
    _encoders: ClassVar[dict[int, Any]]

    def __init_subclass__(cls, *, versions: tuple[int, int] | None = None, flexible: int | None = None) -> None:
        super().__init_subclass__()
        if versions is not None:
            cls.versions = versions
            cls.flexible = flexible
            cls._decoders = {}
            cls._encoders = {}

    @classmethod
    def is_flexible(cls, version: int) -> bool:
        """Tell whether ``version`` has compact lengths and tagged fields (KIP-482)."""
        return cls.flexible is not None and version >= cls.flexible

    @classmethod
    def decode(cls, buffer: bytes | bytearray | memoryview, version: int, position: int = 0) -> Self:
        """Read a message that ends with ``buffer``; bytes after it are a ``ProtocolError`` too."""
        message, end = cls.decode_from(buffer, version, position)
        if end != len(buffer):
            raise ProtocolError(f"{cls.__name__} v{version}: {len(buffer) - end} bytes after the end")
        return message

    @classmethod
    def decode_from(
        cls, buffer: bytes | bytearray | memoryview, version: int, position: int = 0, limit: int | None = None
    ) -> tuple[Self, int]:
        """Read a message at ``position``; nothing at or after ``limit`` belongs to it.

        Returns the message and the position after it. Records are views of ``buffer`` (of a copy, if that is a view
        itself), all else is copied. Raises ``ProtocolError`` whatever the bytes are, if they are not a message of
        this version.
        """
        if isinstance(buffer, memoryview):
            buffer = bytes(buffer)
        return cls.decoder(version)(buffer, position, len(buffer) if limit is None else limit)

    @classmethod
    def decoder(cls, version: int) -> Callable[[bytes | bytearray | memoryview, int, int], tuple[Self, int]]:
        """Return the compiled ``decode(buffer, position, limit)`` of a version."""
        decoder = cls._decoders.get(version)
        if decoder is None:
            from ottla.wire.compiler import compile_decoder

            decoder = cls._decoders[version] = compile_decoder(cls, version)
        return cast("Callable[[bytes | bytearray | memoryview, int, int], tuple[Self, int]]", decoder)

    def encode(self, version: int) -> bytes:
        """Return the message's bytes in ``version``."""
        parts: list[Any] = []
        self.encode_into(parts, version)
        return b"".join(parts)

    def encode_into(self, parts: list[Any], version: int) -> None:
        """Append the message's pieces, bytes and records as they were given, to ``parts``."""
        self.encoder(version)(self, parts.append)

    @classmethod
    def encoder(cls, version: int) -> Callable[[Any, Callable[[Any], None]], None]:
        """Return the compiled ``encode(message, write)`` of a version; ``write`` takes one piece after the other."""
        encoder = cls._encoders.get(version)
        if encoder is None:
            from ottla.wire.compiler import compile_encoder

            encoder = cls._encoders[version] = compile_encoder(cls, version)
        return cast("Callable[[Any, Callable[[Any], None]], None]", encoder)


class _Rpc(Message):
    api_key: ClassVar[int]

    def __init_subclass__(
        cls, *, key: int | None = None, versions: tuple[int, int] | None = None, flexible: int | None = None
    ) -> None:
        super().__init_subclass__(versions=versions, flexible=flexible)
        if key is not None:
            cls.api_key = key


class Request(_Rpc):
    """A client's question."""


class Response(_Rpc):
    """The broker's answer."""


class MetadataRecord(_Rpc):
    """A record of the metadata log of an Apache controller; its key tells which one it is."""


class Data(Message):
    """A structure inside other messages or internal topics: consumer protocol, group and offset records."""


def _field(name: str, hint: Any, spec: FieldSpec) -> Field:
    type_, nullable = _parse(hint)
    first = 0 if spec.since is None else spec.since
    default = spec.default
    if default is MISSING:
        default = _zero(type_)
    elif isinstance(default, StructMeta):
        default = default_struct(cast("type[Struct]", default))
    return Field(
        name=name,
        type=type_,
        since=first,
        until=LAST_VERSION if spec.until is None else spec.until,
        nullable=(spec.nullable if spec.nullable is not None else first) if nullable else None,
        default=default,
        tag=spec.tag,
    )


def _zero(type_: "Primitive | ArrayOf | type[Struct]") -> Any:
    if isinstance(type_, Primitive):
        return type_.zero
    if isinstance(type_, ArrayOf):
        return []
    return default_struct(type_)


def default_struct(struct: type[Struct]) -> Struct:
    """Return the one instance of ``struct`` that holds nothing but defaults; it must not be changed."""
    shared = struct.__dict__.get("_default")
    if shared is None:
        shared = struct(**{each.name: each.default for each in struct.fields()})
        struct._default = shared  # type: ignore[attr-defined]
    return cast("Struct", shared)


def _parse(hint: Any) -> tuple["Primitive | ArrayOf | type[Struct]", bool]:
    origin = typing.get_origin(hint)
    if origin is Annotated:
        return hint.__metadata__[0], False
    if origin is list:
        element, nullable = _parse(typing.get_args(hint)[0])
        if nullable or isinstance(element, ArrayOf):
            raise TypeError(f"{hint}: the protocol has no such array")
        return ArrayOf(element), False
    if origin in {typing.Union, types.UnionType}:
        first, *rest = typing.get_args(hint)
        if rest != [types.NoneType]:
            raise TypeError(f"{hint}: only `X | None` means something here")
        return _parse(first)[0], True
    if hint in _PLAIN:
        return _PLAIN[hint], False
    if isinstance(hint, type) and issubclass(hint, Struct):
        return hint, False
    raise TypeError(f"{hint!r} is not a type of the protocol")
