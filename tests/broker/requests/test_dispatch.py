"""From a request's bytes to an answer's bytes: whatever the bytes are, they are answered or refused, and never more.

Routes and contexts (requests/routes, requests/context) are seen here as well.
"""

import pytest

from ottla.broker.apis import APIS
from ottla.broker.requests import dispatch
from ottla.broker.requests.deferred import Deferred
from ottla.broker.requests.dispatch import handle
from ottla.broker.requests.routes import ROUTES, Route
from ottla.wire import frames
from ottla.wire.codes import ApiKey, ErrorCode
from ottla.wire.errors import KafkaError, ProtocolError
from ottla.wire.messages.core import ApiVersionsRequest, DescribeClusterResponse, MetadataRequest, MetadataResponse
from tests.stage.clients import fetch_request, new_topic, request_bytes


def ask(broker, frame):
    return handle(broker.context, frame, 0, len(frame))


@pytest.mark.parametrize("size", range(10))
def test_a_frame_without_a_whole_header_is_refused(broker, size):
    with pytest.raises(ProtocolError, match="no whole header"):
        ask(broker, request_bytes(ApiKey.METADATA, 1)[:size])


@pytest.mark.parametrize("api_key", [-1, 4, 999, 32767])
def test_an_unknown_api_is_refused_by_its_number(broker, api_key):
    with pytest.raises(ProtocolError, match=f"API {api_key} is not served"):
        ask(broker, request_bytes(api_key, 0))


@pytest.mark.parametrize("api", [api for api in APIS if api.key != ApiKey.API_VERSIONS], ids=lambda api: api.name)
def test_versions_that_are_not_served_are_refused_by_name(broker, api):
    for version in (api.served[0] - 1, api.served[1] + 1, -32768, 32767):
        with pytest.raises(ProtocolError, match=rf"{api.name} version {version} is not served"):
            ask(broker, request_bytes(api.key, version))


@pytest.mark.parametrize("version", [0, 3])
def test_a_clients_id_does_not_reach_beyond_its_frame(broker, version):
    frame = request_bytes(ApiKey.API_VERSIONS, version, client=b"\0\x20abc")
    end = len(frame)
    frame += b"the next client's bytes, and its secrets"
    with pytest.raises(ProtocolError, match="the bytes end before the client's id does"):
        handle(broker.context, frame, 0, end)
    assert broker.context.client.id is None


def test_a_flexible_header_does_not_reach_beyond_its_frame(broker):
    frame = request_bytes(ApiKey.API_VERSIONS, 3)
    end = len(frame)
    frame += b"\0\2a\2a\0"
    with pytest.raises(ProtocolError, match="the bytes end before the header does"):
        handle(broker.context, frame, 0, end)


def test_a_body_does_not_reach_beyond_its_frame(broker):
    frame = bytearray(
        frames.encode_request(
            MetadataRequest(topics=[MetadataRequest.Topic(name="topic")]), 9, correlation_id=7, client_id="test"
        )
    )
    for end in range(frames.SIZE.size + 10, len(frame)):
        with pytest.raises(ProtocolError):
            handle(broker.context, frame, frames.SIZE.size, end)
    assert not broker.cluster.topics.by_name


@pytest.mark.parametrize(("client", "expected"), [(b"\xff\xff", None), (b"\xff\xfe", None), (b"\0\0", "")])
def test_a_client_may_have_no_id(broker, client, expected):
    assert isinstance(ask(broker, request_bytes(ApiKey.API_VERSIONS, 0, client=client)), bytes)
    assert broker.context.client.id == expected


def test_a_clients_id_may_be_any_bytes(broker):
    ask(broker, request_bytes(ApiKey.API_VERSIONS, 0, client=b"\0\2\xff\xfe"))
    assert broker.context.client.id == "\ufffd\ufffd"


def test_bytes_after_the_request_do_not_matter(broker):
    # Apache ignores them as well.
    assert isinstance(ask(broker, request_bytes(ApiKey.API_VERSIONS, 0, b"xyz")), bytes)


def test_unknown_tags_in_the_header_are_skipped(broker):
    assert isinstance(ask(broker, request_bytes(ApiKey.API_VERSIONS, 3, b"\1\x63\3abc" + b"\2a\2a\0")), bytes)


def test_an_answer_that_comes_later_keeps_no_view_of_the_request(broker):
    new_topic(broker)
    request = fetch_request(("topic", 0, 0), max_wait_ms=500, min_bytes=1)
    frame = bytearray(frames.encode_request(request, 12, correlation_id=7, client_id="test"))
    reply = handle(broker.context, frame, frames.SIZE.size, len(frame))
    assert isinstance(reply, Deferred)
    frame.clear()  # BufferError, if there were one
    broker.append("topic", 1)
    assert reply.pending.done
    reply.reply()


# --- errors out of handlers


def route_with(handler, api_key, version, monkeypatch):
    """The route of an API, with another handler."""
    route = Route(dispatch.BY_KEY[api_key], version)
    route.handler = handler
    monkeypatch.setitem(ROUTES, api_key << 16 | version, route)


def refuse(_context, _request):
    raise KafkaError(ErrorCode.NOT_CONTROLLER, "not here")


def fail(_context, _request):
    raise ZeroDivisionError("our bug")


def test_an_error_becomes_the_answers_own(broker, monkeypatch):
    route_with(refuse, ApiKey.DESCRIBE_CLUSTER, 1, monkeypatch)
    reply = ask(broker, request_bytes(ApiKey.DESCRIBE_CLUSTER, 1, b"\0\0\1\0"))
    _, response = frames.decode_response(DescribeClusterResponse, reply[4:], 1)
    assert (response.error_code, response.error_message) == (ErrorCode.NOT_CONTROLLER, "not here")


def test_a_bug_of_ours_is_answered_and_logged_with_its_traceback(broker, monkeypatch, caplog):
    route_with(fail, ApiKey.DESCRIBE_CLUSTER, 1, monkeypatch)
    reply = ask(broker, request_bytes(ApiKey.DESCRIBE_CLUSTER, 1, b"\0\0\1\0"))
    _, response = frames.decode_response(DescribeClusterResponse, reply[4:], 1)
    assert (response.error_code, response.error_message) == (ErrorCode.UNKNOWN_SERVER_ERROR, None)
    assert "our bug" in caplog.text


def test_an_error_that_the_answer_has_no_place_for_closes_the_connection(broker, monkeypatch):
    # Metadata has an error code of its own only from version 13 on: before, an answer would say that all is well.
    for version in (1, 12):
        route_with(refuse, ApiKey.METADATA, version, monkeypatch)
    with pytest.raises(ProtocolError, match="Metadata has no place for NOT_CONTROLLER"):
        ask(broker, request_bytes(ApiKey.METADATA, 1, b"\xff\xff\xff\xff"))
    with pytest.raises(ProtocolError, match="Metadata has no place for NOT_CONTROLLER"):
        ask(broker, request_bytes(ApiKey.METADATA, 12, b"\0\0\1\0\0"))


def test_an_error_stands_in_the_versions_that_have_it(broker, monkeypatch):
    route_with(refuse, ApiKey.METADATA, 13, monkeypatch)
    reply = ask(broker, request_bytes(ApiKey.METADATA, 13, b"\0\0\1\0\0"))
    _, response = frames.decode_response(MetadataResponse, reply[4:], 13)
    assert response.error_code == ErrorCode.NOT_CONTROLLER


EVERY_VERSION = range(100)
NO_ERROR_OF_ITS_OWN = {
    "Metadata": range(13),
    "Fetch": range(7),
    "OffsetFetch": (0, 1, 8, 9, 10),  # since version 8, each group has one
    "FindCoordinator": (4, 5, 6),  # each coordinator has one
    "DescribeLogDirs": range(3),
    "ElectLeaders": range(1),
    **dict.fromkeys(
        (
            "AlterClientQuotas",
            "AlterConfigs",
            "AlterReplicaLogDirs",
            "AlterUserScramCredentials",
            "CreateAcls",
            "CreatePartitions",
            "CreateTopics",
            "DeleteAcls",
            "DeleteGroups",
            "DeleteRecords",
            "DeleteTopics",
            "DescribeConfigs",
            "DescribeGroups",
            "DescribeProducers",
            "DescribeTopicPartitions",
            "IncrementalAlterConfigs",
            "ListOffsets",
            "OffsetCommit",
            "OffsetForLeaderEpoch",
            "Produce",
        ),
        EVERY_VERSION,
    ),
}
"""The versions of each API whose answers have error codes of topics, groups and the like only, not one of their own."""


def test_the_apis_without_an_error_of_their_own_are_served():
    assert NO_ERROR_OF_ITS_OWN.keys() <= {api.name for api in APIS}


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
def test_every_version_of_an_api_says_what_went_wrong_or_closes_where_it_cannot(broker, api):
    error = KafkaError(ErrorCode.NOT_CONTROLLER, "no")
    for version in range(api.served[0], api.served[1] + 1):
        route = Route(api, version)
        if version in NO_ERROR_OF_ITS_OWN.get(api.name, ()):
            with pytest.raises(ProtocolError, match=f"{api.name} has no place for NOT_CONTROLLER"):
                dispatch._error_reply(route, 7, error, broker.context)
        else:
            reply = dispatch._error_reply(route, 7, error, broker.context)
            frame = reply if isinstance(reply, bytes) else b"".join(reply)
            correlation_id, response = frames.decode_response(route.response_class, frame[4:], version)
            assert (correlation_id, response.error_code) == (7, ErrorCode.NOT_CONTROLLER)


def test_a_handler_knows_whose_request_it_answers(broker):
    request = ApiVersionsRequest(client_software_name="a", client_software_version="1")
    broker.ask(request, 4)
    assert (broker.context.client.id, broker.context.api_version) == ("test", 4)
