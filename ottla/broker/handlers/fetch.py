"""Fetch, ListOffsets and OffsetForLeaderEpoch: the records that consumers read, and the offsets to begin at."""

from collections import Counter
from functools import partial

from ottla.broker.cluster.leader_hints import NewLeaders
from ottla.broker.fetching.delayed_fetch import READ_COMMITTED, READ_UNCOMMITTED, Fetch
from ottla.broker.fetching.from_replica import FetchFromReplica
from ottla.broker.old_clients.fetched import answer_with_messages
from ottla.broker.requests.context import Context
from ottla.broker.topics.partition import Partition
from ottla.scheduling.promise import Promise, gather, then
from ottla.storage.log import FoundOffset
from ottla.wire.batch import MAGIC
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

Listed = ListOffsetsResponse.Topic.Partition
LeaderIdAndEpoch = FetchResponse.Topic.Partition.LeaderIdAndEpoch

ISOLATION_LEVELS = (READ_UNCOMMITTED, READ_COMMITTED)
MOVED = {ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH}
"""Errors with which a client is told the partition's new leader."""
DEBUGGING_CONSUMER = -2
"""The replica id of a client that may ask any replica."""
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
"""The first version of ListOffsets that has each of these timestamps."""
ENDS = {LATEST, EARLIEST}
OF_THE_LOG = {LATEST, EARLIEST, EARLIEST_LOCAL}
"""The timestamps that name an end of the log, where there need not be a record."""


def fetch(context: Context, request: FetchRequest) -> FetchResponse | Promise[FetchResponse]:
    """Answer with batches: once there are ``min_bytes`` of them, or after ``max_wait_ms``."""
    cluster = context.cluster
    by_id = FetchRequest.names_topics_by_id(context.api_version)
    try:
        fetch_set = context.node.fetch_sessions.resolve(request, by_id=by_id, now=cluster.clock.monotonic())
    except KafkaError as error:
        return FetchResponse(error_code=error.code, responses=[])
    if request.isolation_level not in ISOLATION_LEVELS:
        return _refuse_fetch(request, ErrorCode.UNKNOWN_SERVER_ERROR, by_id=by_id)
    source, version = context.node.fetch_source, context.api_version
    if cluster.nodes.is_alone:
        answer = Fetch(source, context.meter, request, fetch_set).start(request.max_wait_ms)
    else:
        follows = FetchRequest.may_read_from_followers(version)
        answer = FetchFromReplica(source, context.meter, request, fetch_set, follows=follows).start(request.max_wait_ms)
        if FetchRequest.is_told_of_new_leaders(version):
            return then(answer, partial(_with_new_leaders, context), owns=True)
    if by_id:
        return answer  # the common case: the client reads batches
    newest_format = FetchRequest.newest_format(version)
    if newest_format == MAGIC:
        return answer
    return answer_with_messages(source, cluster.stepper, request, answer, magic=newest_format)


def _with_new_leaders(context: Context, response: FetchResponse) -> FetchResponse:
    """Name the leaders of partitions that were fetched from the wrong node (KIP-951)."""
    topics = context.cluster.topics
    leaders = NewLeaders(context.cluster.nodes, context.listener)
    for topic in response.responses:
        known = topics.by_id.get(topic.topic_id)
        for answer in topic.partitions:
            if known is not None and answer.error_code in MOVED:
                leader_id, leader_epoch = leaders.of(known.partitions[answer.partition_index])
                answer.current_leader = LeaderIdAndEpoch(leader_id=leader_id, leader_epoch=leader_epoch)
    response.node_endpoints = [
        FetchResponse.NodeEndpoint(node_id=node.id, host=address.host, port=address.port, rack=node.rack)
        for node, address in leaders.found
    ]
    return response


def _refuse_fetch(request: FetchRequest, code: ErrorCode, *, by_id: bool) -> FetchResponse:
    """Refuse the whole request. Clients that name topics by name look for the error at each partition."""
    topics = [
        FetchResponse.Topic(
            topic=topic.topic,
            partitions=[
                FetchResponse.Topic.Partition(
                    partition_index=each.partition,
                    error_code=code,
                    high_watermark=-1,
                    aborted_transactions=[],
                    records=b"",
                )
                for each in topic.partitions
            ],
        )
        for topic in request.topics
    ]
    return FetchResponse(error_code=code, responses=[] if by_id else topics)


def list_offsets(context: Context, request: ListOffsetsRequest) -> ListOffsetsResponse | Promise[ListOffsetsResponse]:
    """Find the offset for each timestamp; negative ones have special meanings."""
    asked = [(topic.name, each) for topic in request.topics for each in topic.partitions]
    times = Counter((name, each.partition_index) for name, each in asked)
    once = {(name, each.partition_index): each for name, each in asked}
    answers = [
        _list_offset(context, request, name, each, times=times[name, index]) for (name, index), each in once.items()
    ]
    return then(gather(answers), partial(_listed, [name for name, _ in once]))


def _listed(names: list[str], partitions: list[Listed]) -> ListOffsetsResponse:
    found: dict[str, list[Listed]] = {}
    for name, partition in zip(names, partitions, strict=True):
        found.setdefault(name, []).append(partition)
    return ListOffsetsResponse(
        topics=[ListOffsetsResponse.Topic(name=name, partitions=each) for name, each in found.items()]
    )


def _list_offset(
    context: Context, request: ListOffsetsRequest, topic: str, asked: ListOffsetsRequest.Topic.Partition, *, times: int
) -> Listed | Promise[Listed]:
    answer = Listed(partition_index=asked.partition_index)

    lists_several = ListOffsetsRequest.wants_several_offsets(context.api_version)

    def accept(found: FoundOffset | None) -> Listed:
        if lists_several:
            answer.old_style_offsets = _several(found, partition.log_start_offset, end_offset, asked.max_num_offsets)
            return answer
        # A record of a batch under way may be found before it may be read.
        if found is not None and (asked.timestamp in OF_THE_LOG or found.offset < end_offset):
            answer.timestamp, answer.offset, answer.leader_epoch = found
        return answer

    def refuse(error: KafkaError) -> Listed:
        answer.error_code = error.code
        return answer

    try:
        if request.isolation_level not in ISOLATION_LEVELS:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
        if times > 1:
            raise KafkaError(ErrorCode.INVALID_REQUEST)
        if (
            asked.timestamp < 0
            and not (lists_several and asked.timestamp in ENDS)
            and context.api_version < FIRST_VERSIONS.get(asked.timestamp, LAST_VERSION)
        ):
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
        partition = context.cluster.topics.partition(topic, asked.partition_index)
        partition.check_asked(
            context.node_id,
            leader_epoch=asked.current_leader_epoch,
            needs_leader=request.replica_id != DEBUGGING_CONSUMER,
        )
        committed_only = request.isolation_level == READ_COMMITTED
        end_offset = partition.last_stable_offset if committed_only else partition.high_watermark
        return then(_find_offset(partition, asked.timestamp, end_offset), accept, refuse=refuse)
    except KafkaError as error:
        return refuse(error)


def _several(found: FoundOffset | None, start_offset: int, end_offset: int, most: int) -> list[int]:
    """Return the offset found (the log's end, if none was) and, if that is lower, the log's start."""
    last = end_offset if found is None else min(found.offset, end_offset)
    return [last, *([start_offset] if start_offset < last else [])][: max(most, 0)]


def _find_offset(
    partition: Partition, timestamp: int, end_offset: int
) -> FoundOffset | Promise[FoundOffset | None] | None:
    log = partition.log
    if timestamp == LATEST:
        return FoundOffset(-1, end_offset, partition.leader_epoch)
    if timestamp in {EARLIEST, EARLIEST_LOCAL}:
        return FoundOffset(-1, log.log_start_offset, log.leader_epoch_at(log.log_start_offset))
    if timestamp in {LATEST_TIERED, EARLIEST_PENDING_UPLOAD}:
        return None  # no record is ever tiered here
    return log.max_timestamp() if timestamp == MAX_TIMESTAMP else log.offset_for_timestamp(timestamp)


def offset_for_leader_epoch(context: Context, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse:
    """Return the end offset of each leader epoch (KIP-320)."""
    topics = []
    for topic in request.topics:
        answers = []
        for each in topic.partitions:
            answer = OffsetForLeaderEpochResponse.Topic.Partition(partition=each.partition)
            try:
                partition = context.cluster.topics.partition(topic.topic, each.partition)
                partition.check_asked(context.node_id, leader_epoch=each.current_leader_epoch)
                answer.leader_epoch, answer.end_offset = partition.log.offset_for_leader_epoch(each.leader_epoch)
            except KafkaError as error:
                answer.error_code = error.code
            answers.append(answer)
        topics.append(OffsetForLeaderEpochResponse.Topic(topic=topic.topic, partitions=answers))
    return OffsetForLeaderEpochResponse(topics=topics)
