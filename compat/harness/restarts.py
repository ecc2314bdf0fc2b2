"""Scenarios in which the broker goes away under a running idempotent producer and a running consumer."""

from __future__ import annotations

from collections import Counter

from compat.harness.program import Program, ScenarioError
from compat.harness.stage import Stage

PARTITIONS = 3


def _acknowledged(producer: Program) -> dict[str, tuple[int, int]]:
    return {event["value"]: (event["partition"], event["offset"]) for event in producer.named("acked")}


def _wait_for_more(producer: Program, count: int, what: str) -> None:
    target = len(_acknowledged(producer)) + count
    producer.wait_for(lambda: len(_acknowledged(producer)) >= target, what, 120)


def _restart(stage: Stage, *, unclean: bool) -> str:
    stage.run("create", timeout=30, partitions=PARTITIONS)
    member = stage.start("member", assignor="eager", session_timeout_ms=30000)
    producer = stage.start("producer", partitions=PARTITIONS, rate=100)
    _wait_for_more(producer, 100, "records acknowledged before the restart")
    member.wait_for(lambda: len(member.named("record")) >= 50, "the consumer has started", 120)
    stage.broker.restart(unclean=unclean)
    _wait_for_more(producer, 100, "records acknowledged after the restart")
    producer.stop(timeout=60)

    acknowledged = _acknowledged(producer)
    sent = producer.named("done")[-1]["sent"]
    if len(acknowledged) != sent:
        raise ScenarioError(f"{sent} records sent, {len(acknowledged)} acknowledged")
    member.wait_for(
        lambda: acknowledged.keys() <= {event["value"] for event in member.named("record")},
        "the running consumer sees all acknowledged records",
        120,
    )
    member.stop()
    _check_log(stage, acknowledged)
    return f"{len(acknowledged)} records"


def _check_log(stage: Stage, acknowledged: dict[str, tuple[int, int]]) -> None:
    """Read the topic from its start: each acknowledged record is there once, at the offset of its acknowledgement."""
    events = stage.run("read", timeout=120, partitions=PARTITIONS)
    records = [event for event in events if event.get("event") == "record"]
    counts = Counter(event["value"] for event in records)
    places = {event["value"]: (event["partition"], event["offset"]) for event in records}
    if lost := acknowledged.keys() - counts.keys():
        raise ScenarioError(f"{len(lost)} acknowledged records are lost, such as {min(lost)}")
    if doubled := [value for value, count in counts.items() if count > 1]:
        raise ScenarioError(f"{len(doubled)} records are doubled, such as {min(doubled)}")
    # An offset of -1 is an acknowledgement that could not name one (answered as a duplicate).
    if moved := [value for value, place in acknowledged.items() if place[1] >= 0 and places[value] != place]:
        raise ScenarioError(f"{len(moved)} records are elsewhere than acknowledged, such as {moved[0]}")


def broker_restart(stage: Stage) -> str:
    """SIGTERM and start again: nothing lost, nothing doubled."""
    return _restart(stage, unclean=False)


def broker_kill(stage: Stage) -> str:
    """SIGKILL and start again: nothing acknowledged is lost, nothing doubled."""
    return _restart(stage, unclean=True)
