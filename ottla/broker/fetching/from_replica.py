"""A fetch in a cluster of several nodes: followers may answer, and a consumer is sent to the nearest one (KIP-392).

Follows ``ReplicaManager.findPreferredReadReplica`` and ``RackAwareReplicaSelector``.
"""

from ottla.broker.cluster.leader_hints import NewLeaders
from ottla.broker.fetching.delayed_fetch import Fetch, Read
from ottla.broker.fetching.sessions import FetchedPartition, FetchSet
from ottla.broker.requests.context import Context
from ottla.broker.topics.partition import Partition
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.fetch import FetchRequest, FetchResponse

RACK_AWARE = "org.apache.kafka.common.replica.RackAwareReplicaSelector"
_MOVED = {ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH}

LeaderIdAndEpoch = FetchResponse.Topic.Partition.LeaderIdAndEpoch


class FetchFromReplica(Fetch):
    """One fetch request to one of several nodes."""

    __slots__ = ("_follows", "_is_told", "_rack")

    def __init__(self, context: Context, request: FetchRequest, fetch_set: FetchSet) -> None:
        super().__init__(context, request, fetch_set)
        self._follows = FetchRequest.may_read_from_followers(context.api_version)
        self._is_told = FetchRequest.is_told_of_new_leaders(context.api_version)
        self._rack = ""
        if self._follows and not self._by_replica and context.cluster.config["replica.selector.class"] == RACK_AWARE:
            self._rack = request.rack_id

    def _check_follower(self, partition: Partition, fetched: FetchedPartition) -> None:
        partition.check_asked(self._context.node.id, leader_epoch=fetched.leader_epoch, needs_leader=not self._follows)

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
        nodes = self._cluster.nodes.by_id
        if partition.leader != self._context.node.id or self._context.node.rack == self._rack:
            return None
        if not partition.log.log_start_offset <= offset <= partition.log.log_end_offset:
            return None
        return next((each for each in partition.isr if each in nodes and nodes[each].rack == self._rack), None)

    def _answer(self, reads: list[Read]) -> FetchResponse:
        response = super()._answer(reads)
        if self._is_told:
            self._name_new_leaders(response)
        return response

    def _name_new_leaders(self, response: FetchResponse) -> None:
        """Tell who came to the wrong node which is the right one (KIP-951)."""
        leaders = NewLeaders(self._cluster.nodes, self._context.listener)
        for topic in response.responses:
            known = self._cluster.topics.by_id.get(topic.topic_id)
            for answer in topic.partitions:
                if known is not None and answer.error_code in _MOVED:
                    leader_id, leader_epoch = leaders.of(known.partitions[answer.partition_index])
                    answer.current_leader = LeaderIdAndEpoch(leader_id=leader_id, leader_epoch=leader_epoch)
        response.node_endpoints = [
            FetchResponse.NodeEndpoint(node_id=node.id, host=address.host, port=address.port, rack=node.rack)
            for node, address in leaders.found
        ]
