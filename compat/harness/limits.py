"""Limits between client and broker: waiting fetches, refused sizes, addresses, connections that nobody uses."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Protocol

from compat.harness.broker import Broker
from compat.harness.groups import SETTLE, wait_for_values
from compat.harness.program import ScenarioError
from compat.harness.stage import Stage
from compat.harness.subscriptions import produce, start_member

PARTITIONS = 3
WOKEN = 3.0  # seconds: on a busy machine, and far from the 30 that the fetch may wait


class BrokerKind(Protocol):
    """Makes brokers with settings of their own."""

    def __call__(self, directory: Path, *, settings: dict[str, str]) -> Broker: ...


def long_poll(stage: Stage) -> str:
    """A fetch that may wait 30 s is answered as soon as there is a record."""
    stage.run("create", timeout=30)
    member = start_member(stage, max_wait_ms=30_000, session_timeout_ms=60_000)
    member.wait_for(lambda: bool(member.named("assignment")), "the member has joined", SETTLE)
    producer = produce(stage, 3, rate=0.25)
    wait_for_values(producer, [member])
    member.stop(timeout=60)
    sent = {event["value"]: event["at"] for event in producer.named("acked")}
    slowest = max(event["at"] - sent[event["value"]] for event in member.named("record"))
    if slowest > WOKEN:
        raise ScenarioError(f"a record arrived {slowest:.1f} s after its acknowledgement")
    return f"{max(slowest, 0) * 1000:.0f} ms"


def _padding(length: int) -> str:
    """Text that compression does not make much shorter; some clients compress without being asked."""
    return "".join(random.choices("0123456789abcdef", k=length))


def max_message_bytes(stage: Stage) -> str:
    """The topic's own limit refuses what is larger; a smaller record, and another topic, are not touched."""
    stage.run("create", timeout=30, configs={"max.message.bytes": "4000"})
    refusing = stage.start("producer", "refusing", padding=_padding(20_000), rate=5)
    refusing.wait_for(lambda: len(refusing.named("refused")) >= 3, "large records are refused", SETTLE)
    refusing.stop()
    if accepted := refusing.named("acked"):
        raise ScenarioError(f"{len(accepted)} records over the limit were accepted")
    # Few and small: Java's producer, when slow, would gather them into a batch over the limit, and not split that.
    produce(stage, 3, padding=_padding(200), rate=2)
    other = f"{stage.topic}-other"
    stage.run("create", timeout=30, topic=other)
    produce(stage, 3, topic=other, padding=_padding(20_000), label="other")
    return str(refusing.named("refused")[0]["error"])[:100]


def ipv6(stage: Stage) -> str:
    """One client comes by IPv4 and one by IPv6; both are sent on to an address that they reach."""
    stage.bootstrap = stage.broker.bootstrap_ipv6
    stage.run("create", timeout=30, partitions=PARTITIONS)
    by_ipv6 = start_member(stage)
    stage.bootstrap = stage.broker.bootstrap
    producer = produce(stage, 50, partitions=PARTITIONS)
    wait_for_values(producer, [by_ipv6])
    by_ipv6.stop()
    return "both read and write"


def idle_connections(stage: Stage) -> str:
    """Connections that the broker closes for being idle, again and again, cost no record."""
    make: BrokerKind = type(stage.broker)
    with make(stage.directory / "broker", settings={"connections.max.idle.ms": "1000"}) as broker:
        stage.bootstrap = broker.bootstrap
        stage.run("create", timeout=30)
        member = start_member(stage)
        producer = produce(stage, 5, rate=0.4)
        wait_for_values(producer, [member])
        member.stop()
        if refused := producer.named("refused"):
            raise ScenarioError(f"a record was refused: {refused[0]['error']}")
        offsets = [event["offset"] for event in producer.named("acked")]
        if offsets != list(range(len(offsets))):
            raise ScenarioError(f"the records are at {offsets}")
    return f"{len(offsets)} records, 2.5 s apart"
