"""Tells whether bytes of a file are in memory, without waiting for the disk if they are not."""

import os

_STEP = 128 << 10
"""Linux reads that far ahead by default: a page is hardly ever in memory without its neighbours."""

_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)


def is_in_memory(descriptor: int, position: int, size: int) -> bool:
    """Return whether the range of a file can be read without waiting, by one byte of every 128 KiB.

    It is False too where nobody can tell: systems other than Linux, and file systems that do not support it.
    """
    if _NOWAIT is None:
        return False
    probe = [bytearray(1)]
    last = position + size - 1
    try:
        for each in range(position, last, _STEP):
            if os.preadv(descriptor, probe, each, _NOWAIT) != 1:
                return False
        return os.preadv(descriptor, probe, last, _NOWAIT) == 1
    except OSError:  # EAGAIN: it lies on the disk. EOPNOTSUPP: the file system does not say.
        return False
