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

_STEP = 64 << 10
_GZIP_WINDOW = 31  # zlib's way to ask for the gzip wrapper.
_GZIP_MAGIC = b"\x1f\x8b"

_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER = _XERIAL_MAGIC + b"\x00\x00\x00\x01\x00\x00\x00\x01"  # version 1, readable since version 1
_XERIAL_HEADER_SIZE = len(_XERIAL_HEADER)
_XERIAL_BLOCK = 32 << 10  # Java's writer cuts its input into such blocks
_CHUNK_SIZE = Struct(">i")
_SNAPPY_RATIO = 32  # no element of the format makes more than 64 bytes out of 3

_LZ4_STEP = 1 << 20
_LZ4_FAST = 0
_LZ4_BLOCK_64_KIB = 4  # the frame format's number for the block size that Java's writer uses


LEVELS = {GZIP: -1, LZ4: 9, ZSTD: 3}
"""Kafka's default level of each codec that has levels (``CompressionType.defaultLevel``)."""


def compress(codec: int, data: Buffer, level: int | None = None) -> bytes:
    """``data`` in the form that Java's producer sends for this codec; ``level`` is Kafka's, by default its default."""
    if codec == NONE:
        return bytes(data)
    return _COMPRESSORS[codec](data, LEVELS.get(codec, 0) if level is None else level)


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


class _Output:
    """Collects the output of several streams, one after the other, up to a limit."""

    def __init__(self, limit: int) -> None:
        self.parts: list[bytes] = []
        self.limit = limit
        self.left = limit

    def add_stream(self, decompressor: Any, view: memoryview, position: int) -> int:
        """Decompress the stream at ``position`` and return the position after it.

        In steps, because a decompressor copies what it was given and did not use: with everything behind a stream
        given at once, a batch of many tiny streams would take quadratic time.
        """
        while not decompressor.eof and position < len(view):
            step = view[position : position + _STEP]
            self.add(decompressor.decompress(step, self.left + 1))
            position += len(step) - len(decompressor.unused_data)
        return position

    def reserve(self, size: int) -> None:
        if size > self.left:
            raise KafkaError(
                ErrorCode.MESSAGE_TOO_LARGE, f"The records are more than {self.limit} bytes when decompressed"
            )

    def add(self, part: bytes) -> None:
        self.reserve(len(part))
        self.left -= len(part)
        self.parts.append(part)

    def joined(self) -> bytes:
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)


# gzip ---------------------------------------------------------------------------------------------------------------


def _compress_gzip(data: Buffer, level: int) -> bytes:
    compressor = zlib.compressobj(level, wbits=_GZIP_WINDOW)
    return compressor.compress(data) + compressor.flush()


def _decompress_gzip(data: Buffer, limit: int) -> bytes:
    output = _Output(limit)
    with memoryview(data) as view:
        position = 0
        # Members may follow each other; any other bytes behind one are ignored, as in Java.
        while position == 0 or view[position : position + 2] == _GZIP_MAGIC:
            decompressor = zlib.decompressobj(wbits=_GZIP_WINDOW)
            try:
                position = output.add_stream(decompressor, view, position)
            except zlib.error as error:
                raise _corrupt("gzip", error) from None
            if not decompressor.eof:
                raise _corrupt("gzip", "cut off")
    return output.joined()


# snappy -------------------------------------------------------------------------------------------------------------


def _snappy() -> "ModuleType":
    import cramjam

    return cramjam.snappy


def _compress_snappy(data: Buffer, _: int) -> bytes:
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
    output = _Output(limit)
    with memoryview(data) as view:
        if view[: len(_XERIAL_MAGIC)] != _XERIAL_MAGIC or len(view) < _XERIAL_HEADER_SIZE:
            return _decompress_snappy_block(view, output)
        position = _XERIAL_HEADER_SIZE
        while position + _CHUNK_SIZE.size <= len(view):  # Java's reader takes a cut off size for the end.
            if view[position : position + len(_XERIAL_MAGIC)] == _XERIAL_MAGIC:  # streams may follow each other
                position += _XERIAL_HEADER_SIZE
                continue
            (size,) = _CHUNK_SIZE.unpack_from(view, position)
            position += _CHUNK_SIZE.size
            if not 0 <= size <= len(view) - position:
                raise _corrupt("snappy", f"a block has size {size}")
            _decompress_snappy_block(view[position : position + size], output)
            position += size
    return output.joined()


def _decompress_snappy_block(block: memoryview, output: _Output) -> bytes:
    import cramjam

    try:
        # The size stands in front of the block, so a bomb is refused before anything is allocated for it.
        size = cramjam.snappy.decompress_raw_len(block)
        if size > _SNAPPY_RATIO * len(block):
            raise _corrupt("snappy", f"{len(block)} bytes cannot be {size}")
        output.reserve(size)
        part = bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise _corrupt("snappy", error) from None
    output.add(part)
    return part


# lz4 ----------------------------------------------------------------------------------------------------------------


def _compress_lz4(data: Buffer, level: int) -> bytes:
    import lz4.frame  # type: ignore[import-untyped]

    # Kafka's default level stands for the fast compressor, any other for the high one.
    framed: bytes = lz4.frame.compress(
        data,
        compression_level=_LZ4_FAST if level == LEVELS[LZ4] else level,
        block_size=_LZ4_BLOCK_64_KIB,
        block_linked=False,
        content_checksum=False,
        store_size=False,
    )
    return framed


def _decompress_lz4(data: Buffer, limit: int) -> bytes:
    import lz4.frame

    decompressor = lz4.frame.LZ4FrameDecompressor()
    output = _Output(limit)
    rest: Buffer = data
    part = b""
    # One frame; Java's reader does not look at what is behind it.
    while not decompressor.eof and (part or rest):
        try:
            part = decompressor.decompress(rest, _LZ4_STEP)  # it allocates all that it may return
        except RuntimeError as error:
            raise _corrupt("lz4", error) from None
        output.add(part)
        rest = b""
    if not decompressor.eof:
        raise _corrupt("lz4", "cut off")
    return output.joined()


# zstd ---------------------------------------------------------------------------------------------------------------


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def _compress_zstd(data: Buffer, level: int) -> bytes:
    compressed: bytes = _zstd().compress(data, level)
    return compressed


def _decompress_zstd(data: Buffer, limit: int) -> bytes:
    zstd = _zstd()
    output = _Output(limit)
    with memoryview(data) as view:
        position = 0
        while position < len(view):  # frames may follow each other; no frame at all is no records
            decompressor = zstd.ZstdDecompressor()
            try:
                position = output.add_stream(decompressor, view, position)
            except zstd.ZstdError as error:
                raise _corrupt("zstd", error) from None
            if not decompressor.eof:
                raise _corrupt("zstd", "cut off")
    return output.joined()


_COMPRESSORS: dict[int, Callable[[Buffer, int], bytes]] = {
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
