"""The properties of Java's strings and maps that show in Apache's answers."""

from struct import iter_unpack


def string_hash(text: str) -> int:
    """Return Java's ``String.hashCode``: an int32 over the UTF-16 code units."""
    result = 0
    for (unit,) in iter_unpack("<H", text.encode("utf-16-le", "surrogatepass")):
        result = (31 * result + unit) & 0xFFFFFFFF
    return result - (1 << 32) if result >= 1 << 31 else result


def string_length(text: str) -> int:
    """Return Java's ``String.length``: UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def partition_for(key: str, partition_count: int) -> int:
    """Return the partition of an internal topic that holds a group or transactional id.

    Source: Apache's ``Utils.abs``, which is not the producers' ``& 0x7fffffff``.
    """
    number = string_hash(key)
    return 0 if number == -(1 << 31) else abs(number) % partition_count


def map_order(key: str) -> int:
    """Return the place of ``key`` in the iteration of a ``HashMap`` of up to 12 entries, which breaks Apache's ties."""
    number = string_hash(key) & 0xFFFFFFFF
    return (number ^ (number >> 16)) & 15
