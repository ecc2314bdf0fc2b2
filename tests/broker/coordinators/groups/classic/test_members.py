"""The members of a classic group: who they are, who leads, and which protocol they agree on."""

import pytest

from ottla.broker.coordinators.groups.classic.members import JoinAsked, Member, Members
from ottla.broker.coordinators.groups.group import Identity
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.group_records import GroupMetadataValue
from ottla.wire.messages.groups import JoinGroupRequest


def protocols(*names):
    return [JoinGroupRequest.Protocol(name=name, metadata=name.encode()) for name in names]


def member(member_id, *names, instance_id=None, rebalance_timeout_ms=1000):
    return Member(
        member_id=member_id,
        group_instance_id=instance_id,
        client_id="app",
        client_host="/10.0.0.1",
        rebalance_timeout_ms=rebalance_timeout_ms,
        session_timeout_ms=500,
        protocols=protocols(*(names or ("range",))),
    )


def join(**fields):
    request = JoinGroupRequest(
        group_id="group",
        session_timeout_ms=500,
        member_id="",
        protocol_type="consumer",
        protocols=protocols("range"),
        **fields,
    )
    return JoinAsked(
        request,
        client_id="app",
        client_host="/10.0.0.1",
        new_member_id="new",
        requires_member_id=False,
        may_skip_assignment=False,
    )


def members_of(*members):
    found = Members()
    for each in members:
        found.add(each)
    return found


def refused(members, member_id, instance_id=None):
    with pytest.raises(KafkaError) as error:
        members.check(Identity(member_id, instance_id))
    return error.value.code


def test_the_first_member_leads_and_the_oldest_that_remains_after_it():
    members = members_of(member("a"), member("b"), member("c"))
    assert members.leader == "a"
    members.remove("a")
    assert members.leader == "b"
    members.remove("c")
    assert members.leader == "b"
    members.remove("b")
    assert members.leader is None


def test_a_request_names_a_member_that_is_there():
    members = members_of(member("a"), member("b", instance_id="place"))
    assert members.check(Identity("a", None)) is members["a"]
    assert members.check(Identity("b", "place")) is members["b"]
    assert refused(members, "x") == ErrorCode.UNKNOWN_MEMBER_ID
    assert refused(members, "a", "no place") == ErrorCode.UNKNOWN_MEMBER_ID
    assert refused(members, "a", "place") == ErrorCode.FENCED_INSTANCE_ID


def test_a_restarted_client_takes_the_place_and_the_lead_of_the_member_before():
    members = members_of(member("old", "range", instance_id="place"), member("b", "range"))
    members["old"].assignment = b"mine"
    members["old"].syncing = object()
    after = members.replace("old", "new")
    assert (after.member_id, after.assignment, after.syncing) == ("new", b"mine", None)
    assert members.leader == members.static_member_id("place") == "new"
    assert "old" not in members
    assert members.all_support_one_of(["range"])


def test_all_have_joined_when_every_member_waits_and_no_id_is_promised():
    members = members_of(member("a"), member("b"))
    members.set_joining(members["a"], join())
    assert not members.all_joined
    members.set_joining(members["b"], join())
    assert members.all_joined
    members.promised["c"] = 5.0
    assert not members.all_joined
    members.remove("c")
    assert members.all_joined
    assert members.set_joining(members["b"], None) is not None
    assert (members.joining_count, members.all_joined) == (1, False)
    members.remove("b")
    assert (members.joining_count, members.all_joined) == (1, True)


def test_an_id_is_promised_no_longer_once_it_is_used():
    members = Members()
    members.promised["a"] = 5.0
    members.add(member("a"))
    assert members.promised == {}


def test_a_leader_that_does_not_join_gives_way_to_one_that_does():
    members = members_of(member("a"), member("b"))
    assert not members.elect_joined_leader()
    members.set_joining(members["b"], join())
    assert members.elect_joined_leader()
    assert members.leader == "b"
    assert not Members().elect_joined_leader()


def test_the_protocol_is_the_one_that_most_like_best_of_those_that_all_support():
    members = members_of(
        member("a", "fancy", "range", "sticky"), member("b", "range", "sticky"), member("c", "sticky", "range")
    )
    assert members.select_protocol() == "range"
    members.set_protocols(members["b"], protocols("sticky", "range"))
    assert members.select_protocol() == "sticky"
    members.set_protocols(members["b"], protocols("range"))
    assert members.select_protocol() == "range"
    assert members.all_support_one_of(["fancy", "range"])
    members.set_protocols(members["c"], protocols("other"))
    assert not members.all_support_one_of(["fancy", "range", "sticky", "other"])
    assert members.select_protocol() is None


def test_a_protocol_that_is_named_twice_counts_once():
    members = members_of(member("a", "range", "range"), member("b", "other"))
    assert not members.all_support_one_of(["range"])


def test_a_member_that_waits_for_the_coordinator_does_not_expire_unless_it_is_new():
    waiting = member("a")
    assert not waiting.must_not_expire
    waiting.joining = join()
    assert waiting.must_not_expire
    waiting.is_new = True
    assert not waiting.must_not_expire


def test_a_member_says_something_under_each_protocol_that_it_supports():
    found = member("a", "range", "sticky")
    assert [found.metadata(name) for name in ("sticky", "other", None)] == [b"sticky", b"", b""]


def test_the_longest_rebalance_timeout_counts_and_the_oldest_clients_have_but_one_timeout():
    assert members_of(member("a"), member("b", rebalance_timeout_ms=7000)).rebalance_timeout_ms == 7000
    assert Members().rebalance_timeout_ms == 0
    assert join(rebalance_timeout_ms=-1).rebalance_timeout_ms == 500
    assert join(rebalance_timeout_ms=900).rebalance_timeout_ms == 900


def test_the_members_are_those_that_the_log_names():
    members = members_of(member("stays"), member("goes"))
    stays = members["stays"]
    stays.deadline = 5.0
    fields = {"client_id": "app", "client_host": "/10.0.0.1", "session_timeout": 500, "rebalance_timeout": -1}
    named = [
        GroupMetadataValue.Member(member_id=member_id, subscription=b"says", assignment=b"has", **fields)
        for member_id in ("stays", "comes")
    ]
    members.adopt(
        GroupMetadataValue(protocol_type="consumer", generation=3, protocol="range", leader="comes", members=named)
    )
    assert [each.member_id for each in members] == ["stays", "comes"]
    assert members.leader == "comes"
    assert members["stays"] is stays
    assert (stays.deadline, stays.assignment) == (5.0, b"has")
    comes = members["comes"]
    assert (comes.metadata("range"), comes.assignment, comes.rebalance_timeout_ms) == (b"says", b"has", 500)
