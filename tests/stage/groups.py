"""A coordinator, and members that speak to it as clients do."""

from collections.abc import Iterator
from random import Random
from typing import Any

from ottla.broker.coordinators.groups.coordinator import GroupCoordinator
from ottla.broker.coordinators.groups.group_settings import GroupSettings
from ottla.scheduling.promise import Promise
from ottla.scheduling.timers import Timers
from ottla.storage.appends import Appended
from ottla.wire.batch import read_header, set_offsets
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from ottla.wire.messages.groups import (
    HeartbeatRequest,
    JoinGroupRequest,
    JoinGroupResponse,
    LeaveGroupRequest,
    OffsetCommitRequest,
    OffsetDeleteRequest,
    OffsetFetchRequest,
    OffsetFetchResponse,
    SyncGroupRequest,
    SyncGroupResponse,
)
from tests.stage.clock import SteppedClock

GROUP = "group"
TOPIC_ID = bytes(range(16))
SETTINGS = GroupSettings(initial_rebalance_delay_ms=0, offsets_topic_partitions=3)


class MemoryTopic:
    """The offsets topic as a list of batches; ``slow`` appends wait for ``finish``, ``error`` refuses them."""

    name = "__consumer_offsets"

    def __init__(self) -> None:
        self.batches: dict[int, list[bytes]] = {}
        self.slow = False
        self.error: ErrorCode | None = None
        self.waiting: list[tuple[int, bytearray, Promise[Appended]]] = []
        self.is_there = False

    def ensure(self) -> Promise[None] | None:
        self.is_there = True
        return None

    def append(self, partition: int, batch: bytearray) -> Appended | Promise[Appended]:
        if self.slow:
            completion: Promise[Appended] = Promise()
            self.waiting.append((partition, batch, completion))
            return completion
        if self.error is not None:
            raise KafkaError(self.error)
        return self._write(partition, batch)

    def finish(self) -> None:
        """Let the oldest slow append succeed, or fail if ``error`` says so."""
        partition, batch, completion = self.waiting.pop(0)
        if self.error is None:
            completion.resolve(self._write(partition, batch))
        else:
            completion.fail(KafkaError(self.error))

    def read_all(self, partition: int) -> Iterator[bytes]:
        yield from self.batches.get(partition, [])

    def _write(self, partition: int, batch: bytearray) -> Appended:
        batches = self.batches.setdefault(partition, [])
        base_offset = read_header(batches[-1]).next_offset if batches else 0
        set_offsets(batch, base_offset, 0)
        batches.append(bytes(batch))
        return Appended(base_offset, read_header(batch).last_offset, False, 0, -1)


class Scenario:
    """One coordinator over one log."""

    def __init__(self, settings: GroupSettings = SETTINGS, topic: MemoryTopic | None = None) -> None:
        self.settings = settings
        self.clock = SteppedClock()
        self.timers = Timers()
        self.topic = topic or MemoryTopic()
        self.random = Random(7)
        self.coordinator = self._start()

    def _start(self) -> GroupCoordinator:
        coordinator = GroupCoordinator(
            settings=self.settings, topic=self.topic, clock=self.clock, timers=self.timers, random=self.random
        )
        for _ in coordinator.start(self.settings.offsets_topic_partitions if self.topic.batches else None):
            pass
        return coordinator

    def restart(self) -> None:
        """Lose all soft state: a new process reads the log."""
        self.coordinator.stop()
        self.timers = Timers()
        self.coordinator = self._start()

    def advance(self, seconds: float) -> None:
        """Let time pass, deadline by deadline."""
        end = self.clock.now + seconds
        while True:
            deadline = self.timers.next_deadline()
            if deadline is None or deadline > end:
                break
            self.clock.now = max(self.clock.now, deadline)
            self.timers.run_due(self.clock.now)
        self.clock.now = end

    def client(self, name: str = "client", **options: Any) -> "Client":
        return Client(self, name, **options)

    def state(self, group_id: str = GROUP) -> str:
        return self.coordinator.describe(group_id, version=6).group_state

    def durable(self) -> dict[str, Any]:
        """The state that the log comes to, from memory."""
        found: dict[str, Any] = {}
        for shard in self.coordinator.runtime.shards():
            for group_id, image in shard.state.groups.items():
                found[group_id] = (image, shard.state.offsets.of_group(group_id))
        return found

    def stable_group(self, *names: str, **options: Any) -> "list[Client]":
        """A stable group of these members; the first one leads."""
        clients = [self.client(name, **options) for name in names]
        self.rebalance(clients)
        return clients

    def rebalance(self, clients: "list[Client]") -> None:
        """Let all of these join and sync."""
        joins = [client.join() for client in clients]
        self.advance(0)
        for client, join in zip(clients, joins, strict=True):
            client.joined(join)
        syncs = [client.sync() for client in sorted(clients, key=lambda client: client.is_leader)]
        assert all(answered(sync).error_code == ErrorCode.NONE for sync in syncs)


def answered(answer: Any) -> Any:
    """The response, which must be there."""
    if isinstance(answer, Promise):
        assert answer.done, "the answer has not come yet"
        assert answer.error is None
        return answer.value
    return answer


def waits(answer: Any) -> bool:
    """Tell whether the answer has not come yet."""
    return isinstance(answer, Promise) and not answer.done


def subscription(*topics: str) -> bytes:
    return b"\0\0" + ConsumerProtocolSubscription(topics=list(topics)).encode(0)


class Client:
    """A consumer that remembers what it was told."""

    def __init__(
        self,
        scenario: Scenario,
        name: str,
        *,
        group_id: str = GROUP,
        instance: str | None = None,
        protocols: dict[str, bytes] | None = None,
        session_timeout_ms: int = 10_000,
        rebalance_timeout_ms: int = 60_000,
        protocol_type: str = "consumer",
        version: int = 9,
    ) -> None:
        self.scenario = scenario
        self.name = name
        self.group_id = group_id
        self.instance = instance
        self.protocols = protocols or {"range": subscription("topic")}
        self.session_timeout_ms = session_timeout_ms
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.protocol_type = protocol_type
        self.version = version
        self.member_id = ""
        self.generation = -1
        self.response = JoinGroupResponse(leader="", member_id="", members=[], protocol_name=None)

    @property
    def coordinator(self) -> GroupCoordinator:
        return self.scenario.coordinator

    @property
    def is_leader(self) -> bool:
        return self.response.leader == self.member_id

    def ask_to_join(self) -> Any:
        """One JoinGroup request."""
        request = JoinGroupRequest(
            group_id=self.group_id,
            session_timeout_ms=self.session_timeout_ms,
            rebalance_timeout_ms=self.rebalance_timeout_ms,
            member_id=self.member_id,
            group_instance_id=self.instance,
            protocol_type=self.protocol_type,
            protocols=[
                JoinGroupRequest.Protocol(name=name, metadata=metadata) for name, metadata in self.protocols.items()
            ],
        )
        return self.coordinator.join(request, version=self.version, client_id=self.name, client_host="/10.0.0.1")

    def join(self) -> Any:
        """Join, with the id that the coordinator first gives."""
        answer = self.ask_to_join()
        if not waits(answer) and answered(answer).error_code == ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = answered(answer).member_id
            answer = self.ask_to_join()
        return answer

    def joined(self, answer: Any) -> JoinGroupResponse:
        """Take over what a join was answered with."""
        response: JoinGroupResponse = answered(answer)
        assert response.error_code == ErrorCode.NONE, ErrorCode(response.error_code)
        self.response = response
        self.member_id = response.member_id
        self.generation = response.generation_id
        return response

    def sync(self, assignments: dict[str, bytes] | None = None) -> Any:
        """Sync; a leader gives every member its name as assignment if nothing else is said."""
        if assignments is None:
            assignments = {each.member_id: each.member_id.encode() for each in self.response.members}
        request = SyncGroupRequest(
            group_id=self.group_id,
            generation_id=self.generation,
            member_id=self.member_id,
            group_instance_id=self.instance,
            protocol_type=self.response.protocol_type,
            protocol_name=self.response.protocol_name,
            assignments=[
                SyncGroupRequest.Assignment(member_id=member_id, assignment=assignment)
                for member_id, assignment in assignments.items()
            ],
        )
        return self.coordinator.sync(request)

    def heartbeat(self) -> ErrorCode:
        request = HeartbeatRequest(
            group_id=self.group_id,
            generation_id=self.generation,
            member_id=self.member_id,
            group_instance_id=self.instance,
        )
        return ErrorCode(answered(self.coordinator.heartbeat(request)).error_code)

    def leave(self) -> Any:
        member = LeaveGroupRequest.Member(member_id=self.member_id, group_instance_id=self.instance)
        return self.coordinator.leave(self.group_id, [member])

    def commit(self, offset: int = 5, *, topic: str = "topic", partition: int = 0, **options: Any) -> Any:
        """Commit one offset as a member; as nobody if ``alone``."""
        alone = options.pop("alone", False)
        request = OffsetCommitRequest(
            group_id=self.group_id,
            generation_id_or_member_epoch=-1 if alone else self.generation,
            member_id="" if alone else self.member_id,
            group_instance_id=None if alone else self.instance,
            retention_time_ms=options.pop("retention_time_ms", -1),
            topics=[
                OffsetCommitRequest.Topic(
                    name=topic,
                    topic_id=options.pop("topic_id", TOPIC_ID),
                    partitions=[
                        OffsetCommitRequest.Topic.Partition(
                            partition_index=partition,
                            committed_offset=offset,
                            committed_leader_epoch=options.pop("leader_epoch", -1),
                            committed_metadata=options.pop("metadata", ""),
                        )
                    ],
                )
            ],
        )
        return self.coordinator.commit_offsets(request, version=options.pop("version", 9))

    def fetch(self, *, topic: str = "topic", partition: int = 0, require_stable: bool = False) -> Any:
        """The committed offset of one partition."""
        request = OffsetFetchRequest.Group(
            group_id=self.group_id,
            topics=[OffsetFetchRequest.Group.Topic(name=topic, partition_indexes=[partition])],
        )
        group: OffsetFetchResponse.Group = answered(
            self.coordinator.fetch_offsets(request, require_stable=require_stable)
        )
        return group.topics[0].partitions[0]

    def delete_offset(self, topic: str = "topic", partition: int = 0) -> Any:
        request = OffsetDeleteRequest(
            group_id=self.group_id,
            topics=[
                OffsetDeleteRequest.Topic(
                    name=topic, partitions=[OffsetDeleteRequest.Topic.Partition(partition_index=partition)]
                )
            ],
        )
        return answered(self.coordinator.delete_offsets(request))


def commit_error(answer: Any) -> ErrorCode:
    return ErrorCode(answered(answer).topics[0].partitions[0].error_code)


def sync_answer(answer: Any) -> SyncGroupResponse:
    response: SyncGroupResponse = answered(answer)
    return response
