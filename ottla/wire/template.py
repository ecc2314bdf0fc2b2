"""Messages of a known shape, for the hottest path: answers written, and requests read, by a few fixed-size fields.

The layout stays the compiler's: the fields are found in an encoded sample, by the values that they have there.
"""

from struct import Struct

from ottla.wire.schema import Message


class Template:
    """A sample message whose adjacent fields, packed by ``code``, are replaced by other values."""

    __slots__ = ("_body", "_pack_into", "_position")

    def __init__(self, sample: Message, version: int, *, code: str, marks: tuple[int, ...]) -> None:
        """Encode ``sample``, in which the fields hold ``marks``: values that occur nowhere else in it.

        Raises ValueError if they are not there, or not once.
        """
        fields = Struct(code)
        self._body = sample.encode(version)
        self._position = self._body.index(fields.pack(*marks))
        if self._body.count(fields.pack(*marks)) != 1:
            raise ValueError(f"{marks} do not mark one place of {sample!r}")
        self._pack_into = fields.pack_into

    def fill(self, *values: int) -> bytearray:
        """Return the message's bytes with these values in its fields."""
        body = bytearray(self._body)
        self._pack_into(body, self._position, *values)
        return body


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

    def match(self, buffer: bytes | bytearray, position: int) -> tuple[int | bytes, ...] | None:
        """Return the fields of the message at ``position``, or None if it is not like the sample.

        Raises ``struct.error`` if the buffer ends before the last field does.
        """
        values = self._unpack_from(buffer, position)
        return values[1::2] if [*values[::2]] == self._constants else None
