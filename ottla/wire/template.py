"""Messages of a known shape, for the hottest path: answers written, and requests read, by a few fixed-size fields.

The layout stays the compiler's: the fields are found in an encoded sample, by the values that they have there.
"""

from struct import Struct
from typing import Any

from ottla.wire.frames import SIZE, encode_response, response_header_is_flexible
from ottla.wire.schema import Message, Response


class Template:
    """The frame of an answer like a sample, whose adjacent fields, packed by ``code``, get other values."""

    __slots__ = ("_after", "_before", "_pack", "_size")

    def __init__(self, sample: Response, version: int, *, code: str, marks: tuple[int, ...]) -> None:
        """Encode ``sample``, in which the fields hold ``marks``: values that occur nowhere else in it.

        Raises ValueError if they are not there, or not once.
        """
        flexible = response_header_is_flexible(sample.api_key, flexible=sample.is_flexible(version))
        frame = encode_response(0, sample.encode(version), flexible=flexible)
        marked = Struct(">" + code).pack(*marks)
        position = frame.index(marked)
        if frame.count(marked) != 1:
            raise ValueError(f"{marks} do not mark one place of {sample!r}")
        self._size = len(frame) - SIZE.size
        self._before = frame[2 * SIZE.size : position]
        self._after = frame[position + len(marked) :]
        self._pack = Struct(f">ii{len(self._before)}s{code}{len(self._after)}s").pack

    def fill(self, correlation_id: int, *values: int) -> bytes:
        """Return a frame with these values in its fields."""
        return self._pack(self._size, correlation_id, self._before, *values, self._after)


class Pattern:
    """Recognises messages that are like a sample but for some fixed-size fields, and reads just those.

    The fields are given in wire order by their ``struct`` codes and the values that they have in the sample. What comes
    after the last of them is not looked at.
    """

    __slots__ = ("_constants", "_unpack_from", "size")

    def __init__(self, sample: Message, version: int, fields: tuple[tuple[str, int | bytes], ...]) -> None:
        """Find the fields in the encoded sample. Raises ValueError if one is not there."""
        encoded = sample.encode(version)
        codes = ">"
        position = 0
        self._constants: list[bytes] = []
        for code, mark in fields:
            packed = Struct(">" + code).pack(mark)
            start = encoded.index(packed, position)
            codes += f"{start - position}s{code}"
            self._constants.append(encoded[position:start])
            position = start + len(packed)
        self.size = position
        self._unpack_from = Struct(codes).unpack_from

    def match(self, buffer: bytes | bytearray, position: int) -> tuple[Any, ...] | None:
        """Return the fields of the message at ``position``, or None if it is not like the sample.

        Raises ``struct.error`` if the buffer ends before the last field does.
        """
        values = self._unpack_from(buffer, position)
        return values[1::2] if [*values[::2]] == self._constants else None
