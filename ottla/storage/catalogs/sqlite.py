"""Keeps a catalog in a SQLite file: reads come from memory, writes go to the file first. The first kind of ``Catalog``.

Each write is one transaction of SQLite.
"""

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ottla.storage.catalog import NO_CONFIGS, CatalogError, PartitionState, Topic
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

_log = logging.getLogger(__name__)

FILE_NAME = "catalog.sqlite"

_SCHEMA_VERSION = 1
_SCHEMA = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE topics (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions TEXT NOT NULL,"
    " configs TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE configs (resource_type INTEGER, resource_name TEXT, configs TEXT NOT NULL,"
    " PRIMARY KEY (resource_type, resource_name)) WITHOUT ROWID",
)
# Tables that came later: they are made in older files when these are opened, and an older Ottla passes over them.
_LATER_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS entries (kind TEXT, name TEXT, value TEXT NOT NULL,"
    " PRIMARY KEY (kind, name)) WITHOUT ROWID",
)

_OFTEN = 5
"""The number of fields of a ``PartitionState`` that are always written."""


class SqliteCatalog:
    """The image in memory, and its file; see ``Catalog``. Everything that is read here is committed."""

    def __init__(self, path: Path, *, cluster_id: str, synchronous: str = "NORMAL") -> None:
        """Open or make the file. ``synchronous`` is SQLite's: NORMAL outlives the process, FULL a power cut too.

        Raises CatalogError if the file is of another cluster or version.
        """
        self.cluster_id = cluster_id
        self.metadata_offset = 0
        self.topics: dict[str, Topic] = {}
        self.topics_by_id: dict[bytes, Topic] = {}
        self._configs: dict[tuple[int, str], Mapping[str, str]] = {}
        self._entries: dict[str, dict[str, Any]] = {}
        self._synchronous = synchronous
        self._next_producer_id = 0
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute(f"PRAGMA synchronous = {synchronous}")
            self._open(path)
        except sqlite3.DatabaseError as problem:
            self._database.close()
            raise CatalogError(f"{path} cannot be opened: {problem}") from problem
        except BaseException:
            self._database.close()
            raise

    def _open(self, path: Path) -> None:
        if not self._rows("SELECT name FROM sqlite_master WHERE name = 'facts'"):
            self._make()
        stored = dict(self._rows("SELECT name, value FROM facts"))
        if stored["schema_version"] != _SCHEMA_VERSION:
            raise CatalogError(f"{path} has version {stored['schema_version']}; this Ottla knows {_SCHEMA_VERSION}.")
        if stored["cluster_id"] != self.cluster_id:
            raise CatalogError(f"{path} is of cluster {stored['cluster_id']}, not of cluster {self.cluster_id}.")
        self.metadata_offset = stored["metadata_offset"]
        self._next_producer_id = stored["next_producer_id"]
        for topic_id, name, partitions, configs in self._rows("SELECT * FROM topics ORDER BY name"):
            topic = Topic(
                name=name,
                id=bytes.fromhex(topic_id),
                partitions=tuple(map(_decode_partition, json.loads(partitions))),
                configs=MappingProxyType(json.loads(configs)),
            )
            self._put(topic)
        for resource_type, resource_name, configs in self._rows("SELECT * FROM configs"):
            self._configs[resource_type, resource_name] = MappingProxyType(json.loads(configs))
        for statement in _LATER_SCHEMA:
            self._database.execute(statement)
        for kind, name, value in self._rows("SELECT kind, name, value FROM entries"):
            self._entries.setdefault(kind, {})[name] = json.loads(value)

    def _make(self) -> None:
        facts = {
            "schema_version": _SCHEMA_VERSION,
            "cluster_id": self.cluster_id,
            "metadata_offset": 0,
            "next_producer_id": 0,
        }
        with self._transaction():
            for statement in _SCHEMA:
                self._database.execute(statement)
            self._database.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())

    # Topics.

    def create_topics(self, topics: Iterable[Topic], *, synced: bool = False) -> None:
        """Add topics; see ``Catalog.create_topics``."""
        topics = list(topics)
        for topic in topics:
            if topic.name in self.topics or topic.id in self.topics_by_id:
                raise ValueError(f"There is a topic {topic.name} already, or one with its id")
        self._write_topics(topics, synced=synced)

    def replace_topics(self, topics: Iterable[Topic], *, synced: bool = False) -> None:
        """Put changed topics in place of those with the same ids."""
        topics = list(topics)
        for topic in topics:
            self.topics_by_id[topic.id]
        self._write_topics(topics, synced=synced)

    def _write_topics(self, topics: list[Topic], *, synced: bool) -> None:
        rows = [
            (topic.id.hex(), topic.name, _encode_partitions(topic.partitions), json.dumps(dict(topic.configs)))
            for topic in topics
        ]
        with self._change(synced=synced):
            self._database.executemany("INSERT OR REPLACE INTO topics VALUES (?, ?, ?, ?)", rows)
        for topic in topics:
            self._put(topic)

    def delete_topics(self, topic_ids: Iterable[bytes], *, synced: bool = False) -> None:
        """Remove topics."""
        topics = [self.topics_by_id[topic_id] for topic_id in topic_ids]
        with self._change(synced=synced):
            self._database.executemany("DELETE FROM topics WHERE id = ?", [(topic.id.hex(),) for topic in topics])
        for topic in topics:
            del self.topics[topic.name], self.topics_by_id[topic.id]

    def _put(self, topic: Topic) -> None:
        self.topics[topic.name] = self.topics_by_id[topic.id] = topic

    # Everything else.

    def configs(self, resource_type: int, resource_name: str) -> Mapping[str, str]:
        """Return the settings of a resource that is no topic."""
        return self._configs.get((resource_type, resource_name), NO_CONFIGS)

    def config_names(self, resource_type: int) -> list[str]:
        """Return the names of the resources of a type for which something is set."""
        return sorted(name for kind, name in self._configs if kind == resource_type)

    def replace_configs(self, resource_type: int, resource_name: str, configs: Mapping[str, str]) -> None:
        """Let these be all settings of a resource that is no topic."""
        with self._change():
            self._database.execute(
                "DELETE FROM configs WHERE resource_type = ? AND resource_name = ?", (resource_type, resource_name)
            )
            if configs:
                self._database.execute(
                    "INSERT INTO configs VALUES (?, ?, ?)", (resource_type, resource_name, json.dumps(dict(configs)))
                )
        self._configs.pop((resource_type, resource_name), None)
        if configs:
            self._configs[resource_type, resource_name] = MappingProxyType(dict(configs))

    def entries(self, kind: str) -> Mapping[str, Any]:
        """Return the entries of a kind, by name."""
        return MappingProxyType(self._entries.get(kind, {}))

    def change_entries(self, kind: str, changes: Mapping[str, Any]) -> None:
        """Put values in place by their names; None removes one."""
        with self._change():
            for name, value in changes.items():
                if value is None:
                    self._database.execute("DELETE FROM entries WHERE kind = ? AND name = ?", (kind, name))
                else:
                    row = (kind, name, json.dumps(value))
                    self._database.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", row)
        # Another dict: whoever was given the old one must not see it change.
        kept = {**self._entries.get(kind, {}), **changes}
        self._entries[kind] = {name: value for name, value in kept.items() if value is not None}

    def allocate_producer_ids(self, count: int = 1000) -> range:
        """Return a block of producer ids that nobody was given before or will be again."""
        block = range(self._next_producer_id, self._next_producer_id + count)
        with self._change(synced=True):
            self._database.execute("UPDATE facts SET value = ? WHERE name = 'next_producer_id'", (block.stop,))
        self._next_producer_id = block.stop
        return block

    def reserve_producer_ids(self, stop: int) -> None:
        """Never give out the ids below ``stop``."""
        if stop > self._next_producer_id:
            self.allocate_producer_ids(stop - self._next_producer_id)

    def close(self) -> None:
        """Close the file, with everything in it."""
        self._database.close()

    @contextmanager
    def _change(self, *, synced: bool = False) -> Iterator[int]:
        """Do the body in a transaction that takes the next metadata offset; memory gets it when it is committed.

        Raises KafkaError KAFKA_STORAGE_ERROR, and then nothing has changed.
        """
        offset = self.metadata_offset + 1
        try:
            with self._synced() if synced else nullcontext(), self._transaction():
                yield offset
                self._database.execute("UPDATE facts SET value = ? WHERE name = 'metadata_offset'", (offset,))
        except sqlite3.OperationalError as failure:  # the disk is full or broken
            _log.error("the catalog cannot be written: %s", failure)
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"The catalog cannot be written: {failure}") from failure
        self.metadata_offset = offset

    @contextmanager
    def _synced(self) -> Iterator[None]:
        """Let SQLite sync its journal at the next commit, unless this data need not outlive the process."""
        if self._synchronous == "NORMAL":
            self._database.execute("PRAGMA synchronous = FULL")
        try:
            yield
        finally:
            self._database.execute(f"PRAGMA synchronous = {self._synchronous}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _rows(self, query: str) -> list[Any]:
        return self._database.execute(query).fetchall()


def _encode_partitions(partitions: Iterable[PartitionState]) -> str:
    """Leave out the fields that are set only while nodes are missing or replicas move: an older Ottla knows none."""
    return json.dumps([state if any(state[_OFTEN:]) else state[:_OFTEN] for state in partitions])


def _decode_partition(fields: list[Any]) -> PartitionState:
    replicas, isr, leader, leader_epoch, partition_epoch = fields[:_OFTEN]
    return PartitionState(
        tuple(replicas), tuple(isr), leader, leader_epoch, partition_epoch, *map(tuple, fields[_OFTEN:])
    )
