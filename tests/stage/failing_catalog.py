"""A catalog whose writes fail when told, as on a disk that is full; it is a real one otherwise."""

from collections.abc import Iterable, Mapping
from typing import Any

from ottla.storage.catalog import Topic
from ottla.storage.catalogs.sqlite import SqliteCatalog
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError


class FailingCatalog(SqliteCatalog):
    """``writes_left`` is the number of writes that still succeed, None for all that come."""

    writes_left: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.refused: list[str] = []
        """The writes that have failed, by the names of the methods."""
        super().__init__(*args, **kwargs)

    def _allow(self, name: str) -> None:
        if self.writes_left is not None:
            if self.writes_left <= 0:
                self.refused.append(name)
                raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "The catalog cannot be written: the disk is full")
            self.writes_left -= 1

    def create_topics(self, topics: Iterable[Topic], *, synced: bool = False) -> None:
        self._allow("create_topics")
        super().create_topics(topics, synced=synced)

    def replace_topics(self, topics: Iterable[Topic], *, synced: bool = False) -> None:
        self._allow("replace_topics")
        super().replace_topics(topics, synced=synced)

    def delete_topics(self, topic_ids: Iterable[bytes], *, synced: bool = False) -> None:
        self._allow("delete_topics")
        super().delete_topics(topic_ids, synced=synced)

    def replace_configs(self, resource_type: int, resource_name: str, configs: Mapping[str, str]) -> None:
        self._allow("replace_configs")
        super().replace_configs(resource_type, resource_name, configs)

    def change_entries(self, kind: str, changes: Mapping[str, Any]) -> None:
        self._allow("change_entries")
        super().change_entries(kind, changes)

    def allocate_producer_ids(self, count: int = 1000) -> range:
        self._allow("allocate_producer_ids")
        return super().allocate_producer_ids(count)
