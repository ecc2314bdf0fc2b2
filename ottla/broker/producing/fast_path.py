"""Answers the most common Produce request straight from its bytes, without decoding it."""

from collections.abc import Callable
from typing import Any, cast

from ottla.broker.producing.answer import PartitionResponse, TopicData, TopicResponse, respond
from ottla.broker.producing.append import ACKS_NONE, append
from ottla.broker.requests.context import Context
from ottla.broker.topics.topic import Topic
from ottla.scheduling.promise import Promise
from ottla.wire.compiler import read_uvarint
from ottla.wire.errors import KafkaError
from ottla.wire.messages.produce import ProduceRequest, ProduceResponse
from ottla.wire.template import Pattern, Template

Straight = bytes | Promise[Any] | None


def produce_straight(version: int) -> "Callable[[Context, int, bytearray, int, int], Straight] | None":
    """Return a function that answers the most common request: one batch for one partition, the topic named by its id.

    That function returns None for any other request and for a wrong one, which ``produce`` then refuses.
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
            appended = append(context, topic, index, memoryview(buffer)[first:last], acks, takes_zstd)
        except KafkaError:
            return None
        if isinstance(appended, Promise):
            data = TopicData(topic_id=topic_id, partition_data=[])
            return cast("Promise[Any]", respond(context, [(data, [(index, appended)])], acks=acks))
        template = topic.produced.get(version) or _make_template(topic, version)
        base_offset, _, _, log_start_offset, log_append_time_ms = appended
        return template.fill(correlation_id, index, 0, base_offset, log_append_time_ms, log_start_offset)

    return answer


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
