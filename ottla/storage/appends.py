"""Says who appends a batch and where it comes to lie; with the values that mean none."""

from enum import IntEnum
from typing import NamedTuple

NO_OFFSET = -1
NO_EPOCH = -1
NO_TIMESTAMP = -1
UNVERIFIED = -1
"""The transaction version of a batch whose transaction nobody has asked the coordinator about."""


class AppendOrigin(IntEnum):
    """The kind of appender. A client's batches are checked for sequence and timestamps; a coordinator's are trusted."""

    CLIENT = 0
    COORDINATOR = 1


class Appended(NamedTuple):
    """The place of a batch in its log; for a duplicate, the place of the first copy."""

    base_offset: int
    last_offset: int
    duplicate: bool
    log_start_offset: int
    log_append_time_ms: int
    """-1 if records keep their producer's time, as the Produce response wants it."""
