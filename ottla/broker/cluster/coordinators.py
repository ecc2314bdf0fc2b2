"""Gives each node its group coordinator, and each coordinator the groups whose offsets its node leads."""

import random
from collections.abc import Iterable

from ottla.broker.cluster.elections import Elections
from ottla.broker.cluster.nodes import Nodes
from ottla.broker.coordinators.groups.coordinator import GroupCoordinator
from ottla.broker.coordinators.groups.group_settings import read_settings
from ottla.broker.topics.internal_topic import InternalTopic
from ottla.broker.topics.names import OFFSETS_TOPIC
from ottla.broker.topics.registry import Topics
from ottla.broker.topics.topic import Topic
from ottla.scheduling.clock import Clock
from ottla.scheduling.stepper import Stepper
from ottla.scheduling.steps import Steps
from ottla.scheduling.timers import Timers


class Coordinators:
    """The coordinators of one cluster. They follow the leaders of their topic, and forget topics that are deleted."""

    def __init__(
        self,
        *,
        nodes: Nodes,
        topics: Topics,
        elections: Elections,
        clock: Clock,
        timers: Timers,
        stepper: Stepper,
        random_source: random.Random,
    ) -> None:
        self._nodes = nodes
        self._topics = topics
        self._stepper = stepper
        for node in nodes.by_id.values():
            node.groups = GroupCoordinator(
                settings=read_settings(topics.config),
                topic=InternalTopic(OFFSETS_TOPIC, topics, clock),
                clock=clock,
                timers=timers,
                random=random_source,
                is_alone=nodes.is_alone,
            )
        topics.on_created.append(lambda topic: self._follow([topic]))
        topics.on_deleted.append(self._forget)
        elections.on_moved.append(self._follow)

    def load(self) -> Steps[None]:
        """Begin to take over the groups; the caller steps the result to its end, between other work."""
        offsets = self._topics.by_name.get(OFFSETS_TOPIC)
        count = None if offsets is None else len(offsets.partitions)
        works = [node.groups.start(count) for node in self._nodes.by_id.values()]
        if not self._nodes.is_alone:
            works.append(self._lead())
        return _in_turn(works)

    def stop(self) -> None:
        """Refuse members that wait for a group."""
        for node in self._nodes.by_id.values():
            node.groups.stop()

    def _follow(self, topics: Iterable[Topic]) -> None:
        if not self._nodes.is_alone and any(topic.name == OFFSETS_TOPIC for topic in topics):
            self._stepper.start(self._lead(), "moving groups to other coordinators")

    def _lead(self) -> Steps[None]:
        """Give each node, at once, the groups whose offsets it leads; the steps load them."""
        offsets = self._topics.by_name.get(OFFSETS_TOPIC)
        if offsets is None:
            return _in_turn([])
        return _in_turn(
            [
                node.groups.runtime.lead(
                    {partition.index for partition in offsets.partitions if partition.leader == node.id},
                    len(offsets.partitions),
                )
                for node in self._nodes.by_id.values()
            ]
        )

    def _forget(self, topic: Topic) -> None:
        for node in self._nodes.by_id.values():
            node.groups.forget_topic(topic.name, topic.id)


def _in_turn(works: Iterable[Steps[None]]) -> Steps[None]:
    """Take the steps of one work after the other."""
    for work in works:
        yield from work
