"""The comparison with Apache: that it would notice."""

import socket
from collections.abc import Iterator

import pytest

from compat.apache.agreement import Difference, differences
from compat.apache.base import FIXED, Base
from compat.apache.cases import FAMILIES
from compat.apache.comparison import Comparison, variants
from compat.apache.connection import CLOSED, SILENT, Connection
from compat.apache.known import KNOWN
from compat.apache.mutations import mutations
from compat.apache.sequence import Ask, Sequence, Steps
from compat.apache.sequences import SEQUENCES
from compat.apache.sequences.topic_reads import fetch
from compat.apache.sequences.topics import create
from compat.apache.side import Side
from ottla.broker.apis import APIS
from ottla.testing import Ottla
from ottla.wire import frames
from ottla.wire.messages.core import ApiVersionsResponse, MetadataRequest, MetadataResponse
from ottla.wire.messages.fetch import FetchRequest
from ottla.wire.messages.topics import CreateTopicsResponse, DeleteTopicsRequest
from ottla.wire.schema import Response

APACHE = Side("Apache", 0, topic_names={b"a" * 16: "known"})
OTTLA = Side("Ottla", 0, topic_names={b"o" * 16: "known"})


def compare(api: str, apache: Response | str, ottla: Response | str, version: int = 7) -> list[Difference]:
    return differences(api, version, (APACHE, apache), (OTTLA, ottla))


def created(*, code: int = 0, message: str | None = None) -> CreateTopicsResponse:
    topic = CreateTopicsResponse.Topic(name="known", topic_id=b"a" * 16, error_code=code, error_message=message)
    return CreateTopicsResponse(topics=[topic])


def metadata(*ids: bytes, port: int = 1) -> MetadataResponse:
    brokers = [MetadataResponse.Broker(node_id=1, host="somewhere", port=port)]
    topics = [MetadataResponse.Topic(name=each.hex(), topic_id=each, partitions=[]) for each in ids]
    return MetadataResponse(brokers=brokers, topics=topics)


def test_another_error_code_is_a_difference() -> None:
    assert compare("CreateTopics", created(code=36), created(code=37)) == [
        Difference("topics.0.error_code", 36, 37),
    ]


def test_another_text_is_none_but_no_text_is() -> None:
    assert compare("CreateTopics", created(message="this"), created(message="that")) == []
    assert compare("CreateTopics", created(message="this"), created()) != []


def test_a_missing_entry_is_a_difference() -> None:
    assert compare("Metadata", metadata(b"x" * 16, b"y" * 16), metadata(b"x" * 16), 12) != []


def test_the_order_of_entries_and_the_address_mean_nothing() -> None:
    first, second = b"x" * 16, b"y" * 16
    assert compare("Metadata", metadata(first, second), metadata(second, first, port=2), 12) == []


def test_ids_are_compared_by_the_names_of_what_they_stand_for() -> None:
    ours, theirs = metadata(b"o" * 16), metadata(b"a" * 16)
    ours.topics[0].name = theirs.topics[0].name = "known"
    assert compare("Metadata", theirs, ours, 12) == []
    assert compare("Metadata", theirs, theirs, 12) != []


def test_no_answer_is_not_a_closed_connection() -> None:
    assert compare("Metadata", SILENT, CLOSED) == [Difference("", SILENT, CLOSED)]


def test_every_field_of_a_version_is_changed() -> None:
    request = DeleteTopicsRequest(topics=[DeleteTopicsRequest.Topic(name="n", topic_id=b"i" * 16)], timeout_ms=1)
    changed = {mutation.path for mutation in mutations(request, 6)}
    assert changed == {("topics",), ("topics", 0, "name"), ("topics", 0, "topic_id"), ("timeout_ms",)}
    assert {mutation.path for mutation in mutations(request, 5)} == {("topic_names",), ("timeout_ms",)}


def test_every_api_that_is_served_is_compared() -> None:
    bases = [base for family in FAMILIES for base in family.BASES]
    names = {base.name.split(",")[0].split()[0] for base in bases}
    assert names == {api.name for api in APIS}
    assert sum(1 for base in bases for _ in variants(base)) > 10_000


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.api} {known.case}")
def test_what_is_known_to_differ_names_an_api_that_is_served(known) -> None:
    assert known.api in {api.name for api in APIS}
    assert known.reason
    assert "*" not in known.paths


def test_an_api_may_be_missing_that_is_not_served_yet_but_versions_must_agree() -> None:
    def versions(**known: tuple[int, int]) -> ApiVersionsResponse:
        Api = ApiVersionsResponse.ApiVersion  # noqa: N806
        keys = [Api(api_key=int(key[1:]), min_version=least, max_version=most) for key, (least, most) in known.items()]
        return ApiVersionsResponse(api_keys=keys)

    apache = versions(_1=(4, 18), _76=(1, 1))
    assert compare("ApiVersions", apache, versions(_1=(4, 18)), 3) == []
    assert compare("ApiVersions", apache, versions(_1=(4, 17)), 3) == [Difference("api_keys.0.max_version", 18, 17)]
    assert compare("ApiVersions", apache, versions(_1=(4, 18), _77=(1, 1)), 3) != []


def test_a_throttle_time_may_be_another_but_not_none() -> None:
    def throttled(milliseconds: int) -> CreateTopicsResponse:
        return CreateTopicsResponse(throttle_time_ms=milliseconds, topics=[])

    assert compare("CreateTopics", throttled(5), throttled(7)) == []
    assert compare("CreateTopics", throttled(5), throttled(0)) != []


def test_silence_is_no_answer_until_there_is_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = Connection(server.getsockname()[1], "somebody")
        connection.send(MetadataRequest(topics=None), 1)
        theirs, _ = server.accept()
        assert connection.receive(0) is SILENT
        body = MetadataResponse(brokers=[], topics=[]).encode(1)
        frame = frames.encode_response(1, body, flexible=False)
        theirs.sendall(frame[:7])
        assert connection.receive(0) is SILENT
        assert not connection.usable
        theirs.sendall(frame[7:])
        answer = connection.receive(5)
        assert isinstance(answer, MetadataResponse)
        assert connection.usable
        connection.send(MetadataRequest(topics=None), 1)
        theirs.close()
        assert connection.receive(5) is CLOSED
        assert not connection.usable
        connection.close()


@pytest.fixture
def two_brokers() -> Iterator[Comparison]:
    """Two of the same kind: whatever they are asked, they agree."""
    with Ottla(node_id=1) as one, Ottla(node_id=1) as other:
        comparison = Comparison(Side("one", one.port), Side("other", other.port), seed=1, part=1.0)
        comparison.prepare()
        yield comparison
        for side in comparison.sides:
            side.close()


@pytest.mark.slow
def test_a_sequence_leads_both_brokers_to_the_same_answers(two_brokers: Comparison) -> None:
    chosen = [each for each in SEQUENCES if each.name in {"two members", "a fetch session", "a topic's life"}]
    for sequence in chosen:
        two_brokers.follow(sequence)
    assert two_brokers.scores.steps == {"two members": 22, "a fetch session": 20, "a topic's life": 24}
    assert not two_brokers.scores.failed


@pytest.mark.slow
def test_a_sequence_in_which_one_broker_answers_otherwise_is_noticed(two_brokers: Comparison) -> None:
    def steps(side: Side) -> Steps:
        yield Ask(create(side, f"topic-of-{side.name}"))

    two_brokers.follow(Sequence("one and another", steps))
    assert two_brokers.scores.total.differ == 1

    def impossible(side: Side) -> Steps:
        side.ask(DeleteTopicsRequest(timeout_ms=1), 77)
        yield Ask(MetadataRequest(topics=None))

    two_brokers.follow(Sequence("what cannot be asked", impossible))
    assert two_brokers.scores.broken == 1
    assert two_brokers.scores.failed


@pytest.mark.slow
def test_who_answers_late_is_waited_for_beside_the_next_case(two_brokers: Comparison) -> None:
    fetch = Base("Fetch, slowly", lambda side: waiting_fetch(side, 700))
    metadata = Base("Metadata by name", lambda _: MetadataRequest(topics=[MetadataRequest.Topic(name=FIXED)]))
    two_brokers.compare(fetch, 12, None)
    two_brokers.compare(metadata, 12, None)
    assert two_brokers.scores.total.cases == 1
    two_brokers.wait_for_all()
    assert (two_brokers.scores.total.agree, two_brokers.scores.unanswered) == (2, 0)


def waiting_fetch(side: Side, max_wait_ms: int) -> FetchRequest:
    request = fetch(side, {FIXED: {1: 0}})
    request.max_wait_ms = max_wait_ms
    return request


def test_every_sequence_has_a_name_of_its_own_and_there_are_some_for_each_subject() -> None:
    names = [told.name for each in SEQUENCES for told in each.told()]
    assert len(names) == len(set(names)) >= 40
