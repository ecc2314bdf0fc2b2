"""Produce and InitProducerId: checks a producer's batches and appends them, each partition for itself."""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, cast

from ottla.broker.cluster.cluster import Cluster
from ottla.broker.cluster.leader_hints import NewLeaders
from ottla.broker.old_clients.produced import up_converted
from ottla.broker.requests.context import Context
from ottla.broker.topics.names import MAX_NAME_LENGTH
from ottla.broker.topics.partition import Partition
from ottla.broker.topics.topic import Topic
from ottla.scheduling.promise import Promise
from ottla.storage.log import Appended
from ottla.wire.batch import (
    LENGTH_OVERHEAD,
    LOG_APPEND_TIME,
    MAGIC,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
    BatchHeader,
    check_produced,
    read_header,
    set_max_timestamp,
)
from ottla.wire.codes import ErrorCode
from ottla.wire.compiler import read_uvarint
from ottla.wire.errors import KafkaError, ProtocolError, RecordsRefusedError
from ottla.wire.message_sets import magic_of
from ottla.wire.messages.produce import (
    InitProducerIdRequest,
    InitProducerIdResponse,
    ProduceRequest,
    ProduceResponse,
)
from ottla.wire.template import Pattern, Template

log = logging.getLogger(__name__)

TopicData = ProduceRequest.Topic
TopicResponse = ProduceResponse.Topic
PartitionData = ProduceRequest.Topic.Partition
PartitionResponse = ProduceResponse.Topic.Partition
Straight = bytes | Promise[Any] | None
Outcome = Appended | Promise[Appended] | KafkaError

ACKS_NONE = 0
ACKS_ALL = -1
ZSTD = 4
NOTHING_APPENDED = Appended(base_offset=-1, last_offset=-1, duplicate=False, log_start_offset=-1, log_append_time_ms=-1)
"""What is answered to an empty set of messages."""
UNUSUAL = ZSTD | TIMESTAMP_TYPE_BIT | TRANSACTIONAL_BIT
"""Attributes that need another look."""
SEEN_BY_THE_LOG = {
    ErrorCode.INVALID_TIMESTAMP,
    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    ErrorCode.INVALID_PRODUCER_EPOCH,
}
"""Errors that come with the log's start, because in Apache they are found as late as in the log."""


def produce_straight(version: int) -> "Callable[[Context, int, bytearray, int, int], Straight] | None":
    """Return what answers the commonest request from its bytes: one batch for one partition, the topic by its id.

    It returns None for any other request, and where something is wrong: ``produce`` finds that again and says it.
    """
    if not ProduceRequest.names_topics_by_id(version):
        return None
    topic_id = bytes(range(0x60, 0x70))
    one = ProduceRequest.Topic(
        topic_id=topic_id, partition_data=[ProduceRequest.Topic.Partition(index=0x71717171, records=b"")]
    )
    pattern = Pattern(
        ProduceRequest(acks=0x7272, timeout_ms=0x73737373, topic_data=[one]),
        version,
        (("h", 0x7272), ("i", 0x73737373), ("16s", topic_id), ("i", 0x71717171)),
    )
    head = pattern.size
    match = pattern.match
    tail = b"\0\0\0"  # no tagged fields: of the partition, the topic, the request
    takes_zstd = ProduceRequest.takes_zstd(version)

    def answer(context: Context, correlation_id: int, buffer: bytearray, start: int, end: int) -> Straight:
        if end - start < head + len(tail):
            return None
        found = match(buffer, start)
        if found is None:
            return None
        acks, _, topic_id, index = found
        length, first = read_uvarint(buffer, start + head)
        last = first + length - 1
        topic = context.cluster.topics.by_id.get(topic_id)
        if topic is None or acks == ACKS_NONE or length < 1 or buffer[last:end] != tail:
            return None
        try:
            appended = _append(context, topic, index, memoryview(buffer)[first:last], acks, takes_zstd)
        except KafkaError:
            return None
        if isinstance(appended, Promise):
            data = TopicData(topic_id=topic_id, partition_data=[])
            return cast("Promise[Any]", _respond(context, [(data, [(index, appended)])], acks=acks))
        template = topic.produced.get(version) or _make_template(topic, version)
        base_offset, _, _, log_start_offset, log_append_time_ms = appended
        return template.fill(correlation_id, index, 0, base_offset, log_append_time_ms, log_start_offset)

    return answer


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
                    appended = _append_messages(context, topic, each.index, records, acks)
                else:
                    appended = _append(context, topic, each.index, records, acks, takes_zstd)
                found.append((each.index, appended))
            except KafkaError as error:
                found.append((each.index, error))
        outcomes.append((data, found))
    return _respond(context, outcomes, acks=acks)


def _make_template(topic: Topic, version: int) -> Template:
    """Prepare the answer to one batch for one partition."""
    index, base_offset, log_append_time_ms, log_start_offset = 0x71, 0x72, 0x73, 0x74
    sample = PartitionResponse(
        index=index,
        base_offset=base_offset,
        log_append_time_ms=log_append_time_ms,
        log_start_offset=log_start_offset,
    )
    named = TopicResponse(name=topic.name, topic_id=topic.id, partition_responses=[sample])
    template = topic.produced[version] = Template(
        ProduceResponse(responses=[named]),
        version,
        code="ihqqq",
        marks=(index, 0, base_offset, log_append_time_ms, log_start_offset),
    )
    return template


def _respond(
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
    """Tell who sent batches to the wrong node where they belong (KIP-951)."""
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


def _last_of_each(topics: list[TopicData]) -> Iterable[tuple[TopicData, Iterable[PartitionData]]]:
    """Return what counts where a partition is named twice: Apache appends the last one and answers once."""
    found: dict[tuple[str, bytes], tuple[TopicData, dict[int, PartitionData]]] = {}
    for data in topics:
        if data.partition_data:
            _, partitions = found.setdefault((data.name, data.topic_id), (data, {}))
            partitions.update((each.index, each) for each in data.partition_data)
    return ((data, partitions.values()) for data, partitions in found.values())


def _append(  # noqa: PLR0917 - calls by position are the cheaper ones
    context: Context, topic: Topic, index: int, batch: memoryview | None, acks: int, takes_zstd: bool
) -> Appended | Promise[Appended]:
    """Check one batch, by its header where that is enough, and append it. Raises ``KafkaError``."""
    partition = _partition_for(context, topic, index, acks)
    config = topic.log_config
    if batch is None:
        raise KafkaError(ErrorCode.INVALID_RECORD, "There is no batch for the partition")
    header = check_produced(batch, config.max_message_bytes)
    attributes = header.attributes
    if attributes & UNUSUAL:
        if header.codec == ZSTD and not takes_zstd:
            raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "zstd needs Produce version 7")
        if header.is_transactional:
            raise KafkaError(ErrorCode.INVALID_TXN_STATE, "Transactions are not served yet")
        if header.timestamp_type == LOG_APPEND_TIME and config.uses_log_append_time:
            raise KafkaError(ErrorCode.INVALID_TIMESTAMP, "Only the broker may mark records with LogAppendTime")
    size = header.length + LENGTH_OVERHEAD
    if size != len(batch):
        batch = batch[:size]
    # Index access, because every batch comes by here: 8 is the greatest timestamp, 7 the first one. Older versions of
    # sarama leave the greatest one out (-1); Apache takes it from the records.
    if topic.looks_inside or header[8] < header[7]:
        return _append_looking_inside(context.cluster, topic, partition, batch, header)
    return partition.append(batch, header, context.cluster.clock.wall_ms())


def _partition_for(context: Context, topic: Topic, index: int, acks: int) -> Partition:
    """The partition that is to be appended to. Raises ``KafkaError`` where nothing may be, whatever it is."""
    partition = topic.partition(index)
    if not -1 <= acks <= 1:
        raise KafkaError(ErrorCode.INVALID_REQUIRED_ACKS)
    if topic.is_internal:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Clients may not write to {topic.name}")
    if partition.leader != context.node_id:
        partition.check_asked(context.node_id)
    if acks == ACKS_ALL and partition.lacks_replicas:
        raise KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS)
    return partition


def _append_messages(
    context: Context, topic: Topic, index: int, records: memoryview, acks: int
) -> Appended | Promise[Appended]:
    """Append what came in a format from before batches, converted in steps. Raises ``KafkaError``."""
    cluster = context.cluster
    partition = _partition_for(context, topic, index, acks)

    def append(batch: bytearray | None) -> Appended | Promise[Appended]:
        if partition.gone:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        partition.check_asked(context.node_id)  # Another may lead by now.
        if batch is None:
            return NOTHING_APPENDED
        header = read_header(batch)
        if header.size > topic.log_config.max_message_bytes:
            raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE, f"As a batch, the messages have {header.size} bytes")
        now_ms = cluster.clock.wall_ms()
        if topic.reads_records:
            topic.check_records(memoryview(batch), now_ms)
        return partition.append(memoryview(batch), header, now_ms)

    converted = cluster.stepper.run(up_converted(bytes(records), topic.log_config, topic.compression)).then(append)
    return converted.now_or_later()


def _append_looking_inside(
    cluster: Cluster, topic: Topic, partition: Partition, batch: memoryview, header: BatchHeader
) -> Appended | Promise[Appended]:
    """Check the records of a batch and give it the topic's codec, if settings or header call for that."""
    now_ms = cluster.clock.wall_ms()
    if topic.reads_records or header.max_timestamp < header.base_timestamp:
        greatest_timestamp = topic.check_records(batch, now_ms)
        if greatest_timestamp != header.max_timestamp:
            set_max_timestamp(batch, header.timestamp_type, greatest_timestamp)
            header = read_header(batch)
    if topic.compression is None or topic.compression.codec == header.codec:
        return partition.append(batch, header, now_ms)

    def append(compressed: bytearray) -> Appended | Promise[Appended]:
        if partition.gone:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        header = read_header(compressed)
        if header.size > topic.log_config.max_message_bytes:
            raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE, f"With the topic's codec the batch has {header.size} bytes")
        return partition.append(memoryview(compressed), header, now_ms)

    compressed = topic.compression.apply(batch, cluster.directory.background)
    return compressed.then(append) if isinstance(compressed, Promise) else append(compressed)


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
    """Fill in what became of a slow append. Meanwhile replicas may have gone that were to have it, too."""
    try:
        appended = done.result()
        topic = context.cluster.topics.by_id.get(data.topic_id) or context.cluster.topics.by_name.get(data.name)
        if acks == ACKS_ALL and topic is not None and topic.partition(answer.index).lacks_replicas:
            raise KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
        _accept(answer, appended)
    except KafkaError as error:
        _refuse(context, data, answer, error)
    except Exception:
        log.exception("an append failed")
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
    """Answer when the last of the slow appends is done; with acks=0 go on with the next request then."""
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


def init_producer_id(context: Context, request: InitProducerIdRequest) -> InitProducerIdResponse:
    """Give out a producer id; a producer that names its own gets a new one with epoch 0 (KIP-360)."""
    if request.transactional_id is not None:
        if not request.transactional_id:
            return InitProducerIdResponse(error_code=ErrorCode.INVALID_REQUEST, producer_epoch=-1)
        # Fatal to every client, so that none waits for a coordinator that never comes. The answer has no message.
        log.warning("%s asked for a transactional producer: transactions are not served yet", context.client.id)
        return InitProducerIdResponse(error_code=ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, producer_epoch=-1)
    if (request.producer_id == -1) != (request.producer_epoch == -1):
        return InitProducerIdResponse(error_code=ErrorCode.INVALID_REQUEST, producer_epoch=-1)
    return InitProducerIdResponse(producer_id=context.cluster.producer_ids.next(), producer_epoch=0)
