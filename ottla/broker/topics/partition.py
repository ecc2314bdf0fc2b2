"""A partition as its leader sees it: how far the log may be read, which node leads it, which fetches wait for it.

Handlers ask a partition for the high watermark and the last stable offset, and never look at the log's end.
"""

from functools import partial
from typing import Protocol

from ottla.scheduling.promise import Promise
from ottla.storage.appends import Appended, AppendOrigin
from ottla.storage.catalog import PartitionState
from ottla.storage.log import Log
from ottla.storage.offline_log import OfflineLog
from ottla.wire.batch import BatchHeader, read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.markers import Marker, build_marker

TO_HIGH_WATERMARK = -1
NO_LEADER = -1
ANY_SIZE = 1 << 31
"""The growth that a transaction's marker reports: large enough that every waiting fetch reads again."""


class Watcher(Protocol):
    """A fetch that waits for a partition's next batch."""

    def on_growth(self, size: int) -> None:
        """Note an append that may be read, with the batch's size in bytes."""
        ...

    def on_gone(self) -> None:
        """Note that the partition is no longer led here: it was deleted, or has moved."""
        ...


class Partition:
    """One partition. ``replicas`` and ``isr`` are node ids; ``leader`` is -1 while it has no leader."""

    __slots__ = ("gone", "index", "isr", "lacks_replicas", "leader", "leader_epoch", "log", "replicas", "watchers")

    def __init__(self, index: int, log: Log, state: PartitionState) -> None:
        self.index = index
        self.log = log
        self.replicas = list(state.replicas)
        self.isr = list(state.isr)
        self.leader = NO_LEADER if isinstance(log, OfflineLog) else state.leader
        self.leader_epoch = state.leader_epoch
        self.lacks_replicas = False
        """Whether fewer replicas are in sync than ``acks=all`` asks for."""
        self.gone = False
        self.watchers: dict[Watcher, None] = {}

    @property
    def is_offline(self) -> bool:
        """Whether the log cannot be served, because of its disk or its content."""
        return isinstance(self.log, OfflineLog)

    def require_in_sync(self, min_insync_replicas: int) -> None:
        """Compare the number of replicas in sync with the number required, which is at most the number of replicas."""
        self.lacks_replicas = len(self.isr) < min(min_insync_replicas, len(self.replicas))

    @property
    def log_start_offset(self) -> int:
        """The first offset that can be read."""
        return self.log.log_start_offset

    @property
    def high_watermark(self) -> int:
        """The offset after the last record that all in-sync replicas have, synced to disk where that is asked for."""
        return self.log.acknowledged_offset

    @property
    def last_stable_offset(self) -> int:
        """The offset before which every transaction is decided; ``read_committed`` ends here."""
        return self.log.last_stable_offset(self.high_watermark)

    def append(
        self, batch: memoryview, header: BatchHeader, now_ms: int, *, origin: AppendOrigin = AppendOrigin.CLIENT
    ) -> Appended | Promise[Appended]:
        """Append a checked batch, numbering its records in place, and tell the watchers.

        Raises ``KafkaError`` for the producer's sequence (``ProducerStateManager``) and ``KAFKA_STORAGE_ERROR``.
        """
        appended = self.log.append(batch, header, self.leader_epoch, now_ms, origin)
        if type(appended) is Promise:
            appended.add_done_callback(partial(self._appended_later, header.size))
        elif self.watchers:
            self._grown(header.size)
        return appended

    def append_transactional(
        self, batch: memoryview, header: BatchHeader, now_ms: int, *, transaction_version: int
    ) -> Appended | Promise[Appended]:
        """Append a producer's batch after its coordinator has verified that its transaction includes this partition.

        Only the first batch of a transaction needs that (see ``Log.has_open_transaction``). Raises what ``append``
        raises, and ``KafkaError`` INVALID_TXN_STATE.
        """
        return self._tell(
            self.log.append(batch, header, self.leader_epoch, now_ms, transaction_version=transaction_version),
            header.size,
        )

    def append_end_transaction_marker(
        self, marker: Marker, *, producer_id: int, producer_epoch: int, transaction_version: int, now_ms: int
    ) -> Appended | Promise[Appended]:
        """Write the marker that ends a producer's transaction here; harmless if the transaction has no records here.

        Raises ``KafkaError`` INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED, KAFKA_STORAGE_ERROR.
        """
        batch = build_marker(marker, producer_id=producer_id, producer_epoch=producer_epoch, timestamp_ms=now_ms)
        header = read_header(batch)
        appended = self.log.append(
            memoryview(batch),
            header,
            self.leader_epoch,
            now_ms,
            AppendOrigin.COORDINATOR,
            transaction_version=transaction_version,
        )
        # So the log forgets transactions that ended below the high watermark, even if no client ever reads here.
        self.log.last_stable_offset(self.high_watermark)
        return self._tell(appended, ANY_SIZE)

    def _tell(self, appended: Appended | Promise[Appended], size: int) -> Appended | Promise[Appended]:
        """Tell the watchers once the batch may be read. ``append`` does the same, without a call."""
        if isinstance(appended, Promise):
            appended.add_done_callback(lambda _: self._grown(size))
        else:
            self._grown(size)
        return appended

    def delete_records(self, before_offset: int) -> int | Promise[int]:
        """Drop records before an offset, at most up to the high watermark; returns the first offset that is left.

        ``before_offset`` -1 means the high watermark (KIP-107). Raises ``KafkaError`` OFFSET_OUT_OF_RANGE.
        """
        if before_offset == TO_HIGH_WATERMARK:
            before_offset = self.high_watermark
        if not 0 <= before_offset <= self.high_watermark:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        log_start_offset = self.log.delete_records(before_offset)
        if isinstance(log_start_offset, Promise):
            log_start_offset.add_done_callback(lambda _: self.start_moved())
        else:
            self.start_moved()
        return log_start_offset

    def start_moved(self) -> None:
        """Let fetch sessions tell their clients of a new start offset; no fetch that waits is answered for it."""
        self._grown(0)

    def check_leader_epoch(self, epoch: int) -> None:
        """Refuse a client that knows an older or newer leader epoch than ours (KIP-320); -1 means none."""
        if epoch in {-1, self.leader_epoch}:
            return
        if epoch < self.leader_epoch:
            raise KafkaError(ErrorCode.FENCED_LEADER_EPOCH)
        raise KafkaError(ErrorCode.UNKNOWN_LEADER_EPOCH)

    def check_asked(self, node_id: int, *, leader_epoch: int = -1, needs_leader: bool = True) -> None:
        """Refuse a request to a node that has no replica, or to a follower where only the leader answers.

        Raises ``KafkaError`` NOT_LEADER_OR_FOLLOWER, and what ``check_leader_epoch`` raises.
        """
        if self.leader == node_id or self.is_offline:
            self.check_leader_epoch(leader_epoch)
            return
        if node_id in self.replicas:
            self.check_leader_epoch(leader_epoch)
            if not needs_leader:
                return
        raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def go_offline(self, reason: str) -> None:
        """Serve the log no more, because of its disk or its content; no node leads until the broker starts again.

        ``reason`` is a sentence for a person. Watchers are told.
        """
        self.log = OfflineLog(reason, self.log.config)
        self.leader = NO_LEADER
        for watcher in list(self.watchers):
            watcher.on_gone()
        self.watchers.clear()

    def leave(self) -> None:
        """Tell the watchers that no more records come from here."""
        self.gone = True
        for watcher in list(self.watchers):
            watcher.on_gone()
        self.watchers.clear()

    def _appended_later(self, size: int, appended: Promise[Appended]) -> None:
        if appended.error is None:
            self._grown(size)

    def _grown(self, size: int) -> None:
        for watcher in list(self.watchers):
            watcher.on_growth(size)
