"""Maps keys to their newest offsets, for compaction: as many keys as fit into ``log.cleaner.dedupe.buffer.size``."""

from hashlib import blake2b

ENTRY_BYTES = 192
"""Maximum bytes that a key takes in Python: its digest, its offset, and its place in a dict that has just grown."""

_SHARDS = 256
_DIGEST_BYTES = 16


class OffsetMap:
    """Maps keys to offsets. Keys are known by a digest, so that long ones take no more room than short ones."""

    def __init__(self, limit_bytes: int, load_factor: float) -> None:
        self.capacity = max(1, int(limit_bytes // ENTRY_BYTES * load_factor))
        # Small dicts, because one of a million keys takes many milliseconds to grow or to be freed.
        self._shards: list[dict[bytes, int]] = [{} for _ in range(_SHARDS)]
        self._count = 0
        self.latest_offset = -1
        """Every record up to here (inclusive) has been taken in."""

    def __len__(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        """Whether no more keys should be added."""
        return self._count >= self.capacity

    def put(self, key: bytes, offset: int) -> None:
        """Note the offset of a record. They come in their order."""
        if len(key) >= _DIGEST_BYTES:
            key = blake2b(key, digest_size=_DIGEST_BYTES).digest()
        shard = self._shards[hash(key) % _SHARDS]
        if key not in shard:
            self._count += 1
        shard[key] = offset

    def get(self, key: bytes) -> int:
        """Return the newest offset of a key, -1 if it is not there."""
        if len(key) >= _DIGEST_BYTES:
            key = blake2b(key, digest_size=_DIGEST_BYTES).digest()
        return self._shards[hash(key) % _SHARDS].get(key, -1)
