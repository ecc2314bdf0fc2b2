"""Frames recorded between stock clients and Apache are read and written back byte by byte; damaged, refused."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from ottla.wire.errors import ProtocolError
from ottla.wire.frames import (
    REQUEST_HEADER_SIZE,
    SIZE,
    decode_response,
    encode_request,
    encode_response,
    read_client_id,
    read_fixed_header,
    response_header_is_flexible,
    skip_header_tags,
)
from ottla.wire.schema import Message, Request, Response
from tests.wire.declarations import MESSAGES

FOLDER = Path(__file__).parent / "golden"
HEAD = re.compile(r"# client: (.+); broker: (.+); api: \w+ \((\d+)\); version: (\d+); (request|response)")
DECLARED = {
    (message.api_key, "request" if issubclass(message, Request) else "response"): message
    for message in MESSAGES
    if issubclass(message, Request | Response)
}
PREFIXES = 400  # of a frame: all of a short one, a spread over a long one


class Golden(NamedTuple):
    message: type[Message]
    version: int
    frame: bytes  # with its size


@cache
def golden(path: Path) -> Golden | None:
    """Read a recorded frame; None if its API is not declared (a client may use more than we serve)."""
    head, *lines = path.read_text().splitlines()
    matched = HEAD.fullmatch(head)
    assert matched, f"{path.name}: {head}"
    message = DECLARED.get((int(matched[3]), matched[5]))
    return None if message is None else Golden(message, int(matched[4]), bytes.fromhex("".join(lines)))


FILES = sorted(path for path in FOLDER.glob("*/*.hex") if golden(path) is not None)


def read_request(frame: bytes, message: type[Request], version: int) -> tuple[int, str | None, Request]:
    """Read a frame without its size, as a connection does."""
    api_key, sent_version, correlation_id, length = read_fixed_header(frame, 0)
    assert (api_key, sent_version) == (message.api_key, version)
    position = REQUEST_HEADER_SIZE + max(length, 0)
    client_id = read_client_id(frame, REQUEST_HEADER_SIZE, length)
    if message.is_flexible(version):
        position = skip_header_tags(frame, position, len(frame))
    return correlation_id, client_id, message.decode(frame, version, position)


def body_start(found: Golden) -> int:
    """Where the message begins in the frame without its size."""
    frame = found.frame[SIZE.size :]
    flexible = found.message.is_flexible(found.version)
    if issubclass(found.message, Request):
        length = read_fixed_header(frame, 0)[3]
        return REQUEST_HEADER_SIZE + max(length, 0) + flexible
    assert issubclass(found.message, Response)
    return SIZE.size + response_header_is_flexible(found.message.api_key, flexible=flexible)


def read(path: Path) -> Golden:
    found = golden(path)
    assert found is not None
    return found


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_recorded_frame_is_read_and_written_back_byte_by_byte(path: Path) -> None:
    message, version, frame = read(path)
    assert SIZE.unpack_from(frame) == (len(frame) - SIZE.size,)
    content = frame[SIZE.size :]
    if issubclass(message, Request):
        correlation_id, client_id, request = read_request(content, message, version)
        assert encode_request(request, version, correlation_id=correlation_id, client_id=client_id) == frame
    else:
        assert issubclass(message, Response)
        correlation_id, response = decode_response(message, content, version)
        flexible = response_header_is_flexible(message.api_key, flexible=message.is_flexible(version))
        assert encode_response(correlation_id, response.encode(version), flexible=flexible) == frame


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_recorded_frame_that_ends_early_is_refused(path: Path) -> None:
    found = read(path)
    content = found.frame[SIZE.size :]
    start = body_start(found)
    for end in range(start, len(content), 1 + (len(content) - start) // PREFIXES):
        with pytest.raises(ProtocolError):
            found.message.decode(content[:end], found.version, start)


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_recorded_frame_with_bytes_after_its_end_is_refused(path: Path) -> None:
    found = read(path)
    for more in (b"\0", b"\xff" * 8, found.frame):
        with pytest.raises(ProtocolError, match="after the end"):
            found.message.decode(found.frame[SIZE.size :] + more, found.version, body_start(found))
