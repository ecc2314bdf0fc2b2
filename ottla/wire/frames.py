"""Frames and headers, which stand around each message on a connection. No I/O.

A frame is an int32 size and that many bytes: a header and a message. A request's header names its API, version and
correlation id; the answer's repeats the correlation id. From a message's first flexible version on, headers end with
tagged fields, but for the answer to ApiVersions, which a client must be able to read before it knows the versions.
"""

from collections.abc import Sequence
from struct import Struct
from struct import error as struct_error
from typing import Any

from ottla.wire.codes import ApiKey
from ottla.wire.compiler import read_tags
from ottla.wire.errors import ProtocolError
from ottla.wire.schema import Request, Response

SIZE = Struct(">i")
_REQUEST = Struct(">hhih")
_RESPONSE = Struct(">ii")
_FLEXIBLE_RESPONSE = Struct(">iib")

REQUEST_HEADER_SIZE = _REQUEST.size
"""Bytes of a request's header before the client id, whose length it includes."""

read_fixed_header = _REQUEST.unpack_from
"""Read api key, version, correlation id and the client id's length (-1: null) at a position."""


def read_client_id(buffer: bytes | bytearray, position: int, length: int) -> str | None:
    """Read the client id that follows a header's fixed part."""
    if length < 0:
        return None
    return buffer[position : position + length].decode(errors="replace")


def skip_header_tags(buffer: bytes | bytearray, position: int, limit: int) -> int:
    """Return the position after a flexible header's tagged fields."""
    if buffer[position] == 0:
        return position + 1
    return read_tags(buffer, position, limit)[1]


def response_header_is_flexible(api_key: int, *, flexible: bool) -> bool:
    """Tell whether an answer's header ends with tagged fields (version 1 of the header)."""
    return flexible and api_key != ApiKey.API_VERSIONS


def encode_response(correlation_id: int, body: bytes | bytearray, *, flexible: bool) -> bytes:
    """Return the frame of an answer; ``flexible`` is its header's."""
    if flexible:
        return _FLEXIBLE_RESPONSE.pack(len(body) + 5, correlation_id, 0) + body
    return _RESPONSE.pack(len(body) + 4, correlation_id) + body


def encode_response_parts(correlation_id: int, parts: Sequence[Any], *, flexible: bool) -> list[Any]:
    """Return the frame of an answer as pieces: runs of bytes joined, everything else (slices of files) as it is."""
    size = sum(map(len, parts))
    header = (
        _FLEXIBLE_RESPONSE.pack(size + 5, correlation_id, 0) if flexible else _RESPONSE.pack(size + 4, correlation_id)
    )
    pieces: list[Any] = []
    run: list[Any] = [header]
    for part in parts:
        if isinstance(part, bytes | bytearray | memoryview):
            run.append(part)
        else:
            pieces.append(b"".join(run))
            pieces.append(part)
            run = []
    if run:
        pieces.append(b"".join(run))
    return pieces


def encode_request(request: Request, version: int, *, correlation_id: int, client_id: str | None) -> bytes:
    """Return the frame of a request."""
    name = b"" if client_id is None else client_id.encode()
    header = _REQUEST.pack(request.api_key, version, correlation_id, -1 if client_id is None else len(name)) + name
    if request.is_flexible(version):
        header += b"\0"
    body = request.encode(version)
    return SIZE.pack(len(header) + len(body)) + header + body


def decode_response(response: type[Response], frame: bytes, version: int) -> tuple[int, Response]:
    """Read an answer's frame without its size; return the correlation id and the message."""
    try:
        (correlation_id,) = SIZE.unpack_from(frame)
        position = SIZE.size
        if response_header_is_flexible(response.api_key, flexible=response.is_flexible(version)):
            position = skip_header_tags(frame, position, len(frame))
    except (struct_error, IndexError):
        raise ProtocolError("the bytes end before the header does") from None
    return correlation_id, response.decode(frame, version, position)
