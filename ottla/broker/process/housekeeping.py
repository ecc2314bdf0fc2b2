"""The broker's schedule of retention, and of the store's chores.

Retention is the broker's, by topic: every ``log.retention.check.interval.ms``, and for compacted topics when the store
asks for it. The store names its chores, and the pauses between them.
"""

import logging
from collections.abc import Callable
from functools import partial

from ottla.broker.cluster.cluster import Cluster
from ottla.broker.topics.partition import NO_LEADER, Partition
from ottla.scheduling.steps import Steps
from ottla.storage.store import CompactionSettings

log = logging.getLogger(__name__)


class Housekeeping:
    """The ``Keeper`` of one cluster's store of logs. Each of its tasks is under way at most once."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def start(self) -> None:
        """Begin, and go on for as long as the cluster's timers run."""
        config = self._cluster.config
        for chore in self._cluster.directory.chores(self):
            self._later(chore.first_pause_s, partial(self._repeat, chore.name, chore.begin, chore.pause_s))
        self._later(
            config.integer("log.initial.task.delay.ms") / 1000,
            partial(self._repeat, "retention", self.apply_retention, self._retention_pause_s),
        )

    # The questions of the chores, answered with the settings of the moment: they may change while the broker runs.

    def now_ms(self) -> int:
        """Return the cluster's time of day."""
        return self._cluster.clock.wall_ms()

    def compacts(self) -> bool:
        """Return whether logs are compacted at all."""
        return self._cluster.config.boolean("log.cleaner.enable")

    def compaction_pause_s(self) -> float:
        """Return the seconds between two searches for logs to compact."""
        return self._cluster.config.integer("log.cleaner.backoff.ms") / 1000

    def compaction_settings(self) -> CompactionSettings:
        """Return the broker's ``log.cleaner.*``."""
        config = self._cluster.config
        return CompactionSettings(
            dedupe_buffer_bytes=config.integer("log.cleaner.dedupe.buffer.size"),
            load_factor=config.number("log.cleaner.io.buffer.load.factor"),
            io_buffer_bytes=config.integer("log.cleaner.io.buffer.size"),
            io_bytes_per_second=config.number("log.cleaner.io.max.bytes.per.second"),
        )

    def last_stable_offset(self, key: tuple[str, int]) -> int:
        """Return the last stable offset of a topic and partition. Raises KafkaError if there is none."""
        return self._cluster.topics.partition(*key).last_stable_offset

    def retain_compacted(self) -> Steps[None]:
        """Apply retention to the logs that are compacted."""
        return self.apply_retention(to_compacted=True)

    # Retention.

    def _retention_pause_s(self) -> float:
        return self._cluster.config.integer("log.retention.check.interval.ms") / 1000

    def apply_retention(self, *, to_compacted: bool = False) -> Steps[None]:
        """Delete old segments, by topics' settings, of logs that are not compacted, or only of those that are."""
        for topic in list(self._cluster.topics.by_name.values()):
            if topic.log_config.is_compacted != to_compacted:
                continue
            for partition in list(topic.partitions):
                try:
                    yield from self._apply_retention(partition)
                except Exception:  # One log's failure must not stop the others.
                    log.exception("Retention of %s-%d failed", topic.name, partition.index)
                yield None

    def _apply_retention(self, partition: Partition) -> Steps[None]:
        if partition.leader == NO_LEADER:
            return
        if (yield from partition.log.apply_retention(self._cluster.clock.wall_ms(), partition.high_watermark)):
            partition.start_moved()

    def _repeat(self, name: str, task: Callable[[], Steps[None]], pause_s: Callable[[], float]) -> None:
        """Run ``task``, and again ``pause_s`` after its end, whether it succeeded or not."""

        def again(_: object) -> None:
            self._later(pause_s(), partial(self._repeat, name, task, pause_s))

        self._cluster.stepper.start(task(), name).add_done_callback(again)

    def _later(self, pause_s: float, action: Callable[[], None]) -> None:
        self._cluster.timers.schedule(self._cluster.clock.monotonic() + pause_s, action)
