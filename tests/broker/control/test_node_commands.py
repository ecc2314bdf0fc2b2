"""The commands of `ottla nodes` to a running broker, with doors and connections that only note what they are told."""

from types import SimpleNamespace

import pytest

from ottla.broker.control.node_commands import NodeCommands
from ottla.broker.settings.addresses import Address
from ottla.broker.user_errors import CommandError, StartError
from tests.stage.several_nodes import ThreeNodes


class Door:
    """A node's door: open while it listens."""

    def __init__(self, node_id):
        self.advertised = Address(f"node-{node_id}.example", 9092)
        self.listening = (Address("127.0.0.1", 9092), Address("::1", 9092))
        self.is_open = True
        self.is_taken = False
        self.make_context = None

    def open(self):
        if self.is_taken:
            raise StartError("port 9092 is in use")
        self.is_open = True

    def listen(self, _loop, make_context):
        assert self.is_open
        self.make_context = make_context

    def close(self):
        self.is_open, self.make_context = False, None


class Connection:
    def __init__(self, context):
        self.context = context
        self.closed_because = None

    def close(self, why):
        self.closed_because = why


class Running:
    """Three nodes with their doors, and a client at each."""

    def __init__(self, folder):
        self.nodes = ThreeNodes(folder)
        self.nodes.create("topic", [1, 2, 3], [2, 3, 1])
        self.doors = {node_id: Door(node_id) for node_id in (1, 2, 3)}
        self.loop = SimpleNamespace(connections={})
        self.commands = NodeCommands(self.nodes.cluster, self.loop, self.doors)
        self.commands.listen()
        for node_id, door in self.doors.items():
            self.loop.connections[node_id] = Connection(door.make_context(0, "10.0.0.1"))

    def node(self, node_id):
        return next(each for each in self.commands.list() if each["id"] == node_id)

    def runs(self):
        return [each["id"] for each in self.commands.list() if each["runs"]]


@pytest.fixture
def running(tmp_path):
    running = Running(tmp_path)
    yield running
    running.nodes.close()


def test_nodes_are_listed_with_what_they_lead_hold_and_serve(running):
    assert running.node(1) == {
        "id": 1,
        "address": "node-1.example:9092",
        "rack": "a",
        "runs": True,
        "leads": 1,
        "replicas": 2,
        "in_sync": 2,
        "connections": 1,
    }
    assert [each["leads"] for each in running.commands.list()] == [1, 1, 0]


def test_each_door_makes_contexts_of_its_own_node(running):
    for node_id, connection in running.loop.connections.items():
        assert connection.context.node.id == node_id


def test_every_listener_of_a_node_tells_clients_the_address_to_connect_to(running):
    door = running.doors[2]
    assert running.nodes.cluster.nodes.by_id[2].endpoints == [door.advertised] * len(door.listening)


def test_a_stopped_node_leads_nothing_accepts_nobody_and_closes_its_connections(running):
    running.commands.stop(1)
    assert running.runs() == [2, 3]
    assert (running.node(1)["leads"], running.node(1)["in_sync"]) == (0, 0)
    assert not running.doors[1].is_open
    closed = {node_id: each.closed_because for node_id, each in running.loop.connections.items()}
    assert closed == {1: "node 1 is stopped", 2: None, 3: None}


def test_leaders_have_moved_before_a_nodes_connections_are_closed(running):
    seen = []
    running.loop.connections[1].close = lambda _: seen.append(running.node(1)["leads"])
    running.commands.stop(1)
    assert seen == [0]


def test_a_node_that_starts_accepts_clients_and_is_in_sync_again(running):
    running.commands.stop(1)
    running.commands.start(1)
    assert running.runs() == [1, 2, 3]
    assert running.node(1)["in_sync"] == 2
    assert running.doors[1].is_open
    assert running.doors[1].make_context(0, "10.0.0.1").node.id == 1


def test_a_node_whose_port_is_taken_stays_stopped_and_says_why(running):
    running.commands.stop(1)
    running.doors[1].is_taken = True
    with pytest.raises(CommandError, match="port 9092 is in use"):
        running.commands.start(1)
    assert running.runs() == [2, 3]


def test_what_is_so_already_is_no_error(running):
    running.commands.start(1)
    running.commands.stop(2)
    running.commands.stop(2)
    assert running.runs() == [1, 3]


@pytest.mark.parametrize("command", ["stop", "start"])
def test_a_node_that_is_not_there_is_named_with_those_that_are(running, command):
    with pytest.raises(CommandError, match="node 9 does not exist; there are: 1, 2, 3"):
        getattr(running.commands, command)(9)
