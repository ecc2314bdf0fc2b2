"""Lets leadership follow the nodes that run: decides by ``leadership``, writes to the catalog, then moves partitions.

With one node there is nothing to move: it leads what its disk lets it lead.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from ottla.broker.cluster.leadership import NO_LEADER, Rules, elected, reassigned, reverted, settled
from ottla.broker.cluster.nodes import Node, Nodes
from ottla.broker.settings.topic_config import TopicConfig
from ottla.broker.topics.registry import Topics
from ottla.broker.topics.replicated_partition import ReplicatedPartition
from ottla.broker.topics.topic import Topic
from ottla.broker.versions.features import ELIGIBLE_LEADER_REPLICAS, Features
from ottla.storage.catalog import Catalog, PartitionState
from ottla.storage.catalog import Topic as StoredTopic
from ottla.wire.errors import KafkaError

log = logging.getLogger(__name__)

Decide = Callable[[PartitionState, Rules], PartitionState]


class Elections:
    """Leaders and replicas of one cluster. ``on_moved`` is told of the topics whose leaders may have changed."""

    def __init__(self, topics: Topics, nodes: Nodes, catalog: Catalog, features: Features) -> None:
        self._topics = topics
        self._nodes = nodes
        self._catalog = catalog
        self._features = features
        self.on_moved: list[Callable[[Iterable[Topic]], None]] = []
        topics.on_configured.append(self._follow_settings)

    # --- nodes

    def settle_catalog(self) -> None:
        """Give partitions leaders among the nodes that there are now, before anything is served."""
        changed = []
        for topic in self._catalog.topics.values():
            if all(map(self._is_settled, topic.partitions)):
                continue
            config = TopicConfig(self._topics.config, topic.configs)
            rules = self._rules(config)
            changed.append(replace(topic, partitions=tuple(settled(state, rules) for state in topic.partitions)))
        if changed:
            self._catalog.replace_topics(changed, synced=True)

    def stop(self, node: Node) -> None:
        """Let other nodes lead the partitions of ``node``, which is out of sync from now on.

        Raises ``KafkaError`` KAFKA_STORAGE_ERROR, like the methods below: then nothing has changed.
        """
        self._change_node(node, runs=False, is_registered=node.is_registered)
        node.fetch_sessions.clear()

    def start(self, node: Node) -> None:
        """Let ``node`` be in sync again, and lead partitions that have no leader."""
        self._change_node(node, runs=True, is_registered=True)

    def forget(self, node: Node) -> None:
        """Count no more on a stopped node, until it starts again."""
        self._change_node(node, runs=node.runs, is_registered=False)

    def _change_node(self, node: Node, *, runs: bool, is_registered: bool) -> None:
        """Change the state of a node, and decide by it; the node stays as it was if the catalog cannot be written."""
        before = node.runs, node.is_registered
        node.runs, node.is_registered = runs, is_registered
        try:
            self.settle(self._topics.by_name.values())
        except BaseException:
            node.runs, node.is_registered = before
            raise
        self._nodes.version += 1

    def _follow_settings(self, topics: Iterable[Topic]) -> None:
        """Let leaders follow settings that are in force already; if this fails, the next election does it."""
        try:
            self.settle(topics, cleanly=True)
        except KafkaError as error:
            log.error("Leaders do not follow the changed settings before the next election: %s", error.message)  # noqa: TRY400 - it says all

    def settle(self, topics: Iterable[Topic], *, cleanly: bool = False) -> None:
        """Let leaders and replicas of these topics be what the running nodes and the settings make of them.

        With ``cleanly``, an unclean leader waits for the next ``elect_unclean``, though the topic allows one.
        """
        if not self._nodes.is_alone:
            decide = _settled_cleanly if cleanly else settled
            self._change({topic: list(range(len(topic.partitions))) for topic in topics}, decide)

    # --- single partitions

    def elect(self, topic: Topic, index: int, *, unclean: bool) -> None:
        """Elect a leader (KIP-460). Raises what ``leadership.elected`` raises."""
        self._change({topic: [index]}, lambda state, rules: elected(state, rules, unclean=unclean))

    def elect_preferred(self) -> None:
        """Let every partition be led by its first replica where that is possible (``auto.leader.rebalance.enable``)."""
        wanted = {}
        for topic in self._topics.by_name.values():
            indexes = [
                each.index
                for each in topic.partitions
                if each.leader not in {NO_LEADER, each.replicas[0]} and each.replicas[0] in each.isr
            ]
            if indexes:
                wanted[topic] = indexes
        self._change(wanted, lambda state, rules: elected(state, rules, unclean=False))

    def elect_unclean(self) -> None:
        """Let any replica that runs lead a partition without a leader, where its topic allows that."""
        self.settle(self._topics.by_name.values())

    def reassign(self, topic: Topic, index: int, replicas: list[int] | None) -> None:
        """Give a partition other replicas; None ends the reassignment that is under way.

        Raises ``KafkaError`` NO_REASSIGNMENT_IN_PROGRESS. The caller has checked the replicas.
        """
        if replicas is None:
            self._change({topic: [index]}, reverted)
        else:
            self._change({topic: [index]}, lambda state, rules: reassigned(state, replicas, rules))

    def state(self, topic: Topic, index: int) -> PartitionState:
        """Return what the catalog says about a partition."""
        return self._catalog.topics_by_id[topic.id].partitions[index]

    # --- carrying out

    def _change(self, wanted: dict[Topic, list[int]], decide: Decide) -> None:
        """Decide for partitions; changes are in the catalog before any client sees them."""
        changed: list[StoredTopic] = []
        partitions: list[tuple[ReplicatedPartition, PartitionState, int]] = []
        for topic, indexes in wanted.items():
            rules = self._rules(topic.config)
            known = self._catalog.topics_by_id[topic.id]
            states = list(known.partitions)
            for index in indexes:
                states[index] = after = decide(states[index], rules)
                partition = topic.partitions[index]
                if after is not known.partitions[index] and isinstance(partition, ReplicatedPartition):
                    partitions.append((partition, after, topic.log_config.min_insync_replicas))
            if tuple(states) != known.partitions:
                changed.append(replace(known, partitions=tuple(states)))
        if not changed:
            return
        self._catalog.replace_topics(changed, synced=any(topic.config.syncs_appends for topic in wanted))
        for partition, state, min_insync_replicas in partitions:
            partition.take(state, min_insync_replicas=min_insync_replicas)
        for callback in self.on_moved:
            callback(wanted)

    def _rules(self, config: TopicConfig) -> Rules:
        return Rules(
            alive=frozenset(node.id for node in self._nodes.running),
            min_insync_replicas=config.integer("min.insync.replicas"),
            keeps_eligible=self._features.level(ELIGIBLE_LEADER_REPLICAS) > 0,
            elects_unclean=config.boolean("unclean.leader.election.enable"),
        )

    def _is_settled(self, state: PartitionState) -> bool:
        nodes = self._nodes.by_id
        return (
            state.leader in nodes
            and len(state.isr) == len(state.replicas)
            and all(replica in nodes for replica in state.replicas)
        )


def _settled_cleanly(state: PartitionState, rules: Rules) -> PartitionState:
    return settled(state, rules._replace(elects_unclean=False))
