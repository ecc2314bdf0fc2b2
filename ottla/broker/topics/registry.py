"""The topics of one cluster and their partitions: finds, creates, changes and deletes them.

A change is in the catalog first, and the partitions that are served follow it. The nodes that hold a partition are
chosen by ``assign_replicas``; callbacks in ``on_created``, ``on_configured`` and ``on_deleted`` are told of changes.
"""

import logging
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.settings.topic_config import TopicConfig
from ottla.broker.topics.names import (
    INTERNAL_TOPICS,
    OFFSETS_TOPIC,
    SHARE_GROUP_TOPIC,
    TRANSACTION_TOPIC,
    check_name,
    collision_key,
)
from ottla.broker.topics.partition import Partition
from ottla.broker.topics.replicated_partition import ReplicatedPartition
from ottla.broker.topics.topic import Topic
from ottla.storage import catalog as stored
from ottla.storage.catalog import Catalog, PartitionState
from ottla.storage.offline_log import OfflineLog
from ottla.storage.store import LogStore, StoredLog
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.schema import ZERO_UUID

log = logging.getLogger(__name__)

Assignments = Sequence[Sequence[int]]
"""The replicas of each partition, as ids of nodes."""

_INTERNAL_SETTINGS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    OFFSETS_TOPIC: ("offsets.topic", {"cleanup.policy": "compact", "compression.type": "producer"}),
    TRANSACTION_TOPIC: (
        "transaction.state.log",
        {"cleanup.policy": "compact", "compression.type": "uncompressed", "unclean.leader.election.enable": "false"},
    ),
    SHARE_GROUP_TOPIC: (
        "share.coordinator.state.topic",
        {"cleanup.policy": "delete", "compression.type": "producer", "retention.ms": "-1"},
    ),
}
"""The prefix of each internal topic's broker settings, and its own settings (``AutoTopicCreationManager``)."""


class Topics:
    """The registry. Nothing is served before ``open_all``.

    ``assign_replicas(count, replication_factor)`` names the replicas of new partitions, fewer where there are fewer
    nodes; ``first_state(replicas)`` says which of them leads at first. ``is_alone`` means that there is one node only.
    """

    def __init__(
        self,
        *,
        store: LogStore,
        catalog: Catalog,
        config: BrokerConfig,
        random_source: random.Random,
        assign_replicas: Callable[[int, int], Assignments],
        first_state: Callable[[Sequence[int]], PartitionState],
        is_alone: bool = True,
    ) -> None:
        self.by_name: dict[str, Topic] = {}
        self.by_id: dict[bytes, Topic] = {}
        self.config = config
        """The broker's settings, which count for topics that have none of their own."""
        self.version = 0
        """A number that rises when a partition goes offline, which the catalog does not know."""
        self.on_created: list[Callable[[Topic], None]] = []
        self.on_configured: list[Callable[[Collection[Topic]], None]] = []
        self.on_deleted: list[Callable[[Topic], None]] = []
        self._store = store
        self._catalog = catalog
        self._random = random_source
        self._assign_replicas = assign_replicas
        self._first_state = first_state
        self._is_alone = is_alone
        self._collisions: dict[str, set[str]] = {}

    def open_all(self) -> None:
        """Open the log of every topic that the catalog knows. A partition whose log cannot be opened is offline."""
        for topic in self._catalog.topics.values():
            self._serve(topic, TopicConfig(self.config, topic.configs))

    # --- finding

    def partition(self, topic_name: str, index: int) -> Partition:
        """Return a partition; raises ``KafkaError`` UNKNOWN_TOPIC_OR_PARTITION."""
        topic = self.by_name.get(topic_name)
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return topic.partition(index)

    def find(self, name: str | None, topic_id: bytes) -> Topic:
        """Return the topic that has this name or, without a name, this id.

        Raises ``KafkaError`` UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID.
        """
        if name is not None:
            topic = self.by_name.get(name)
            code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        else:
            topic = self.by_id.get(topic_id)
            code = ErrorCode.UNKNOWN_TOPIC_ID
        if topic is None:
            raise KafkaError(code, "The topic does not exist")
        return topic

    def colliding(self, name: str) -> str | None:
        """Return the name of a topic that differs from ``name`` only in '.' and '_', which metrics do not tell apart.

        Where the file system folds case, that counts too: both would have one folder.
        """
        found = self._collisions.get(self._collision_key(name), set())
        return min(found - {name}, default=None)

    def _collision_key(self, name: str) -> str:
        key = collision_key(name)
        return key.lower() if self._store.folds_case else key

    def check_new_name(self, name: str) -> None:
        """Refuse a name that no new topic can have.

        Raises ``KafkaError`` INVALID_TOPIC_EXCEPTION (not a valid name, or a collision), TOPIC_ALREADY_EXISTS.
        """
        check_name(name)
        if name in self.by_name:
            raise KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic {name} already exists")
        collides = self.colliding(name)
        if collides is not None:
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic {name} collides with topic {collides}")

    # --- changing

    def create(self, name: str, *, assignments: Assignments, configs: Mapping[str, str]) -> Topic:
        """Create a topic, complete when this returns. ``assignments[i]`` are the replicas of partition i.

        The caller has checked the name, the assignments and the settings. Raises ``KafkaError`` INVALID_TOPIC_EXCEPTION
        where the file system would put two topics into one folder.
        """
        if self._store.folds_case and self.colliding(name):
            collides = self.colliding(name)
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic {name} collides with topic {collides}")
        known = stored.Topic(
            name=name,
            id=self.new_id(),
            partitions=tuple(map(self._first_state, assignments)),
            configs=dict(configs),
        )
        config = TopicConfig(self.config, configs)
        self._catalog.create_topics([known], synced=config.syncs_appends)
        topic = self._serve(known, config)
        for callback in self.on_created:
            callback(topic)
        return topic

    def create_on_demand(self, name: str, *, allowed: bool, may_make: Callable[[int], bool]) -> Topic:
        """Create a topic that a client asked about, with the broker's defaults, if client and broker allow it.

        ``may_make(partitions)`` is asked last: whether the client's quota allows them. Raises ``KafkaError``
        INVALID_TOPIC_EXCEPTION (not a valid name), UNKNOWN_TOPIC_OR_PARTITION (not allowed, or the name collides with
        another: Apache, too, answers this for ever).
        """
        check_name(name)
        if not allowed or not self.config.boolean("auto.create.topics.enable") or self.colliding(name):
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if name in INTERNAL_TOPICS:
            return self.ensure_internal(name)
        partitions = self.config.integer("num.partitions")
        if not may_make(partitions):
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        replicas = self.config.integer("default.replication.factor")
        return self.create(name, assignments=self._assign_replicas(partitions, replicas), configs={})

    def ensure_internal(self, name: str) -> Topic:
        """Return a coordinator's topic, created with Apache's settings if it does not exist yet."""
        topic = self.by_name.get(name)
        if topic is None:
            prefix, configs = _INTERNAL_SETTINGS[name]
            settings = {"segment.bytes": str(self.config.integer(f"{prefix}.segment.bytes")), **configs}
            if name != OFFSETS_TOPIC:
                settings["min.insync.replicas"] = str(self.config.integer(f"{prefix}.min.isr"))
            assignments = self._assign_replicas(
                self.config.integer(f"{prefix}.num.partitions"), self.config.integer(f"{prefix}.replication.factor")
            )
            topic = self.create(name, assignments=assignments, configs=settings)
        return topic

    def delete(self, topic: Topic) -> None:
        """Remove a topic and its logs; the name is free when this returns."""
        self._catalog.delete_topics([topic.id], synced=topic.config.syncs_appends)
        del self.by_name[topic.name], self.by_id[topic.id]
        self._collisions[self._collision_key(topic.name)].discard(topic.name)
        for partition in topic.partitions:
            partition.gone = True  # all of them, before a watcher looks at the others
        for partition in topic.partitions:
            partition.leave()
            self._delete_log(topic, partition.index)
        for callback in self.on_deleted:
            callback(topic)

    def _delete_log(self, topic: Topic, index: int) -> None:
        """Remove the log of a deleted topic; a disk that refuses this keeps no other log from being removed."""
        try:
            self._store.delete_log(topic.name, index)
        except OSError as failure:
            log.error("Files of the deleted log %s-%d are left: %s", topic.name, index, failure)  # noqa: TRY400 - it says all

    def add_partitions(self, topic: Topic, assignments: Assignments) -> None:
        """Give a topic more partitions, numbered after those that it has."""
        known = self._catalog.topics_by_id[topic.id]
        grown = stored.Topic(
            name=known.name,
            id=known.id,
            partitions=(*known.partitions, *map(self._first_state, assignments)),
            configs=known.configs,
        )
        self._catalog.replace_topics([grown], synced=topic.config.syncs_appends)
        self._open_partitions(topic, grown.partitions[len(topic.partitions) :])

    def configure(self, topic: Topic, configs: Mapping[str, str]) -> None:
        """Replace all of a topic's own settings, in force at once. Raises ``KafkaError`` INVALID_CONFIG."""
        config = TopicConfig(self.config, configs)
        known = self._catalog.topics_by_id[topic.id]
        self._catalog.replace_topics(
            [stored.Topic(name=known.name, id=known.id, partitions=known.partitions, configs=dict(configs))],
            synced=config.syncs_appends,
        )
        topic.configure(config)
        self._tell_configured([topic])

    def follow_broker(self) -> None:
        """Let every topic follow the broker's settings, after these have changed."""
        for topic in self.by_name.values():
            try:
                topic.configure(TopicConfig(self.config, topic.config.overrides))
            except KafkaError as error:
                log.warning("Topic %s keeps its old settings: %s", topic.name, error.message)
        self._tell_configured(self.by_name.values())

    def _tell_configured(self, topics: Collection[Topic]) -> None:
        for callback in self.on_configured:
            callback(topics)

    def new_id(self) -> bytes:
        """Return an id that no topic has had."""
        while True:
            topic_id = self._random.randbytes(16)
            # Ids whose text begins with a dash would look like an option on a command line.
            if topic_id != ZERO_UUID and topic_id[0] >> 2 != 0b111110:
                return topic_id

    # --- following the catalog

    def _serve(self, known: stored.Topic, config: TopicConfig) -> Topic:
        topic = Topic(known.name, known.id, config)
        self._open_partitions(topic, known.partitions)
        self.by_name[topic.name] = self.by_id[topic.id] = topic
        self._collisions.setdefault(self._collision_key(topic.name), set()).add(topic.name)
        return topic

    def _open_partitions(self, topic: Topic, states: Iterable[PartitionState]) -> None:
        for index, state in enumerate(states, len(topic.partitions)):
            log = self._open_log(topic, index)
            log.begin_leader_epoch(state.leader_epoch)
            kind = Partition if self._is_alone and len(state.replicas) == 1 else ReplicatedPartition
            partition = kind(index, log, state)
            partition.require_in_sync(topic.log_config.min_insync_replicas)
            if not isinstance(log, OfflineLog):
                log.on_offline = partial(self._take_offline, partition)
            topic.partitions.append(partition)

    def _open_log(self, topic: Topic, index: int) -> StoredLog | OfflineLog:
        """Open a log; one that cannot be opened keeps no other from being served."""
        try:
            return self._store.open_log(topic.name, index, topic_id=topic.id, config=topic.log_config)
        except OSError as failure:
            log.error("%s-%d is offline: %s", topic.name, index, failure)  # noqa: TRY400 - it says all
            return OfflineLog(str(failure), topic.log_config)

    def _take_offline(self, partition: Partition, reason: str) -> None:
        partition.go_offline(reason)
        self.version += 1
