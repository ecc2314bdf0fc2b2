"""A partition of a cluster of several nodes: follows changes of its replicas, which bound how far it may be read.

All replicas share one log, so nothing is ever copied here.
"""

from ottla.broker.topics.partition import ANY_SIZE, NO_LEADER, Partition
from ottla.storage.catalog import PartitionState
from ottla.storage.log import Log


class ReplicatedPartition(Partition):
    """One partition, led and followed by nodes that may stop."""

    __slots__ = ("_held_at",)

    def __init__(self, index: int, log: Log, state: PartitionState) -> None:
        super().__init__(index, log, state)
        self._held_at: int | None = None

    @property
    def high_watermark(self) -> int:
        """The offset after the last record that may be read; unchanged while too few replicas are in sync (KIP-966)."""
        return self.log.acknowledged_offset if self._held_at is None else self._held_at

    def require_in_sync(self, min_insync_replicas: int) -> None:
        """Compare the number of replicas in sync with the number required, which is at most the number of replicas."""
        held_at = self._held_at
        high_watermark = self.high_watermark
        super().require_in_sync(min_insync_replicas)
        self._held_at = high_watermark if self.lacks_replicas else None
        if held_at is not None and not self.lacks_replicas:
            self._grown(ANY_SIZE)

    def take(self, state: PartitionState, *, min_insync_replicas: int) -> None:
        """Follow a decision about replicas and leader that is in the catalog already."""
        moves = state.leader_epoch != self.leader_epoch
        self.replicas = list(state.replicas)
        self.isr = list(state.isr)
        if moves:
            self.leader_epoch = state.leader_epoch
            if not self.is_offline:
                self.leader = state.leader
                if state.leader != NO_LEADER:
                    self.log.begin_leader_epoch(state.leader_epoch)
        self.require_in_sync(min_insync_replicas)
        if moves:
            for watcher in list(self.watchers):
                watcher.on_gone()
            self.watchers.clear()
