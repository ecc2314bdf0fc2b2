"""`ottla serve --nodes`, `ottla nodes` and `Ottla(nodes=...)`, with stock clients."""

import json
import socket
import time

import pytest
from click.testing import CliRunner
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from ottla.cli import main
from ottla.control_channel import ask
from ottla.testing import Ottla

pytestmark = pytest.mark.slow

PATIENCE_S = 30


@pytest.fixture(scope="module")
def cluster():
    with Ottla(nodes=3, racks=("a", "b")) as broker:
        yield broker


def run(broker, *words):
    result = CliRunner().invoke(main, ["nodes", words[0], "--data-dir", str(broker.data_dir), *map(str, words[1:])])
    return result.exit_code, result.output


def refuses(node):
    try:
        with socket.create_connection((node.host, node.port), timeout=10):
            return False
    except ConnectionRefusedError:
        return True


def make_topic(broker, name, partitions=3, replication_factor=3):
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics([NewTopic(name, partitions, replication_factor)])
    admin.close()


def test_each_node_has_its_port_and_its_rack(cluster):
    assert [(node.id, node.rack) for node in cluster.nodes.values()] == [(1, "a"), (2, "b"), (3, "a")]
    assert len({node.port for node in cluster.nodes.values()}) == 3
    assert cluster.bootstrap == ",".join(node.bootstrap for node in cluster.nodes.values())


def test_nodes_are_listed_stopped_and_started(cluster):
    make_topic(cluster, "listed")
    code, output = run(cluster, "stop", 2)
    assert (code, output) == (0, "node 2 is stopped\n")
    assert refuses(cluster.nodes[2])
    code, output = run(cluster, "list", "--json")
    found = {node["id"]: node for node in map(json.loads, output.splitlines())}
    assert [found[node]["runs"] for node in (1, 2, 3)] == [True, False, True]
    assert found[2]["leads"] == found[2]["in_sync"] == 0
    assert found[2]["replicas"] >= 3
    code, output = run(cluster, "list")
    assert output.splitlines()[2].split()[:4] == ["2", "stopped", cluster.nodes[2].bootstrap, "b"]
    assert run(cluster, "start", 2) == (0, "node 2 runs\n")
    assert not refuses(cluster.nodes[2])
    assert run(cluster, "stop", 7) == (1, "Error: node 7 does not exist; there are: 1, 2, 3\n")


def test_a_producer_and_a_group_go_on_when_any_node_stops(cluster):
    make_topic(cluster, "steady")
    consumer = KafkaConsumer(
        "steady",
        group_id="steady",
        bootstrap_servers=cluster.bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        metadata_max_age_ms=1000,
    )
    producer = KafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all", enable_idempotence=True)
    sent, received = [], []

    def round_trips(node):
        for number in range(20):
            value = f"{node}-{number}".encode()
            producer.send("steady", value, partition=number % 3).get(PATIENCE_S)
            sent.append(value)
        while len(received) < len(sent):
            records = [record.value for each in consumer.poll(1000).values() for record in each]
            received.extend(records)
        consumer.commit()

    round_trips(0)
    for node in cluster.nodes.values():
        node.stop()
        round_trips(node.id)
        node.start()
    producer.close()
    consumer.close()
    assert sorted(received) == sorted(sent)


def test_a_node_that_came_back_leads_again_at_the_next_check():
    with Ottla(nodes=2, leader_imbalance_check_interval_seconds=1) as broker:
        make_topic(broker, "balanced", partitions=2, replication_factor=2)

        def leads():
            return [node["leads"] for node in ask(broker.data_dir, "nodes")]

        assert leads() == [1, 1]
        broker.nodes[2].stop()
        broker.nodes[2].start()
        deadline = time.monotonic() + PATIENCE_S
        while leads() != [1, 1]:
            assert time.monotonic() < deadline


def test_the_only_node_of_a_broker_stops_and_starts_too():
    with Ottla() as broker:
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
        producer.send("topic", b"before").get(PATIENCE_S)
        broker.nodes[1].stop()
        assert refuses(broker.nodes[1])
        broker.nodes[1].start()
        assert producer.send("topic", b"after").get(PATIENCE_S).offset == 1
        producer.close()


def test_a_restart_keeps_the_ports_of_all_nodes(tmp_path):
    with Ottla(nodes=2, data_dir=tmp_path) as broker:
        before = [(node.id, node.port) for node in broker.nodes.values()]
        broker.nodes[2].stop()
        broker.restart()
        assert [(node.id, node.port) for node in broker.nodes.values()] == before
        assert not refuses(broker.nodes[2])


def test_ports_follow_each_other_or_are_given(tmp_path):
    from ottla.broker.settings.addresses import Address, Listener

    listener = Listener.parse("127.0.0.1:9092")
    assert [listener.of_node(number).address.port for number in range(3)] == [9092, 9093, 9094]
    listener = Listener.parse("[::1]:9092,19092,29092")
    assert [listener.of_node(number).address for number in range(3)] == [
        Address("::1", 9092),
        Address("::1", 19092),
        Address("::1", 29092),
    ]
    result = CliRunner().invoke(main, ["serve", "--nodes", "3", "--listen", "127.0.0.1:1,2", "--data-dir", tmp_path])
    assert "names 2 ports for 3 nodes" in result.output
