"""Apache's generated Java classes read what we write, and write the same bytes: one JVM run for all versions.

And another one, with 3.9's classes, for the versions that Kafka 4 dropped.
"""

import struct
import subprocess
from pathlib import Path

import pytest

from ottla.wire.schema import Message, MetadataRecord, Request, Response
from tests.wire.declarations import is_dropped, kept_pairs, pair_id, pairs
from tests.wire.values import samples

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # The first run fetches the jars.

SOURCE = Path(__file__).parent / "java" / "RoundTrip.java"
Answers = dict[tuple[str, int], list[tuple[bytes, bytes | str]]]


def class_name(message: type[Message]) -> str:
    if issubclass(message, Request | Response):
        return f"org.apache.kafka.common.message.{message.__name__}Data"
    if issubclass(message, MetadataRecord):
        return f"org.apache.kafka.common.metadata.{message.__name__}"
    package = "coordinator.group.generated" if message.__module__.endswith("group_records") else "common.message"
    return f"org.apache.kafka.{package}.{message.__name__}"


def encodings(message: type[Message], version: int) -> list[bytes]:
    """The fullest and the barest message, and one with a tag that Apache does not know."""
    found = [sample.encode(version) for sample in samples(message, version)]
    if message.is_flexible(version):
        tagged = samples(message, version)[0]
        tagged.unknown_tags = {1000: b"later"}
        found.append(tagged.encode(version))
    return found


@pytest.fixture(scope="session")
def answers(apache_jars: Path, older_apache_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Return the answer of Apache's classes to each encoding: bytes, or the sentence of their exception."""
    dropped = [pair for pair in pairs() if is_dropped(*pair)]
    return round_trips(apache_jars, kept_pairs(), tmp_path_factory.mktemp("classes")) | round_trips(
        older_apache_jars, dropped, tmp_path_factory.mktemp("older-classes")
    )


def round_trips(apache_jars: Path, asked_pairs: list[tuple[type[Message], int]], classes: Path) -> Answers:
    subprocess.run(["javac", "-cp", f"{apache_jars}/*", "-d", classes, SOURCE], check=True)
    asked = [(message, version, each) for message, version in asked_pairs for each in encodings(message, version)]
    questions = bytearray()
    for message, version, encoded in asked:
        name = class_name(message).encode()
        questions += struct.pack(f">H{len(name)}shi", len(name), name, version, len(encoded)) + encoded
    java = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{classes}:{apache_jars}/*", "RoundTrip"]
    output = subprocess.run(java, input=bytes(questions), check=True, capture_output=True).stdout
    found: Answers = {}
    position = 0
    for message, version, encoded in asked:
        (length,) = struct.unpack_from(">i", output, position)
        position += 4
        if length < 0:
            (size,) = struct.unpack_from(">H", output, position)
            answer: bytes | str = output[position + 2 : position + 2 + size].decode()
            position += 2 + size
        else:
            answer = output[position : position + length]
            position += length
        found.setdefault((message.__name__, version), []).append((encoded, answer))
    assert position == len(output)
    return found


@pytest.mark.parametrize(("message", "version"), pairs(), ids=pair_id)
def test_apaches_classes_read_our_bytes_and_write_them_back(
    message: type[Message], version: int, answers: Answers
) -> None:
    for encoded, answer in answers[message.__name__, version]:
        assert answer == encoded
