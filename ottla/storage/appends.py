"""The words of an append: who appends, where the batch comes to lie, and the values that mean none."""

from enum import IntEnum
from typing import NamedTuple

NO_OFFSET = -1
NO_EPOCH = -1
NO_TIMESTAMP = -1
UNVERIFIED = -1
"""The transaction version of a batch whose transaction nobody has asked the coordinator about."""


class AppendOrigin(IntEnum):
    """Who appends. A client's batches are checked for sequence and timestamps; a coordinator's are trusted."""

    CLIENT = 0
    COORDINATOR = 1


class Appended(NamedTuple):
    """Where a batch lies. For a duplicate: where the first copy of it lies."""

    base_offset: int
    last_offset: int
    duplicate: bool
    log_start_offset: int
    log_append_time_ms: int
    """-1 if records keep their producer's time, as the Produce response wants it."""
