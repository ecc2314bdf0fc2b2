"""The files that say whose data this is: as Apache writes them, and refused where they say something else."""

from pathlib import Path

import pytest

from ottla.storage.files.identity import (
    Identity,
    IdentityError,
    read_identity,
    read_partition_metadata,
    uuid_from_text,
    uuid_to_text,
    write_identity,
    write_partition_metadata,
)
from ottla.storage.files.real import RealFiles

FILES = RealFiles(durable=False)
ID = bytes(range(16))


def test_an_identity_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_identity(FILES, tmp_path) is None
    identity = Identity(cluster_id="cluster", node_id=3, directory_id="directory")
    write_identity(FILES, tmp_path, identity)
    assert read_identity(FILES, tmp_path) == identity


def test_apaches_comments_and_other_properties_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "meta.properties").write_text(
        "#\n#Mon Jan 01 00:00:00 UTC 2024\nnode.id = 1\nversion=1\nmore=x\ndirectory.id=d\ncluster.id=c\n"
    )
    assert read_identity(FILES, tmp_path) == Identity("c", 1, "d")


@pytest.mark.parametrize(
    "content", ["version=2\n", "version=1\ncluster.id=c\ndirectory.id=d\nnode.id=x\n", "version=1\n"]
)
def test_an_identity_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "meta.properties").write_text(content)
    with pytest.raises(IdentityError, match=r"meta\.properties"):
        read_identity(FILES, tmp_path)


def test_a_logs_folder_names_its_topic(tmp_path: Path) -> None:
    assert read_partition_metadata(FILES, tmp_path) is None
    write_partition_metadata(FILES, tmp_path, ID)
    assert (tmp_path / "partition.metadata").read_text() == "version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw"
    assert read_partition_metadata(FILES, tmp_path) == ID
    (tmp_path / "partition.metadata").write_text("version: 0\ntopic_id: nonsense")
    assert read_partition_metadata(FILES, tmp_path) is None


def test_a_uuid_has_22_characters() -> None:
    assert uuid_from_text(uuid_to_text(ID)) == ID
    for text in ("", "AAECAwQFBgcICQoLDA0OD", "AAECAwQFBgcICQoLDA0ODw!", "AAECAwQFBgcICQoLDA0ODwAA"):
        with pytest.raises(ValueError, match="is not a UUID"):
            uuid_from_text(text)
