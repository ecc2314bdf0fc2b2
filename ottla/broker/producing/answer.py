"""Builds the answer to a Produce request: offsets, errors, and appends whose outcome comes later."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from ottla.broker.cluster.leader_hints import NewLeaders
from ottla.broker.producing.append import ACKS_ALL, ACKS_NONE
from ottla.broker.requests.context import Context
from ottla.broker.topics.names import MAX_NAME_LENGTH
from ottla.scheduling.promise import Promise
from ottla.storage.appends import Appended
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError, ProtocolError, RecordsRefusedError
from ottla.wire.messages.produce import ProduceRequest, ProduceResponse

log = logging.getLogger(__name__)

TopicData = ProduceRequest.Topic
TopicResponse = ProduceResponse.Topic
PartitionResponse = ProduceResponse.Topic.Partition
Outcome = Appended | Promise[Appended] | KafkaError

SEEN_BY_THE_LOG = {
    ErrorCode.INVALID_TIMESTAMP,
    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    ErrorCode.INVALID_PRODUCER_EPOCH,
}
"""Errors that name the log's start offset, because Apache finds them only in the log."""


def respond(
    context: Context, outcomes: "list[tuple[TopicData, list[tuple[int, Outcome]]]]", *, acks: int
) -> ProduceResponse | Promise[Any] | None:
    """Build the answer for any number of partitions, errors and slow appends among them."""
    waiting: list[tuple[Callable[[Promise[Appended]], None], Promise[Appended]]] = []
    responses = []
    for data, found in outcomes:
        answers = []
        for index, outcome in found:
            answer = PartitionResponse(index=index, base_offset=-1)
            if isinstance(outcome, KafkaError):
                _refuse(context, data, answer, outcome)
            elif isinstance(outcome, Promise):
                named = TopicData(name=data.name, topic_id=data.topic_id, partition_data=[])  # without the records
                waiting.append((partial(_settle, context, named, answer, acks), outcome))
            else:
                _accept(answer, outcome)
            answers.append(answer)
        responses.append(TopicResponse(name=data.name, topic_id=data.topic_id, partition_responses=answers))
    response = ProduceResponse(responses=responses)
    if waiting:
        return _when_appended(response, waiting, acks=acks)
    if acks == ACKS_NONE:
        _close_on_error(responses)
        return None
    if not context.cluster.nodes.is_alone and ProduceRequest.is_told_of_new_leaders(context.api_version):
        _name_new_leaders(context, response)
    return response


def _name_new_leaders(context: Context, response: ProduceResponse) -> None:
    """Name the leaders of partitions whose batches were sent to the wrong node (KIP-951)."""
    cluster = context.cluster
    leaders = NewLeaders(cluster.nodes, context.listener)
    for data in response.responses:
        topic = cluster.topics.by_id.get(data.topic_id) or cluster.topics.by_name.get(data.name)
        for answer in data.partition_responses:
            if answer.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER and topic is not None:
                leader_id, leader_epoch = leaders.of(topic.partition(answer.index))
                answer.current_leader = PartitionResponse.LeaderIdAndEpoch(
                    leader_id=leader_id, leader_epoch=leader_epoch
                )
    response.node_endpoints = [
        ProduceResponse.NodeEndpoint(node_id=node.id, host=address.host, port=address.port, rack=node.rack)
        for node, address in leaders.found
    ]


def _accept(answer: PartitionResponse, appended: Appended) -> None:
    answer.base_offset = appended.base_offset
    answer.log_start_offset = appended.log_start_offset
    answer.log_append_time_ms = appended.log_append_time_ms


def _refuse(context: Context, data: TopicData, answer: PartitionResponse, error: KafkaError) -> None:
    answer.error_code = error.code
    answer.error_message = error.message
    if isinstance(error, RecordsRefusedError):
        answer.record_errors = [
            PartitionResponse.RecordError(batch_index=index, batch_index_error_message=reason)
            for index, reason in error.record_errors
        ]
    if error.code in SEEN_BY_THE_LOG or isinstance(error, RecordsRefusedError):
        topic = context.cluster.topics.by_id.get(data.topic_id) or context.cluster.topics.by_name.get(data.name)
        if topic is not None:  # it may have been deleted while the append was under way
            answer.log_start_offset = topic.partition(answer.index).log_start_offset


def _settle(context: Context, data: TopicData, answer: PartitionResponse, acks: int, done: Promise[Appended]) -> None:
    """Fill in the outcome of a slow append. Replicas that should have it may have left the ISR meanwhile."""
    try:
        appended = done.result()
        topic = context.cluster.topics.by_id.get(data.topic_id) or context.cluster.topics.by_name.get(data.name)
        if acks == ACKS_ALL and topic is not None and topic.partition(answer.index).lacks_replicas:
            raise KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
        _accept(answer, appended)
    except KafkaError as error:
        _refuse(context, data, answer, error)
    except Exception:
        log.exception("Append to %s-%d failed", data.name or data.topic_id.hex(), answer.index)
        answer.error_code = ErrorCode.UNKNOWN_SERVER_ERROR


def _close_on_error(responses: list[TopicResponse]) -> None:
    for topic in responses:
        for answer in topic.partition_responses:
            if answer.error_code:
                name = repr(topic.name[:MAX_NAME_LENGTH]) if topic.name else topic.topic_id.hex()
                code = ErrorCode(answer.error_code).name
                raise ProtocolError(f"Produce with acks=0 to partition {answer.index} of {name} got {code}")


def _when_appended(
    response: ProduceResponse,
    waiting: "list[tuple[Callable[[Promise[Appended]], None], Promise[Appended]]]",
    *,
    acks: int,
) -> Promise[Any]:
    """Answer when the last of the slow appends is done; with acks=0, go on with the next request then."""
    pending: Promise[Any] = Promise()
    left = len(waiting)

    def done(settle: "Callable[[Promise[Appended]], None]", completion: Promise[Appended]) -> None:
        nonlocal left
        settle(completion)
        left -= 1
        if left:
            return
        try:
            if acks == ACKS_NONE:
                _close_on_error(response.responses)
            pending.resolve(None if acks == ACKS_NONE else response)
        except ProtocolError as error:
            pending.fail(error)

    for settle, completion in waiting:
        completion.add_done_callback(partial(done, settle))
    return pending
