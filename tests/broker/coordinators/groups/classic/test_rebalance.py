"""A group's members come, agree and go (classic/rebalance, classic/classic_group)."""

import pytest

from ottla.wire.codes import ErrorCode
from ottla.wire.messages.groups import JoinGroupRequest
from tests.stage.groups import SETTINGS, Scenario, answered, subscription, sync_answer, waits


def error_of(answer) -> ErrorCode:
    return ErrorCode(answered(answer).error_code)


def test_a_new_member_first_learns_its_id():
    scenario = Scenario()
    client = scenario.client("java-consumer-1")
    response = answered(client.ask_to_join())
    assert response.error_code == ErrorCode.MEMBER_ID_REQUIRED
    prefix, _, rest = response.member_id.partition("java-consumer-1-")
    assert prefix == ""
    assert len(rest) == 36
    assert scenario.state() == "Empty"


def test_before_version_4_a_new_member_joins_at_once():
    scenario = Scenario()
    join = scenario.client(version=3).ask_to_join()
    assert waits(join)
    scenario.advance(0)
    assert answered(join).generation_id == 1


def test_three_members_join_rebalance_and_get_what_the_leader_assigns():
    scenario = Scenario()
    a, b, c = (scenario.client(name) for name in "abc")
    joins = [client.join() for client in (a, b, c)]
    assert all(waits(join) for join in joins)
    assert scenario.state() == "PreparingRebalance"
    scenario.advance(0)
    responses = [client.joined(join) for client, join in zip((a, b, c), joins, strict=True)]

    assert {response.leader for response in responses} == {a.member_id}
    assert {response.generation_id for response in responses} == {1}
    assert [member.member_id for member in responses[0].members] == [a.member_id, b.member_id, c.member_id]
    assert responses[1].members == responses[2].members == []
    assert scenario.state() == "CompletingRebalance"

    early = b.sync()
    assert waits(early)
    by_leader = a.sync({a.member_id: b"for a", b.member_id: b"for b"})
    assert sync_answer(by_leader).assignment == b"for a"
    assert sync_answer(early).assignment == b"for b"
    assert sync_answer(c.sync()).assignment == b""  # the leader forgot it
    assert sync_answer(c.sync()).protocol_name == "range"
    assert scenario.state() == "Stable"
    assert a.heartbeat() == b.heartbeat() == c.heartbeat() == ErrorCode.NONE


def test_the_first_rebalance_waits_as_long_as_members_keep_coming():
    scenario = Scenario(SETTINGS._replace(initial_rebalance_delay_ms=3000))
    first = scenario.client("a").join()
    scenario.advance(2)
    second = scenario.client("b").join()
    scenario.advance(2)  # at 3 s somebody had come, so that 3 s more begin
    assert waits(first)
    assert waits(second)
    scenario.advance(2)
    assert len(answered(first).members) == 2


def test_the_first_rebalance_waits_no_longer_than_the_rebalance_timeout():
    scenario = Scenario(SETTINGS._replace(initial_rebalance_delay_ms=3000))
    joins = [scenario.client("a", rebalance_timeout_ms=7000).join()]
    for _ in range(6):
        scenario.advance(1)
        joins.append(scenario.client("b", rebalance_timeout_ms=7000).join())
    scenario.advance(1)
    assert not waits(joins[0])


def test_a_newcomer_makes_the_others_join_again():
    scenario = Scenario()
    (a,) = scenario.stable_group("a")
    b = scenario.client("b")
    join = b.join()
    assert waits(join)
    assert a.heartbeat() == ErrorCode.REBALANCE_IN_PROGRESS
    assert error_of(a.sync()) == ErrorCode.REBALANCE_IN_PROGRESS
    again = a.join()
    assert a.joined(again).generation_id == b.joined(join).generation_id == 2
    assert b.response.leader == a.member_id


def test_a_member_that_is_killed_is_missed_after_its_session_timeout():
    scenario = Scenario()
    a, b = scenario.stable_group("a", "b")
    for _ in range(3):
        scenario.advance(4)
        a.heartbeat()
    assert a.heartbeat() == ErrorCode.REBALANCE_IN_PROGRESS
    assert a.joined(a.join()).generation_id == 2
    assert answered(a.sync()).error_code == ErrorCode.NONE
    assert b.heartbeat() == ErrorCode.UNKNOWN_MEMBER_ID
    assert [member.client_id for member in scenario.coordinator.describe("group", version=6).members] == ["a"]


def test_members_that_do_not_join_again_in_time_are_left_behind():
    scenario = Scenario()
    a, b = scenario.stable_group("a", "b", session_timeout_ms=100_000)
    join = a.join()  # a leader that joins again wants a rebalance
    assert waits(join)
    scenario.advance(60)
    assert a.joined(join).generation_id == 2
    assert b.heartbeat() == ErrorCode.UNKNOWN_MEMBER_ID


def test_another_leads_if_the_leader_does_not_join_again():
    scenario = Scenario()
    _, b = scenario.stable_group("a", "b", session_timeout_ms=100_000)
    b.protocols = {"range": subscription("other")}
    join = b.join()
    scenario.advance(60)
    assert b.joined(join).leader == b.member_id


def test_members_that_never_sync_are_left_behind():
    scenario = Scenario()
    a, b = (scenario.client(name, session_timeout_ms=100_000) for name in "ab")
    joins = [a.join(), b.join()]
    scenario.advance(0)
    a.joined(joins[0])
    b.joined(joins[1])
    a.sync()
    assert scenario.state() == "Stable"
    scenario.advance(60)
    assert a.heartbeat() == ErrorCode.REBALANCE_IN_PROGRESS
    assert b.heartbeat() == ErrorCode.UNKNOWN_MEMBER_ID


def test_who_waits_for_the_leaders_assignment_is_told_when_a_new_rebalance_begins():
    scenario = Scenario()
    a, b = (scenario.client(name) for name in "ab")
    joins = [a.join(), b.join()]
    scenario.advance(0)
    a.joined(joins[0])
    b.joined(joins[1])
    sync = b.sync()
    scenario.client("c").join()
    assert error_of(sync) == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_member_that_waits_does_not_need_heartbeats():
    scenario = Scenario()
    a, b = scenario.stable_group("a", "b")
    b.session_timeout_ms = 6000
    join = b.protocols.update(range=subscription("x")) or b.join()
    for _ in range(5):
        scenario.advance(8)
        a.heartbeat()
    assert waits(join)
    assert a.joined(a.join()).generation_id == b.joined(join).generation_id == 2


def test_a_new_member_whose_rebalance_never_ends_is_forgotten_after_five_minutes():
    scenario = Scenario()
    (a,) = scenario.stable_group("a", session_timeout_ms=400_000, rebalance_timeout_ms=400_000)
    join = scenario.client("b", rebalance_timeout_ms=400_000).join()
    scenario.advance(299)
    assert waits(join)
    scenario.advance(2)
    assert error_of(join) == ErrorCode.UNKNOWN_MEMBER_ID
    assert a.heartbeat() == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_promised_id_holds_up_a_rebalance_only_until_its_session_timeout():
    scenario = Scenario()
    (a,) = scenario.stable_group("a", session_timeout_ms=100_000)
    answered(scenario.client("b", session_timeout_ms=7000).ask_to_join())
    join = a.join()
    assert waits(join)
    scenario.advance(7)
    assert a.joined(join).generation_id == 2


def test_the_last_member_that_leaves_makes_the_group_empty_with_a_new_generation():
    scenario = Scenario()
    a, b = scenario.stable_group("a", "b")
    assert answered(a.leave()).members[0].error_code == ErrorCode.NONE
    b.joined(b.join())
    assert answered(b.leave()).members[0].error_code == ErrorCode.NONE
    assert scenario.state() == "Empty"
    image = scenario.durable()["group"][0]
    assert (image.generation, image.leader, image.protocol, image.protocol_type) == (3, None, None, "consumer")


def test_leaving_answers_for_each_member_and_names_strangers():
    scenario = Scenario()
    (a,) = scenario.stable_group("a")
    assert error_of(scenario.client(group_id="nobody").leave()) == ErrorCode.NONE
    stranger = scenario.client("x")
    stranger.member_id = "x"
    assert answered(stranger.leave()).members[0].error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert answered(scenario.client(group_id="").leave()).error_code == ErrorCode.INVALID_GROUP_ID
    assert a.heartbeat() == ErrorCode.NONE


def test_a_member_removed_while_it_waits_is_told_so():
    scenario = Scenario()
    a, b = scenario.stable_group("a", "b")
    join = a.join()
    a.leave()
    assert error_of(join) == ErrorCode.UNKNOWN_MEMBER_ID
    assert b.heartbeat() == ErrorCode.REBALANCE_IN_PROGRESS


def test_joining_twice_answers_the_first_request_too():
    scenario = Scenario()
    a, _ = scenario.stable_group("a", "b")
    first = a.join()
    second = a.join()
    assert error_of(first) == ErrorCode.REBALANCE_IN_PROGRESS
    assert waits(second)


def test_a_follower_that_joins_again_unchanged_learns_the_generation_it_is_in():
    scenario = Scenario()
    a, b = scenario.stable_group("a", "b")
    response = answered(b.join())
    assert (response.generation_id, response.leader, response.members) == (1, a.member_id, [])
    assert scenario.state() == "Stable"


def test_a_leader_that_joins_again_before_it_synced_gets_the_members_again():
    scenario = Scenario()
    a, b = scenario.client("a"), scenario.client("b")
    joins = [a.join(), b.join()]
    scenario.advance(0)
    a.joined(joins[0])
    b.joined(joins[1])
    assert len(answered(a.join()).members) == 2
    assert answered(b.join()).members == []
    assert scenario.state() == "CompletingRebalance"


def test_cooperative_members_rejoin_with_what_they_own_and_so_start_the_second_rebalance():
    scenario = Scenario()
    a, b = scenario.stable_group("a", "b", protocols={"cooperative-sticky": subscription("topic") + b"owns 0,1"})
    b.protocols = {"cooperative-sticky": subscription("topic") + b"owns 1"}
    join = b.join()
    assert waits(join)
    assert a.heartbeat() == ErrorCode.REBALANCE_IN_PROGRESS
    response = a.joined(a.join())
    b.joined(join)
    assert [member.metadata[-6:] for member in response.members] == [b"ns 0,1", b"owns 1"]


@pytest.mark.parametrize(
    ("preferences", "chosen"),
    [
        ([["range", "roundrobin"], ["roundrobin", "range"], ["roundrobin", "range"]], "roundrobin"),
        ([["sticky", "range"], ["range"]], "range"),
        # A tie goes to whichever Java's HashMap meets first; checked against Apache.
        ([["range", "roundrobin"], ["roundrobin", "range"]], "range"),
        ([["range", "sticky"], ["sticky", "range"]], "sticky"),
    ],
)
def test_members_vote_for_a_protocol_that_all_support(preferences, chosen):
    scenario = Scenario()
    clients = [
        scenario.client(f"c{i}", protocols=dict.fromkeys(names, subscription("topic")))
        for i, names in enumerate(preferences)
    ]
    scenario.rebalance(clients)
    assert clients[0].response.protocol_name == chosen


def test_members_must_share_a_protocol_and_its_type():
    scenario = Scenario()
    assert error_of(scenario.client(protocol_type="").join()) == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    nothing = scenario.client()
    nothing.protocols = {}
    assert error_of(nothing.join()) == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    scenario.stable_group("a")
    assert error_of(scenario.client(protocol_type="connect").join()) == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert error_of(scenario.client(protocols={"sticky": b""}).join()) == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_a_join_that_was_refused_leaves_an_empty_group_behind():
    scenario = Scenario()
    scenario.client(protocol_type="").join()
    assert scenario.state() == "Empty"
    assert scenario.durable()["group"][0].generation == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"group_id": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"session_timeout_ms": 5999}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"session_timeout_ms": 1_800_001}, ErrorCode.INVALID_SESSION_TIMEOUT),
    ],
)
def test_a_join_with_impossible_values_is_refused(options, code):
    assert error_of(Scenario().client(**options).join()) == code


def test_an_id_that_nobody_gave_out_is_unknown():
    scenario = Scenario()
    client = scenario.client()
    client.member_id = "invented"
    response = answered(client.ask_to_join())
    assert (response.error_code, response.member_id) == (ErrorCode.UNKNOWN_MEMBER_ID, "invented")
    scenario.stable_group("a")
    assert error_of(client.ask_to_join()) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_group_takes_no_more_members_than_it_may():
    scenario = Scenario(SETTINGS._replace(max_size=2))
    a, _ = scenario.stable_group("a", "b")
    third = scenario.client("c")
    response = answered(third.join())
    assert (response.error_code, response.member_id) == (ErrorCode.GROUP_MAX_SIZE_REACHED, "")
    assert waits(a.join())


def test_a_group_that_shrank_below_its_limit_has_room_again():
    scenario = Scenario(SETTINGS._replace(max_size=1))
    (a,) = scenario.stable_group("a")
    a.leave()
    (b,) = scenario.stable_group("b")
    assert scenario.state() == "Stable"
    assert b.heartbeat() == ErrorCode.NONE


def test_heartbeat_and_sync_tell_who_is_wrong():
    scenario = Scenario()
    (a,) = scenario.stable_group("a")
    a.generation = 7
    assert a.heartbeat() == error_of(a.sync()) == ErrorCode.ILLEGAL_GENERATION
    a.generation = 1
    a.response.protocol_name = "sticky"
    assert error_of(a.sync()) == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    a.response.protocol_name = "range"
    a.response.protocol_type = "connect"
    assert error_of(a.sync()) == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    stranger = scenario.client("x")
    stranger.member_id = "x"
    assert stranger.heartbeat() == error_of(stranger.sync()) == ErrorCode.UNKNOWN_MEMBER_ID
    stranger.group_id = "nobody"
    assert stranger.heartbeat() == error_of(stranger.sync()) == ErrorCode.UNKNOWN_MEMBER_ID
    stranger.group_id = ""
    assert stranger.heartbeat() == error_of(stranger.sync()) == ErrorCode.INVALID_GROUP_ID


def test_a_client_that_vanished_while_joining_is_forgotten_in_time_and_disturbs_nobody():
    scenario = Scenario()
    a, b = scenario.stable_group("a", "b")
    join = b.protocols.update(range=subscription("x")) or b.join()
    join.abandon()
    a.joined(a.join())
    assert scenario.state() == "CompletingRebalance"
    answered(a.sync())
    scenario.advance(9)
    assert a.heartbeat() == ErrorCode.NONE
    scenario.advance(2)
    assert a.heartbeat() == ErrorCode.REBALANCE_IN_PROGRESS
    a.joined(a.join())
    assert [member.member_id for member in a.response.members] == [a.member_id]


def test_a_member_removed_while_it_waits_for_its_assignment_is_told_so():
    scenario = Scenario()
    a, b = scenario.client("a"), scenario.client("b")
    joins = [a.join(), b.join()]
    scenario.advance(0)
    a.joined(joins[0])
    b.joined(joins[1])
    sync = b.sync()
    b.leave()
    assert error_of(sync) == ErrorCode.UNKNOWN_MEMBER_ID


def test_naming_a_protocol_twice_stops_nobody():
    scenario = Scenario()
    request = JoinGroupRequest(
        group_id="group",
        session_timeout_ms=10_000,
        rebalance_timeout_ms=60_000,
        member_id="",
        protocol_type="consumer",
        protocols=[JoinGroupRequest.Protocol(name="range", metadata=b"")] * 2,
    )
    join = scenario.coordinator.join(request, version=3, client_id="a", client_host="/10.0.0.1")
    scenario.advance(0)
    assert answered(join).protocol_name == "range"
