"""Produce and InitProducerId: checks a producer's batches and appends them, each partition for itself."""

import logging
from functools import partial
from typing import cast

from ottla.broker.context import Context
from ottla.broker.partition import Partition
from ottla.broker.topics import Topic
from ottla.broker.waiting import Pending
from ottla.storage.completion import Completion
from ottla.storage.log import Appended
from ottla.wire.batch import LOG_APPEND_TIME, check_produced, read_header, set_max_timestamp
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError, ProtocolError, RecordsRefusedError
from ottla.wire.messages.produce import (
    InitProducerIdRequest,
    InitProducerIdResponse,
    ProduceRequest,
    ProduceResponse,
)

log = logging.getLogger(__name__)

TopicResponse = ProduceResponse.Topic
PartitionResponse = ProduceResponse.Topic.Partition

ACKS_NONE = 0
ACKS_ALL = -1
ZSTD = 4


def produce(context: Context, request: ProduceRequest) -> ProduceResponse | Pending[ProduceResponse] | None:
    """Append each partition's batch; with acks=0 there is no answer, and an error closes the connection."""
    cluster = context.cluster
    version = context.api_version
    by_id = ProduceRequest.names_topics_by_id(version)
    rules = _Rules(acks=request.acks, now_ms=cluster.clock.wall_ms(), takes_zstd=ProduceRequest.takes_zstd(version))
    waiting: list[tuple[PartitionResponse, Completion[Appended]]] = []
    responses = []
    for data in request.topic_data:
        topic = cluster.topics_by_id.get(data.topic_id) if by_id else cluster.topics.get(data.name)
        answers = []
        for each in data.partition_data:
            answer = PartitionResponse(index=each.index, base_offset=-1)
            try:
                if topic is None:
                    raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
                appended = rules.append(topic, topic.partition(each.index), cast("memoryview | None", each.records))
                if isinstance(appended, Completion):
                    waiting.append((answer, appended))
                else:
                    _fill(answer, appended)
            except KafkaError as error:
                _refuse(answer, error)
            answers.append(answer)
        responses.append(TopicResponse(name=data.name, topic_id=data.topic_id, partition_responses=answers))
    if request.acks == ACKS_NONE:
        _close_on_error(responses)
        return None
    response = ProduceResponse(responses=responses)
    return _when_appended(response, waiting) if waiting else response


class _Rules:
    """What a request asks of each of its batches, and the checks that depend on the topic."""

    __slots__ = ("acks", "now_ms", "takes_zstd")

    def __init__(self, *, acks: int, now_ms: int, takes_zstd: bool) -> None:
        self.acks = acks
        self.now_ms = now_ms
        self.takes_zstd = takes_zstd

    def append(self, topic: Topic, partition: Partition, batch: memoryview | None) -> Appended | Completion[Appended]:
        if not -1 <= self.acks <= 1:
            raise KafkaError(ErrorCode.INVALID_REQUIRED_ACKS)
        if topic.is_internal:
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Clients may not write to {topic.name}")
        if self.acks == ACKS_ALL and len(partition.isr) < topic.log_config.min_insync_replicas:
            raise KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS)
        if batch is None:
            raise KafkaError(ErrorCode.INVALID_RECORD, "There is no batch for the partition")
        header = check_produced(batch, topic.log_config.max_message_bytes)
        if header.codec == ZSTD and not self.takes_zstd:
            raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "zstd needs Produce version 7")
        if header.is_transactional:
            raise KafkaError(ErrorCode.INVALID_TXN_STATE, "Transactions are not served yet")
        if header.size != len(batch):
            batch = batch[: header.size]
        if topic.reads_records:
            greatest_timestamp = topic.check_records(batch, self.now_ms)
            if greatest_timestamp != header.max_timestamp:
                set_max_timestamp(batch, header.timestamp_type, greatest_timestamp)
                header = read_header(batch)
        elif header.timestamp_type == LOG_APPEND_TIME and topic.log_config.uses_log_append_time:
            raise KafkaError(ErrorCode.INVALID_TIMESTAMP, "Only the broker may mark records with LogAppendTime")
        return partition.append(batch, header, self.now_ms)


def _fill(answer: PartitionResponse, appended: Appended) -> None:
    answer.base_offset = appended.base_offset
    answer.log_start_offset = appended.log_start_offset
    answer.log_append_time_ms = appended.log_append_time_ms


def _refuse(answer: PartitionResponse, error: KafkaError) -> None:
    answer.error_code = error.code
    answer.error_message = error.message
    if isinstance(error, RecordsRefusedError):
        answer.record_errors = [
            PartitionResponse.RecordError(batch_index=index, batch_index_error_message=reason)
            for index, reason in error.record_errors
        ]


def _close_on_error(responses: list[TopicResponse]) -> None:
    for topic in responses:
        for answer in topic.partition_responses:
            if answer.error_code:
                name = topic.name or topic.topic_id.hex()
                code = ErrorCode(answer.error_code).name
                raise ProtocolError(f"Produce with acks=0 to {name}-{answer.index} got {code}")


def _when_appended(
    response: ProduceResponse, waiting: list[tuple[PartitionResponse, Completion[Appended]]]
) -> Pending[ProduceResponse]:
    """Answer when the last of the slow appends is done."""
    pending: Pending[ProduceResponse] = Pending()
    left = len(waiting)

    def done(answer: PartitionResponse, completion: Completion[Appended]) -> None:
        nonlocal left
        try:
            _fill(answer, completion.result())
        except KafkaError as error:
            _refuse(answer, error)
        left -= 1
        if left == 0:
            pending.resolve(response)

    for answer, completion in waiting:
        completion.add_done_callback(partial(done, answer))
    return pending


def init_producer_id(context: Context, request: InitProducerIdRequest) -> InitProducerIdResponse:
    """Give out a producer id; a producer that names its own gets a new one with epoch 0 (KIP-360)."""
    if request.transactional_id is not None:
        if not request.transactional_id:
            return InitProducerIdResponse(error_code=ErrorCode.INVALID_REQUEST, producer_epoch=-1)
        # Fatal to every client, so that none waits for a coordinator that never comes. The answer has no message.
        log.warning("%s asked for a transactional producer: transactions are not served yet", context.client_id)
        return InitProducerIdResponse(error_code=ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, producer_epoch=-1)
    return InitProducerIdResponse(producer_id=context.cluster.next_producer_id(), producer_epoch=0)
