"""Groups under strain: a static member that stays away too long, commits amid rebalances, two hundred members."""

from __future__ import annotations

import time

from compat.harness.groups import (
    PARTITIONS,
    SETTLE,
    wait_for_values,
    wait_until_owned_once,
)
from compat.harness.program import Program, ScenarioError
from compat.harness.stage import Stage

CROWD = 200


def static_member_expired(stage: Stage) -> str:
    """A static member stays away past its session: the other one takes over, and it is let in again."""
    stage.run("create", timeout=30, partitions=PARTITIONS)

    def member(label: str, instance: str) -> Program:
        return stage.start("member", label, assignor="eager", session_timeout_ms=6000, instance_id=instance)

    stays, leaves = member("stays", "instance-a"), member("leaves", "instance-b")
    wait_until_owned_once("static", [stays, leaves])
    leaves.kill()
    wait_until_owned_once("after its session", [stays])
    back = member("back", "instance-b")
    wait_until_owned_once("it is back", [stays, back])
    back.stop()
    stays.stop()
    return "its partitions went to the other member and came back"


def commits_amid_rebalances(stage: Stage) -> str:
    """Members come and go while all commit: nothing is missed, and nothing that is committed comes again."""
    stage.run("create", timeout=30, partitions=PARTITIONS)
    producer = stage.start("producer", partitions=PARTITIONS, rate=100)
    members = [stage.start("member", "stays", assignor="eager", session_timeout_ms=6000)]
    wait_until_owned_once("alone", members)
    for number in range(3):
        guest = stage.start("member", f"guest-{number}", assignor="eager", session_timeout_ms=6000)
        members.append(guest)
        wait_until_owned_once("a guest", [members[0], guest])
        guest.stop()
        wait_until_owned_once("the guest has left", [members[0]])
    producer.stop()
    wait_for_values(producer, members)
    members[0].stop()
    _check_nothing_committed_came_again(members)
    return f"{len(producer.named('acked'))} records"


def _check_nothing_committed_came_again(members: list[Program]) -> None:
    events = sorted((event for member in members for event in member.events), key=lambda event: event["at"])
    committed: dict[int, int] = {}
    for event in events:
        if event.get("event") == "committed":
            for partition, offset in event["offsets"].items():
                committed[int(partition)] = max(offset, committed.get(int(partition), 0))
        elif event.get("event") == "record" and event["offset"] < committed.get(event["partition"], 0):
            raise ScenarioError(f"offset {event['offset']} of partition {event['partition']} came after its commit")


def two_hundred_members(stage: Stage) -> str:
    """Two hundred consumers of one process join one group: each owns one partition of two hundred."""
    stage.run("create", timeout=60, partitions=CROWD)
    started = time.monotonic()
    crowd = stage.start("crowd", members=CROWD, session_timeout_ms=45_000)

    def owned() -> list[int]:
        latest = {event["member"]: event["partitions"] for event in crowd.named("assignment")}
        return sorted(partition for partitions in latest.values() for partition in partitions)

    crowd.wait_for(lambda: owned() == list(range(CROWD)), "each member owns one partition", 240)
    settled = time.monotonic() - started
    # Some may still be called together once more; only then do all of them read.
    producer = stage.start("producer", partitions=CROWD, rate=200)
    producer.wait_for(lambda: len(producer.named("acked")) >= 2 * CROWD, "two records for each", SETTLE)
    producer.stop()
    wait_for_values(producer, [crowd])
    crowd.stop(timeout=90)
    return f"whole after {settled:.0f} s"
