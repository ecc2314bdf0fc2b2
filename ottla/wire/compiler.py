"""Writes the codecs: for each message, version and direction one straight-line Python function, made on first use.

The source of a generated function is registered with ``linecache``, so that tracebacks and pdb show it. Runs of
fixed-size fields are packed and unpacked together; nested structs are written in place, arrays as loops.
"""

import linecache
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from ottla.wire.errors import ProtocolError
from ottla.wire.schema import (
    MISSING,
    NO_TAGS,
    ArrayOf,
    Field,
    Message,
    Primitive,
    Struct,
)

_SIZES = {"b": 1, "B": 1, "?": 1, "h": 2, "H": 2, "i": 4, "I": 4, "q": 8, "d": 8, "16s": 16}
_MAX_STRING = 32767
_ONE_BYTE = 128
_SHORT_ARRAYS = range(16)
"""Lengths of arrays, replicas for one, that have a ``struct.Struct`` of their own."""


def read_uvarint(buffer: Any, position: int) -> tuple[int, int]:
    """Read an unsigned varint of up to five bytes; return it and the position after it."""
    value = shift = 0
    while True:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < _ONE_BYTE:
            return value, position
        shift += 7
        if shift > 28:
            raise ProtocolError("a varint is longer than five bytes")


def read_tags(buffer: Any, position: int, limit: int) -> tuple[dict[int, bytes], int]:
    """Read a section of tagged fields; return the bytes of each tag and the position after the section."""
    count, position = read_uvarint(buffer, position)
    if count > limit - position:
        raise ProtocolError("more tags than bytes")
    tags: dict[int, bytes] = {}
    for _ in range(count):
        tag, position = read_uvarint(buffer, position)
        size, position = read_uvarint(buffer, position)
        end = position + size
        if end > limit:
            raise ProtocolError("a tag is longer than the message")
        tags[tag] = bytes(buffer[position:end])
        position = end
    return tags, position


def write_uvarint(value: int) -> bytes:
    """Return ``value`` as an unsigned varint."""
    out = bytearray()
    while value >= _ONE_BYTE:
        out.append(value & 0x7F | _ONE_BYTE)
        value >>= 7
    out.append(value)
    return bytes(out)


_UVARINT = tuple(write_uvarint(value) for value in range(1024))


def _uvarint(value: int) -> bytes:
    return _UVARINT[value] if value < len(_UVARINT) else write_uvarint(value)


def _bad(what: str) -> ProtocolError:
    return ProtocolError(what)


def _write_tags(write: Callable[[Any], None], known: list[tuple[int, bytes]] | None, unknown: Any) -> None:
    tags = dict(unknown)
    if known is not None:
        tags.update(known)
    write(_uvarint(len(tags)))
    for tag in sorted(tags):
        content = tags[tag]
        write(_uvarint(tag))
        write(_uvarint(len(content)))
        write(content)


_GLOBALS = {
    "struct_error": struct.error,
    "ProtocolError": ProtocolError,
    "bad": _bad,
    "read_tags": read_tags,
    "read_uvarint": read_uvarint,
    "uvarint": _uvarint,
    "UVARINT": _UVARINT,
    "MISSING": MISSING,
    "NO_TAGS": NO_TAGS,
    "write_tags": _write_tags,
    "unpack_from": struct.unpack_from,
    "pack": struct.pack,
}


class _Source:
    """Lines of one generated function, its indentation, fresh names and the constants that it refers to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 1
        self.names = 0
        self.constants: dict[str, Any] = {}

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(head)
        self.depth += 1
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.line("pass")
        self.depth -= 1

    def fresh(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def constant(self, prefix: str, value: Any) -> str:
        for name, known in self.constants.items():
            if known is value:
                return name
        name = f"{prefix}{len(self.constants)}"
        self.constants[name] = value
        return name

    def codec(self, codes: list[str], method: str) -> str:
        """Name a bound method of a ``struct.Struct`` for these codes."""
        name = f"{method}_" + "".join(codes).replace("?", "t")
        if name not in self.constants:
            self.constants[name] = getattr(struct.Struct(">" + "".join(codes)), method)
        return name

    def build(self, name: str, head: str, filename: str) -> Any:
        source = head + "\n" + "\n".join(self.lines) + "\n"
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        namespace = {**_GLOBALS, **self.constants}
        exec(compile(source, filename, "exec"), namespace)  # noqa: S102 - the source is made here, from declarations
        return namespace[name]


def compile_constructor(cls: type[Struct]) -> Any:
    """Write ``__init__``: keywords only; fields that were declared without a default are required."""
    out = _Source()
    parameters = []
    for field in cls.fields():
        given = cls._declared[1][field.name]
        if given.default is MISSING and given.tag is None:
            parameters.append(field.name)
        elif isinstance(field.default, list):
            parameters.append(f"{field.name}=MISSING")
            out.line(f"if {field.name} is MISSING: {field.name} = []")
        else:
            parameters.append(f"{field.name}={out.constant('default', field.default)}")
        out.line(f"self.{field.name} = {field.name}")
    out.line("self.unknown_tags = unknown_tags")
    head = f"def __init__(self, *, {''.join(f'{each}, ' for each in parameters)}unknown_tags=NO_TAGS):"
    return out.build("__init__", head, f"<ottla constructor {cls.__module__}.{cls.__qualname__}>")


# --- decoding -------------------------------------------------------------------------------------------------------


class _Decoder:
    """Writes ``decode(buf, pos, limit)``. Fixed-size fields wait in ``run`` until something of another kind comes."""

    def __init__(self, cls: type[Message], version: int) -> None:
        self.cls = cls
        self.version = version
        self.flexible = cls.is_flexible(version)
        self.out = _Source()
        self.run: list[tuple[str, str]] = []

    def compile(self) -> Any:
        out = self.out
        with out.block("try:"):
            result = self.struct(self.cls)
            self.flush()
        message = f"{self.cls.__name__} v{self.version}"
        with out.block("except (ProtocolError, struct_error, IndexError, UnicodeDecodeError) as error:"):
            out.line(f"raise ProtocolError('{message}: ' + str(error)) from None")
        with out.block("if pos > limit:"):
            out.line(f"raise ProtocolError('{message}: the bytes end too early')")
        out.line(f"return {result}, pos")
        return out.build("decode", "def decode(buf, pos, limit):", f"<ottla decode {message}>")

    def flush(self) -> None:
        """Write the waiting run as one unpack."""
        if not self.run:
            return
        names = [name for name, _ in self.run]
        codes = [code for _, code in self.run]
        size = sum(_SIZES[code] for code in codes)
        self.run = []
        if codes in (["b"], ["B"], ["?"]):
            self.out.line(f"{names[0]} = buf[pos]{' != 0' if codes == ['?'] else ''}")
            if codes == ["b"]:
                self.out.line(f"if {names[0]} > 127: {names[0]} -= 256")
        else:
            self.out.line(f"{', '.join(names)}, = {self.out.codec(codes, 'unpack_from')}(buf, pos)")
        self.out.line(f"pos += {size}")

    def struct(self, cls: type[Struct]) -> str:
        """Write the reading of one struct; return the name that holds it."""
        out = self.out
        values: dict[str, str] = {}
        for field in cls.fields():
            if field.tag is not None and field.in_version(self.version):
                continue
            if field.in_version(self.version):
                values[field.name] = self.value(field.type, nullable=field.nullable_in(self.version), name=field.name)
            elif isinstance(field.default, list):
                values[field.name] = "[]"
            else:
                values[field.name] = out.constant("default", field.default)
        tags = "NO_TAGS"
        if self.flexible:
            tags = self.tags(cls, values)
        self.flush()
        result = out.fresh("s")
        out.line(f"{result} = {out.constant('new', cls.__new__)}({out.constant('cls', cls)})")
        for name, value in values.items():
            out.line(f"{result}.{name} = {value}")
        out.line(f"{result}.unknown_tags = {tags}")
        return result

    def tags(self, cls: type[Struct], values: dict[str, str]) -> str:
        """Write the reading of a tag section; return the name of the tags that no field is declared for."""
        out = self.out
        known = [field for field in cls.fields() if field.tag is not None and field.in_version(self.version)]
        mark = out.fresh("m")
        self.run.append((mark, "B"))
        self.flush()
        for field in known:
            values[field.name] = out.fresh("v")
            default = "[]" if isinstance(field.default, list) else out.constant("default", field.default)
            out.line(f"{values[field.name]} = {default}")
        unknown = out.fresh("u")
        with out.block(f"if {mark}:"):
            out.line(f"{unknown}, pos = read_tags(buf, pos - 1, limit)")
            for field in known:
                with out.block(f"if {field.tag} in {unknown}:"):
                    self.tag(field, values[field.name], unknown)
        with out.block("else:"):
            out.line(f"{unknown} = NO_TAGS")
        return unknown

    def tag(self, field: Field, target: str, unknown: str) -> None:
        """Write the reading of one known tag out of its own bytes, with a buffer, position and limit of its own."""
        out = self.out
        outer = out.fresh("o")
        out.line(f"{outer} = buf, pos, limit")
        out.line(f"buf, pos = {unknown}.pop({field.tag}), 0")
        out.line("limit = len(buf)")
        value = self.value(field.type, nullable=field.nullable_in(self.version), name=field.name)
        self.flush()
        out.line(f"{target} = {value}")
        out.line(f"if pos != limit: raise bad('tag {field.tag} has another length than its content')")
        out.line(f"buf, pos, limit = {outer}")

    def length(self, wide: str) -> str:
        """Write the reading of a length; ``wide`` is its code where it is not compact (one more, so that 0 is null)."""
        name = self.out.fresh("n")
        self.run.append((name, "B" if self.flexible else wide))
        self.flush()
        if self.flexible:
            with self.out.block(f"if {name} > 127:"):
                self.out.line(f"{name}, pos = read_uvarint(buf, pos - 1)")
        return name

    def value(self, type_: Primitive | ArrayOf | type[Struct], *, nullable: bool, name: str) -> str:
        """Write the reading of one value; return the name that holds it."""
        if isinstance(type_, ArrayOf):
            return self.array(type_, nullable=nullable, name=name)
        if not isinstance(type_, Primitive):
            return self.nullable_struct(type_) if nullable else self.struct(type_)
        value = self.out.fresh("v")
        if type_.code is not None:
            self.run.append((value, type_.code))
            return value
        length = self.length("h" if type_.name == "string" else "i")
        self.null_guard(value, length, nullable=nullable, name=name)
        with self.out.block("else:"):
            end = self.out.fresh("e")
            self.compact(length)
            self.out.line(f"{end} = pos + {length}")
            too_long = f" or {length} > {_MAX_STRING}" if type_.name == "string" else ""
            self.out.line(f"if {end} > limit{too_long}: raise bad('{name} has length ' + str({length}))")
            read = {
                "string": f"buf[pos:{end}].decode()",
                "bytes": f"bytes(buf[pos:{end}])",
                "records": f"memoryview(buf)[pos:{end}]",
            }[type_.name]
            self.out.line(f"{value} = {read}")
            self.out.line(f"pos = {end}")
        return value

    def null_guard(self, value: str, length: str, *, nullable: bool, name: str) -> None:
        """Write what happens if the length says null; what follows is for the other case."""
        with self.out.block(f"if {length} == 0:" if self.flexible else f"if {length} < 0:"):
            self.out.line(f"{value} = None" if nullable else f"raise bad('{name} is null')")

    def compact(self, length: str) -> None:
        """Write the turning of a compact length, where it is one, into the length."""
        if self.flexible:
            self.out.line(f"{length} -= 1")

    def nullable_struct(self, cls: type[Struct]) -> str:
        out = self.out
        value, mark = out.fresh("v"), out.fresh("n")
        self.run.append((mark, "B"))
        self.flush()
        with out.block(f"if {mark} > 127:"):
            out.line(f"{value} = None")
        with out.block("else:"):
            result = self.struct(cls)
            out.line(f"{value} = {result}")
        return value

    def array(self, type_: ArrayOf, *, nullable: bool, name: str) -> str:
        out = self.out
        value = out.fresh("v")
        length = self.length("i")
        self.null_guard(value, length, nullable=nullable, name=name)
        element = type_.element
        with out.block("else:"):
            self.compact(length)
            least = _least_size(element, self.version, flexible=self.flexible)
            out.line(f"if {length} > (limit - pos) // {least}: raise bad('{name} has ' + str({length}) + ' elements')")
            if isinstance(element, Primitive) and element.code is not None:
                unpacks = out.constant("unpacks", _short_array_unpacks(element.code))
                repeated = f"'>' + '16s' * {length}" if element.code == "16s" else f"f'>{{{length}}}{element.code}'"
                with out.block(f"if {length} < {len(_SHORT_ARRAYS)}:"):
                    out.line(f"{value} = list({unpacks}[{length}](buf, pos))")
                with out.block("else:"):
                    out.line(f"{value} = list(unpack_from({repeated}, buf, pos))")
                out.line(f"pos += {_SIZES[element.code]} * {length}")
            else:
                out.line(f"{value} = []")
                with out.block(f"for _ in range({length}):"):
                    each = self.value(element, nullable=False, name=name)
                    self.flush()
                    out.line(f"{value}.append({each})")
        return value


@cache
def _short_array_unpacks(code: str) -> tuple[Callable[..., tuple[Any, ...]], ...]:
    """Return, for each short length, what reads as many elements."""
    return tuple(struct.Struct(">" + code * length).unpack_from for length in _SHORT_ARRAYS)


@cache
def _short_array_packs(length_code: str, code: str) -> tuple[Callable[..., bytes], ...]:
    """Return, for each short length, what writes a length and as many elements."""
    return tuple(struct.Struct(">" + length_code + code * length).pack for length in _SHORT_ARRAYS)


def _least_size(type_: Primitive | ArrayOf | type[Struct], version: int, *, flexible: bool) -> int:
    """Return the least number of bytes that a value takes, so that a count can be checked before anything is made."""
    if isinstance(type_, ArrayOf):
        return 1 if flexible else 4
    if isinstance(type_, Primitive):
        if type_.code is not None:
            return _SIZES[type_.code]
        return 1 if flexible else 2 if type_.name == "string" else 4
    return (1 if flexible else 0) + sum(
        1
        if field.nullable_in(version) and isinstance(field.type, type)
        else _least_size(field.type, version, flexible=flexible)
        for field in type_.fields()
        if field.in_version(version) and field.tag is None
    ) or 1


def compile_decoder(cls: type[Message], version: int) -> Any:
    """Return ``decode(buffer, position, limit) -> (message, position after it)`` for one version."""
    return _Decoder(cls, version).compile()


# --- encoding -------------------------------------------------------------------------------------------------------


class _Encoder:
    """Writes ``encode(message, write)``. Fixed-size values wait in ``run`` until something of another kind comes."""

    def __init__(self, cls: type[Message], version: int) -> None:
        self.cls = cls
        self.version = version
        self.flexible = cls.is_flexible(version)
        self.out = _Source()
        self.run: list[tuple[str, str]] = []

    def compile(self) -> Any:
        self.struct(self.cls, "message", "write")
        self.flush("write")
        filename = f"<ottla encode {self.cls.__name__} v{self.version}>"
        if not self.out.lines:
            self.out.line("pass")
        return self.out.build("encode", "def encode(message, write):", filename)

    def flush(self, write: str) -> None:
        if self.run == [("0", "B")]:
            self.run = []
            self.out.line(f"{write}(b'\\0')")
        elif self.run:
            values = ", ".join(value for value, _ in self.run)
            codec = self.out.codec([code for _, code in self.run], "pack")
            self.run = []
            self.out.line(f"{write}({codec}({values}))")

    def struct(self, cls: type[Struct], source: str, write: str) -> None:
        """Write the writing of one struct; its tag section may stay in the run."""
        tagged: list[Field] = []
        for field in cls.fields():
            if not field.in_version(self.version):
                continue
            if field.tag is not None:
                tagged.append(field)
            else:
                self.value(
                    field.type,
                    f"{source}.{field.name}",
                    write=write,
                    nullable=field.nullable_in(self.version),
                )
        if self.flexible:
            self.tags(tagged, source, write)

    def tags(self, tagged: list[Field], source: str, write: str) -> None:
        out = self.out
        run, self.run = self.run, []
        known = "None"
        if tagged:
            known = out.fresh("k")
            out.line(f"{known} = None")
        for field in tagged:
            value = out.fresh("v")
            out.line(f"{value} = {source}.{field.name}")
            with out.block(f"if {self.differs(value, field)}:"):
                parts = out.fresh("p")
                out.line(f"{parts} = []")
                self.value(field.type, value, write=f"{parts}.append", nullable=field.nullable_in(self.version))
                self.flush(f"{parts}.append")
                out.line(f"if {known} is None: {known} = []")
                out.line(f"{known}.append(({field.tag}, b''.join({parts})))")
        some = f"{known} or {source}.unknown_tags" if tagged else f"{source}.unknown_tags"
        with out.block(f"if {some}:"):
            self.run = list(run)
            self.flush(write)
            out.line(f"write_tags({write}, {known}, {source}.unknown_tags)")
        with out.block("else:"):
            self.run = [*run, ("0", "B")]
            self.flush(write)

    def differs(self, value: str, field: Field) -> str:
        if field.default is None:
            return f"{value} is not None"
        if isinstance(field.default, list):
            return value if field.nullable is None else f"{value} is None or {value}"
        default = self.out.constant("default", field.default)
        if isinstance(field.default, Struct):
            return f"{value} is not {default} and {value} != {default}"
        return f"{value} != {default}"

    def length(self, length: str, wide: str, write: str) -> None:
        """Write a length; in flexible versions it is one more, so that zero is null."""
        if self.flexible and self.run:
            with self.out.block(f"if {length} < 127:"):
                run = list(self.run)
                self.run.append((f"{length} + 1", "B"))
                self.flush(write)
                self.run = run
            with self.out.block("else:"):
                self.flush(write)
                self.out.line(f"{write}(uvarint({length} + 1))")
        elif self.flexible:
            self.out.line(f"{write}(UVARINT[{length} + 1] if {length} < 127 else uvarint({length} + 1))")
        else:
            self.run.append((length, wide))

    def value(self, type_: Primitive | ArrayOf | type[Struct], source: str, *, write: str, nullable: bool) -> None:
        out = self.out
        if isinstance(type_, Primitive) and type_.code is not None:
            self.run.append((source, type_.code))
            return
        if not nullable and not (isinstance(type_, Primitive) and type_.name == "records"):
            self.present(type_, source, write=write)
            return
        self.flush(write)
        value = out.fresh("v")
        out.line(f"{value} = {source}")
        with out.block(f"if {value} is None:"):
            out.line(f"{write}({self.null(type_)!r})")
        with out.block("else:"):
            if not isinstance(type_, Primitive | ArrayOf):
                self.run.append(("1", "b"))
            self.present(type_, value, write=write)
            self.flush(write)

    def null(self, type_: Primitive | ArrayOf | type[Struct]) -> bytes:
        if not isinstance(type_, Primitive | ArrayOf):
            return b"\xff"
        if self.flexible:
            return b"\0"
        return b"\xff" * (2 if isinstance(type_, Primitive) and type_.name == "string" else 4)

    def present(self, type_: Primitive | ArrayOf | type[Struct], source: str, *, write: str) -> None:
        """Write a value that is not null and not of fixed size."""
        out = self.out
        if isinstance(type_, ArrayOf):
            self.array(type_.element, source, write=write)
        elif isinstance(type_, Primitive):
            value, length = out.fresh("v"), out.fresh("n")
            out.line(f"{value} = {source}.encode()" if type_.name == "string" else f"{value} = {source}")
            out.line(f"{length} = len({value})")
            self.length(length, "h" if type_.name == "string" else "i", write)
            self.flush(write)
            out.line(f"{write}({value})")
        else:
            self.struct(type_, source, write)

    def fixed_array(self, code: str, array: str, length: str, *, write: str) -> None:
        """Write the writing of elements of one size, all together; a short array's length goes with them."""
        self.flush(write)
        packs = self.out.constant("packs", _short_array_packs("B" if self.flexible else "i", code))
        with self.out.block(f"if {length} < {len(_SHORT_ARRAYS)}:"):
            self.out.line(f"{write}({packs}[{length}]({length}{' + 1' if self.flexible else ''}, *{array}))")
        with self.out.block("else:"):
            self.length(length, "i", write)
            self.flush(write)
            repeated = f"'>' + '{code}' * {length}" if code == "16s" else f"f'>{{{length}}}{code}'"
            self.out.line(f"{write}(pack({repeated}, *{array}))")

    def array(self, element: Primitive | type[Struct], source: str, *, write: str) -> None:
        out = self.out
        array, length, each = out.fresh("a"), out.fresh("n"), out.fresh("x")
        out.line(f"{array} = {source}")
        out.line(f"{length} = len({array})")
        if isinstance(element, Primitive) and element.code is not None:
            self.fixed_array(element.code, array, length, write=write)
            return
        self.length(length, "i", write)
        self.flush(write)
        with out.block(f"for {each} in {array}:"):
            self.value(element, each, write=write, nullable=False)
            self.flush(write)


def compile_encoder(cls: type[Message], version: int) -> Any:
    """Return ``encode(message, write)`` for one version; ``write`` is called with each piece, in order."""
    return _Encoder(cls, version).compile()
