"""kio reads the same fields from our bytes, writes the same bytes, and we read those."""

import dataclasses
import datetime
import io
import re
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kio.index import load_entity_schema, load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer
from kio.static.constants import EntityType

from ottla.wire.schema import ZERO_UUID, ArrayOf, Field, Message, Request, Response, Struct
from tests.wire.declarations import MESSAGES, fields_in, kept_pairs, pair_id, plain
from tests.wire.values import structs

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MILLISECOND = datetime.timedelta(milliseconds=1)
THEIRS = tuple(each for each in MESSAGES if not each.__module__.endswith(("group_records", "metadata_records")))


def their_class(message: type[Message], version: int) -> Any:
    if issubclass(message, Request):
        return load_request_schema(message.api_key, version)
    if issubclass(message, Response):
        return load_response_schema(message.api_key, version)
    return load_entity_schema(re.sub(r"(?<!^)(?=[A-Z])", "_", message.__name__).lower(), version, EntityType.data)


def plain_theirs(value: Any, struct: type[Struct], version: int) -> list[Any]:
    """A message of kio as `plain` makes it of ours."""
    fields = dataclasses.fields(value)
    return [
        plain_value(getattr(value, their.name), our, version)
        for their, our in zip(fields, fields_in(struct, version), strict=True)
    ]


def plain_value(value: Any, our: Field, version: int) -> Any:
    type_ = our.type.element if isinstance(our.type, ArrayOf) else our.type
    match value:
        case tuple():
            return [plain_value(each, our, version) for each in value]
        case datetime.timedelta():
            return value // MILLISECOND
        case datetime.datetime():
            return (value - EPOCH) // MILLISECOND
        case uuid.UUID():
            return value.bytes
        case None if not isinstance(type_, type):
            # No date is -1 in Kafka's words, no id is all zeros.
            return {"int64": -1, "uuid": ZERO_UUID}.get(type_.name)
        case None:
            return None
    if isinstance(type_, type):
        return plain_theirs(value, type_, version)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


@pytest.mark.slow
@pytest.mark.parametrize(("message", "version"), kept_pairs(THEIRS), ids=pair_id)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_kio_reads_our_fields_and_writes_our_bytes(message: type[Message], version: int, data: st.DataObject) -> None:
    ours = data.draw(structs(message, version))
    encoded = ours.encode(version)
    their_type = their_class(message, version)
    theirs, size = entity_reader(their_type)(encoded, 0)
    assert size == len(encoded)
    assert plain_theirs(theirs, message, version) == plain(ours, version)
    buffer = io.BytesIO()
    entity_writer(their_type)(buffer, theirs)
    assert buffer.getvalue() == encoded
    assert message.decode(buffer.getvalue(), version) == ours
