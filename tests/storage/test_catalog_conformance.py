"""Holds any catalog to what ``storage/catalog`` promises. Another kind is another parameter of ``kind``."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from ottla.storage.catalog import Catalog, CatalogError, PartitionState, Topic
from ottla.storage.catalogs.sqlite import FILE_NAME, SqliteCatalog
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

ONE = PartitionState(replicas=(1,), isr=(1,), leader=1, leader_epoch=4)


class Kind(Protocol):
    """One kind of catalog: how its only catalog is opened, and made unable to write."""

    def open(self, cluster_id: str = "cluster") -> Catalog: ...

    @contextmanager
    def opened(self) -> Iterator[Catalog]:
        catalog = self.open()
        try:
            yield catalog
        finally:
            catalog.close()

    @contextmanager
    def unwritable(self) -> Iterator[None]:
        """Let what is stored refuse every write meanwhile."""
        yield


class Sqlite(Kind):
    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def open(self, cluster_id: str = "cluster") -> SqliteCatalog:
        return SqliteCatalog(self._path, cluster_id=cluster_id)

    @contextmanager
    def unwritable(self) -> Iterator[None]:
        other = sqlite3.connect(self._path, isolation_level=None)
        other.execute("ALTER TABLE facts RENAME TO elsewhere")
        yield
        other.execute("ALTER TABLE elsewhere RENAME TO facts")
        other.close()


@pytest.fixture(params=[Sqlite])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    return request.param(tmp_path)


def topic(name: str, number: int, partitions: int = 1) -> Topic:
    return Topic(name=name, id=bytes([number]) * 16, partitions=(ONE,) * partitions)


def test_topics_are_found_by_name_and_id_also_after_a_restart(kind: Kind) -> None:
    orders = Topic(name="orders", id=b"1" * 16, partitions=(ONE, ONE), configs={"retention.ms": "1"})
    with kind.opened() as catalog:
        catalog.create_topics([orders, topic("users", 2)])
        assert catalog.metadata_offset == 1
    with kind.opened() as catalog:
        assert catalog.topics["orders"] == catalog.topics_by_id[b"1" * 16] == orders
        assert list(catalog.topics) == ["orders", "users"]
        assert catalog.topics["orders"].partitions[1].leader_epoch == 4
        assert catalog.metadata_offset == 1


def test_a_name_or_id_that_is_taken_is_refused_and_nothing_is_written(kind: Kind) -> None:
    with kind.opened() as catalog:
        catalog.create_topics([topic("a", 1)])
        for clash in (topic("a", 2), topic("b", 1)):
            with pytest.raises(ValueError, match="already"):
                catalog.create_topics([topic("c", 3), clash])
        assert list(catalog.topics) == ["a"]
        assert catalog.metadata_offset == 1


def test_a_topic_is_replaced_whole(kind: Kind) -> None:
    with kind.opened() as catalog:
        catalog.create_topics([topic("a", 1)])
        moved = ONE._replace(leader_epoch=5, isr=())
        changed = replace(catalog.topics["a"], partitions=(moved, ONE), configs={"cleanup.policy": "compact"})
        catalog.replace_topics([changed])
        assert catalog.topics["a"] == changed
    with kind.opened() as catalog:
        assert catalog.topics["a"] == changed
        with pytest.raises(KeyError):
            catalog.replace_topics([topic("b", 2)])


def test_a_deleted_topics_name_is_free(kind: Kind) -> None:
    with kind.opened() as catalog:
        catalog.create_topics([topic("a", 1)])
        catalog.delete_topics([bytes([1]) * 16])
        assert not catalog.topics
        assert not catalog.topics_by_id
        catalog.create_topics([topic("a", 2)])
        with pytest.raises(KeyError):
            catalog.delete_topics([bytes([1]) * 16])
    with kind.opened() as catalog:
        assert catalog.topics["a"].id == bytes([2]) * 16


def test_the_metadata_offset_only_grows(kind: Kind) -> None:
    seen = []
    with kind.opened() as catalog:
        catalog.create_topics([topic("a", 1)])
        seen.append(catalog.metadata_offset)
        catalog.replace_configs(4, "1", {"num.partitions": "3"})
        seen.append(catalog.metadata_offset)
    with kind.opened() as catalog:
        catalog.allocate_producer_ids()
        catalog.delete_topics([bytes([1]) * 16])
        seen.append(catalog.metadata_offset)
        assert seen == [1, 2, 4]
        assert catalog.metadata_offset == 4


def test_configs_of_other_resources_are_kept(kind: Kind) -> None:
    with kind.opened() as catalog:
        assert dict(catalog.configs(4, "")) == {}
        catalog.replace_configs(4, "", {"log.retention.ms": "5", "a": "b"})
        catalog.replace_configs(4, "", {"log.retention.ms": "6"})
    with kind.opened() as catalog:
        assert dict(catalog.configs(4, "")) == {"log.retention.ms": "6"}
        assert dict(catalog.configs(32, "")) == {}


def test_producer_ids_are_never_given_twice(kind: Kind) -> None:
    with kind.opened() as catalog:
        assert catalog.allocate_producer_ids() == range(1000)
        assert catalog.allocate_producer_ids(10) == range(1000, 1010)
    with kind.opened() as catalog:
        assert catalog.allocate_producer_ids() == range(1010, 2010)


def test_entries_are_kept_by_kind_and_name(kind: Kind) -> None:
    with kind.opened() as catalog:
        catalog.change_entries("quota", {"a": {"rate": 1.5}, "b": [1]})
        catalog.change_entries("quota", {"b": None, "c": "x"})
        catalog.change_entries("other", {"a": 1})
        before = catalog.metadata_offset
    with kind.opened() as catalog:
        assert dict(catalog.entries("quota")) == {"a": {"rate": 1.5}, "c": "x"}
        assert dict(catalog.entries("none")) == {}
        assert catalog.metadata_offset == before


def test_a_resource_for_which_nothing_is_set_is_forgotten(kind: Kind) -> None:
    with kind.opened() as catalog:
        catalog.replace_configs(32, "g", {"a": "1"})
        assert catalog.config_names(32) == ["g"]
        catalog.replace_configs(32, "g", {})
        assert catalog.config_names(32) == []
    with kind.opened() as catalog:
        assert catalog.config_names(32) == []


def test_all_fields_of_a_partition_are_kept(kind: Kind) -> None:
    full = PartitionState((1, 2, 3), (1,), -1, 7, 9, (2,), (3,), (3,), (2,))
    with kind.opened() as catalog:
        catalog.create_topics([Topic(name="a", id=b"1" * 16, partitions=(full, ONE))])
    with kind.opened() as catalog:
        assert catalog.topics["a"].partitions == (full, ONE)


def test_a_synced_write_is_kept_like_any_other(kind: Kind) -> None:
    with kind.opened() as catalog:
        catalog.create_topics([topic("a", 1), topic("b", 2)], synced=True)
        catalog.replace_topics([replace(catalog.topics["a"], configs={"a": "b"})], synced=True)
        catalog.delete_topics([bytes([2]) * 16], synced=True)
    with kind.opened() as catalog:
        assert {name: dict(each.configs) for name, each in catalog.topics.items()} == {"a": {"a": "b"}}


def test_reserved_producer_ids_are_not_given(kind: Kind) -> None:
    with kind.opened() as catalog:
        catalog.reserve_producer_ids(5000)
        catalog.reserve_producer_ids(70)
    with kind.opened() as catalog:
        assert catalog.allocate_producer_ids(2) == range(5000, 5002)


def test_a_delete_that_names_an_unknown_topic_deletes_none(kind: Kind) -> None:
    with kind.opened() as catalog:
        catalog.create_topics([topic("a", 1)])
        with pytest.raises(KeyError):
            catalog.delete_topics([bytes([1]) * 16, bytes([2]) * 16])
        assert list(catalog.topics) == ["a"]


def test_what_was_given_out_does_not_change_later(kind: Kind) -> None:
    with kind.opened() as catalog:
        catalog.change_entries("quota", {"a": 1})
        catalog.replace_configs(4, "", {"a": "1"})
        entries, configs = catalog.entries("quota"), catalog.configs(4, "")
        catalog.change_entries("quota", {"a": 2})
        catalog.replace_configs(4, "", {"a": "2"})
        assert (dict(entries), dict(configs)) == ({"a": 1}, {"a": "1"})


def test_a_catalog_of_another_cluster_is_refused(kind: Kind) -> None:
    with kind.opened() as catalog:
        assert catalog.cluster_id == "cluster"
    with pytest.raises(CatalogError, match="is of cluster cluster, not of cluster other"):
        kind.open("other")


WRITES: dict[str, Callable[[Catalog], object]] = {
    "create_topics": lambda catalog: catalog.create_topics([topic("b", 2)]),
    "create_topics synced": lambda catalog: catalog.create_topics([topic("b", 2)], synced=True),
    "replace_topics": lambda catalog: catalog.replace_topics([topic("a", 1, partitions=3)]),
    "delete_topics": lambda catalog: catalog.delete_topics([bytes([1]) * 16]),
    "replace_configs": lambda catalog: catalog.replace_configs(4, "", {"a": "2"}),
    "change_entries": lambda catalog: catalog.change_entries("quota", {"a": None, "b": 2}),
    "allocate_producer_ids": lambda catalog: catalog.allocate_producer_ids(),
    "reserve_producer_ids": lambda catalog: catalog.reserve_producer_ids(1 << 20),
}


def image(catalog: Catalog) -> object:
    return (
        catalog.metadata_offset,
        dict(catalog.topics),
        dict(catalog.topics_by_id),
        dict(catalog.configs(4, "")),
        dict(catalog.entries("quota")),
    )


@pytest.mark.parametrize("name", WRITES)
def test_a_write_that_fails_changes_nothing_and_may_be_tried_again(kind: Kind, name: str) -> None:
    with kind.opened() as catalog:
        catalog.create_topics([topic("a", 1)])
        catalog.replace_configs(4, "", {"a": "1"})
        catalog.change_entries("quota", {"a": 1})
        before = image(catalog)
        with kind.unwritable(), pytest.raises(KafkaError) as refused:
            WRITES[name](catalog)
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        assert image(catalog) == before
        with kind.opened() as stored:
            assert image(stored) == before
        WRITES[name](catalog)
        assert catalog.metadata_offset == 4
    with kind.opened() as stored:
        assert image(stored) == image(catalog)


def test_ids_of_a_write_that_failed_are_given_later(kind: Kind) -> None:
    with kind.opened() as catalog:
        with kind.unwritable(), pytest.raises(KafkaError):
            catalog.allocate_producer_ids()
        assert catalog.allocate_producer_ids() == range(1000)
