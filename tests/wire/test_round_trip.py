"""Encoded messages are decoded to the same, in every version of every message."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ottla.wire.errors import ProtocolError
from ottla.wire.messages.core import ApiVersionsResponse, DescribeTopicPartitionsRequest, MetadataRequest
from ottla.wire.messages.fetch import FetchRequest, FetchResponse
from ottla.wire.messages.groups import JoinGroupRequest, OffsetFetchRequest
from ottla.wire.messages.produce import ProduceRequest
from ottla.wire.schema import ZERO_UUID, Message
from tests.wire.declarations import MESSAGES, pair_id, pairs, versions
from tests.wire.values import samples, structs


@pytest.mark.slow
@pytest.mark.parametrize("message", MESSAGES, ids=pair_id)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_decoding_gives_back_what_was_encoded(message: type[Message], data: st.DataObject) -> None:
    version = data.draw(st.sampled_from(versions(message)))
    given_message = data.draw(structs(message, version))
    assert message.decode(given_message.encode(version), version) == given_message


@pytest.mark.parametrize(("message", "version"), pairs(), ids=pair_id)
def test_each_version_decodes_its_fullest_and_its_barest_message(message: type[Message], version: int) -> None:
    for sample in samples(message, version):
        encoded = sample.encode(version)
        assert message.decode(encoded, version) == sample
        padded = b"before" + encoded + b"after"
        assert message.decode_from(padded, version, 6) == (sample, 6 + len(encoded))


@pytest.mark.parametrize(
    ("message", "version"), [pair for pair in pairs() if pair[0].is_flexible(pair[1])], ids=pair_id
)
def test_unknown_tags_are_kept_and_written_back(message: type[Message], version: int) -> None:
    for sample in samples(message, version):
        sample.unknown_tags = {1000: b"later", 1001: b""}
        encoded = sample.encode(version)
        again = message.decode(encoded, version)
        assert dict(again.unknown_tags) == {1000: b"later", 1001: b""}
        assert again.encode(version) == encoded


def test_tagged_fields_at_their_defaults_take_no_bytes() -> None:
    response = ApiVersionsResponse(api_keys=[])
    assert response.encode(3) == b"\0\0" + b"\1" + b"\0\0\0\0" + b"\0"


def test_tags_are_written_in_ascending_order_with_unknown_ones_among_them() -> None:
    response = ApiVersionsResponse(api_keys=[], finalized_features_epoch=7, zk_migration_ready=True)
    response.unknown_tags = {2000: b"x", 2: b"\1"}
    assert response.encode(3)[7:] == (b"\4" + b"\1\x08" + bytes(7) + b"\7" + b"\2\1\1" + b"\3\1\1" + b"\xd0\x0f\1x")


def test_a_null_struct_is_one_byte_and_a_present_one_is_marked() -> None:
    without = DescribeTopicPartitionsRequest(topics=[], cursor=None)
    assert without.encode(0)[5:] == b"\xff\0"
    cursor = DescribeTopicPartitionsRequest.Cursor(topic_name="t", partition_index=3)
    assert DescribeTopicPartitionsRequest(topics=[], cursor=cursor).encode(0)[5:] == b"\1\2t\0\0\0\3\0\0"


def test_null_means_all_topics_only_where_the_version_has_null() -> None:
    assert MetadataRequest(topics=None).encode(1) == b"\xff\xff\xff\xff"
    with pytest.raises(TypeError):
        MetadataRequest(topics=None).encode(0)
    with pytest.raises(ProtocolError, match="topics is null"):
        MetadataRequest.decode(b"\xff\xff\xff\xff", 0)


def test_a_field_that_the_version_lacks_is_filled_with_its_default() -> None:
    join = JoinGroupRequest(
        group_id="g", session_timeout_ms=1, member_id="", protocol_type="consumer", protocols=[], reason="not in 0"
    )
    decoded = JoinGroupRequest.decode(join.encode(0), 0)
    assert (decoded.rebalance_timeout_ms, decoded.group_instance_id, decoded.reason) == (-1, None, None)


def test_defaults_that_hold_others_are_not_shared() -> None:
    one, other = OffsetFetchRequest(), OffsetFetchRequest()
    one.groups.append(OffsetFetchRequest.Group(group_id="g", topics=None))
    assert other.groups == []
    first, second = (OffsetFetchRequest.decode(other.encode(8), 8) for _ in range(2))
    assert first.topics is not second.topics


def test_records_are_a_view_of_the_buffer_and_pass_through_encoding_as_they_are() -> None:
    partition = ProduceRequest.Topic.Partition(index=0, records=b"batch")
    topic = ProduceRequest.Topic(name="t", partition_data=[partition])
    encoded = bytearray(ProduceRequest(acks=1, timeout_ms=0, topic_data=[topic]).encode(7))
    records = ProduceRequest.decode(encoded, 7).topic_data[0].partition_data[0].records
    encoded[encoded.index(b"batch")] = ord("B")
    assert bytes(records) == b"Batch"  # type: ignore[call-overload]

    response_partition = FetchResponse.Topic.Partition(
        partition_index=0, high_watermark=0, aborted_transactions=None, records=records
    )
    parts: list[object] = []
    FetchResponse(responses=[FetchResponse.Topic(topic_id=ZERO_UUID, partitions=[response_partition])]).encode_into(
        parts, 17
    )
    assert any(part is records for part in parts)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_buffer_is_read(kind: type) -> None:
    for message in (FetchRequest, FetchResponse, ProduceRequest, MetadataRequest):
        version = message.versions[1]
        sample = samples(message, version)[0]
        assert message.decode(kind(sample.encode(version)), version) == sample


def test_a_required_field_must_be_given() -> None:
    with pytest.raises(TypeError, match="max_wait_ms"):
        FetchRequest(min_bytes=0, topics=[])  # type: ignore[call-arg]


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(ProtocolError, match="1 bytes after the end"):
        MetadataRequest.decode(b"\0\0\0\0" + b"x", 0)
