"""Subscriptions of members: topics by pattern, partitions that come later, a topic that goes, pauses, resets."""

from __future__ import annotations

import time

from compat.harness.groups import SETTLE, assignment, wait_for_values
from compat.harness.program import Event, Program, ScenarioError
from compat.harness.stage import Stage

# Clients learn of new topics and partitions when they ask for metadata; their default is every five minutes.
OFTEN = 1000
LONG_SESSION = 30_000


def start_member(stage: Stage, label: str = "member", **options: object) -> Program:
    """A member that asks for metadata every second."""
    given: dict[str, object] = {"assignor": "eager", "session_timeout_ms": LONG_SESSION, "metadata_max_age_ms": OFTEN}
    return stage.start("member", label, **(given | options))


def produce(stage: Stage, count: int, **options: object) -> Program:
    """Run a producer until `count` records are acknowledged; it has ended then."""
    producer = stage.start("producer", **({"rate": 100} | options))
    producer.wait_for(lambda: len(producer.named("acked")) >= count, f"{count} records are acknowledged", SETTLE)
    producer.stop()
    return producer


def regex_subscription(stage: Stage) -> str:
    """A pattern finds the topic that is there, and one that is created later."""
    member, producers = None, []
    for name in ("first", "later"):
        topic = f"{stage.topic}-{name}"
        stage.run("create", timeout=30, topic=topic)
        member = member or start_member(stage, pattern=f"^{stage.topic}-.*")
        producers.append(produce(stage, 20, label=name, topic=topic))
        wanted = {(topic, event["offset"]) for event in producers[-1].named("acked")}
        _wait_for_places(member, wanted, f"the records of the {name} topic arrive")
    assert member is not None
    member.stop()
    return f"{len(member.named('record'))} records"


def _wait_for_places(member: Program, wanted: set[tuple[str, int]], what: str) -> None:
    member.wait_for(
        lambda: wanted <= {(event["topic"], event["offset"]) for event in member.named("record")}, what, SETTLE
    )


def partitions_added(stage: Stage) -> str:
    """A running producer and a running member use partitions that are added under them."""
    stage.run("create", timeout=30, partitions=2)
    member = start_member(stage)
    producer = stage.start("producer", partitions=2, rate=50, metadata_max_age_ms=OFTEN)
    member.wait_for(lambda: assignment(member) == {0, 1}, "the member has both partitions", SETTLE)
    stage.run("grow", timeout=30, partitions=4)
    producer.say("partitions 4")

    def reached(program: Program, event: str) -> bool:
        return {one["partition"] for one in program.named(event)} == {0, 1, 2, 3}

    producer.wait_for(lambda: reached(producer, "acked"), "the producer reaches the new partitions", SETTLE)
    member.wait_for(lambda: assignment(member) == {0, 1, 2, 3}, "the member has the new partitions", SETTLE)
    producer.stop()
    wait_for_values(producer, [member])
    member.stop()
    return f"{len(producer.named('acked'))} records"


def topic_deleted(stage: Stage) -> str:
    """The topic goes under a running member, comes again with the same name, and the member reads it."""
    stage.run("create", timeout=30)
    member = start_member(stage)
    wait_for_values(produce(stage, 200, label="before"), [member])
    stage.run("delete", timeout=30)
    stage.run("create", timeout=60)
    earlier = len(member.events)
    # Fewer than before: the offset at which the member stands does not exist in the new topic.
    after = produce(stage, 40, label="after", rate=20)
    wanted = {event["offset"] for event in after.named("acked")}

    def read() -> bool:
        return wanted <= {event["offset"] for event in member.events[earlier:] if event.get("event") == "record"}

    member.wait_for(read, "the new topic's records arrive", SETTLE)
    member.stop()
    return f"{len(wanted)} records of the new topic"


def pause_resume(stage: Stage) -> str:
    """While paused, longer than its session, a member gets nothing and keeps its partitions; then it gets all."""
    stage.run("create", timeout=30, partitions=2)
    member = start_member(stage, session_timeout_ms=6000)
    producer = stage.start("producer", partitions=2, rate=50)
    member.wait_for(lambda: len(member.named("record")) >= 50, "the member has started", SETTLE)
    member.say("pause")
    member.wait_for(lambda: bool(member.named("paused")), "the member pauses", SETTLE)
    time.sleep(1)  # what was already fetched
    records, rebalances = len(member.named("record")), len(member.named("assignment"))
    time.sleep(8)
    if more := len(member.named("record")) - records:
        raise ScenarioError(f"{more} records came while the member was paused")
    if len(member.named("assignment")) != rebalances:
        raise ScenarioError("the paused member went through a rebalance")
    member.say("resume")
    producer.stop()
    wait_for_values(producer, [member])
    member.stop()
    places = [(event["partition"], event["offset"]) for event in member.named("record")]
    if len(places) != len(set(places)):
        raise ScenarioError(f"{len(places) - len(set(places))} records came twice")
    return f"{len(places)} records"


def manual_assignment(stage: Stage) -> str:
    """A consumer that assigns itself one partition of three reads that one, and no group exists."""
    stage.run("create", timeout=30, partitions=3)
    producer = produce(stage, 90, partitions=3)
    events = stage.run("read", timeout=60, partitions=3, only=[1])
    read = [event["value"] for event in events if event.get("event") == "record"]
    sent = [event["value"] for event in producer.named("acked") if event["partition"] == 1]
    if read != sorted(sent, key=int):
        raise ScenarioError(f"{len(read)} records read, {len(sent)} are in the partition")
    return f"{len(read)} records"


def offsets_reset(stage: Stage) -> str:
    """A group's offsets are changed while it is empty; its next member starts there."""
    stage.run("create", timeout=30, partitions=2)
    producer = produce(stage, 100, partitions=2)
    member = start_member(stage)
    wait_for_values(producer, [member])
    member.stop()
    wanted = {0: 10, 1: 20}
    stage.run("reset", timeout=60, offsets={str(partition): offset for partition, offset in wanted.items()})
    member = start_member(stage, "again")
    member.wait_for(lambda: set(_first_offsets(member.named("record"))) == {0, 1}, "both partitions are read", SETTLE)
    member.stop()
    if (first := _first_offsets(member.named("record"))) != wanted:
        raise ScenarioError(f"reading went on at {first}, expected {wanted}")
    return "resumed where the offsets were reset to"


def _first_offsets(records: list[Event]) -> dict[int, int]:
    first: dict[int, int] = {}
    for event in records:
        first.setdefault(event["partition"], event["offset"])
    return first


def dead_letter(stage: Stage) -> str:
    """Records that a member cannot take go to another topic, with where they came from; it goes on with the rest."""
    letters = f"{stage.topic}-dead"
    for topic in (stage.topic, letters):
        stage.run("create", timeout=30, topic=topic)
    # It refuses each record whose value ends in 7.
    member = start_member(stage, dead_letter=letters)
    producer = produce(stage, 100)
    wait_for_values(producer, [member])
    member.stop()
    events = stage.run("read", timeout=60, topic=letters)
    dead = {event["value"]: event["headers"] for event in events if event.get("event") == "record"}
    expected = {
        event["value"]: {"topic": stage.topic, "partition": str(event["partition"]), "offset": str(event["offset"])}
        for event in producer.named("acked")
        if event["value"].endswith("7")
    }
    if dead != expected:
        raise ScenarioError(
            f"{len(dead)} dead letters, expected {len(expected)}; such as {next(iter(dead.items()), None)}"
        )
    return f"{len(dead)} dead letters"


def custom_partitioner(stage: Stage) -> str:
    """A partitioner of the program's own decides: here it counts the partitions from the end."""
    stage.run("create", timeout=30, partitions=5)
    producer = produce(stage, 50, partitions=5, partitioner="reversed")
    wrong = [event for event in producer.named("acked") if event["partition"] != 4 - int(event["value"]) % 5]
    if wrong:
        raise ScenarioError(f"{len(wrong)} records are elsewhere than the partitioner said, such as {wrong[0]}")
    return f"{len(producer.named('acked'))} records"
