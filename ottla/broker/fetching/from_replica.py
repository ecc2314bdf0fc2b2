"""A fetch in a cluster of several nodes: followers may answer, and a consumer is sent to the nearest one (KIP-392).

Follows ``ReplicaManager.findPreferredReadReplica`` and ``RackAwareReplicaSelector``.
"""

from ottla.broker.fetching.delayed_fetch import Fetch, FetchSource, Meter, Read
from ottla.broker.fetching.sessions import FetchedPartition, FetchSet
from ottla.broker.topics.partition import Partition
from ottla.wire.messages.fetch import FetchRequest

RACK_AWARE = "org.apache.kafka.common.replica.RackAwareReplicaSelector"


class FetchFromReplica(Fetch):
    """One fetch request to one of several nodes. ``follows`` says whether a follower may answer it."""

    __slots__ = ("_follows", "_rack")

    def __init__(
        self, source: FetchSource, meter: Meter | None, request: FetchRequest, fetch_set: FetchSet, *, follows: bool
    ) -> None:
        super().__init__(source, meter, request, fetch_set)
        self._follows = follows
        self._rack = ""
        if follows and not self._by_replica and source.config["replica.selector.class"] == RACK_AWARE:
            self._rack = request.rack_id

    def _check_follower(self, partition: Partition, fetched: FetchedPartition) -> None:
        partition.check_asked(self._source.node_id, leader_epoch=fetched.leader_epoch, needs_leader=not self._follows)

    def _read_one(self, read: Read, partition: Partition, *, limit: int, minimum_one_batch: bool) -> None:
        preferred = self._preferred(partition, read.fetched.offset) if self._rack else None
        if preferred is None:
            super()._read_one(read, partition, limit=limit, minimum_one_batch=minimum_one_batch)
            return
        partition.check_leader_epoch(read.fetched.leader_epoch)
        response = read.response
        response.high_watermark = partition.high_watermark
        response.last_stable_offset = partition.last_stable_offset
        response.log_start_offset = partition.log_start_offset
        response.preferred_read_replica = preferred
        read.is_urgent = True

    def _preferred(self, partition: Partition, offset: int) -> int | None:
        """Return a follower in the consumer's rack that has the offset, if the leader is in another rack."""
        racks = self._source.racks
        if partition.leader != self._source.node_id or racks[self._source.node_id] == self._rack:
            return None
        if not partition.log.log_start_offset <= offset <= partition.log.log_end_offset:
            return None
        return next((each for each in partition.isr if racks.get(each) == self._rack), None)
