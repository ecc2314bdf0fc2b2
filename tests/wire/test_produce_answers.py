"""Ottla refuses the same batches as Apache, with the same code and for the same records, and stores the others."""

from pathlib import Path

import pytest

from ottla.wire.batch import CREATE_TIME, LOG_APPEND_TIME, check_produced, read_header, set_max_timestamp
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError, RecordsRefusedError
from ottla.wire.records import validate_records
from tests.wire.produced_batches import TIME, cases

HOUR_MS = 3_600_000
ANSWERS = {
    (name, topic): answer
    for name, topic, *answer in (
        line.split("\t")
        for line in (Path(__file__).parent / "golden" / "produce-answers.tsv").read_text("utf-8").splitlines()
        if not line.startswith("#")
    )
}

# Apache does not look at the size of a record inside compressed bytes; consumers then fail on the stored batch.
REFUSED_THOUGH_APACHE_STORES = {
    f"codec {codec} record size {size}" for codec in (1, 2, 3, 4) for size in (-(2**31), -1, 0, 16, 18, 2**31 - 1)
}
# Apache answers UNKNOWN_SERVER_ERROR where our reader sees a record that is cut off.
REFUSED_WITH_ANOTHER_CODE = {"codec 0 varint of 6 bytes"}


def answer_to(records: bytes, topic: str) -> list[str]:
    """As the recorder writes it."""
    batch = bytearray(records)
    timestamp_type = LOG_APPEND_TIME if topic == "appended" else CREATE_TIME
    try:
        header = check_produced(memoryview(batch), max_bytes=100 if topic == "small" else 1_048_588)
        del batch[header.size :]
        greatest = validate_records(
            batch,
            timestamp_type=timestamp_type,
            earliest_timestamp=TIME - (2**63 - 1),
            latest_timestamp=TIME + HOUR_MS,
            keys_required=topic == "compacted",
        )
    except RecordsRefusedError as error:
        return [str(int(error.code)), ",".join(str(index) for index, _ in error.record_errors), "", "", ""]
    except KafkaError as error:
        return [str(int(error.code)), "", "", "", ""]
    set_max_timestamp(batch, timestamp_type, greatest)
    check_produced(memoryview(batch))
    header = read_header(batch)
    now = "now" if topic == "appended" else str(header.max_timestamp)
    return ["0", "", str(header.attributes), now, str(header.size)]


@pytest.mark.parametrize(
    ("name", "topic", "records"), [pytest.param(*case, id=f"{case[0]} to {case[1]}") for case in cases()]
)
def test_a_batch_is_answered_as_by_apache(name: str, topic: str, records: bytes) -> None:
    answer = answer_to(records, topic)
    expected = ANSWERS[name, topic]
    if name in REFUSED_THOUGH_APACHE_STORES:
        assert expected[0] == "0"
        assert answer[0] == str(int(ErrorCode.INVALID_RECORD))
    elif name in REFUSED_WITH_ANOTHER_CODE:
        assert expected[0] == str(int(ErrorCode.UNKNOWN_SERVER_ERROR))
        assert answer[0] == str(int(ErrorCode.INVALID_RECORD))
    else:
        assert answer == expected


def test_every_recorded_answer_has_its_case() -> None:
    assert set(ANSWERS) == {(name, topic) for name, topic, _ in cases()}
