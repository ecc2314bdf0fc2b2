"""Fetch, ListOffsets and OffsetForLeaderEpoch: what consumers read, and where they begin."""

from collections import Counter

from ottla.broker.context import Context
from ottla.broker.fetching import READ_COMMITTED, Fetch
from ottla.broker.partition import Partition
from ottla.broker.waiting import Pending
from ottla.storage.completion import Completion
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.fetch import (
    FetchRequest,
    FetchResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
)
from ottla.wire.schema import LAST_VERSION

LATEST = -1
EARLIEST = -2
MAX_TIMESTAMP = -3
EARLIEST_LOCAL = -4
LATEST_TIERED = -5
EARLIEST_PENDING_UPLOAD = -6
FIRST_VERSIONS = {
    LATEST: 1,
    EARLIEST: 1,
    MAX_TIMESTAMP: 7,
    EARLIEST_LOCAL: 8,
    LATEST_TIERED: 9,
    EARLIEST_PENDING_UPLOAD: 11,
}
"""The version of ListOffsets from which each of these may be asked for."""


def fetch(context: Context, request: FetchRequest) -> FetchResponse | Pending[FetchResponse]:
    """Answer with batches, at least ``min_bytes`` of them or after ``max_wait_ms``."""
    cluster = context.cluster
    try:
        fetch_set = context.node.fetch_sessions.resolve(
            request,
            by_id=FetchRequest.names_topics_by_id(context.api_version),
            now=cluster.clock.monotonic(),
        )
    except KafkaError as error:
        return FetchResponse(error_code=error.code, responses=[])
    return Fetch(cluster, request, fetch_set).start(request.max_wait_ms)


def list_offsets(context: Context, request: ListOffsetsRequest) -> ListOffsetsResponse:
    """Find the offset for each timestamp; the negative ones have names of their own."""
    topics = []
    for topic in request.topics:
        answers = []
        named = Counter(each.partition_index for each in topic.partitions)
        for each in {each.partition_index: each for each in topic.partitions}.values():
            answer = ListOffsetsResponse.Topic.Partition(partition_index=each.partition_index)
            try:
                if named[each.partition_index] > 1:
                    raise KafkaError(ErrorCode.INVALID_REQUEST)
                if each.timestamp < 0 and context.api_version < FIRST_VERSIONS.get(each.timestamp, LAST_VERSION):
                    raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
                partition = context.cluster.partition(topic.name, each.partition_index)
                partition.check_leader_epoch(each.current_leader_epoch)
                answer.timestamp, answer.offset, answer.leader_epoch = _find_offset(
                    partition, each.timestamp, committed_only=request.isolation_level == READ_COMMITTED
                )
            except KafkaError as error:
                answer.error_code = error.code
            answers.append(answer)
        topics.append(ListOffsetsResponse.Topic(name=topic.name, partitions=answers))
    return ListOffsetsResponse(topics=topics)


def _find_offset(partition: Partition, timestamp: int, *, committed_only: bool) -> tuple[int, int, int]:
    """Return timestamp, offset and leader epoch, each -1 where there is none."""
    end_offset = partition.last_stable_offset if committed_only else partition.high_watermark
    log = partition.log
    if timestamp == LATEST:
        return -1, end_offset, partition.leader_epoch
    if timestamp in {EARLIEST, EARLIEST_LOCAL}:
        return -1, log.log_start_offset, log.leader_epoch_at(log.log_start_offset)
    if timestamp in {LATEST_TIERED, EARLIEST_PENDING_UPLOAD}:
        return -1, -1, -1  # nothing is ever tiered here
    found = log.max_timestamp() if timestamp == MAX_TIMESTAMP else log.offset_for_timestamp(timestamp)
    if isinstance(found, Completion):
        found = found.result()
    if found is None or found.offset >= end_offset:
        return -1, -1, -1
    return found


def offset_for_leader_epoch(context: Context, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse:
    """Tell where a leader epoch ended (KIP-320)."""
    topics = []
    for topic in request.topics:
        answers = []
        for each in topic.partitions:
            answer = OffsetForLeaderEpochResponse.Topic.Partition(partition=each.partition)
            try:
                partition = context.cluster.partition(topic.topic, each.partition)
                partition.check_leader_epoch(each.current_leader_epoch)
                answer.leader_epoch, answer.end_offset = partition.log.offset_for_leader_epoch(each.leader_epoch)
            except KafkaError as error:
                answer.error_code = error.code
            answers.append(answer)
        topics.append(OffsetForLeaderEpochResponse.Topic(topic=topic.topic, partitions=answers))
    return OffsetForLeaderEpochResponse(topics=topics)
