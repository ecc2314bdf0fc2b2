"""Produce and InitProducerId: accepts a producer's batches, each partition by itself."""

import logging
from collections.abc import Iterable
from typing import Any, cast

from ottla.broker.producing.answer import Outcome, TopicData, respond
from ottla.broker.producing.append import append, append_messages
from ottla.broker.producing.fast_path import produce_straight
from ottla.broker.requests.context import Context
from ottla.scheduling.promise import Promise
from ottla.wire.batch import MAGIC
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.message_sets import magic_of
from ottla.wire.messages.produce import (
    InitProducerIdRequest,
    InitProducerIdResponse,
    ProduceRequest,
    ProduceResponse,
)

__all__ = ["init_producer_id", "produce", "produce_straight"]

log = logging.getLogger(__name__)

PartitionData = ProduceRequest.Topic.Partition


def produce(context: Context, request: ProduceRequest) -> ProduceResponse | Promise[Any] | None:
    """Append each partition's batch; with acks=0 there is no answer, and an error closes the connection."""
    cluster = context.cluster
    version = context.api_version
    by_id = ProduceRequest.names_topics_by_id(version)
    takes_zstd = ProduceRequest.takes_zstd(version)
    takes_messages = ProduceRequest.takes_messages(version)
    acks = request.acks
    outcomes: list[tuple[TopicData, list[tuple[int, Outcome]]]] = []
    for data, partitions in _last_of_each(request.topic_data):
        topic = cluster.topics.by_id.get(data.topic_id) if by_id else cluster.topics.by_name.get(data.name)
        found: list[tuple[int, Outcome]] = []
        for each in partitions:
            try:
                if topic is None:
                    raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
                records = cast("memoryview | None", each.records)
                if takes_messages and records is not None and magic_of(records) != MAGIC:
                    appended = append_messages(context, topic, each.index, records, acks)
                else:
                    appended = append(context, topic, each.index, records, acks, takes_zstd)
                found.append((each.index, appended))
            except KafkaError as error:
                found.append((each.index, error))
        outcomes.append((data, found))
    return respond(context, outcomes, acks=acks)


def _last_of_each(topics: list[TopicData]) -> Iterable[tuple[TopicData, Iterable[PartitionData]]]:
    """Keep the last batch of a partition that is named twice, and answer once, as Apache does."""
    found: dict[tuple[str, bytes], tuple[TopicData, dict[int, PartitionData]]] = {}
    for data in topics:
        if data.partition_data:
            _, partitions = found.setdefault((data.name, data.topic_id), (data, {}))
            partitions.update((each.index, each) for each in data.partition_data)
    return ((data, partitions.values()) for data, partitions in found.values())


def init_producer_id(context: Context, request: InitProducerIdRequest) -> InitProducerIdResponse:
    """Return a new producer id; a producer that names its own gets a new one with epoch 0, too (KIP-360)."""
    if request.transactional_id is not None:
        if not request.transactional_id:
            return InitProducerIdResponse(error_code=ErrorCode.INVALID_REQUEST, producer_epoch=-1)
        # Fatal to every client, so that none waits for a coordinator that never comes. The answer has no message.
        log.warning("Refused a transactional producer to client %r: transactions are not served yet", context.client.id)
        return InitProducerIdResponse(error_code=ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, producer_epoch=-1)
    if (request.producer_id == -1) != (request.producer_epoch == -1):
        return InitProducerIdResponse(error_code=ErrorCode.INVALID_REQUEST, producer_epoch=-1)
    return InitProducerIdResponse(producer_id=context.cluster.producer_ids.next(), producer_epoch=0)
