"""The group coordinator over the engine: written first, then true; and the groups that a restart brings back.

groups/coordinator and groups/shard.
"""

from random import Random

import pytest

from ottla.broker.coordinators.engine.java_strings import partition_for
from ottla.broker.coordinators.groups.classic.classic_group import ClassicGroup
from ottla.broker.coordinators.groups.coordinator import GroupCoordinator
from ottla.broker.coordinators.groups.shard import GroupShard
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.groups import DeleteGroupsResponse, ListGroupsRequest
from tests.stage.groups import (
    GROUP,
    SETTINGS,
    MemoryTopic,
    Scenario,
    answered,
    commit_error,
    subscription,
    sync_answer,
    waits,
)


def error_of(answer) -> ErrorCode:
    return ErrorCode(answered(answer).error_code)


def delete(scenario, *names) -> list[ErrorCode]:
    response: DeleteGroupsResponse = answered(scenario.coordinator.delete_groups([*names]))
    assert [result.group_id for result in response.results] == [*dict.fromkeys(names)]
    return [ErrorCode(result.error_code) for result in response.results]


def listed(scenario, states=(), types=()) -> dict[str, str]:
    request = ListGroupsRequest(states_filter=[*states], types_filter=[*types])
    return {group.group_id: group.group_state for group in scenario.coordinator.list_groups(request).groups}


# --- writing


def test_nothing_is_true_before_it_is_written():
    scenario = Scenario()
    client = scenario.client()
    client.commit(1, alone=True)
    scenario.topic.slow = True
    commit = client.commit(2, alone=True)
    assert waits(commit)
    assert client.fetch().committed_offset == 1
    scenario.topic.finish()
    assert commit_error(commit) == ErrorCode.NONE
    assert client.fetch().committed_offset == 2


def test_while_an_append_is_under_way_the_groups_next_events_queue():
    scenario = Scenario()
    a, b = scenario.client("a"), scenario.client("b")
    joins = [a.join(), b.join()]
    scenario.advance(0)
    a.joined(joins[0])
    b.joined(joins[1])
    scenario.topic.slow = True
    syncs = [a.sync(), b.sync()]
    commit = a.commit()
    assert waits(syncs[0])
    assert waits(syncs[1])
    assert waits(commit)
    assert scenario.state() == "CompletingRebalance"
    scenario.topic.finish()
    assert [sync_answer(sync).assignment for sync in syncs] == [a.member_id.encode(), b.member_id.encode()]
    assert scenario.state() == "Stable"
    scenario.topic.finish()
    assert commit_error(commit) == ErrorCode.NONE


def test_another_group_does_not_wait_for_an_append():
    scenario = Scenario()
    other = scenario.client(group_id="another group")
    other.commit(1, alone=True)
    scenario.topic.slow = True
    scenario.client().commit(1, alone=True)
    assert other.fetch(require_stable=True).committed_offset == 1


def test_stable_offsets_are_read_after_the_commits_that_are_under_way():
    scenario = Scenario()
    client = scenario.client()
    scenario.topic.slow = True
    client.commit(1, alone=True)
    scenario.topic.slow = False
    assert client.fetch().committed_offset == -1
    with pytest.raises(AssertionError, match="the answer has not come yet"):
        client.fetch(require_stable=True)
    scenario.topic.finish()
    assert client.fetch(require_stable=True).committed_offset == 1


def test_a_deadline_that_comes_while_an_append_is_under_way_is_acted_on_afterwards():
    scenario = Scenario()
    (a,) = scenario.stable_group("a")
    scenario.topic.slow = True
    commit = a.commit()
    scenario.advance(11)
    assert scenario.state() == "Stable"
    scenario.topic.finish()
    assert commit_error(commit) == ErrorCode.NONE
    scenario.topic.finish()  # the group's last member is gone
    assert scenario.state() == "Empty"


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize(
    ("of_log", "of_group"),
    [
        (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.UNKNOWN_SERVER_ERROR),
        (ErrorCode.POLICY_VIOLATION, ErrorCode.POLICY_VIOLATION),
    ],
)
def test_an_assignment_that_cannot_be_written_makes_all_join_again(slow, of_log, of_group):
    scenario = Scenario()
    a, b = scenario.client("a"), scenario.client("b")
    joins = [a.join(), b.join()]
    scenario.advance(0)
    a.joined(joins[0])
    b.joined(joins[1])
    scenario.topic.slow, scenario.topic.error = slow, of_log
    syncs = [b.sync(), a.sync()]
    if slow:
        scenario.topic.finish()
    assert [error_of(sync) for sync in syncs] == [of_group, of_group]
    assert a.heartbeat() == b.heartbeat() == ErrorCode.REBALANCE_IN_PROGRESS
    scenario.topic.slow, scenario.topic.error = False, None
    scenario.rebalance([a, b])
    assert scenario.state() == "Stable"


def test_a_commit_that_cannot_be_written_is_refused_and_forgotten():
    scenario = Scenario()
    client = scenario.client()
    client.commit(1, alone=True)
    scenario.topic.error = ErrorCode.KAFKA_STORAGE_ERROR
    assert commit_error(client.commit(2, alone=True)) == ErrorCode.NOT_COORDINATOR
    assert client.fetch().committed_offset == 1


def test_a_group_that_cannot_be_written_does_not_come_into_being():
    scenario = Scenario()
    scenario.topic.error = ErrorCode.KAFKA_STORAGE_ERROR
    assert error_of(scenario.client().ask_to_join()) == ErrorCode.NOT_COORDINATOR
    assert scenario.state() == "Dead"


def test_a_static_member_whose_place_cannot_be_taken_keeps_it():
    scenario = Scenario()
    a, b = scenario.client("a", instance="one"), scenario.client("b")
    scenario.rebalance([a, b])
    scenario.topic.error = ErrorCode.KAFKA_STORAGE_ERROR
    twin = scenario.client("twin", instance="one")
    assert error_of(twin.join()) == ErrorCode.NOT_COORDINATOR
    assert a.heartbeat() == ErrorCode.NONE
    scenario.topic.error = None
    twin.joined(twin.join())
    assert a.heartbeat() == ErrorCode.FENCED_INSTANCE_ID


def test_a_group_left_by_all_is_empty_even_if_that_cannot_be_written():
    scenario = Scenario()
    (a,) = scenario.stable_group("a")
    scenario.topic.error = ErrorCode.KAFKA_STORAGE_ERROR
    assert error_of(a.leave()) == ErrorCode.NOT_COORDINATOR
    assert scenario.state() == "Empty"
    scenario.topic.error = None
    (b,) = scenario.stable_group("b")
    assert b.generation == 3


def test_a_bug_in_a_decision_refuses_that_request_only(monkeypatch, caplog):
    scenario = Scenario()
    (a,) = scenario.stable_group("a")
    a.generation = "one"  # no codec would let this through
    assert commit_error(a.commit()) == ErrorCode.UNKNOWN_SERVER_ERROR
    assert "Decision about" in caplog.text
    a.generation = 1
    assert commit_error(a.commit()) == ErrorCode.NONE


def test_a_reply_whose_callback_fails_holds_up_nobody_in_its_group(caplog):
    scenario = Scenario()
    (member,) = scenario.stable_group("member")
    scenario.topic.slow = True
    member.commit().add_done_callback(lambda _: 1 / 0)
    queued = member.commit(6)
    scenario.topic.finish()
    scenario.topic.finish()
    assert commit_error(queued) == ErrorCode.NONE
    assert member.heartbeat() == ErrorCode.NONE
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("slow", [False, True])
def test_a_bug_while_records_are_applied_refuses_that_request_only(monkeypatch, caplog, slow):
    scenario = Scenario()
    (member,) = scenario.stable_group("member")
    monkeypatch.setattr(GroupShard, "apply", lambda *_, **__: 1 / 0)
    scenario.topic.slow = slow
    first = member.commit(5)
    if slow:
        scenario.topic.finish()
    monkeypatch.undo()
    second = member.commit(6)
    if slow:
        scenario.topic.finish()
    assert commit_error(first) == ErrorCode.UNKNOWN_SERVER_ERROR
    assert "ZeroDivisionError" in caplog.text
    assert commit_error(second) == ErrorCode.NONE
    assert member.heartbeat() == ErrorCode.NONE
    assert member.fetch().committed_offset == 6


@pytest.mark.parametrize("slow", [False, True])
def test_a_bug_in_what_follows_an_append_answers_who_asked(monkeypatch, caplog, slow):
    scenario = Scenario()
    monkeypatch.setattr(ClassicGroup, "join", lambda *_: 1 / 0)
    scenario.topic.slow = slow
    client = scenario.client()
    join = client.ask_to_join()
    if slow:
        scenario.topic.finish()
    assert error_of(join) == ErrorCode.UNKNOWN_SERVER_ERROR
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    scenario.topic.slow = False
    scenario.rebalance([client])
    assert scenario.state() == "Stable"


def test_a_record_that_cannot_be_encoded_refuses_that_request_only(caplog):
    scenario = Scenario()
    (member,) = scenario.stable_group("member")
    too_long = member.commit(5, metadata="m" * 4096, topic="t" * 40_000)
    assert commit_error(too_long) == ErrorCode.UNKNOWN_SERVER_ERROR
    assert member.heartbeat() == ErrorCode.NONE
    assert commit_error(member.commit(6)) == ErrorCode.NONE


def test_the_topic_is_made_when_it_is_first_needed():
    scenario = Scenario()
    assert not scenario.topic.is_there
    scenario.coordinator.prepare()
    assert scenario.topic.is_there


# --- restart


def test_a_restart_brings_back_members_and_offsets():
    scenario = Scenario()
    a, b = scenario.stable_group("a", "b")
    a.commit(7, metadata="m", leader_epoch=2)
    scenario.client(group_id="simple").commit(3, alone=True)
    before = scenario.durable()
    scenario.restart()
    assert scenario.durable() == before
    assert listed(scenario) == {GROUP: "Stable", "simple": "Empty"}
    assert a.heartbeat() == b.heartbeat() == ErrorCode.NONE
    assert sync_answer(b.sync()).assignment == b.member_id.encode()
    assert a.fetch().committed_offset == 7
    assert a.delete_offset().topics[0].partitions[0].error_code == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
    assert commit_error(a.commit(8)) == ErrorCode.NONE


def test_after_a_restart_members_have_their_session_timeout_to_show_up():
    scenario = Scenario()
    a, b = scenario.stable_group("a", "b")
    scenario.restart()
    scenario.advance(9)
    a.heartbeat()
    scenario.advance(2)
    assert a.heartbeat() == ErrorCode.REBALANCE_IN_PROGRESS
    assert b.heartbeat() == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_restart_forgets_a_rebalance_that_was_under_way():
    scenario = Scenario()
    a, _ = scenario.stable_group("a", "b")
    join = scenario.client("c").join()
    scenario.restart()
    assert error_of(join) == ErrorCode.NOT_COORDINATOR
    assert scenario.state() == "Stable"
    assert a.heartbeat() == ErrorCode.NONE


def test_a_loaded_group_that_is_too_large_by_now_rebalances():
    scenario = Scenario()
    a, b = scenario.stable_group("a", "b")
    scenario.settings = SETTINGS._replace(max_size=1)
    scenario.restart()
    assert scenario.state() == "PreparingRebalance"
    join = a.join()
    response = answered(b.join())
    assert (response.error_code, response.member_id) == (ErrorCode.GROUP_MAX_SIZE_REACHED, "")
    scenario.advance(60)
    assert a.joined(join).generation_id == 2


def test_until_a_partition_is_loaded_its_groups_are_refused_but_heartbeats_are_not():
    scenario = Scenario()
    (a,) = scenario.stable_group("a")
    a.commit()
    runtime = scenario.coordinator.runtime
    loading = runtime.start(SETTINGS.offsets_topic_partitions)
    next(loading)
    assert a.heartbeat() == ErrorCode.NONE
    for answer in (a.ask_to_join(), a.sync(), a.leave()):
        assert error_of(answer) == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    assert commit_error(a.commit()) == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    assert scenario.coordinator.list_groups(ListGroupsRequest()).error_code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    assert scenario.coordinator.describe(GROUP, version=6).error_code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    assert delete(scenario, GROUP) == [ErrorCode.COORDINATOR_LOAD_IN_PROGRESS]
    for _ in loading:
        pass
    assert scenario.state() == "Stable"


def test_loading_a_large_log_happens_in_many_steps():
    scenario = Scenario()
    client = scenario.client()
    for partition in range(1000):
        client.commit(1, partition=partition, alone=True)
    steps = sum(1 for _ in scenario.coordinator.runtime.start(SETTINGS.offsets_topic_partitions))
    assert steps > 1000


def test_a_partition_that_cannot_be_read_is_not_coordinated_and_the_others_are(caplog):
    scenario = Scenario()
    names = [f"group {number}" for number in range(20)]
    for name in names:
        scenario.client(group_id=name).commit(1, alone=True)
    broken = partition_for(names[0], SETTINGS.offsets_topic_partitions)
    batch = bytearray(scenario.topic.batches[broken][0])
    batch[61 + 8] ^= 0x7F  # the type in the first record's key
    batch[61 + 2] = 0x55
    scenario.topic.batches[broken][0] = bytes(batch)
    scenario.restart()
    codes = {name: commit_error(scenario.client(group_id=name).commit(2, alone=True)) for name in names}
    assert codes[names[0]] == ErrorCode.NOT_COORDINATOR
    assert ErrorCode.NONE in codes.values()
    assert "Loading __consumer_offsets-" in caplog.text


# --- groups


def test_groups_are_listed_by_state_and_type():
    scenario = Scenario()
    scenario.stable_group("a")
    scenario.client(group_id="simple").commit(3, alone=True)
    assert listed(scenario, states=[" STABLE"]) == {GROUP: "Stable"}
    assert listed(scenario, types=["Classic"], states=["empty"]) == {"simple": "Empty"}
    assert listed(scenario, types=["consumer"]) == {}
    assert listed(scenario, states=["nonsense"]) == {}


def test_only_empty_groups_can_be_deleted():
    scenario = Scenario()
    (a,) = scenario.stable_group("a")
    a.commit()
    assert delete(scenario, GROUP, "nobody", GROUP) == [ErrorCode.NON_EMPTY_GROUP, ErrorCode.GROUP_ID_NOT_FOUND]
    a.leave()
    assert delete(scenario, GROUP) == [ErrorCode.NONE]
    assert scenario.state() == "Dead"
    assert scenario.durable() == {}
    scenario.restart()
    assert scenario.durable() == {}
    assert a.fetch().committed_offset == -1


def test_deleting_several_groups_is_answered_when_the_last_is_gone():
    scenario = Scenario()
    for name in ("x", "y"):
        scenario.client(group_id=name).commit(1, alone=True)
    scenario.topic.slow = True
    answer = scenario.coordinator.delete_groups(["x", "nobody", "y"])
    scenario.topic.finish()
    assert waits(answer)
    scenario.topic.finish()
    assert [result.error_code for result in answered(answer).results] == [0, ErrorCode.GROUP_ID_NOT_FOUND, 0]


def test_a_group_is_described_in_full_only_while_it_is_stable():
    scenario = Scenario()
    a, b = scenario.stable_group("a", "b")
    described = scenario.coordinator.describe(GROUP, version=6)
    assert (described.group_state, described.protocol_type, described.protocol_data) == ("Stable", "consumer", "range")
    assert described.members[0].member_metadata == subscription("topic")
    assert described.members[0].client_host == "/10.0.0.1"
    assert [member.member_assignment for member in described.members] == [a.member_id.encode(), b.member_id.encode()]
    a.join()
    described = scenario.coordinator.describe(GROUP, version=6)
    assert (described.group_state, described.protocol_data) == ("PreparingRebalance", "")
    assert described.members[0].member_metadata == b""
    assert described.members[0].member_assignment == a.member_id.encode()


def test_a_missing_group_looks_dead_and_newer_clients_are_told_that_it_is_missing():
    scenario = Scenario()
    old, new = (scenario.coordinator.describe("nobody", version=version) for version in (5, 6))
    assert old.group_state == new.group_state == "Dead"
    assert (old.error_code, old.error_message) == (ErrorCode.NONE, None)
    assert (new.error_code, new.error_message) == (ErrorCode.GROUP_ID_NOT_FOUND, "Group nobody not found.")


def test_a_stopped_coordinator_refuses_everybody():
    scenario = Scenario()
    a, _ = scenario.stable_group("a", "b")
    join = a.join()
    scenario.coordinator.stop()
    assert error_of(join) == ErrorCode.NOT_COORDINATOR
    assert a.heartbeat() == ErrorCode.NOT_COORDINATOR
    assert commit_error(a.commit()) == ErrorCode.NOT_COORDINATOR
    scenario.advance(100)


def test_before_it_is_started_a_coordinator_is_not_available():
    scenario = Scenario()
    scenario.coordinator = GroupCoordinator(
        settings=SETTINGS, topic=scenario.topic, clock=scenario.clock, timers=scenario.timers, random=Random(1)
    )
    assert error_of(scenario.client().ask_to_join()) == ErrorCode.COORDINATOR_NOT_AVAILABLE


def test_deleting_the_topic_that_holds_groups_forgets_them_all():
    scenario = Scenario()
    a, _ = scenario.stable_group("a", "b")
    join = a.join()
    scenario.topic.batches.clear()
    scenario.coordinator.forget_topic("__consumer_offsets", b"")
    assert error_of(join) == ErrorCode.NOT_COORDINATOR
    assert listed(scenario) == {}
    scenario.advance(100)
    assert scenario.topic.batches == {}
    scenario.stable_group("a")


def test_members_that_died_while_their_partition_was_loaded_are_missed():
    scenario = Scenario()
    scenario.stable_group("a")
    for number in range(300):
        scenario.client(group_id=f"group {number}").commit(1, alone=True)
    loading = scenario.coordinator.runtime.start(SETTINGS.offsets_topic_partitions)
    for _ in loading:
        scenario.advance(1)
    assert scenario.state() == "Empty"


# --- partitions


def test_the_log_holds_one_topic_for_all():
    scenario = Scenario(topic=MemoryTopic())
    for number in range(10):
        scenario.client(group_id=f"group {number}").commit(1, alone=True)
    assert set(scenario.topic.batches) == {0, 1, 2}
