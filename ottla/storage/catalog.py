"""Promises what every catalog does: it keeps all that a cluster knows besides records.

These are topics, settings, quotas, credentials and producer ids. ``tests/storage/test_catalog_conformance.py`` holds
any catalog to this.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

NO_CONFIGS: Mapping[str, str] = MappingProxyType({})


class CatalogError(Exception):
    """The catalog cannot be opened: it is of another version or another cluster, or is no catalog."""


class PartitionState(NamedTuple):
    """The nodes that hold a partition. ``leader`` is -1 if nobody leads it.

    ``eligible_leader_replicas`` are not in sync by the rules, but have all that was acknowledged; ``last_known_elr``
    names the last leader while there is none (KIP-966). While the partition is being reassigned, ``replicas`` are the
    old ones and the new ones (KIP-455).
    """

    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    leader: int
    leader_epoch: int = 0
    partition_epoch: int = 0
    eligible_leader_replicas: tuple[int, ...] = ()
    last_known_elr: tuple[int, ...] = ()
    adding_replicas: tuple[int, ...] = ()
    removing_replicas: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    """A topic with its partitions, numbered from 0, and the configs that were set for it. A change makes a new one."""

    name: str
    id: bytes
    partitions: tuple[PartitionState, ...]
    configs: Mapping[str, str] = field(default_factory=lambda: NO_CONFIGS)


class Catalog(Protocol):
    """One cluster's catalog. It is synchronous: it is read from memory, and a write returns when it is durable.

    A write gives a plain value or None, never a promise; a catalog on another machine answers reads from memory, and
    writes with one transaction there. Each write is all or nothing and raises ``metadata_offset`` by one; memory
    follows only when the write is committed. A write that cannot be committed raises ``KafkaError`` KAFKA_STORAGE_ERROR
    and changes nothing, neither here nor there.

    Values that were given out do not change later: a change puts others in their place.
    """

    @property
    def cluster_id(self) -> str:
        """The id of the cluster, as text."""
        ...

    @property
    def metadata_offset(self) -> int:
        """The number of writes so far, over all restarts."""
        ...

    @property
    def topics(self) -> Mapping[str, Topic]:
        """All topics by name."""
        ...

    @property
    def topics_by_id(self) -> Mapping[bytes, Topic]:
        """All topics by id."""
        ...

    def create_topics(self, topics: Iterable[Topic], *, synced: bool = False) -> None:
        """Add topics, all or none. Raises ValueError if one has the name or the id of another that is there.

        With ``synced`` they survive a power cut when this returns, here as in what follows, with all that was written
        before them; without it, only the end of the process.
        """
        ...

    def replace_topics(self, topics: Iterable[Topic], *, synced: bool = False) -> None:
        """Put changed topics (partitions, leaders, configs) in place of those with the same ids, all or none.

        Raises KeyError for an id that is not there.
        """
        ...

    def delete_topics(self, topic_ids: Iterable[bytes], *, synced: bool = False) -> None:
        """Remove topics, all or none. Raises KeyError for an id that is not there."""
        ...

    def configs(self, resource_type: int, resource_name: str) -> Mapping[str, str]:
        """Return the settings of a resource that is no topic, by Kafka's types: 4 broker, 16 client metrics, 32 group.

        The cluster-wide defaults of brokers have the name "".
        """
        ...

    def config_names(self, resource_type: int) -> list[str]:
        """Return the names of the resources of a type, topics aside, for which something is set, in order."""
        ...

    def replace_configs(self, resource_type: int, resource_name: str, configs: Mapping[str, str]) -> None:
        """Let these be all settings of a resource that is no topic; one for which nothing is set is forgotten."""
        ...

    def entries(self, kind: str) -> Mapping[str, Any]:
        """Return the entries of a kind (quotas, credentials, features), by name: values that JSON can hold."""
        ...

    def change_entries(self, kind: str, changes: Mapping[str, Any]) -> None:
        """Put values in place by their names, all or none; None removes one."""
        ...

    def allocate_producer_ids(self, count: int = 1000) -> range:
        """Return a block of producer ids that nobody was given before or will be again, not even after a power cut."""
        ...

    def reserve_producer_ids(self, stop: int) -> None:
        """Never give out the ids below ``stop``: another broker has given them to producers of these logs."""
        ...

    def close(self) -> None:
        """Close the catalog, with everything in it."""
        ...
