"""The catalog in a SQLite file: memory never runs ahead of it, and a file that is none is refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ottla.storage.catalog import CatalogError, PartitionState, Topic
from ottla.storage.catalogs.sqlite import FILE_NAME, SqliteCatalog
from ottla.storage.files.identity import uuid_to_text
from ottla.wire.errors import KafkaError


def topic(name: str, number: int) -> Topic:
    return Topic(name=name, id=bytes([number]) * 16, partitions=(PartitionState((1,), (1,), 1),))


def test_memory_does_not_change_when_the_file_cannot_be_written(tmp_path: Path) -> None:
    with closing(SqliteCatalog(tmp_path / FILE_NAME, cluster_id="cluster")) as catalog:
        catalog.create_topics([topic("a", 1)])
        other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        other.execute("ALTER TABLE topics RENAME TO elsewhere")
        with pytest.raises(KafkaError, match="KAFKA_STORAGE_ERROR: The catalog cannot be written"):
            catalog.create_topics([topic("b", 2)])
        assert list(catalog.topics) == ["a"]
        assert catalog.metadata_offset == 1
        other.execute("ALTER TABLE elsewhere RENAME TO topics")
        other.close()
        catalog.create_topics([topic("b", 2)])
        assert catalog.metadata_offset == 2


def test_a_catalog_of_another_cluster_or_version_is_refused(tmp_path: Path) -> None:
    SqliteCatalog(tmp_path / FILE_NAME, cluster_id="cluster").close()
    with pytest.raises(CatalogError, match="is of cluster cluster, not of cluster other"):
        SqliteCatalog(tmp_path / FILE_NAME, cluster_id="other")
    database = sqlite3.connect(tmp_path / FILE_NAME)
    database.execute("UPDATE facts SET value = 99 WHERE name = 'schema_version'")
    database.commit()
    database.close()
    with pytest.raises(CatalogError, match="has version 99"):
        SqliteCatalog(tmp_path / FILE_NAME, cluster_id="cluster")


def test_a_file_that_is_no_catalog_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database" * 100)
    with pytest.raises(CatalogError, match="cannot be opened"):
        SqliteCatalog(tmp_path / FILE_NAME, cluster_id=uuid_to_text(bytes(16)))
