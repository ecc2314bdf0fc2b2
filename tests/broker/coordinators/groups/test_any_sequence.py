"""Random sequences of clients' steps, with a log that is slow or fails and a broker that restarts."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ottla.broker.coordinators.groups.classic.classic_group import ClassicGroup
from ottla.scheduling.promise import Promise
from ottla.wire.codes import ErrorCode
from tests.stage.groups import GROUP, SETTINGS, TOPIC_ID, Client, Scenario, subscription

CLIENTS = [
    {"name": "a"},
    {"name": "b", "session_timeout_ms": 6000, "rebalance_timeout_ms": 20_000},
    {"name": "c", "version": 3},
    {"name": "d", "instance": "one"},
    {"name": "e", "instance": "one", "version": 8},
    {"name": "f", "instance": "two", "protocol_type": "connect"},
]
PROTOCOLS = [["range"], ["sticky", "range"], ["range", "sticky"], ["roundrobin"]]
ACTIONS = ["join", "sync", "heartbeat", "leave", "commit", "forget id", "abandon", *range(len(PROTOCOLS))]
EVENTS = [
    "all join",
    "all join",
    "leader syncs",
    "all sync",
    "slow",
    "finish",
    "fail",
    "recover",
    "restart",
    "delete group",
    "delete topic",
    "fetch",
]

steps = st.lists(
    st.one_of(
        st.tuples(st.integers(0, len(CLIENTS) - 1), st.sampled_from(ACTIONS)),
        st.tuples(st.integers(0, len(CLIENTS) - 1), st.sampled_from(["join", "sync"])),
        st.sampled_from([0, 0, 1, 5, 21, 61]).map(lambda seconds: ("advance", seconds)),
        st.sampled_from(EVENTS).map(lambda event: ("event", event)),
    ),
    max_size=60,
)


class World:
    """A scenario, what it was asked, and what was seen of it."""

    def __init__(self, delay_ms: int, max_size: int) -> None:
        self.scenario = Scenario(SETTINGS._replace(initial_rebalance_delay_ms=delay_ms, max_size=max_size))
        self.clients = [Client(self.scenario, **options) for options in CLIENTS]
        self.asked: list[Any] = []
        self.joins: list[tuple[Client, Any]] = []
        self.generation = 0
        self.group: ClassicGroup | None = None

    def take(self, who: int | str, what: Any) -> None:
        if who == "advance":
            self.scenario.advance(what)
        elif who == "event":
            self.happen(what)
        else:
            self.act(self.clients[int(who)], what)
        self.learn()
        self.check()

    def act(self, client: Client, action: str | int) -> None:
        if action == "join":
            answer = client.ask_to_join()
            self.joins.append((client, answer))
            self.asked.append(answer)
        elif action == "sync":
            self.asked.append(client.sync())
        elif action == "leave":
            self.asked.append(client.leave())
        elif action == "commit":
            self.asked.append(client.commit(alone=client.generation < 0))
        elif action == "heartbeat":
            self.asked.append(client.scenario.coordinator.heartbeat(_heartbeat(client)))
        elif action == "forget id":
            client.member_id, client.generation = "", -1
        elif action == "abandon":
            for answer in self.asked[-1:]:
                if isinstance(answer, Promise):
                    answer.abandon()
        else:
            client.protocols = {name: subscription("topic") for name in PROTOCOLS[int(action)]}

    def happen(self, event: str) -> None:
        topic = self.scenario.topic
        if event == "all join":
            for client in self.clients:
                self.act(client, "join")
                self.learn()
                if client.member_id and client.generation < 0:
                    self.act(client, "join")
            self.scenario.advance(0)
        elif event in {"leader syncs", "all sync"}:
            for client in self.clients:
                if event == "all sync" or (client.generation >= 0 and client.is_leader):
                    self.act(client, "sync")
        elif event == "slow":
            topic.slow = True
        elif event == "finish" and topic.waiting:
            topic.finish()
        elif event == "fail":
            topic.error = ErrorCode.KAFKA_STORAGE_ERROR
        elif event == "recover":
            topic.slow, topic.error = False, None
            while topic.waiting:
                topic.finish()
        elif event == "restart" and not topic.waiting:
            before = self.scenario.durable()
            self.scenario.restart()
            assert self.scenario.durable() == before
        elif event == "delete group":
            self.asked.append(self.scenario.coordinator.delete_groups([GROUP]))
        elif event == "delete topic":
            self.scenario.coordinator.forget_topic("topic", TOPIC_ID)

    def learn(self) -> None:
        """Do what clients do with the answers that came."""
        for client, answer in self.joins:
            response = answer
            if isinstance(answer, Promise):
                if not answer.done:
                    continue
                response = answer.value
            if response is None:
                continue
            if response.error_code == ErrorCode.NONE:
                client.joined(response)
            elif response.error_code == ErrorCode.MEMBER_ID_REQUIRED:
                client.member_id = response.member_id
            elif response.error_code in {ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID}:
                client.member_id, client.generation = "", -1
        self.joins = [
            (client, answer) for client, answer in self.joins if isinstance(answer, Promise) and not answer.done
        ]

    def check(self) -> None:
        shard = self.scenario.coordinator.runtime.shard_of(GROUP)
        group = shard.groups.get(GROUP)
        assert shard.groups.keys() == shard.state.groups.keys()
        if group is not self.group:  # deleted, and perhaps made anew
            self.generation, self.group = 0, group
        if group is None:
            return
        members = group.members
        assert members.joining_count == sum(member.joining is not None for member in members)
        assert members.yet_to_sync <= {member.member_id for member in members}
        assert (members.leader in members) if len(members) else members.leader is None
        assert (group.state == "Empty") <= (len(members) == 0)
        assert group.generation >= self.generation
        self.generation = group.generation
        image = shard.state.groups[GROUP]
        if group.state == "Stable":
            assert image is not None
            assert image.generation == group.generation
            named = {each.member_id: each.assignment for each in image.members}
            assert named == {member.member_id: member.assignment for member in members}
            assert image.leader == members.leader
        assert members.yet_to_sync or group._sync_deadline is None
        deadlines = [member.deadline for member in members if member.deadline is not None]
        assert all(group.wake_at <= deadline for deadline in deadlines)
        for member in members:
            assert member.joining is None or group.state == "PreparingRebalance"
            assert member.syncing is None or group.state == "CompletingRebalance"
            assert member.deadline is not None or member.must_not_expire


def _heartbeat(client: Client) -> Any:
    from ottla.wire.messages.groups import HeartbeatRequest

    return HeartbeatRequest(
        group_id=GROUP,
        generation_id=client.generation,
        member_id=client.member_id,
        group_instance_id=client.instance,
    )


@settings(max_examples=150, deadline=None)
@given(steps=steps, delay_ms=st.sampled_from([0, 3000]), max_size=st.sampled_from([2, 10]))
def test_every_question_is_answered_and_the_log_tells_the_same_story(steps, delay_ms, max_size):
    world = World(delay_ms, max_size)
    for who, what in steps:
        world.take(who, what)

    world.take("event", "recover")
    world.take("advance", 3600)
    waiting = [answer for answer in world.asked if isinstance(answer, Promise) and not answer.done]
    assert waiting == []
    assert world.scenario.state() in {"Empty", "Dead"}

    before = world.scenario.durable()
    world.scenario.restart()
    assert world.scenario.durable() == before
