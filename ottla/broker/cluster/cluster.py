"""All state of one cluster: its topics, logs, nodes, clock and settings. Several may live in one process.

What is written here is in the catalog first; the partitions that are served follow it.
"""

import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from ottla.broker.cluster.elections import Elections, in_turn
from ottla.broker.cluster.leadership import first_state
from ottla.broker.cluster.node import Node
from ottla.broker.cluster.rack_spread import Place, spread
from ottla.broker.coordinators.engine.runtime import GroupRuntime
from ottla.broker.coordinators.groups.coordinator import GroupCoordinator
from ottla.broker.coordinators.groups.group_settings import read_settings
from ottla.broker.monitoring.client_metrics import Telemetry
from ottla.broker.monitoring.clients import Clients
from ottla.broker.quotas.limits import Quotas
from ottla.broker.quotas.throttling import Throttling
from ottla.broker.requests.metadata_cache import Answers
from ottla.broker.security.scram_credentials import ScramCredentials
from ottla.broker.settings.broker_config import BrokerConfig, acts_on
from ottla.broker.settings.topic_config import TopicConfig
from ottla.broker.settings.types import InvalidSettingError
from ottla.broker.settings.while_running import usable
from ottla.broker.topics.internal_topic import ClusterOffsetsTopic
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
from ottla.broker.versions.features import Features
from ottla.broker.versions.releases import Release
from ottla.scheduling.clock import Clock
from ottla.scheduling.stepper import Stepper
from ottla.scheduling.steps import Steps
from ottla.scheduling.timers import Timers
from ottla.storage import catalog as stored
from ottla.storage.catalog import Catalog, PartitionState
from ottla.storage.offline_log import OfflineLog
from ottla.storage.segments.data_directory import DataDirectory
from ottla.storage.segments.segment_log import SegmentLog
from ottla.wire.codes import ErrorCode, ResourceType
from ottla.wire.errors import KafkaError
from ottla.wire.schema import ZERO_UUID

log = logging.getLogger(__name__)

PRODUCER_ID_BLOCK = 1000

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
"""The prefix of an internal topic's broker settings, and what its coordinator sets (``AutoTopicCreationManager``)."""


class Cluster:
    """One cluster. ``node`` is its first broker; there may be more of them in this process, each with its settings."""

    def __init__(
        self,
        *,
        config: BrokerConfig,
        directory: DataDirectory,
        catalog: Catalog,
        clock: Clock,
        timers: Timers,
        stepper: Stepper,
        random_source: random.Random,
        more_nodes: Iterable[BrokerConfig] = (),
        release: Release | None = None,
    ) -> None:
        """Open the log of every topic that the catalog knows. One that cannot be opened is offline.

        ``config`` is the first node's, and what all follow; ``more_nodes`` are those of the others. With a ``release``,
        clients find what that release of Apache's has, and nothing else.
        """
        self.release = release
        self.config = config
        self.directory = directory
        self.catalog = catalog
        self.answers = Answers(catalog)
        self.clients = Clients()
        self.quotas = Quotas(catalog)
        self.throttling = Throttling(self.quotas, config, clock, timers)
        self.features = Features(catalog, release)
        self.scram_credentials = ScramCredentials(catalog)
        self.telemetry = Telemetry(catalog, random_source)
        self.clock = clock
        self.timers = timers
        self.stepper = stepper
        directory.flusher.later = lambda delay_ms, call: timers.schedule(clock.monotonic() + delay_ms / 1000, call)
        self.random = random_source
        self.id = directory.identity.cluster_id
        self.node = Node(config, random_source)
        self.nodes: dict[int, Node] = {self.node.id: self.node}
        for each in more_nodes:
            self.nodes[each.integer("node.id")] = Node(each, random_source)
        self.is_alone = len(self.nodes) == 1
        """Whether there is one node only, which leads and coordinates everything."""
        self.controller_id = self.node.id
        self.topics: dict[str, Topic] = {}
        self.topics_by_id: dict[bytes, Topic] = {}
        self.on_topic_deleted: list[Callable[[Topic], None]] = []
        self._collisions: dict[str, set[str]] = {}
        self._producer_ids = iter(range(0))
        self._take_broker_configs()
        self.elections = Elections(self)
        self.elections.settle_catalog()
        for topic in catalog.topics.values():
            self._serve(topic, TopicConfig(config, topic.configs))
        directory.all_opened()
        self.expire_producers()
        for node in self.nodes.values():
            node.groups = self._group_coordinator()
        self.groups = self.node.groups
        self.on_topic_deleted.append(self._forget_offsets)

    @property
    def registered(self) -> list[Node]:
        """The nodes that the controller knows."""
        return [node for node in self.nodes.values() if node.is_registered]

    @property
    def running(self) -> list[Node]:
        """The nodes that run, in the order of their ids."""
        return [node for node in self.nodes.values() if node.runs]

    def _group_coordinator(self) -> GroupCoordinator:
        runtime = GroupRuntime(
            settings=read_settings(self.config),
            clock=self.clock,
            timers=self.timers,
            topic=ClusterOffsetsTopic(self),
            is_alone=self.is_alone,
        )
        return GroupCoordinator(runtime, self.random)

    def _forget_offsets(self, topic: Topic) -> None:
        for node in self.nodes.values():
            node.groups.forget_topic(topic.name, topic.id)

    def load_groups(self) -> Steps[None]:
        """Begin to take over the groups; the caller steps the result to its end, between other work."""
        offsets = self.topics.get(OFFSETS_TOPIC)
        count = None if offsets is None else len(offsets.partitions)
        works = [node.groups.runtime.start(count) for node in self.nodes.values()]
        if not self.is_alone:
            works.append(self.elections.coordinate())
        return in_turn(works)

    # --- finding

    def partition(self, topic_name: str, index: int) -> Partition:
        """Return a partition; raises ``KafkaError`` UNKNOWN_TOPIC_OR_PARTITION."""
        topic = self.topics.get(topic_name)
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return topic.partition(index)

    def colliding_topic(self, name: str) -> str | None:
        """Return the topic whose name differs from ``name`` only in '.' and '_', which metrics do not tell apart.

        Where the file system folds case, that counts too: both would have one folder.
        """
        found = self._collisions.get(self._collision_key(name), set())
        return min(found - {name}, default=None)

    def _collision_key(self, name: str) -> str:
        key = collision_key(name)
        return key.lower() if self.directory.folds_case else key

    @property
    def some_node(self) -> Node:
        """Any node that runs: clients may ask it for what only the controller does (KIP-590)."""
        return self.random.choice(self.running) if len(self.nodes) > 1 else self.node

    def offline_replicas(self, partition: Partition) -> list[int]:
        """The replicas of a partition that cannot be served: their nodes are stopped, or its log is offline."""
        if partition.is_offline:
            return list(partition.replicas)
        return [each for each in partition.replicas if each not in self.nodes or not self.nodes[each].runs]

    # --- changing

    def create_topic(
        self,
        name: str,
        *,
        assignments: Sequence[Sequence[int]],
        configs: Mapping[str, str],
    ) -> Topic:
        """Make a topic, complete when this returns. ``assignments[i]`` are the replicas of partition i.

        The caller has checked the name, the assignments and the settings. Raises ``KafkaError`` INVALID_TOPIC_EXCEPTION
        where the file system would put two topics into one folder.
        """
        if self.directory.folds_case and self.colliding_topic(name):
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{name} collides with {self.colliding_topic(name)}")
        topic = stored.Topic(
            name=name,
            id=self.new_topic_id(),
            partitions=tuple(map(self._new_partition, assignments)),
            configs=dict(configs),
        )
        config = TopicConfig(self.config, configs)
        self.catalog.create_topics([topic], synced=config.syncs_appends)
        served = self._serve(topic, config)
        self.elections.moved([served])
        return served

    def create_topic_on_demand(self, name: str, *, allowed: bool, may_make: Callable[[int], bool]) -> Topic:
        """Make a topic that a client asked about, with the broker's defaults, if client and broker allow it.

        ``may_make`` is asked last, whether there may be so many more partitions. Raises ``KafkaError``
        INVALID_TOPIC_EXCEPTION (its name is not one), UNKNOWN_TOPIC_OR_PARTITION (not allowed, or the name collides
        with another: Apache answers this for ever, too).
        """
        check_name(name)
        if not allowed or not self.config.boolean("auto.create.topics.enable") or self.colliding_topic(name):
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if name in INTERNAL_TOPICS:
            return self.ensure_internal_topic(name)
        partitions = self.config.integer("num.partitions")
        if not may_make(partitions):
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        replicas = min(self.config.integer("default.replication.factor"), len(self.nodes))
        return self.create_topic(name, assignments=self.assign_replicas(partitions, replicas), configs={})

    def ensure_internal_topic(self, name: str) -> Topic:
        """Return a coordinator's topic, made with Apache's settings if it is not there yet."""
        topic = self.topics.get(name)
        if topic is None:
            prefix, configs = _INTERNAL_SETTINGS[name]
            settings = {"segment.bytes": str(self.config.integer(f"{prefix}.segment.bytes")), **configs}
            if name != OFFSETS_TOPIC:
                settings["min.insync.replicas"] = str(self.config.integer(f"{prefix}.min.isr"))
            topic = self.create_topic(
                name,
                assignments=self.assign_replicas(
                    self.config.integer(f"{prefix}.num.partitions"),
                    min(self.config.integer(f"{prefix}.replication.factor"), len(self.nodes)),
                ),
                configs=settings,
            )
        return topic

    def delete_topic(self, topic: Topic) -> None:
        """Remove a topic and its logs; the name is free when this returns."""
        self.catalog.delete_topics([topic.id], synced=topic.config.syncs_appends)
        del self.topics[topic.name], self.topics_by_id[topic.id]
        self._collisions[self._collision_key(topic.name)].discard(topic.name)
        for partition in topic.partitions:
            partition.gone = True  # all of them, before anyone who waits looks at the others
        for partition in topic.partitions:
            partition.leave()
            self.directory.delete_log(topic.name, partition.index)
        for callback in self.on_topic_deleted:
            callback(topic)

    def add_partitions(self, topic: Topic, assignments: Sequence[Sequence[int]]) -> None:
        """Give a topic more partitions, numbered on from those that it has."""
        known = self.catalog.topics_by_id[topic.id]
        grown = stored.Topic(
            name=known.name,
            id=known.id,
            partitions=(*known.partitions, *map(self._new_partition, assignments)),
            configs=known.configs,
        )
        self.catalog.replace_topics([grown], synced=topic.config.syncs_appends)
        self._open_partitions(topic, grown.partitions[len(topic.partitions) :])

    def set_topic_configs(self, topic: Topic, configs: Mapping[str, str]) -> None:
        """Let these be all of a topic's own settings, in force at once. Raises ``KafkaError`` INVALID_CONFIG."""
        config = TopicConfig(self.config, configs)
        known = self.catalog.topics_by_id[topic.id]
        self.catalog.replace_topics(
            [stored.Topic(name=known.name, id=known.id, partitions=known.partitions, configs=dict(configs))],
            synced=config.syncs_appends,
        )
        topic.configure(config)
        self.elections.settle([topic], cleanly=True)

    def set_configs(self, resource_type: int, name: str, configs: Mapping[str, str]) -> None:
        """Let these be all that is set for a broker, all brokers (""), a group or a metrics subscription.

        The caller has checked them. They are in force at once, for topics too.
        """
        self.catalog.replace_configs(resource_type, name, configs)
        if resource_type == ResourceType.BROKER:
            self._take_broker_configs()
            for topic in self.topics.values():
                try:
                    topic.configure(TopicConfig(self.config, topic.config.overrides))
                except KafkaError as error:
                    log.warning("topic %s keeps the settings that it had: %s", topic.name, error.message)
            self.elections.settle(self.topics.values(), cleanly=True)

    def _take_broker_configs(self) -> None:
        for node in self.nodes.values():
            try:
                node.config.set_dynamic(
                    own=usable(node.config, self.catalog.configs(ResourceType.BROKER, str(node.id))),
                    defaults=usable(node.config, self.catalog.configs(ResourceType.BROKER, "")),
                )
            except InvalidSettingError as error:
                log.warning("the settings that were changed while the broker ran are left out: %s", error)
        config = self.config
        idle = [name for name in (*config.dynamic_defaults, *config.dynamic) if not acts_on(name)]
        if idle:
            log.info("settings that Kafka has and that change nothing here: %s", ", ".join(idle))

    def assign_replicas(self, count: int, replication_factor: int) -> list[list[int]]:
        """Spread ``count`` partitions over the nodes, each with ``replication_factor`` of them."""
        if self.is_alone:
            return [[self.node.id] for _ in range(count)]
        places = [Place(node.id, node.rack, node.runs) for node in self.registered]
        return spread(places, count, replication_factor, self.random)

    def _new_partition(self, replicas: Sequence[int]) -> PartitionState:
        return first_state(replicas, (node.id for node in self.running))

    def next_producer_id(self) -> int:
        """Return an id that no producer has had."""
        for producer_id in self._producer_ids:
            return producer_id
        self._producer_ids = iter(self.catalog.allocate_producer_ids(PRODUCER_ID_BLOCK))
        return next(self._producer_ids)

    @property
    def checkpoint_interval_s(self) -> float:
        """How often the recovery points are to be written down."""
        return self.config.integer("log.flush.offset.checkpoint.interval.ms") / 1000

    @property
    def producer_expiry_check_s(self) -> float:
        """How often ``expire_producers`` is to be called."""
        return self.config.integer("producer.id.expiration.check.interval.ms") / 1000

    def expire_producers(self) -> None:
        """Forget the sequences of producers that wrote nothing for ``producer.id.expiration.ms``."""
        self.directory.expire_producers(self.clock.wall_ms(), self.config.integer("producer.id.expiration.ms"))

    def close(self) -> None:
        """Refuse those who wait for a group, then close the logs and the catalog, marking the directory as clean."""
        for node in self.nodes.values():
            node.groups.runtime.stop()
        self.directory.close()
        self.catalog.close()

    # --- following the catalog

    def _serve(self, known: stored.Topic, config: TopicConfig) -> Topic:
        topic = Topic(known.name, known.id, config)
        self._open_partitions(topic, known.partitions)
        self.topics[topic.name] = self.topics_by_id[topic.id] = topic
        self._collisions.setdefault(self._collision_key(topic.name), set()).add(topic.name)
        return topic

    def _open_partitions(self, topic: Topic, states: Iterable[PartitionState]) -> None:
        for index, state in enumerate(states, len(topic.partitions)):
            log = self._open_log(topic, index)
            log.begin_leader_epoch(state.leader_epoch)
            kind = Partition if self.is_alone and len(state.replicas) == 1 else ReplicatedPartition
            partition = kind(index, log, state)
            partition.require_in_sync(topic.log_config.min_insync_replicas)
            if not isinstance(log, OfflineLog):
                log.on_offline = partial(self._take_offline, partition)
            topic.partitions.append(partition)

    def _open_log(self, topic: Topic, index: int) -> SegmentLog | OfflineLog:
        """Open a log; what is wrong with one keeps no other from being served."""
        try:
            return self.directory.open_log(topic.name, index, topic_id=topic.id, config=topic.log_config)
        except OSError as failure:
            log.error("%s-%d is offline: %s", topic.name, index, failure)  # noqa: TRY400 - it says all
            return OfflineLog(str(failure), topic.log_config)

    def _take_offline(self, partition: Partition, reason: str) -> None:
        partition.go_offline(reason)
        self.answers.forget()

    def new_topic_id(self) -> bytes:
        """Return an id that no topic has had."""
        while True:
            topic_id = self.random.randbytes(16)
            # Ids whose text begins with a dash would look like an option on a command line.
            if topic_id != ZERO_UUID and topic_id[0] >> 2 != 0b111110:
                return topic_id
