"""Committed offsets: changed only by applying a record of the log or the end of a transaction.

Offsets that a transaction commits are pending until its marker; until then the partition is unstable, and clients that
ask for stable offsets must ask again (KIP-447).
"""

from collections.abc import Iterator
from typing import NamedTuple

from ottla.wire.messages.group_records import OffsetCommitKey, OffsetCommitValue
from ottla.wire.schema import ZERO_UUID


class CommittedOffset(NamedTuple):
    """The offset that a group committed for one partition."""

    offset: int
    leader_epoch: int
    metadata: str
    commit_timestamp_ms: int
    expire_timestamp_ms: int
    """The time at which it expires, in wall milliseconds; -1 if retention decides."""
    topic_id: bytes
    record_offset: int
    """The offset of its record in the log, which tells the newer commit when a transaction ends."""

    def is_of(self, topic_id: bytes) -> bool:
        """Return whether the offset may be that of the topic with this id; an unknown id fits any topic."""
        return topic_id in {ZERO_UUID, self.topic_id} or self.topic_id == ZERO_UUID


PartitionOffsets = dict[int, CommittedOffset]
TopicOffsets = dict[str, PartitionOffsets]


class Offsets:
    """The committed offsets of all groups of one coordinator."""

    def __init__(self) -> None:
        self._stable: dict[str, TopicOffsets] = {}
        self._pending: dict[int, dict[str, TopicOffsets]] = {}

    def apply(
        self, key: OffsetCommitKey, value: OffsetCommitValue | None, *, record_offset: int, producer_id: int = -1
    ) -> None:
        """Apply one record; ``producer_id`` is -1 outside a transaction."""
        if value is None:
            _remove(self._stable, key)
            for producer in [*self._pending]:
                _remove(self._pending[producer], key)
            return
        committed = CommittedOffset(
            value.offset,
            value.leader_epoch,
            value.metadata,
            value.commit_timestamp,
            value.expire_timestamp,
            value.topic_id,
            record_offset,
        )
        by_group = self._stable if producer_id == -1 else self._pending.setdefault(producer_id, {})
        by_group.setdefault(key.group, {}).setdefault(key.topic, {})[key.partition] = committed

    def end_transaction(self, producer_id: int, *, committed: bool) -> None:
        """Apply or drop the commits of a transaction; newer commits, made outside of it, stay."""
        pending = self._pending.pop(producer_id, {})
        if not committed:
            return
        for group_id, topics in pending.items():
            for topic, partitions in topics.items():
                stable = self._stable.setdefault(group_id, {}).setdefault(topic, {})
                for partition, offset in partitions.items():
                    before = stable.get(partition)
                    if before is None or before.record_offset < offset.record_offset:
                        stable[partition] = offset

    def of_group(self, group_id: str) -> TopicOffsets:
        """Return a group's offsets by topic and partition; the caller must not change them."""
        return self._stable.get(group_id, {})

    def partitions_of(self, group_id: str) -> Iterator[tuple[str, int]]:
        """Yield every partition for which the group has an offset, pending ones included."""
        seen = set()
        for by_group in (self._stable, *self._pending.values()):
            for topic, partitions in by_group.get(group_id, {}).items():
                for partition in partitions:
                    if (topic, partition) not in seen:
                        seen.add((topic, partition))
                        yield topic, partition

    def has_pending(self, group_id: str) -> bool:
        """Whether a transaction that did not end yet committed offsets of this group."""
        return any(group_id in by_group for by_group in self._pending.values())

    def is_pending(self, group_id: str, topic: str, partition: int) -> bool:
        """Whether a transaction that did not end yet committed this partition's offset."""
        return any(partition in by_group.get(group_id, {}).get(topic, ()) for by_group in self._pending.values())

    def groups_with(self, topic: str) -> list[str]:
        """Return the groups that have offsets of a topic."""
        found = {
            group_id: None
            for by_group in (self._stable, *self._pending.values())
            for group_id, topics in by_group.items()
            if topic in topics
        }
        return [*found]

    def pending_of(self, group_id: str, topic: str) -> Iterator[tuple[int, CommittedOffset]]:
        """Yield partition and offset of the pending commits of transactions for a topic."""
        for by_group in self._pending.values():
            yield from by_group.get(group_id, {}).get(topic, {}).items()


def _remove(by_group: dict[str, TopicOffsets], key: OffsetCommitKey) -> None:
    topics = by_group.get(key.group)
    partitions = None if topics is None else topics.get(key.topic)
    if topics is None or partitions is None:
        return
    partitions.pop(key.partition, None)
    if not partitions:
        del topics[key.topic]
        if not topics:
            del by_group[key.group]
