"""Messages of a shape that is known: encoded once, and only a run of fixed-size fields written anew each time.

The layout stays the compiler's: a template finds its fields in an encoded sample, by the values they have there.
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
