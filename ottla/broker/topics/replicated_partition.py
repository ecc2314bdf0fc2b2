"""A partition of a cluster of several nodes: what its replicas let be read, and what becomes of it when they change.

All replicas share one log, so nothing is ever copied here.
"""

from ottla.broker.topics.partition import ANY_SIZE, NOBODY, Partition
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
        """The offset after the last record that may be read: it rests while too few replicas are in sync (KIP-966)."""
        return self.log.acknowledged_offset if self._held_at is None else self._held_at

    def require_in_sync(self, min_insync_replicas: int) -> None:
        """Compare the replicas that are in sync with what the topic's settings ask for: never more than there are."""
        held_at = self._held_at
        high_watermark = self.high_watermark
        super().require_in_sync(min_insync_replicas)
        self._held_at = high_watermark if self.lacks_replicas else None
        if held_at is not None and not self.lacks_replicas:
            self._grown(ANY_SIZE)

    def take(self, state: PartitionState, *, min_insync_replicas: int) -> None:
        """Follow what has been decided, and is in the catalog, about replicas and leader."""
        moves = state.leader_epoch != self.leader_epoch
        self.replicas = list(state.replicas)
        self.isr = list(state.isr)
        if moves:
            self.leader_epoch = state.leader_epoch
            if not self.is_offline:
                self.leader = state.leader
                if state.leader != NOBODY:
                    self.log.begin_leader_epoch(state.leader_epoch)
        self.require_in_sync(min_insync_replicas)
        if moves:
            for watcher in list(self.watchers):
                watcher.on_gone()
            self.watchers.clear()
