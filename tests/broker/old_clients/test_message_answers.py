"""Ottla refuses the same messages of old producers as Apache 3.9.1, with the same code, and stores the others."""

from pathlib import Path

import pytest

from ottla.wire.batch import read_header
from tests.stage.clients import fetch_request, new_topic, produce
from tests.wire.produced_messages import TOPICS, cases

# Where a batch is too short for its header, or lies in a wrapper, Apache runs into the end of its buffer and answers
# UNKNOWN_SERVER_ERROR; and at the least of all timestamps, its "now - timestamp" goes round: INVALID_TIMESTAMP.
REFUSED_WITH_ANOTHER_CODE = ("magic 2", "a batch inside", "time -9223372036854775808")
GOLDEN = Path(__file__).parents[2] / "wire" / "golden" / "message-answers.tsv"


def answers_of_apache(topic):
    lines = [line.split("\t") for line in GOLDEN.read_text("utf-8").splitlines() if not line.startswith("#")]
    return {(name, version): answer for name, to, version, *answer in lines if to == topic}


def answer_to(broker, topic, version, records):
    """Write an answer as the recorder writes it."""
    answer = produce(broker, records, topic=topic, version=version)
    if answer.error_code or answer.base_offset < 0:
        return [str(int(answer.error_code)), "", "", ""]
    fetched = broker.ask(fetch_request((topic, 0, answer.base_offset)), 12)
    header = read_header(bytes(fetched.responses[0].partitions[0].records))
    time = "now" if topic == "appended" else str(header.max_timestamp)
    return ["0", str(header.attributes), str(header.record_count), time]


def differs(case):
    name, _ = case
    return any(words in name for words in REFUSED_WITH_ANOTHER_CODE)


@pytest.mark.parametrize("topic", TOPICS)
def test_old_messages_are_answered_as_by_apache(broker, topic):
    new_topic(broker, topic, **{name.replace(".", "_"): value for name, value in TOPICS[topic].items()})
    answers = {
        (name, str(version)): answer_to(broker, to, version, records)
        for name, to, version, records in cases()
        if to == topic
    }
    apaches = answers_of_apache(topic)
    assert answers.keys() == apaches.keys()
    assert {case: answer for case, answer in answers.items() if not (differs(case) and answer[0] != "0")} == {
        case: answer for case, answer in apaches.items() if not (differs(case) and answer[0] != "0")
    }
