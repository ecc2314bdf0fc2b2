"""Compresses and decompresses the records of a batch, with a bound on what hostile bytes may grow to.

Codec libraries are imported on first use: a broker that only passes batches through never loads them.
"""

import sys
import zlib
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Any

from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

if TYPE_CHECKING:
    from types import ModuleType

Buffer = bytes | bytearray | memoryview

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)

DECOMPRESSED_LIMIT = 128 << 20
"""The default bound, in bytes. Apache streams and has none."""

_GZIP_WINDOW = 31  # zlib's way to ask for the gzip wrapper.
_GZIP_MAGIC = b"\x1f\x8b"

_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER = _XERIAL_MAGIC + b"\x00\x00\x00\x01\x00\x00\x00\x01"  # version 1, readable since version 1
_XERIAL_HEADER_SIZE = len(_XERIAL_HEADER)
_XERIAL_BLOCK = 32 << 10  # what Java's writer cuts its input into
_CHUNK_SIZE = Struct(">i")
_SNAPPY_RATIO = 32  # no element of the format makes more than 64 bytes out of 3

_LZ4_STEP = 1 << 20
_LZ4_BLOCK_64_KIB = 4  # the frame format's number for the block size that Java's writer uses


def compress(codec: int, data: Buffer) -> bytes:
    """``data`` in the form that Java's producer sends for this codec."""
    if codec == NONE:
        return bytes(data)
    return _COMPRESSORS[codec](data)


def decompress(codec: int, data: Buffer, limit: int = DECOMPRESSED_LIMIT) -> bytes:
    """The records' bytes.

    Raises KafkaError: MESSAGE_TOO_LARGE when there would be more than ``limit`` bytes (Java's producer then splits the
    batch and sends its halves), and UNKNOWN_SERVER_ERROR for bytes that are not the codec's, or a codec that does not
    exist: Apache does not expect those, so this is what its clients see.
    """
    if codec == NONE:
        return bytes(data)
    decompressor = _DECOMPRESSORS.get(codec)
    if decompressor is None:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"There is no codec {codec}")
    return decompressor(data, limit)


def _corrupt(codec: str, reason: object) -> KafkaError:
    return KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"The records are not valid {codec}: {reason}")


def _too_large(limit: int) -> KafkaError:
    return KafkaError(ErrorCode.MESSAGE_TOO_LARGE, f"The records are more than {limit} bytes when decompressed")


# gzip ---------------------------------------------------------------------------------------------------------------


def _compress_gzip(data: Buffer) -> bytes:
    compressor = zlib.compressobj(wbits=_GZIP_WINDOW)
    return compressor.compress(data) + compressor.flush()


def _decompress_gzip(data: Buffer, limit: int) -> bytes:
    parts: list[bytes] = []
    rest: Buffer = data
    left = limit
    while not parts or rest[:2] == _GZIP_MAGIC:  # a file may have several members; other bytes after them are ignored
        decompressor = zlib.decompressobj(wbits=_GZIP_WINDOW)
        try:
            part = decompressor.decompress(rest, left + 1)
        except zlib.error as error:
            raise _corrupt("gzip", error) from None
        left -= len(part)
        if left < 0:
            raise _too_large(limit)
        if not decompressor.eof:
            raise _corrupt("gzip", "cut off")
        parts.append(part)
        rest = decompressor.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


# snappy -------------------------------------------------------------------------------------------------------------


def _snappy() -> "ModuleType":
    import cramjam

    return cramjam.snappy


def _compress_snappy(data: Buffer) -> bytes:
    """In the framing of the xerial library, as Java writes it."""
    compress_raw = _snappy().compress_raw
    framed = bytearray(_XERIAL_HEADER)
    with memoryview(data) as view:
        for start in range(0, len(view), _XERIAL_BLOCK):
            block = bytes(compress_raw(view[start : start + _XERIAL_BLOCK]))
            framed += _CHUNK_SIZE.pack(len(block))
            framed += block
    return bytes(framed)


def _decompress_snappy(data: Buffer, limit: int) -> bytes:
    """Xerial's framing, or one raw block, which some other clients send."""
    with memoryview(data) as view:
        if view[: len(_XERIAL_MAGIC)] != _XERIAL_MAGIC or len(view) < _XERIAL_HEADER_SIZE:
            return _decompress_snappy_block(view, limit, limit)
        position = _XERIAL_HEADER_SIZE
        parts = []
        left = limit
        while position < len(view):
            if view[position : position + len(_XERIAL_MAGIC)] == _XERIAL_MAGIC:  # streams may follow each other
                position += _XERIAL_HEADER_SIZE
                continue
            if position + _CHUNK_SIZE.size > len(view):
                break  # Java's reader takes a cut off size for the end.
            (size,) = _CHUNK_SIZE.unpack_from(view, position)
            position += _CHUNK_SIZE.size
            if not 0 <= size <= len(view) - position:
                raise _corrupt("snappy", f"a block has size {size}")
            part = _decompress_snappy_block(view[position : position + size], left, limit)
            left -= len(part)
            parts.append(part)
            position += size
    return parts[0] if len(parts) == 1 else b"".join(parts)


<<<<<<< HEAD
def _decompress_snappy_block(block: memoryview, left: int, limit: int) -> bytes:
=======
def _decompress_snappy_block(block: memoryview, output: _Output) -> bytes:
    import cramjam

    try:
        # The size stands in front of the block, so a bomb is refused before anything is allocated for it.
        size = cramjam.snappy.decompress_raw_len(block)
        if size > _SNAPPY_RATIO * len(block):
            raise _corrupt("snappy", f"{len(block)} bytes cannot be {size}")
        if size > left:
            raise _too_large(limit)
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise _corrupt("snappy", error) from None


# lz4 ----------------------------------------------------------------------------------------------------------------


def _compress_lz4(data: Buffer) -> bytes:
    import lz4.frame  # type: ignore[import-untyped]

    framed: bytes = lz4.frame.compress(
        data, block_size=_LZ4_BLOCK_64_KIB, block_linked=False, content_checksum=False, store_size=False
    )
    return framed


def _decompress_lz4(data: Buffer, limit: int) -> bytes:
    import lz4.frame

    decompressor = lz4.frame.LZ4FrameDecompressor()
    parts: list[bytes] = []
    rest: Buffer = data
    left = limit
    while not parts or (parts[-1] and not decompressor.eof):
        try:
            part = decompressor.decompress(rest, _LZ4_STEP)  # it allocates what it is allowed to
        except RuntimeError as error:
            raise _corrupt("lz4", error) from None
        left -= len(part)
        if left < 0:
            raise _too_large(limit)
        parts.append(part)
        rest = b""
    if not decompressor.eof:
        raise _corrupt("lz4", "cut off")
    return parts[0] if len(parts) == 1 else b"".join(parts)


# zstd ---------------------------------------------------------------------------------------------------------------


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def _compress_zstd(data: Buffer) -> bytes:
    compressed: bytes = _zstd().compress(data)
    return compressed


def _decompress_zstd(data: Buffer, limit: int) -> bytes:
    zstd = _zstd()
    parts: list[bytes] = []
    rest: Buffer = data
    left = limit
    while rest:  # frames may follow each other; no frame at all is no records
        decompressor = zstd.ZstdDecompressor()
        try:
            part = decompressor.decompress(rest, left + 1)
        except zstd.ZstdError as error:
            raise _corrupt("zstd", error) from None
        left -= len(part)
        if left < 0:
            raise _too_large(limit)
        if not decompressor.eof:
            raise _corrupt("zstd", "cut off")
        parts.append(part)
        rest = decompressor.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


_COMPRESSORS: dict[int, Callable[[Buffer], bytes]] = {
    GZIP: _compress_gzip,
    SNAPPY: _compress_snappy,
    LZ4: _compress_lz4,
    ZSTD: _compress_zstd,
}
_DECOMPRESSORS: dict[int, Callable[[Buffer, int], bytes]] = {
    GZIP: _decompress_gzip,
    SNAPPY: _decompress_snappy,
    LZ4: _decompress_lz4,
    ZSTD: _decompress_zstd,
}
