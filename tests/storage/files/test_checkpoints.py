"""Apache's small text files: what is written is read again, and a damaged one is passed over with a warning."""

from pathlib import Path

import pytest

from ottla.storage.files.checkpoints import OffsetCheckpoint, read_lines, write_lines
from ottla.storage.files.real import RealFiles

FILES = RealFiles(durable=False)


def test_the_file_is_one_that_apache_reads(tmp_path: Path) -> None:
    checkpoint = OffsetCheckpoint(FILES, tmp_path / "recovery-point-offset-checkpoint")
    checkpoint.writing({("topic-a", 0): 7, ("topic-a", 11): 0}, sync=False)()
    assert (tmp_path / "recovery-point-offset-checkpoint").read_text() == "0\n2\ntopic-a 0 7\ntopic-a 11 0\n"
    assert checkpoint.read() == {("topic-a", 0): 7, ("topic-a", 11): 0}


def test_there_may_be_no_file_and_no_entry(tmp_path: Path) -> None:
    assert read_lines(FILES, tmp_path / "file") is None
    write_lines(FILES, tmp_path / "file", [], sync=False)
    assert read_lines(FILES, tmp_path / "file") == []


@pytest.mark.parametrize(
    "content", ["", "0\n", "0\n2\na 0 1\n", "0\n1\na 0 1", "1\n1\na 0 1\n", "0\nx\na 0 1\n", "0\n1\na 0 x\n", "\0" * 30]
)
def test_a_damaged_file_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str) -> None:
    (tmp_path / "file").write_text(content)
    assert OffsetCheckpoint(FILES, tmp_path / "file").read() is None
    assert "is damaged" in caplog.text


def test_line_ends_of_windows_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0\r\n1\r\na 0 5\r\n")
    assert OffsetCheckpoint(FILES, tmp_path / "file").read() == {("a", 0): 5}


def test_of_two_that_were_asked_for_the_later_stays_whichever_is_written_first(tmp_path: Path) -> None:
    checkpoint = OffsetCheckpoint(FILES, tmp_path / "file")
    first = checkpoint.writing({("a", 0): 1}, sync=False)
    second = checkpoint.writing({("a", 0): 2}, sync=False)
    second()
    first()
    assert checkpoint.read() == {("a", 0): 2}
