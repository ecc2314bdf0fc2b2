"""Every declaration agrees, field by field, with the JSON schemas in Apache's jars.

Versions that Kafka 4 dropped are held to 3.9's schemas, all others to those of the release that is the reference.
"""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ottla.wire.schema import (
    LAST_VERSION,
    MISSING,
    ZERO_UUID,
    ArrayOf,
    Message,
    MetadataRecord,
    Primitive,
    Request,
    Response,
    Struct,
)
from tests.wire.declarations import MESSAGES, first_in_apache_4, pair_id

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # The first run fetches the jars.

SCHEMA = re.compile(r"common/(?:message|metadata)/\w+\.json")
Schemas = dict[str, dict[str, Any]]
Described = dict[str, Any]
WITH_DROPPED_VERSIONS = [message for message in MESSAGES if message.versions[0] < first_in_apache_4(message)]


@pytest.fixture(scope="session")
def schemas(apache_jars: Path) -> Schemas:
    return schemas_in(apache_jars, "kafka-clients-*.jar", "kafka-group-coordinator-4*.jar", "kafka-metadata-*.jar")


@pytest.fixture(scope="session")
def older_schemas(older_apache_jars: Path) -> Schemas:
    return schemas_in(older_apache_jars, "kafka-clients-*.jar")


def schemas_in(folder: Path, *patterns: str) -> Schemas:
    found: Schemas = {}
    for pattern in patterns:
        (path,) = folder.glob(pattern)
        with zipfile.ZipFile(path) as jar:
            for name in jar.namelist():
                if SCHEMA.fullmatch(name):
                    text = re.sub(r"^\s*//.*$", "", jar.read(name).decode(), flags=re.MULTILINE)
                    schema = json.loads(text)
                    found[schema["name"]] = schema
    return found


def version_range(text: str | None) -> tuple[int, int] | None:
    """`2+`, `2-7`, `2` or `none`."""
    if text in {None, "none"}:
        return None
    first, plus, _ = text.partition("+")
    if plus:
        return int(first), LAST_VERSION
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def overlap(one: tuple[int, int] | None, other: tuple[int, int]) -> tuple[int, int] | None:
    if one is None or max(one[0], other[0]) > min(one[1], other[1]):
        return None
    return max(one[0], other[0]), min(one[1], other[1])


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def served_versions(schemas: Schemas, name: str) -> tuple[int, int]:
    """The versions of a schema; its last one may be unstable, which the request's schema says for the response too."""
    found = version_range(schemas[name]["validVersions"])
    assert found is not None
    request = schemas.get(re.sub("Response$", "Request", name), {})
    return (found[0], found[1] - 1) if request.get("latestVersionUnstable") else found


def their_default(field: dict[str, Any]) -> Any:
    kind, given = field["type"], field.get("default")
    if given == "null":
        return None
    if kind.startswith("[]"):
        return []
    if kind == "bool":
        return str(given).lower() == "true"
    if kind == "string":
        return given or ""
    zeros = {"bytes": b"", "uuid": ZERO_UUID, "records": None}
    if kind in zeros:
        return zeros[kind]
    if kind[0].isupper():
        return "defaults"
    return int(str(given or 0), 0)


def theirs(
    fields: list[dict[str, Any]], within: tuple[int, int], common: dict[str, list[dict[str, Any]]]
) -> Iterator[Described]:
    """Describe a schema's fields, each with the versions in which it can really stand on the wire."""
    for field in fields:
        present = overlap(version_range(field["versions"]), within)
        if present is None:
            continue
        array = field["type"].startswith("[]")
        element = field["type"].removeprefix("[]")
        nested = field.get("fields") or common.get(element)
        nullable = overlap(version_range(field.get("nullableVersions")), present)
        assert nullable is None or nullable[1] == present[1]
        yield {
            "name": snake_case(field["name"]),
            "array": array,
            "type": list(theirs(nested, present, common)) if nested else element,
            "versions": present,
            "nullable": nullable[0] if nullable else None,
            "tag": field.get("tag") if overlap(version_range(field.get("taggedVersions")), present) else None,
            "default": their_default(field),
        }


def ours(struct: type[Struct], within: tuple[int, int]) -> Iterator[Described]:
    for field in struct.fields():
        present = overlap((field.since, field.until), within)
        if present is None:
            continue
        array = isinstance(field.type, ArrayOf)
        element = field.type.element if isinstance(field.type, ArrayOf) else field.type
        yield {
            "name": field.name,
            "array": array,
            "type": element.name if isinstance(element, Primitive) else list(ours(element, present)),
            "versions": present,
            "nullable": None
            if field.nullable is None or field.nullable > present[1]
            else max(field.nullable, present[0]),
            "tag": field.tag,
            "default": "defaults" if isinstance(field.default, Struct) else field.default,
        }


def assert_same(mine: list[Described], apache: list[Described], path: str) -> None:
    assert [each["name"] for each in mine] == [each["name"] for each in apache], path
    for my, their in zip(mine, apache, strict=True):
        here = f"{path}.{my['name']}"
        for key in ("array", "versions", "nullable", "tag"):
            assert my[key] == their[key], f"{here}: {key}"
        if isinstance(my["type"], list):
            assert_same(my["type"], their["type"], here)
        else:
            assert my["type"] == their["type"], here


def commons(schema: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {struct["name"]: struct["fields"] for struct in schema.get("commonStructs", [])}


def together(older: list[dict[str, Any]], newer: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fields of two releases; where both have one, it is as the newer has it, and holds what either has in it."""
    found = {field["name"]: field for field in older}
    for field in newer:
        nested = together(found.get(field["name"], {}).get("fields", []), field.get("fields", []))
        found[field["name"]] = {**field, "fields": nested} if nested else field
    return list(found.values())


@pytest.mark.parametrize("message", MESSAGES, ids=pair_id)
def test_names_types_versions_nullability_and_tags_are_apaches(message: type[Message], schemas: Schemas) -> None:
    schema = schemas[message.__name__]
    common = commons(schema)
    kept = (first_in_apache_4(message), message.versions[1])
    assert kept == served_versions(schemas, message.__name__)
    flexible = version_range(schema["flexibleVersions"])
    assert message.flexible == (flexible[0] if flexible else None)
    if issubclass(message, Request | Response):
        assert message.api_key == schema["apiKey"]
        assert schema["type"] == ("request" if issubclass(message, Request) else "response")
    if issubclass(message, MetadataRecord):
        assert message.api_key == schema["apiKey"]
        assert schema["type"] == "metadata"
    assert_same(list(ours(message, kept)), list(theirs(schema["fields"], kept, common)), message.__name__)


@pytest.mark.parametrize("message", WITH_DROPPED_VERSIONS, ids=pair_id)
def test_versions_that_kafka_4_dropped_are_as_3_9_had_them(message: type[Message], older_schemas: Schemas) -> None:
    schema = older_schemas[message.__name__]
    dropped = (message.versions[0], first_in_apache_4(message) - 1)
    assert served_versions(older_schemas, message.__name__)[0] == dropped[0]
    flexible = version_range(schema["flexibleVersions"])
    assert flexible is None or flexible[0] > dropped[1]
    their = list(theirs(schema["fields"], dropped, commons(schema)))
    assert_same(list(ours(message, dropped)), their, message.__name__)


@pytest.mark.parametrize("message", MESSAGES, ids=pair_id)
def test_every_field_stands_in_a_version(message: type[Message]) -> None:
    def check(struct: type[Struct], within: tuple[int, int]) -> None:
        for field in struct.fields():
            present = overlap((field.since, field.until), within)
            assert present is not None, f"{struct.__qualname__}.{field.name}"
            element = field.type.element if isinstance(field.type, ArrayOf) else field.type
            if not isinstance(element, Primitive):
                check(element, present)

    check(message, message.versions)


@pytest.mark.parametrize("message", MESSAGES, ids=pair_id)
def test_defaults_are_apaches_and_stand_where_a_version_lacks_the_field(
    message: type[Message], schemas: Schemas, older_schemas: Schemas
) -> None:
    schema = schemas[message.__name__]
    older = older_schemas[message.__name__] if message in WITH_DROPPED_VERSIONS else {"fields": []}
    common = commons(schema)

    def compare(struct: type[Struct], fields: list[dict[str, Any]], within: tuple[int, int]) -> None:
        by_name = {snake_case(field["name"]): field for field in fields}
        for field in struct.fields():
            here = f"{struct.__qualname__}.{field.name}"
            their = by_name[field.name]
            element = field.type.element if isinstance(field.type, ArrayOf) else field.type
            present = overlap((field.since, field.until), within)
            assert present is not None
            declared = struct._declared[1][field.name].default is not MISSING
            if "default" in their or present != within or field.tag is not None:
                assert declared, f"{here} needs a default"
            if declared:
                default = "defaults" if isinstance(field.default, Struct) else field.default
                assert default == their_default(their), here
            if not isinstance(element, Primitive):
                nested = their.get("fields") or common[their["type"].removeprefix("[]")]
                compare(element, nested, present)

    compare(message, together(older["fields"], schema["fields"]), message.versions)
