"""The codec of a topic's batches on disk (``compression.type``): compresses them, large ones in a thread.

Apache compresses in the thread that serves the request (``LogValidator``). Here that would hold up all clients, so
only small batches are compressed at once.
"""

from typing import NamedTuple

from ottla.scheduling.background import Background, outcome_of
from ottla.scheduling.promise import Promise
from ottla.storage.log_config import LogConfig
from ottla.wire.codes import ErrorCode
from ottla.wire.compression import GZIP, LZ4, NONE, SNAPPY, ZSTD
from ottla.wire.errors import KafkaError
from ottla.wire.recoding import recompressed

AT_ONCE_BYTES = 8 << 10
"""Maximum size of a batch to compress at once: up to it, asking a thread costs more than compressing."""

AT_ONCE_RECORDS_BYTES = 64 << 10
"""Maximum decompressed size of such a batch; a decompression bomb goes to a thread."""

_CODECS = {"uncompressed": NONE, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}


class Compression(NamedTuple):
    """A codec, and Kafka's level of it (None: the codec has no levels)."""

    codec: int
    level: int | None

    @classmethod
    def of(cls, config: LogConfig) -> "Compression | None":
        """Return the codec that a topic's settings ask for; None if batches stay as their producers made them."""
        codec = _CODECS.get(config.compression_type)
        if codec is None:
            return None
        levels = {
            GZIP: config.compression_gzip_level,
            LZ4: config.compression_lz4_level,
            ZSTD: config.compression_zstd_level,
        }
        return cls(codec, levels.get(codec))

    def apply(self, batch: memoryview, background: Background) -> bytearray | Promise[bytearray]:
        """Return the batch in this codec, now or later; ``batch`` may be used again when this returns.

        Raises what ``decompress`` raises.
        """
        if len(batch) <= AT_ONCE_BYTES:
            try:
                return recompressed(batch, self.codec, self.level, AT_ONCE_RECORDS_BYTES)
            except KafkaError as error:
                if error.code is not ErrorCode.MESSAGE_TOO_LARGE:
                    raise
        kept = bytes(batch)
        return outcome_of(lambda: recompressed(kept, self.codec, self.level), background)
