"""The catalog: what it keeps, and that memory never runs ahead of the file."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ottla.storage.catalog import FILE_NAME, Catalog, CatalogError, PartitionState, Topic
from ottla.storage.files.identity import uuid_to_text
from ottla.wire.errors import KafkaError

ONE = PartitionState(replicas=(1,), isr=(1,), leader=1, leader_epoch=4)


def topic(name: str, number: int, partitions: int = 1) -> Topic:
    return Topic(name=name, id=bytes([number]) * 16, partitions=(ONE,) * partitions)


@contextmanager
def opened(folder: Path, cluster_id: str = "cluster") -> Iterator[Catalog]:
    catalog = Catalog(folder / FILE_NAME, cluster_id=cluster_id)
    try:
        yield catalog
    finally:
        catalog.close()


def test_topics_are_found_by_name_and_id_also_after_a_restart(tmp_path: Path) -> None:
    orders = Topic(name="orders", id=b"1" * 16, partitions=(ONE, ONE), configs={"retention.ms": "1"})
    with opened(tmp_path) as catalog:
        catalog.create_topics([orders, topic("users", 2)])
        assert catalog.metadata_offset == 1
    with opened(tmp_path) as catalog:
        assert catalog.topics["orders"] == catalog.topics_by_id[b"1" * 16] == orders
        assert list(catalog.topics) == ["orders", "users"]
        assert catalog.topics["orders"].partitions[1].leader_epoch == 4
        assert catalog.metadata_offset == 1


def test_a_name_or_id_that_is_taken_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with opened(tmp_path) as catalog:
        catalog.create_topics([topic("a", 1)])
        for clash in (topic("a", 2), topic("b", 1)):
            with pytest.raises(ValueError, match="already"):
                catalog.create_topics([topic("c", 3), clash])
        assert list(catalog.topics) == ["a"]
        assert catalog.metadata_offset == 1


def test_a_topic_is_replaced_whole(tmp_path: Path) -> None:
    with opened(tmp_path) as catalog:
        catalog.create_topics([topic("a", 1)])
        moved = ONE._replace(leader_epoch=5, isr=())
        changed = replace(catalog.topics["a"], partitions=(moved, ONE), configs={"cleanup.policy": "compact"})
        catalog.replace_topics([changed])
        assert catalog.topics["a"] == changed
    with opened(tmp_path) as catalog:
        assert catalog.topics["a"] == changed
        with pytest.raises(KeyError):
            catalog.replace_topics([topic("b", 2)])


def test_a_deleted_topics_name_is_free(tmp_path: Path) -> None:
    with opened(tmp_path) as catalog:
        catalog.create_topics([topic("a", 1)])
        catalog.delete_topics([bytes([1]) * 16])
        assert not catalog.topics
        assert not catalog.topics_by_id
        catalog.create_topics([topic("a", 2)])
        with pytest.raises(KeyError):
            catalog.delete_topics([bytes([1]) * 16])
    with opened(tmp_path) as catalog:
        assert catalog.topics["a"].id == bytes([2]) * 16


def test_the_metadata_offset_only_grows(tmp_path: Path) -> None:
    seen = []
    with opened(tmp_path) as catalog:
        catalog.create_topics([topic("a", 1)])
        seen.append(catalog.metadata_offset)
        catalog.replace_configs(4, "1", {"num.partitions": "3"})
        seen.append(catalog.metadata_offset)
    with opened(tmp_path) as catalog:
        catalog.allocate_producer_ids()
        catalog.delete_topics([bytes([1]) * 16])
        seen.append(catalog.metadata_offset)
        assert seen == [1, 2, 4]
        assert catalog.metadata_offset == 4


def test_configs_of_other_resources_are_kept(tmp_path: Path) -> None:
    with opened(tmp_path) as catalog:
        assert dict(catalog.configs(4, "")) == {}
        catalog.replace_configs(4, "", {"log.retention.ms": "5", "a": "b"})
        catalog.replace_configs(4, "", {"log.retention.ms": "6"})
    with opened(tmp_path) as catalog:
        assert dict(catalog.configs(4, "")) == {"log.retention.ms": "6"}
        assert dict(catalog.configs(32, "")) == {}


def test_producer_ids_are_never_given_twice(tmp_path: Path) -> None:
    with opened(tmp_path) as catalog:
        assert catalog.allocate_producer_ids() == range(1000)
        assert catalog.allocate_producer_ids(10) == range(1000, 1010)
    with opened(tmp_path) as catalog:
        assert catalog.allocate_producer_ids() == range(1010, 2010)


def test_memory_does_not_change_when_the_file_cannot_be_written(tmp_path: Path) -> None:
    with opened(tmp_path) as catalog:
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
    opened(tmp_path).__enter__().close()
    with pytest.raises(CatalogError, match="is of cluster cluster, not of cluster other"):
        Catalog(tmp_path / FILE_NAME, cluster_id="other")
    database = sqlite3.connect(tmp_path / FILE_NAME)
    database.execute("UPDATE facts SET value = 99 WHERE name = 'schema_version'")
    database.commit()
    database.close()
    with pytest.raises(CatalogError, match="has version 99"):
        Catalog(tmp_path / FILE_NAME, cluster_id="cluster")


def test_a_file_that_is_no_catalog_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database" * 100)
    with pytest.raises(CatalogError, match="cannot be opened"):
        Catalog(tmp_path / FILE_NAME, cluster_id=uuid_to_text(bytes(16)))


def test_entries_are_kept_by_kind_and_name(tmp_path: Path) -> None:
    with opened(tmp_path) as catalog:
        catalog.change_entries("quota", {"a": {"rate": 1.5}, "b": [1]})
        catalog.change_entries("quota", {"b": None, "c": "x"})
        catalog.change_entries("other", {"a": 1})
        before = catalog.metadata_offset
    with opened(tmp_path) as catalog:
        assert dict(catalog.entries("quota")) == {"a": {"rate": 1.5}, "c": "x"}
        assert dict(catalog.entries("none")) == {}
        assert catalog.metadata_offset == before


def test_a_resource_for_which_nothing_is_set_is_forgotten(tmp_path: Path) -> None:
    with opened(tmp_path) as catalog:
        catalog.replace_configs(32, "g", {"a": "1"})
        assert catalog.config_names(32) == ["g"]
        catalog.replace_configs(32, "g", {})
        assert catalog.config_names(32) == []
    with opened(tmp_path) as catalog:
        assert catalog.config_names(32) == []
