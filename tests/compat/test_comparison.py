"""The comparison with Apache: that it would notice."""

import pytest

from compat.apache.agreement import Difference, differences
from compat.apache.cases import FAMILIES
from compat.apache.comparison import variants
from compat.apache.connection import CLOSED, SILENT
from compat.apache.known import KNOWN
from compat.apache.mutations import mutations
from compat.apache.side import Side
from ottla.broker.apis import APIS
from ottla.wire.messages.core import MetadataResponse
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
