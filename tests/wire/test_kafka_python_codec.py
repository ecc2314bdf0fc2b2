"""kafka-python reads the same fields from our bytes, writes the same bytes, and we read those."""

import importlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.protocol.api_data import ApiData
from kafka.protocol.schemas.fields.codecs import BitField

from ottla.wire.messages.core import ApiVersionsResponse
from ottla.wire.schema import ZERO_UUID, ArrayOf, Field, Message, Primitive, Struct
from tests.wire.declarations import MESSAGES, fields_in, kept_pairs, pair_id, plain
from tests.wire.values import structs

PACKAGES = ("admin", "consumer", "metadata", "producer", "sasl")
# Clients need no records of the broker's own topics; some APIs nobody has asked for in Python.
LACKING = ("AddRaftVoter", "RemoveRaftVoter", "UnregisterBroker", "DelegationToken", "Telemetry")
THEIRS = tuple(
    each
    for each in MESSAGES
    if not each.__module__.endswith(("group_records", "metadata_records"))
    and not any(name in each.__name__ for name in LACKING)
)


def their_class(message: type[Message]) -> Any:
    for package in PACKAGES:
        module = importlib.import_module(f"kafka.protocol.{package}")
        if hasattr(module, message.__name__):
            return getattr(module, message.__name__)
    raise LookupError(message.__name__)


def plain_theirs(value: Any, struct: type[Struct], version: int) -> list[Any]:
    """A message of kafka-python as `plain` makes it of ours."""
    fields = [field for field in value._struct._fields if field.for_version_q(version)]
    return [
        plain_value(getattr(value, their.name), their, our, version)
        for their, our in zip(fields, fields_in(struct, version), strict=True)
    ]


def plain_value(value: Any, their: Any, our: Field, version: int) -> Any:
    if getattr(their, "_type", None) is BitField:
        # A set of bits there, where Apache's "not asked for" is None.
        bits = BitField.to_32_bit_field({31} if value is None else value)
        return bits - 2**32 if bits >= 2**31 else bits
    type_ = our.type.element if isinstance(our.type, ArrayOf) else our.type
    if isinstance(type_, Primitive):
        if type_.name == "uuid":
            return ZERO_UUID if value is None else value.bytes
        return bytes(value) if isinstance(value, memoryview) else value
    if value is None:
        return plain(our.default, version) if our.tag is not None else None
    if isinstance(our.type, ArrayOf):
        return [plain_theirs(each, type_, version) for each in value]
    return plain_theirs(value, type_, version)


@pytest.mark.slow
@pytest.mark.parametrize(("message", "version"), kept_pairs(THEIRS), ids=pair_id)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_kafka_python_reads_our_fields_and_writes_our_bytes(
    message: type[Message], version: int, data: st.DataObject
) -> None:
    ours = data.draw(structs(message, version))
    if isinstance(ours, ApiVersionsResponse):
        ours.error_code = 0  # With an error, a client reads the answer as version 0 (KIP-511).
    encoded = ours.encode(version)
    their_type = their_class(message)
    options = {"header": False} if issubclass(their_type, ApiData) else {}
    theirs = their_type.decode(encoded, version=version, **options)
    theirs._header = None  # Its own encoding asks for it, and its own decoding leaves it away.
    assert plain_theirs(theirs, message, version) == plain(ours, version)
    written = theirs.encode(version=version, **options)
    assert written == encoded
    assert message.decode(written, version) == ours
