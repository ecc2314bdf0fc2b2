"""Members with an instance id, whose clients may restart without a rebalance (KIP-345)."""

from ottla.wire.codes import ErrorCode
from tests.stage.groups import Scenario, answered, subscription, sync_answer, waits


def error_of(answer) -> ErrorCode:
    return ErrorCode(answered(answer).error_code)


def static_group(scenario):
    """A leads, b follows; both static."""
    clients = [scenario.client("a", instance="one"), scenario.client("b", instance="two")]
    scenario.rebalance(clients)
    return clients


def test_a_static_member_joins_without_asking_for_an_id_first():
    scenario = Scenario()
    join = scenario.client("a", instance="one").ask_to_join()
    assert waits(join)
    scenario.advance(0)
    assert answered(join).member_id.startswith("one-")


def test_a_restarted_follower_takes_its_place_without_a_rebalance():
    scenario = Scenario()
    a, b = static_group(scenario)
    old_id = b.member_id
    b.member_id = ""
    response = answered(b.join())
    assert response.error_code == ErrorCode.NONE
    assert response.member_id != old_id
    assert (response.generation_id, response.leader, response.members) == (1, a.member_id, [])
    b.joined(response)
    assert sync_answer(b.sync()).assignment == old_id.encode()
    assert a.heartbeat() == b.heartbeat() == ErrorCode.NONE
    assert {member.member_id for member in scenario.durable()["group"][0].members} == {a.member_id, b.member_id}


def test_a_restarted_leader_is_told_to_skip_the_assignment():
    scenario = Scenario()
    a, b = static_group(scenario)
    a.member_id = ""
    response = answered(a.join())
    assert response.skip_assignment
    assert response.leader == response.member_id
    assert {member.member_id for member in response.members} == {b.member_id, response.member_id}
    assert scenario.durable()["group"][0].leader == response.member_id


def test_before_version_9_a_restarted_leader_does_not_learn_that_it_leads():
    scenario = Scenario()
    a, _ = static_group(scenario)
    old_id, a.member_id, a.version = a.member_id, "", 8
    response = answered(a.join())
    assert response.leader == old_id
    assert response.members == []
    assert not response.skip_assignment


def test_the_client_that_was_replaced_is_fenced():
    scenario = Scenario()
    _, b = static_group(scenario)
    twin = scenario.client("twin", instance="two")
    twin.joined(twin.join())
    assert b.heartbeat() == error_of(b.sync()) == error_of(b.ask_to_join()) == ErrorCode.FENCED_INSTANCE_ID
    assert answered(b.leave()).members[0].error_code == ErrorCode.FENCED_INSTANCE_ID
    assert twin.heartbeat() == ErrorCode.NONE


def test_the_client_that_was_replaced_while_it_waited_is_fenced():
    scenario = Scenario()
    a, b = static_group(scenario)
    a.protocols = {"range": subscription("other")}
    waiting = a.join()
    twin = scenario.client("twin", instance="one")
    join = twin.join()
    response = answered(waiting)
    assert (response.error_code, response.member_id) == (ErrorCode.FENCED_INSTANCE_ID, a.member_id)
    b.joined(b.join())
    twin.joined(join)
    assert {each.member_id for each in twin.response.members + b.response.members} == {twin.member_id, b.member_id}


def test_only_a_restart_that_changes_the_chosen_protocol_makes_the_group_rebalance():
    scenario = Scenario()
    topic = subscription("topic")
    a, b, c = (
        scenario.client(name, instance=name, protocols={"range": topic, "sticky": topic}) for name in ("a", "b", "c")
    )
    scenario.rebalance([a, b, c])
    prefers_sticky = {"sticky": topic, "range": topic}
    b.member_id, b.protocols = "", prefers_sticky
    assert not waits(b.join())
    c.member_id, c.protocols = "", prefers_sticky
    assert waits(c.join())
    assert scenario.state() == "PreparingRebalance"


def test_a_restart_between_join_and_sync_makes_the_group_rebalance():
    scenario = Scenario()
    a, b = scenario.client("a", instance="one"), scenario.client("b", instance="two")
    joins = [a.join(), b.join()]
    scenario.advance(0)
    a.joined(joins[0])
    b.joined(joins[1])
    sync = b.sync()
    b.member_id = ""
    join = b.join()
    assert waits(join)
    assert error_of(sync) == ErrorCode.FENCED_INSTANCE_ID
    assert a.heartbeat() == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_static_member_that_does_not_rejoin_stays_until_its_session_ends():
    scenario = Scenario()
    a, b = scenario.client("a", instance="one", session_timeout_ms=200_000), scenario.client("b")
    b.session_timeout_ms = 200_000
    scenario.rebalance([a, b])
    b.protocols = {"range": subscription("other")}
    join = b.join()
    scenario.advance(60)
    response = b.joined(join)
    assert response.leader == b.member_id
    assert {member.member_id for member in response.members} == {a.member_id, b.member_id}


def test_an_administrator_removes_a_static_member_by_its_instance_id():
    scenario = Scenario()
    a, b = static_group(scenario)
    b.member_id = ""
    assert answered(b.leave()).members[0].error_code == ErrorCode.NONE
    assert a.heartbeat() == ErrorCode.REBALANCE_IN_PROGRESS
    assert answered(b.leave()).members[0].error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_an_instance_id_that_is_not_known_is_an_unknown_member():
    scenario = Scenario()
    a, _ = static_group(scenario)
    a.instance = "three"
    assert a.heartbeat() == error_of(a.sync()) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_promised_id_cannot_become_static():
    scenario = Scenario()
    client = scenario.client("a")
    client.member_id = answered(client.ask_to_join()).member_id
    client.instance = "one"
    assert error_of(client.ask_to_join()) == ErrorCode.UNKNOWN_SERVER_ERROR


def test_who_takes_the_place_of_one_that_never_synced_does_not_cause_a_rebalance():
    scenario = Scenario()
    options = {"session_timeout_ms": 100_000, "rebalance_timeout_ms": 6000}
    a, b = scenario.client("a", instance="one", **options), scenario.client("b", instance="two", **options)
    joins = [a.join(), b.join()]
    scenario.advance(0)
    a.joined(joins[0])
    b.joined(joins[1])
    a.sync()
    twin = scenario.client("twin", instance="two", **options)
    twin.joined(twin.join())
    scenario.advance(7)
    assert a.heartbeat() == twin.heartbeat() == ErrorCode.NONE
