"""Converts the answer to a fetch for clients from before Kafka 0.11: messages instead of batches."""

from collections.abc import Iterator

from ottla.broker.fetching.delayed_fetch import FetchSource
from ottla.broker.old_clients.produced import down_converted
from ottla.broker.topics.registry import Topics
from ottla.scheduling.promise import Promise
from ottla.scheduling.stepper import Stepper
from ottla.scheduling.steps import Steps
from ottla.storage.slices import FileSlice, RecordSlice
from ottla.wire.codes import ErrorCode
from ottla.wire.compression import ZSTD
from ottla.wire.errors import KafkaError
from ottla.wire.messages.fetch import FetchRequest, FetchResponse

PartitionResponse = FetchResponse.Topic.Partition


def answer_with_messages(
    source: FetchSource,
    stepper: Stepper,
    request: FetchRequest,
    answer: FetchResponse | Promise[FetchResponse],
    *,
    magic: int,
) -> Promise[FetchResponse]:
    """Return a promise of the answer to a fetch, converted to messages.

    If no message is left for such a client (a transaction's marker at the log's end), it gets its empty answer as late
    as if no record had been found: it will ask for the same again.
    """
    converted: Promise[FetchResponse] = Promise()

    def finish(done: Promise[FetchResponse]) -> None:
        try:
            response = done.result()
        except Exception as error:
            converted.fail(error)
            return
        if request.max_wait_ms > 0 and not any(each.records or each.error_code for _, each in _partitions(response)):
            due = source.clock.monotonic() + request.max_wait_ms / 1000
            source.timers.schedule(due, lambda: converted.resolve(response))
        else:
            converted.resolve(response)

    def convert(response: FetchResponse) -> None:
        _refuse_topics_in_zstd(source.topics, response)
        if any(each.records for _, each in _partitions(response)):
            steps = with_messages(source.topics, request, response, magic=magic)
            stepper.run(steps).add_done_callback(finish)
        else:
            converted.resolve(response)

    def came(pending: Promise[FetchResponse]) -> None:
        converted.on_abandoned = None
        if pending.value is not None:
            convert(pending.value)
        elif pending.error is not None:
            converted.fail(pending.error)

    if isinstance(answer, Promise):
        converted.on_abandoned = answer.abandon
        answer.add_done_callback(came)
    else:
        convert(answer)
    return converted


def with_messages(
    topics: Topics, request: FetchRequest, response: FetchResponse, *, magic: int
) -> Steps[FetchResponse]:
    """Convert an answer to messages of format ``magic``. Each partition has its own error."""
    asked = {(topic.topic, each.partition): each for topic in request.topics for each in topic.partitions}
    room = request.max_bytes
    try:
        for topic, answer in _partitions(response):
            partition = asked[topic, answer.partition_index]
            limit = min(room, partition.partition_max_bytes)
            try:
                records = _take(answer)
                messages = bytearray()
                if records and (limit > 0 or room == request.max_bytes):
                    messages = yield from _convert(
                        topics, topic, answer, records, magic=magic, fetch_offset=partition.fetch_offset, limit=limit
                    )
                answer.records = messages
                room -= len(messages)
            except KafkaError as error:
                _refuse(answer, error.code)
    finally:
        for _, answer in _partitions(response):
            if isinstance(answer.records, FileSlice):  # only after a failure before
                answer.records.release()
    return response


def _convert(
    topics: Topics,
    topic: str,
    answer: PartitionResponse,
    records: bytes,
    *,
    magic: int,
    fetch_offset: int,
    limit: int,
) -> Steps[bytearray]:
    """Convert the records that were read; if none of them is for clients (markers), those behind them.

    Such a client counts on from the last offset that it got: without messages it would ask for the same for ever.
    """
    offset = fetch_offset
    while True:
        converted = yield from down_converted(records, magic=magic, fetch_offset=fetch_offset, max_bytes=limit)
        if converted.messages or converted.next_offset <= offset or converted.next_offset >= answer.high_watermark:
            return converted.messages
        offset = converted.next_offset
        found: RecordSlice | Promise[RecordSlice] = topics.partition(topic, answer.partition_index).log.read(
            offset, max(limit, 0), end_offset=answer.high_watermark, minimum_one_batch=True
        )
        behind: RecordSlice = (yield found) if isinstance(found, Promise) else found
        records = behind.take() if isinstance(behind, FileSlice) else behind


def _partitions(response: FetchResponse) -> Iterator[tuple[str, PartitionResponse]]:
    return ((topic.topic, answer) for topic in response.responses for answer in topic.partitions)


def _refuse_topics_in_zstd(topics: Topics, response: FetchResponse) -> None:
    """Refuse topics whose ``compression.type`` is zstd, in place of any other error (``KafkaApis`` of 3.9).

    Apache 4 no longer refuses them to clients of Fetch 4 to 9.
    """
    for name, answer in _partitions(response):
        topic = topics.by_name.get(name)
        if topic is None or answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            continue
        if topic.compression is not None and topic.compression.codec == ZSTD:
            if isinstance(answer.records, FileSlice):
                answer.records.release()
            _refuse(answer, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)


def _take(answer: PartitionResponse) -> bytes:
    records, answer.records = answer.records, b""
    if isinstance(records, FileSlice):
        return records.take()
    return b"" if records is None else bytes(records)  # type: ignore[call-overload]


def _refuse(answer: PartitionResponse, code: ErrorCode) -> None:
    answer.error_code = code
    answer.records = b""
    answer.high_watermark = -1
