"""Classic groups from the first member to the last: who waits for whom, and who is turned away."""

from __future__ import annotations

from compat.apache.sequence import Answer, Ask, Begin, Sequence, Steps
from compat.apache.sequences.membership import Member, commit, describe_group
from compat.apache.sequences.offsets import committed
from compat.apache.side import Side
from ottla.wire.messages.groups import DeleteGroupsRequest, LeaveGroupRequest


def _one_member(side: Side) -> Steps:
    yield Ask(describe_group(side))
    one = Member(side)
    yield Ask(one.heartbeat())
    yield from one.enter()
    yield Ask(one.heartbeat())
    yield Ask(one.commit(3))
    yield Ask(describe_group(side))
    yield Ask(one.sync_alone())
    yield Ask(one.sync())
    yield Ask(one.heartbeat())
    yield Ask(describe_group(side))
    for generation in (None, one.generation + 1, one.generation - 1, -1):
        yield Ask(one.heartbeat(generation=generation))
        yield Ask(one.commit(5, generation=generation))
        yield Ask(one.sync(generation=generation))
    yield Ask(committed(side))
    first = one.generation
    one.learn((yield Ask(one.join())))
    yield Ask(one.heartbeat(generation=first))
    yield Ask(one.commit(6))
    yield Ask(one.sync_alone())
    yield Ask(one.commit(7))
    yield Ask(DeleteGroupsRequest(groups_names=[side.group]))
    yield Ask(commit(side, {0: 8}))
    yield Ask(one.leave())
    yield Ask(one.leave())
    yield Ask(one.heartbeat())
    yield Ask(one.join())
    yield Ask(describe_group(side))
    yield Ask(commit(side, {0: 9}))
    yield Ask(committed(side))
    yield Ask(DeleteGroupsRequest(groups_names=[side.group]))
    yield Ask(DeleteGroupsRequest(groups_names=[side.group]))
    yield Ask(describe_group(side))
    yield Ask(committed(side))


def _second_member(side: Side, second: Member) -> Steps:
    """Somebody comes to a stable group, and waits for those who are in it."""
    answer = yield Ask(second.join(), 9, client=second.client)
    second.learn(answer)
    yield Begin(second.join(), 9, client=second.client)


def _two_members(side: Side) -> Steps:
    one, two = Member(side, protocols=("range", "sticky")), Member(side, client="two", protocols=("sticky", "range"))
    yield from one.enter()
    yield Ask(one.sync_alone())
    yield from _second_member(side, two)
    one.wait_for_rebalance()
    yield Ask(one.heartbeat())
    yield Ask(one.commit(1))
    yield Ask(one.sync_alone())
    yield Ask(describe_group(side))
    one.learn((yield Ask(one.join())))
    two.learn((yield Answer(client="two")))
    two.protocols = one.protocols  # what was chosen comes first
    yield Ask(describe_group(side))
    yield Begin(two.sync(), client="two")
    yield Ask(one.sync({one.id: b"one", two.id: b"two"}))
    yield Answer(client="two")
    yield Ask(describe_group(side))
    yield Ask(two.heartbeat(), client="two")
    yield Ask(one.leave())
    yield Ask(two.heartbeat(), client="two")
    yield Ask(describe_group(side))
    two.learn((yield Ask(two.join(), client="two")))
    yield Ask(two.sync_alone(), client="two")
    yield Ask(describe_group(side))
    yield Ask(one.heartbeat())


def _protocols(side: Side) -> Steps:
    one = Member(side, protocols=("range",))
    yield from one.enter()
    yield Ask(one.sync_alone())
    yield Ask(Member(side, protocols=("sticky",)).join())
    yield Ask(Member(side, protocols=()).join())
    yield Ask(Member(side, protocol_type="connect").join())
    yield Ask(Member(side, protocol_type="").join())
    one.learn((yield Ask(one.join())))  # the leader's wish to begin again
    yield Ask(one.sync_alone())
    one.metadata += b"more"
    one.learn((yield Ask(one.join())))
    other = one.sync_alone()
    other.protocol_name = "sticky"
    yield Ask(other)
    other = one.sync_alone()
    other.protocol_type = "connect"
    yield Ask(other)
    yield Ask(one.sync_alone())
    one.protocols = ("sticky",)
    one.learn((yield Ask(one.join())))
    yield Ask(describe_group(side))


def _static_member(side: Side) -> Steps:
    one = Member(side, instance="i-1")
    yield from one.enter()
    yield Ask(one.sync_alone())
    yield Ask(one.heartbeat())
    old = Member(side, instance="i-1", id=one.id, generation=one.generation)
    one.learn((yield Ask(one.join(anew=True))))  # it was restarted
    yield Ask(one.sync_alone())
    yield Ask(describe_group(side))
    for each in (old, one):
        yield Ask(each.heartbeat())
        yield Ask(each.commit(2))
        yield Ask(each.sync())
    yield Ask(old.join())
    yield Ask(old.leave())
    stranger = Member(side, instance="i-2", id=one.id, generation=one.generation)
    yield Ask(stranger.heartbeat())
    yield Ask(stranger.commit(2))
    yield Ask(stranger.leave())
    by_instance = [LeaveGroupRequest.Member(member_id="", group_instance_id=name) for name in ("i-9", "i-1", "i-1")]
    yield Ask(LeaveGroupRequest(group_id=side.group, members=by_instance))
    yield Ask(one.heartbeat())
    yield Ask(describe_group(side))


def _two_static_members(side: Side) -> Steps:
    one, two = Member(side, instance="i-1"), Member(side, client="two", instance="i-2")
    yield from one.enter()
    yield Ask(one.sync_alone())
    yield Begin(two.join(), client="two")
    one.wait_for_rebalance()
    one.learn((yield Ask(one.join())))
    two.learn((yield Answer(client="two")))
    yield Ask(one.sync({one.id: b"one", two.id: b"two"}))
    yield Ask(two.sync(), client="two")
    two.learn((yield Ask(two.join(anew=True), client="two")))
    yield Ask(two.sync(), client="two")
    yield Ask(one.heartbeat())
    yield Ask(describe_group(side))
    two.metadata += b"more"  # what it subscribes to is looked at when it joins again with its id
    two.learn((yield Ask(two.join(anew=True), client="two")))
    yield Ask(one.heartbeat())
    two.metadata += b"and more"
    yield Begin(two.join(), client="two")
    one.wait_for_rebalance()
    one.learn((yield Ask(one.join())))
    two.learn((yield Answer(client="two")))
    yield Ask(describe_group(side))


def _an_expired_member(side: Side) -> Steps:
    one = Member(side, session_ms=400)
    yield from one.enter()
    yield Ask(one.sync_alone())
    side.ask_until(describe_group(side), lambda answer: answer.groups[0].group_state == "Empty")
    yield Ask(describe_group(side))
    yield Ask(one.heartbeat())
    yield Ask(one.commit(2))
    yield Ask(one.sync())
    yield Ask(one.join())
    yield Ask(one.leave())


def _ids_given_and_not_used(side: Side) -> Steps:
    one = Member(side)
    asked = yield Ask(one.join())
    yield Ask(describe_group(side))
    yield from one.enter()
    yield Ask(one.sync_alone())
    pending = Member(side, id=asked.member_id, generation=one.generation)
    yield Ask(pending.heartbeat())
    yield Ask(pending.sync())
    yield Ask(pending.commit(4))
    yield Ask(pending.leave())
    yield Ask(Member(side, id="never seen").join())
    yield Ask(one.heartbeat())


SEQUENCES = (
    Sequence("a group of one member", _one_member, old=True),
    Sequence("two members", _two_members),
    Sequence("protocols of a group", _protocols),
    Sequence("a static member that comes back", _static_member),
    Sequence("two static members", _two_static_members),
    Sequence("a member whose session ends", _an_expired_member, old=True),
    Sequence("member ids given and not used", _ids_given_and_not_used),
)
