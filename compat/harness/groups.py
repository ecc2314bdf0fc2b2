"""Group scenarios that need processes to come, go and be killed. Each client only brings a member that consumes."""

from __future__ import annotations

import time
from collections.abc import Iterable

from compat.harness.program import Event, Program, ScenarioError
from compat.harness.stage import Stage

PARTITIONS = 6
SETTLE = 90.0  # seconds that a group may take to be whole again: a session of 6 s, on a machine that is very busy


def assignment(member: Program) -> set[int]:
    """The partitions that `member` owns now, as it says."""
    events = member.named("assignment")
    return set(events[-1]["partitions"]) if events else set()


def _owned_once(members: Iterable[Program]) -> bool:
    owned = [assignment(member) for member in members]
    return all(owned) and sorted(partition for part in owned for partition in part) == list(range(PARTITIONS))


def wait_until_owned_once(what: str, members: list[Program]) -> None:
    """Until the members own all partitions between them, each once and nobody none."""
    members[0].wait_for(lambda: _owned_once(members), f"{what}: {len(members)} members own each partition once", SETTLE)


def _wait_until_quiet(members: list[Program], seconds: float = 2.0) -> None:
    """Until nobody's assignment has changed for a while: no rebalance is still under way."""
    deadline = time.monotonic() + SETTLE
    counts: list[int] = []
    while time.monotonic() < deadline:
        before, counts = counts, [len(member.named("assignment")) for member in members]
        if before == counts:
            return
        time.sleep(seconds)
    raise ScenarioError("the group does not come to rest")


def _values(programs: Iterable[Program], name: str) -> set[str]:
    return {event["value"] for program in programs for event in program.named(name)}


def wait_for_values(producer: Program, members: list[Program]) -> None:
    """Until `members` have seen all that is acknowledged at this moment."""
    acknowledged = _values([producer], "acked")
    running = next((one for one in (producer, *members) if not one.ended), members[0])
    running.wait_for(
        lambda: acknowledged <= _values(members, "record"), "all acknowledged records arrive in the group", SETTLE
    )


def _committed(events: Iterable[Event]) -> dict[int, int]:
    """The highest offset that was committed for each partition."""
    committed: dict[int, int] = {}
    for event in events:
        if event.get("event") == "committed":
            for partition, offset in event["offsets"].items():
                committed[int(partition)] = max(offset, committed.get(int(partition), 0))
    return committed


def _check_resumed(killed: Program, earlier: dict[Program, int]) -> None:
    """Each partition of `killed` went on from its last commit, neither before nor behind a gap.

    `earlier`: the members that took over, each with how many of its events came before the kill.
    """
    before = killed.events + [event for other, count in earlier.items() for event in other.events[:count]]
    committed = _committed(before)
    seen: dict[int, int] = {}
    for event in before:
        if event.get("event") == "record":
            seen[event["partition"]] = max(event["offset"], seen.get(event["partition"], -1))
    first: dict[int, int] = {}
    for other, count in earlier.items():
        for event in other.events[count:]:
            if event.get("event") == "record" and event["partition"] in assignment(killed):
                first.setdefault(event["partition"], event["offset"])
    for partition, offset in first.items():
        low = committed.get(partition, 0)
        high = seen.get(partition, -1) + 1
        if not low <= offset <= max(low, high):
            raise ScenarioError(f"partition {partition} resumed at {offset}, expected {low} to {high}")


def _grow_shrink_resume(stage: Stage, assignor: str) -> str:
    stage.run("create", timeout=30, partitions=PARTITIONS)
    producer = stage.start("producer", partitions=PARTITIONS, rate=100)

    def member(label: str) -> Program:
        return stage.start("member", label, assignor=assignor, session_timeout_ms=6000)

    first = member("first")
    wait_until_owned_once("alone", [first])
    second = member("second")
    wait_until_owned_once("grown", [first, second])
    third = member("third")
    wait_until_owned_once("grown", [first, second, third])
    wait_for_values(producer, [first, second, third])

    earlier = {first: len(first.events), second: len(second.events)}
    third.kill()
    wait_until_owned_once("one killed", [first, second])
    wait_for_values(producer, [first, second, third])
    _check_resumed(third, earlier)

    second.stop()
    wait_until_owned_once("one left", [first])
    first.stop()
    # Records of a refused commit (a rebalance was under way) may come again; committed ones may not.
    committed = _committed(event for one in (first, second, third) for event in one.events)
    fourth = member("fourth")
    wait_until_owned_once("resumed", [fourth])
    wait_for_values(producer, [first, second, third, fourth])
    producer.stop()
    wait_for_values(producer, [first, second, third, fourth])
    fourth.stop()
    if again := [event for event in fourth.named("record") if event["offset"] < committed.get(event["partition"], 0)]:
        raise ScenarioError(f"{len(again)} records came again that were committed, such as {again[0]}")
    return f"{len(_values([producer], 'acked'))} records"


def group_eager(stage: Stage) -> str:
    """Grows to three members, loses one to SIGKILL and one by leaving, resumes; eager assignor."""
    return _grow_shrink_resume(stage, "eager")


def group_cooperative(stage: Stage) -> str:
    """The same with the cooperative protocol."""
    return _grow_shrink_resume(stage, "cooperative")


def group_sticky(stage: Stage) -> str:
    """The same with the eager sticky assignor."""
    return _grow_shrink_resume(stage, "sticky")


def static_member_restart(stage: Stage) -> str:
    """A static member, the leader, comes back within its session: its partitions are kept, and nobody rebalances."""
    stage.run("create", timeout=30, partitions=PARTITIONS)

    def member(label: str, instance: str) -> Program:
        # Long enough that a restart, JVM and all, stays within it on a busy machine.
        return stage.start("member", label, assignor="eager", session_timeout_ms=30000, instance_id=instance)

    leaves = member("leaves", "instance-b")
    wait_until_owned_once("alone", [leaves])
    stays = member("stays", "instance-a")
    wait_until_owned_once("static", [stays, leaves])
    _wait_until_quiet([stays, leaves])
    owned, quiet = assignment(leaves), len(stays.named("assignment"))
    for number, killed in enumerate((False, True)):
        if killed:
            leaves.kill()
        else:
            leaves.stop()
        leaves = member(f"back-{number}", "instance-b")
        leaves.wait_for(lambda back=leaves: bool(assignment(back)), "the member comes back", SETTLE)  # type: ignore[misc]
        if assignment(leaves) != owned:
            raise ScenarioError(f"owned {sorted(owned)} before, {sorted(assignment(leaves))} after its restart")
    time.sleep(1)
    if len(stays.named("assignment")) != quiet:
        raise ScenarioError("the other member went through a rebalance")
    leaves.stop()
    stays.stop()
    return "restarted by closing and by SIGKILL"
