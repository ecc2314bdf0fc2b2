"""Promises what every store of logs does: finds, makes and deletes the logs of partitions, and names its chores.

``segments/data_directory`` is the first kind.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from ottla.scheduling.background import Background
from ottla.scheduling.steps import Steps
from ottla.storage.log import Log
from ottla.storage.log_config import LogConfig


class StoredLog(Log, Protocol):
    """A log that lies in a store."""

    on_offline: Callable[[str], None]
    """Called with the reason when the disk has failed the log; its owner must serve it no more."""


class CompactionSettings(NamedTuple):
    """The broker's settings for compaction (``log.cleaner.*``)."""

    dedupe_buffer_bytes: int = 128 << 20
    load_factor: float = 0.9
    io_buffer_bytes: int = 512 << 10
    io_bytes_per_second: float = float("inf")


class Chore(NamedTuple):
    """Work that a store wants done again and again, between other work. Each is under way at most once."""

    name: str
    begin: Callable[[], Steps[None]]
    """Returns the steps of one turn."""
    first_pause_s: float
    pause_s: Callable[[], float]
    """Asked at the end of each turn for the seconds until the next: settings may change."""


class Keeper(Protocol):
    """The broker, as a store's chores need it."""

    def now_ms(self) -> int:
        """Return the time of day."""
        ...

    def compacts(self) -> bool:
        """Return whether logs are compacted at all (``log.cleaner.enable``)."""
        ...

    def compaction_pause_s(self) -> float:
        """Return the seconds between two looks for logs to compact (``log.cleaner.backoff.ms``)."""
        ...

    def compaction_settings(self) -> CompactionSettings:
        """Return the settings for compaction as they are now."""
        ...

    def last_stable_offset(self, key: tuple[str, int]) -> int:
        """Return the last stable offset of a topic and partition; compaction leaves alone what lies beyond it."""
        ...

    def retain_compacted(self) -> Steps[None]:
        """Apply retention to the logs that are compacted. Compaction is at rest meanwhile: they exclude each other."""
        ...


class LogStore(Protocol):
    """The logs of one broker, this process's alone until ``close`` or ``abandon``."""

    background: Background
    """Runs what blocks on the disk."""
    folds_case: bool
    """Whether the store takes ``Orders-0`` and ``orders-0`` for one log (file systems of macOS and Windows)."""

    @property
    def root(self) -> Path:
        """The folder that clients are told the logs lie in (DescribeLogDirs)."""
        ...

    @property
    def cluster_id(self) -> str:
        """The id of the cluster that the logs belong to, as text."""
        ...

    def wait_with(self, later: Callable[[int, Callable[[], None]], object]) -> None:
        """Call ``later`` with milliseconds and a callback to have that called so much later (``flush.ms``)."""
        ...

    def open_log(self, topic: str, partition: int, *, topic_id: bytes, config: LogConfig) -> StoredLog:
        """Return the log of a partition as it was left; an empty one if there is none.

        A log of a topic that has the same name but another id is put aside. Raises OSError if the log cannot be read or
        has lost something: it stays as it is.
        """
        ...

    def all_opened(self) -> None:
        """Note that every topic's logs have been opened: any other log here belongs to none and is put aside."""
        ...

    def delete_log(self, topic: str, partition: int) -> None:
        """Remove a partition's log. Its name is free at once. Raises OSError if something is left of it.

        What is left is put aside when the name is used again.
        """
        ...

    def expire_producers(self, now_ms: int, expiration_ms: int) -> None:
        """In every log, forget producers whose last batch is that old."""
        ...

    def checkpoint(self) -> None:
        """Note, in the background, how much of each log is safe, so that the start after a crash checks only the rest.

        Call it every ``log.flush.offset.checkpoint.interval.ms``; ``close`` does it too.
        """
        ...

    def chores(self, keeper: Keeper) -> Sequence[Chore]:
        """Return the work that this kind of store needs done: the store says what and how often, the broker when."""
        ...

    def close(self) -> None:
        """Close every log, so that the next start has nothing to check."""
        ...

    def abandon(self) -> None:
        """Give everything back as a crash would, writing nothing."""
        ...
