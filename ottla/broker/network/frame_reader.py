"""Where a request's frame ends, and which sizes no client of Kafka's sends. Reads nothing but what it is given."""

from ottla.wire.errors import ProtocolError
from ottla.wire.frames import SIZE

SIZE_BYTES = 4

_read_size = SIZE.unpack_from


def frame_end(buffer: bytearray, start: int, stop: int, limit: int) -> int:
    """Return where the frame ends that begins at ``start``; of its bytes, those before ``stop`` have come.

    An end behind ``stop`` says that the rest is to come, and how much at least: the size itself may be missing. Raises
    ProtocolError for a size below 0 or above ``limit``.
    """
    body = start + SIZE_BYTES
    if body > stop:
        return body
    size: int = _read_size(buffer, start)[0]
    if not 0 <= size <= limit:
        raise ProtocolError(_bad_size(size, bytes(buffer[start : min(stop, body + SIZE_BYTES)]), limit))
    return body + size


def _bad_size(size: int, head: bytes, limit: int) -> str:
    if head[:2] == b"\x16\x03":
        return "these bytes look like TLS, and this listener is plain text"
    if head[:4] in {b"GET ", b"POST", b"PUT ", b"HEAD"}:
        return "these bytes look like HTTP; this is a Kafka listener"
    return f"a frame of {size} bytes (socket.request.max.bytes is {limit})"
