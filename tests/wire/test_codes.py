"""Our error codes and APIs are Apache's."""

from pathlib import Path

from ottla.wire.codes import ApiKey, ErrorCode
from ottla.wire.errors import KafkaError, RecordsRefusedError

APACHE = [
    line.split("\t")
    for line in (Path(__file__).parent / "golden" / "apache-codes.tsv").read_text("utf-8").splitlines()
    if not line.startswith("#")
]


def test_error_codes_are_apaches() -> None:
    theirs = {(name, int(code), kind == "retriable") for row, code, name, kind in APACHE if row == "error"}
    assert {(code.name, code.value, code.retriable) for code in ErrorCode} == theirs


def test_api_keys_are_among_apaches() -> None:
    theirs = {(name, int(key)) for row, key, name, _ in APACHE if row == "api"}
    ours = {(key.name, key.value) for key in ApiKey}
    assert ours <= theirs
    # The others are for controllers and between brokers.
    assert sorted(key for _, key in theirs - ours) == [4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82]


def test_an_error_says_its_code_and_message() -> None:
    assert str(KafkaError(ErrorCode.INVALID_RECORD)) == "INVALID_RECORD"
    assert str(KafkaError(ErrorCode.INVALID_RECORD, "no key")) == "INVALID_RECORD: no key"
    refused = RecordsRefusedError(ErrorCode.INVALID_RECORD, [(3, "no key"), (4, "no key")])
    assert refused.record_errors[1] == (4, "no key")
    assert "no key" in str(refused)
