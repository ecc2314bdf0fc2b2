"""The steps of `compat/nodes`: each takes three nodes on, and yields what a client sees, with a name for it.

Node 1 never stops: Apache's controller is there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import Consumer
from kafka import KafkaConsumer, KafkaProducer

from compat.apache.node_client import Nodes, name_of
from ottla.wire.messages.configs import IncrementalAlterConfigsRequest
from ottla.wire.messages.groups import DescribeGroupsRequest, HeartbeatRequest, OffsetFetchRequest
from ottla.wire.messages.quorum import UnregisterBrokerRequest
from ottla.wire.messages.replicas import DescribeProducersRequest

Seen = Iterator[tuple[str, Any]]
PREFERRED, UNCLEAN = 0, 1
ANSWER_S = 60.0


def wrong_nodes(nodes: Nodes) -> Seen:
    """Ask each node about a partition of nodes 2 and 3."""
    yield "create", nodes.create("wrong", [2, 3])
    for node in (1, 2, 3):
        yield f"produce to {node}", nodes.produce("wrong", node)
    nodes.caught_up("wrong", 3, leader=2)
    for node in (1, 2, 3):
        for version in (4, 10, 11, 12):
            yield f"fetch {version} from {node}", nodes.fetch("wrong", node, version)
        yield f"offsets of {node}", nodes.offsets("wrong", node)
        yield f"debugging offsets of {node}", nodes.offsets("wrong", node, -2)
        yield f"epoch of {node}", nodes.epoch_end("wrong", node, 0)
        for epoch in (0, 5):
            yield f"fetch with epoch {epoch} from {node}", nodes.fetch("wrong", node, current_leader_epoch=epoch)
        asked = DescribeProducersRequest.Topic(name="wrong", partition_indexes=[0])
        answer = nodes.sides[node].ask(DescribeProducersRequest(topics=[asked]), 0)
        yield f"producers of {node}", name_of(answer.topics[0].partitions[0].error_code)


def placement(nodes: Nodes) -> Seen:
    """Ask for assignments that are refused."""
    for number, replicas in enumerate(([[1, 9]], [[1, 1]], [[1, 2], [3]], [[]])):
        yield f"assign {replicas}", nodes.create(f"refused-{number}", *replicas)


def racks(nodes: Nodes) -> Seen:
    """Ask each node which node to read from."""
    nodes.create("racks", [2, 3])
    nodes.produce("racks", 2)
    nodes.caught_up("racks", 3, leader=2)
    for rack in ("a", "b", "c", "elsewhere"):
        yield f"fetch of rack {rack}", nodes.fetch("racks", 2, rack=rack)
    yield "fetch of rack c at its node", nodes.fetch("racks", 3, rack="c")
    yield "fetch of rack c with the version before", nodes.fetch("racks", 2, 10, rack="c")
    yield "fetch of rack c at the end", nodes.fetch("racks", 2, rack="c", fetch_offset=1)
    yield "fetch of rack c beyond the end", nodes.fetch("racks", 2, rack="c", fetch_offset=7)
    consumer = Consumer(
        {
            "bootstrap.servers": nodes.cluster.bootstrap,
            "group.id": "racks",
            "client.rack": "c",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe(["racks"])
    message = consumer.poll(ANSWER_S)
    yield "a consumer in rack c reads", None if message is None else (message.error(), message.value())
    consumer.close()


def groups(nodes: Nodes) -> Seen:
    """Ask each node for a group's coordinator."""
    coordinator = nodes.coordinator("some-group")
    for node in (1, 2, 3):
        side = nodes.sides[node]
        relation = "its coordinator" if node == coordinator else "another node"
        heartbeat = HeartbeatRequest(group_id="some-group", generation_id=1, member_id="nobody")
        yield f"heartbeat to {relation}", name_of(side.ask(heartbeat, 4).error_code)
        asked = OffsetFetchRequest(groups=[OffsetFetchRequest.Group(group_id="some-group", topics=None)])
        yield f"offsets from {relation}", name_of(side.ask(asked, 9).groups[0].error_code)
        described = side.ask(DescribeGroupsRequest(groups=["some-group"]), 6).groups[0]
        yield f"description from {relation}", (name_of(described.error_code), described.group_state)


def one_stops(nodes: Nodes) -> Seen:
    """Look at partitions when node 3 has stopped, and when it is back."""
    assignments = {"led": [3, 1, 2], "followed": [2, 3, 1], "lonely": [3], "pair": [3, 2]}
    for name, replicas in assignments.items():
        nodes.create(name, replicas)
    nodes.create("strict-pair", [3, 2], min_insync_replicas="2")
    nodes.create("strict", [1, 2, 3], min_insync_replicas="3")
    names = [*assignments, "strict-pair", "strict"]
    nodes.produce("led", 3)
    nodes.produce("strict", 1)
    nodes.stop(3)
    for name in names:
        yield f"{name} without 3", nodes.states(name)
        for version in (0, 1, 5, 12):
            yield f"metadata {version} of {name} without 3", nodes.metadata(name, version)
    yield "brokers without 3", nodes.brokers()
    yield "acks=all with two of three", nodes.produce("strict", 1)
    yield "acks=1 with two of three", nodes.produce("strict", 1, 1)
    yield "a fetch of what is not on all", nodes.fetch("strict", 1, fetch_offset=1)
    yield "the end of what is not on all", nodes.offsets("strict", 1)
    yield "acks=all with one of two", nodes.produce("strict-pair", 2)
    yield "the new leader", nodes.produce("led", 1)
    yield "an old epoch", nodes.fetch("led", 1, current_leader_epoch=0)
    yield "nobody leads", nodes.produce("lonely", 1)
    yield "a topic on 3 and 1", (nodes.create("late", [3, 1]), nodes.states("late"))
    yield "a topic on 3 only", nodes.create("too-late", [3])
    yield "preferred", nodes.elect(PREFERRED, *names)
    yield "unclean", nodes.elect(UNCLEAN, *names)
    nodes.start(3)
    for name in [*names, "late"]:
        yield f"{name} with 3 again", nodes.states(name)
    yield "the end of what is on all now", nodes.offsets("strict", 1)
    yield "preferred again", nodes.elect(PREFERRED, *names)
    for name in names:
        yield f"{name} after the election", nodes.states(name)
    nodes.produce("led", 3)
    for epoch in range(4):
        yield f"epoch {epoch} ended", nodes.epoch_end("led", 3, epoch)


def reassignment(nodes: Nodes) -> Seen:
    """How replicas move."""
    nodes.create("moving", [1, 2])
    nodes.produce("moving", 1)
    for replicas in ([3, 2], [3, 2, 1], [1, 2, 3], [2, 1]):
        yield f"to {replicas}", (nodes.reassign("moving", replicas), nodes.states("moving"))
    yield "given up, though none is under way", nodes.reassign("moving", None)
    for wrong in ([1, 1], [], [1, 7], [-1]):
        yield f"to {wrong}", nodes.reassign("moving", wrong)
    yield "more replicas", nodes.reassign("moving", [1, 2, 3], allow_replication_factor_change=False)
    nodes.stop(3)
    yield "to a stopped node", (nodes.reassign("moving", [2, 3]), nodes.states("moving"), nodes.reassignments())
    yield "another", (nodes.reassign("moving", [1]), nodes.states("moving"), nodes.reassignments())
    yield "given up", (nodes.reassign("moving", None), nodes.states("moving"), nodes.reassignments())
    yield "once more", (nodes.reassign("moving", [2, 3]), nodes.states("moving"))
    nodes.start(3)
    yield "when it starts", (nodes.states("moving"), nodes.reassignments())


def two_stop(nodes: Nodes) -> Seen:
    """Look at partitions when nodes 2 and 3 have stopped, one after the other."""
    nodes.create("both", [2, 3])
    nodes.create("both-unclean", [2, 3])
    nodes.create("three", [1, 2, 3], min_insync_replicas="2")
    names = ["both", "both-unclean", "three"]
    nodes.stop(2)
    for name in names:
        yield f"{name} without 2", nodes.states(name)
    yield "acks=all with two", nodes.produce("three", 1)
    nodes.stop(3)
    for name in names:
        yield f"{name} without 2 and 3", nodes.states(name)
    yield "acks=all with one", nodes.produce("three", 1)
    yield "nobody leads", nodes.produce("both", 1)
    yield "unclean, and nobody there", nodes.elect(UNCLEAN, "both")
    nodes.start(2)
    for name in names:
        yield f"{name} with 2", nodes.states(name)
    allow = IncrementalAlterConfigsRequest.Resource.Config(
        name="unclean.leader.election.enable", config_operation=0, value="true"
    )
    resource = IncrementalAlterConfigsRequest.Resource(resource_type=2, resource_name="both-unclean", configs=[allow])
    nodes.sides[1].ask(IncrementalAlterConfigsRequest(resources=[resource], validate_only=False), 1)
    nodes.quiet()
    yield "unclean by setting", nodes.states("both-unclean")
    yield "unclean by request", (nodes.elect(UNCLEAN, "both"), nodes.states("both"))
    answer = nodes.sides[1].ask(UnregisterBrokerRequest(broker_id=3), 0)
    nodes.quiet()
    yield "3 is forgotten", (name_of(answer.error_code), nodes.brokers(), nodes.create("forgotten", [3, 1]))
    nodes.start(3)
    for name in names:
        yield f"{name} with all", nodes.states(name)
    yield "brokers with all", nodes.brokers()


def running_clients(nodes: Nodes) -> Seen:
    """A producer and a group go on while leaders and coordinators stop; nothing that was acknowledged is lost."""
    nodes.create("steady", [1, 2, 3], [2, 3, 1], [3, 1, 2], min_insync_replicas="2")
    acknowledged: list[bytes] = []
    failures: list[BaseException] = []
    stopping = threading.Event()

    def send() -> None:
        producer = KafkaProducer(
            bootstrap_servers=nodes.cluster.bootstrap, acks="all", enable_idempotence=True, linger_ms=0
        )
        number = 0
        try:
            while not stopping.is_set():
                value = b"%d" % number
                producer.send("steady", value, partition=number % 3).get(ANSWER_S)
                acknowledged.append(value)
                number += 1
        except BaseException as error:
            failures.append(error)
        producer.close()

    consumer = KafkaConsumer(
        "steady",
        group_id="steady",
        bootstrap_servers=nodes.cluster.bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    sender = threading.Thread(target=send)
    sender.start()
    received: list[bytes] = []

    def read() -> None:
        received.extend(record.value for each in consumer.poll(1000).values() for record in each)
        consumer.commit()

    for node in (2, 3):
        read()
        nodes.stop(node)
        count = len(acknowledged)
        while len(acknowledged) < count + 20 and not failures:
            read()
        nodes.start(node)
        nodes.elect(PREFERRED, "steady")
    stopping.set()
    sender.join()
    for _ in range(30):
        if set(received) >= set(acknowledged):
            break
        read()
    consumer.close()
    yield "failures", [repr(each) for each in failures]
    yield "acknowledged and not read", sorted(set(acknowledged) - set(received))
    yield "read more than once", len(received) - len(set(received))


STEPS: dict[str, Callable[[Nodes], Seen]] = {
    each.__name__.replace("_", "-"): each
    for each in (wrong_nodes, placement, racks, groups, one_stops, reassignment, two_stop, running_clients)
}
