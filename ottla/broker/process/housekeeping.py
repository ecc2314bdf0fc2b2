"""When old data goes: the broker's schedule of retention, compaction and of unlinking what was given up.

Decides only when; the rooms ``storage.segments`` and ``storage.segments.compaction`` decide what. Names and defaults
are Apache's (``LogManager``, ``LogCleaner``): retention every ``log.retention.check.interval.ms``, compaction whenever
a log is filthy enough, looked for every ``log.cleaner.backoff.ms``.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ottla.broker.topics.partition import NOBODY, Partition
from ottla.scheduling.steps import Steps
from ottla.storage.segments.compaction.cleaner import Cleaner
from ottla.storage.segments.compaction.rounds import CompactionSettings
from ottla.storage.segments.retention import trim_all

if TYPE_CHECKING:
    from ottla.broker.cluster.cluster import Cluster

REMOVAL_S = 1.0

log = logging.getLogger(__name__)


class Housekeeping:
    """Keeps one cluster's data directory. Each of its tasks is under way at most once."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self._cleaner = Cleaner(cluster.directory)

    def start(self) -> None:
        """Begin, and go on for as long as the cluster's timers run."""
        config = self._cluster.config
        self._later(REMOVAL_S, partial(self._repeat, "removing", self.remove, lambda: REMOVAL_S))
        self._later(
            config.integer("log.initial.task.delay.ms") / 1000,
            partial(self._repeat, "retention", self.apply_retention, self._seconds("log.retention.check.interval.ms")),
        )
        if config.boolean("log.cleaner.enable"):
            pause_s = self._seconds("log.cleaner.backoff.ms")
            self._later(0, partial(self._repeat, "compaction", self.compact, pause_s))

    def _seconds(self, name: str) -> Callable[[], float]:
        """A setting as it is when it is asked for: it may change while the broker runs."""
        return lambda: self._cluster.config.integer(name) / 1000

    def remove(self) -> Steps[None]:
        """Unlink the files whose time has come, and go on with logs that had much to give up."""
        directory = self._cluster.directory
        directory.removals.remove_due(self._cluster.clock.wall_ms())
        waiting, directory.logs_to_trim = directory.logs_to_trim, {}
        for each in waiting:
            if each.is_being_cleaned:
                directory.logs_to_trim[each] = None
            else:
                yield from trim_all(each)

    def compact(self) -> Steps[None]:
        """Compact every log that is filthy enough, the filthiest first; then let go what is too old in such logs."""
        clock = self._cluster.clock
        cleaner = self._cleaner
        while (yield from cleaner.clean_filthiest(self._settings(), clock.wall_ms(), self._last_stable_offset)):
            pass
        yield from self.apply_retention(to_compacted=True)

    def _settings(self) -> CompactionSettings:
        config = self._cluster.config
        return CompactionSettings(
            dedupe_buffer_bytes=config.integer("log.cleaner.dedupe.buffer.size"),
            load_factor=config.number("log.cleaner.io.buffer.load.factor"),
            io_buffer_bytes=config.integer("log.cleaner.io.buffer.size"),
            io_bytes_per_second=config.number("log.cleaner.io.max.bytes.per.second"),
        )

    def _last_stable_offset(self, key: tuple[str, int]) -> int:
        return self._cluster.topics.partition(*key).last_stable_offset

    def apply_retention(self, *, to_compacted: bool = False) -> Steps[None]:
        """Let go, in every log, what its topic's settings say. Logs that are compacted have their own time for it."""
        for topic in list(self._cluster.topics.by_name.values()):
            if topic.log_config.is_compacted != to_compacted:
                continue
            for partition in list(topic.partitions):
                try:
                    yield from self._apply_retention(partition)
                except Exception:  # One log's trouble is not the others'.
                    log.exception("retention of %s-%d failed", topic.name, partition.index)
                yield None

    def _apply_retention(self, partition: Partition) -> Steps[None]:
        if partition.leader == NOBODY:
            return
        if (yield from partition.log.apply_retention(self._cluster.clock.wall_ms(), partition.high_watermark)):
            partition.start_moved()

    def _repeat(self, name: str, task: Callable[[], Steps[None]], pause_s: Callable[[], float]) -> None:
        """Do ``task``, and again ``pause_s`` after its end, whatever came of it."""

        def again(_: object) -> None:
            self._later(pause_s(), partial(self._repeat, name, task, pause_s))

        self._cluster.stepper.start(task(), name).add_done_callback(again)

    def _later(self, pause_s: float, action: Callable[[], None]) -> None:
        self._cluster.timers.schedule(self._cluster.clock.monotonic() + pause_s, action)
