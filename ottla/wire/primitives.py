"""Varints, the only primitive that records need; the message compiler generates its own code.

Java's ``ByteUtils`` is the model: at most 5 bytes for 32 bits and 10 for 64, and bits beyond those are dropped.
"""

from ottla.wire.errors import ProtocolError

Buffer = bytes | bytearray | memoryview


def read_varint(buffer: Buffer, position: int) -> tuple[int, int]:
    """A signed 32-bit integer and the position after it. Raises ProtocolError when cut off or too long."""
    try:
        raw = buffer[position]
        if raw > 0x7F:  # two bytes without a loop: the sizes of most records
            byte = buffer[position + 1]
            if byte > 0x7F:
                raw, position = _read_unsigned(buffer, position, 5)
                raw &= 0xFFFFFFFF
                return (raw >> 1) ^ -(raw & 1), position
            position += 1
            raw += (byte << 7) - 0x80
    except IndexError:
        raise ProtocolError("A varint is cut off") from None
    return (raw >> 1) ^ -(raw & 1), position + 1


def read_varlong(buffer: Buffer, position: int) -> tuple[int, int]:
    """A signed 64-bit integer and the position after it. Raises ProtocolError when cut off or too long."""
    try:
        raw = buffer[position]
        if raw > 0x7F:
            byte = buffer[position + 1]
            if byte > 0x7F:
                raw, position = _read_unsigned(buffer, position, 10)
                raw &= 0xFFFFFFFFFFFFFFFF
                return (raw >> 1) ^ -(raw & 1), position
            position += 1
            raw += (byte << 7) - 0x80
    except IndexError:
        raise ProtocolError("A varint is cut off") from None
    return (raw >> 1) ^ -(raw & 1), position + 1


def read_unsigned_varint(buffer: Buffer, position: int) -> tuple[int, int]:
    """An unsigned 32-bit integer and the position after it. Raises ProtocolError when cut off or too long."""
    raw, position = _read_unsigned(buffer, position, 5)
    return raw & 0xFFFFFFFF, position


def write_varint(buffer: bytearray, value: int) -> None:
    """Append a signed integer of up to 32 or 64 bits: both have the same form."""
    raw = value << 1 if value >= 0 else (~value << 1) | 1
    while raw > 0x7F:
        buffer.append(raw & 0x7F | 0x80)
        raw >>= 7
    buffer.append(raw)


def _read_unsigned(buffer: Buffer, position: int, most_bytes: int) -> tuple[int, int]:
    raw = shift = 0
    for byte in buffer[position : position + most_bytes]:
        position += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            return raw, position
        shift += 7
    raise ProtocolError("A varint is cut off" if shift < 7 * most_bytes else "A varint is too long")
