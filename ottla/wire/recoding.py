"""Puts the records of a batch into another codec. The records themselves stay as they are, byte for byte."""

from ottla.wire.batch import (
    ATTRIBUTES,
    ATTRIBUTES_OFFSET,
    CODEC_MASK,
    HEADER_SIZE,
    KNOWN_ATTRIBUTES,
    LENGTH,
    LENGTH_OFFSET,
    LENGTH_OVERHEAD,
    read_header,
    write_crc,
)
from ottla.wire.compression import DECOMPRESSED_LIMIT, compress, decompress
from ottla.wire.primitives import Buffer


def recompressed(batch: Buffer, codec: int, level: int | None = None, limit: int = DECOMPRESSED_LIMIT) -> bytearray:
    """A copy of the batch at the start of ``batch`` with its records in another codec, at Kafka's ``level`` of it.

    Attribute bits without a meaning are cleared, as Apache does in writing a batch anew (``LogValidator``). Raises what
    ``decompress`` raises.
    """
    header = read_header(batch)
    with memoryview(batch) as view:
        records = decompress(header.codec, view[HEADER_SIZE : header.size], limit)
        copy = bytearray(view[:HEADER_SIZE])
    copy += compress(codec, records, level)
    LENGTH.pack_into(copy, LENGTH_OFFSET, len(copy) - LENGTH_OVERHEAD)
    ATTRIBUTES.pack_into(copy, ATTRIBUTES_OFFSET, header.attributes & KNOWN_ATTRIBUTES & ~CODEC_MASK | codec)
    write_crc(copy)
    return copy
