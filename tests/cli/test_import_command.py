"""`ottla import`: what it says, and what it leaves behind. What it takes over is in tests/takeover/test_examine.py."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ottla.cli import main
from tests.stage.apache.metadata import CLUSTER_ID, apache_folder, topic


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["import", *map(str, words)])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return apache_folder(tmp_path / "kafka", topic("a", retention_ms="1000"), "a-0", node_id=1)


def test_a_dry_run_shows_what_there_is_and_writes_nothing(root):
    before = sorted(root.rglob("*"))
    result = run(root, "--dry-run")
    assert result.exit_code == 0
    assert f"Cluster {CLUSTER_ID}, node 1: 1 topics, 1 partitions" in result.output
    assert "retention.ms=1000" in result.output
    assert "Done" not in result.output
    assert sorted(root.rglob("*")) == sorted([*before, root / ".lock"])


def test_the_folder_itself_becomes_ottlas(root):
    result = run(root)
    assert result.output.endswith(f"Done. Serve it with: ottla serve --data-dir {root}\n")
    assert (root / "catalog.sqlite").exists()


def test_a_copy_is_made_where_it_is_asked_for(root, tmp_path):
    result = run(root, "--to", tmp_path / "ottla")
    assert result.output.endswith(f"ottla serve --data-dir {tmp_path / 'ottla'}\n")
    assert (tmp_path / "ottla" / "catalog.sqlite").exists()
    assert not (root / "catalog.sqlite").exists()


def test_another_node_id_is_part_of_the_command_to_serve_it(tmp_path):
    root = apache_folder(tmp_path / "kafka", topic("a", replicas=[7]), "a-0", node_id=7)
    assert "--config node.id=7" in run(root).output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["one", "two"], "several DIRs need --to"),
        (["no-such-folder"], "There is no folder no-such-folder."),
        ([], "Missing argument 'DIR...'"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(words, sentence):
    result = run(*words)
    assert result.exit_code != 0
    assert sentence in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_refusal_says_why_and_leaves_the_folder_as_it_was(tmp_path):
    root = apache_folder(tmp_path / "kafka", topic("a", replicas=[2]))
    result = run(root)
    assert result.exit_code == 1
    assert "not on this broker (1), only on 2" in result.output
    assert not (root / "catalog.sqlite").exists()
