"""The list of scenarios: each with a name, what it proves, and who drives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compat.harness import codecs, groups, limits, members, restarts, subscriptions
from compat.harness.broker import BrokerError
from compat.harness.stage import Stage


@dataclass(frozen=True)
class Scenario:
    """One thing that a client does with a broker."""

    name: str
    proves: str
    drive: Callable[[Stage], str] | None = None
    """Runs several programs of the client; None when its program does all by itself."""
    timeout: float = 90.0
    """Seconds, for a program that does all by itself."""


def _scenario(name: str, proves: str, drive: Callable[[Stage], str] | None = None, timeout: float = 90.0) -> Scenario:
    return Scenario(name=name, proves=proves, drive=drive, timeout=timeout)


SCENARIOS = [
    *(
        _scenario(
            f"produce-{codec}",
            f"Keyed records with headers, {codec} compression, read back equal and stored with that codec",
            codecs.produce_with(codec),
        )
        for codec in codecs.CODECS
    ),
    _scenario("consume-from-start", "A consumer at the earliest offset reads all there is"),
    _scenario("consume-from-end", "A consumer at the latest offset reads only what comes after"),
    _scenario("consume-from-timestamp", "Offsets by timestamp, inside a batch too; none after the last record"),
    _scenario("idempotent-produce", "Many small batches in flight, each record once and in order"),
    _scenario("topics", "Topics created, listed, described, refused twice, deleted, and created again with one name"),
    _scenario("auto-create-topic", "Producing to an unknown topic creates it"),
    _scenario("large-record", "One record of 10 MB"),
    _scenario(
        "thousand-partitions", "A topic of 1,000 partitions: created, described, produced to, deleted", timeout=120
    ),
    _scenario("commit-metadata", "Offsets committed with metadata and read back"),
    _scenario("admin-groups", "Groups listed, described while stable and when empty, deleted"),
    _scenario("consumer-lag", "End offsets less committed offsets, through the admin API"),
    _scenario("delete-records", "Records deleted before an offset; reading starts there"),
    _scenario(
        "group-eager", "Three members over six partitions: grow, one killed, one leaves, resume", groups.group_eager
    ),
    _scenario("group-cooperative", "The same with cooperative rebalancing", groups.group_cooperative),
    _scenario("static-member-restart", "A static member returns without a rebalance", groups.static_member_restart),
    _scenario("group-sticky", "The same with the eager sticky assignor", groups.group_sticky),
    _scenario(
        "static-member-expired",
        "A static member stays away past its session, and comes back",
        members.static_member_expired,
    ),
    _scenario(
        "commits-amid-rebalances",
        "Members come and go while all commit: nothing missed, nothing committed comes again",
        members.commits_amid_rebalances,
    ),
    _scenario(
        "two-hundred-members", "200 consumers in one group over 200 partitions, one each", members.two_hundred_members
    ),
    _scenario("offsets-reset", "An empty group's offsets changed; it resumes there", subscriptions.offsets_reset),
    _scenario("regex-subscription", "A pattern meets a topic that is created later", subscriptions.regex_subscription),
    _scenario("manual-assignment", "One partition of three read without a group", subscriptions.manual_assignment),
    _scenario(
        "pause-resume",
        "Paused past the session: nothing arrives, nobody rebalances; then all",
        subscriptions.pause_resume,
    ),
    _scenario(
        "partitions-added", "Partitions added under a running producer and consumer", subscriptions.partitions_added
    ),
    _scenario(
        "topic-deleted", "A topic deleted under a consumer and created again is read again", subscriptions.topic_deleted
    ),
    _scenario("custom-partitioner", "A partitioner of the program's own decides", subscriptions.custom_partitioner),
    _scenario("dead-letter", "Poison records go to a dead-letter topic, with their origin", subscriptions.dead_letter),
    _scenario("long-poll", "A fetch that may wait 30 s is answered at once when a record comes", limits.long_poll),
    _scenario("max-message-bytes", "A topic's own limit refuses larger records only", limits.max_message_bytes),
    _scenario("ipv6", "Clients by IPv4 and IPv6 at once", limits.ipv6),
    _scenario(
        "idle-connections", "Connections closed for idleness again and again cost no record", limits.idle_connections
    ),
    _scenario(
        "broker-restart", "Broker restarted under producer and consumer: none lost or doubled", restarts.broker_restart
    ),
    _scenario("broker-kill", "Broker killed under producer and consumer: none lost or doubled", restarts.broker_kill),
]

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def play(stage: Stage) -> None:
    """Run the stage's scenario. Raises ScenarioError or BrokerError."""
    known = BY_NAME.get(stage.scenario)
    if known and known.drive:
        known.drive(stage)
    else:
        stage.run(stage.scenario, timeout=known.timeout if known else 400.0)
    if not stage.broker.alive:
        raise BrokerError(f"{stage.broker.name} ended during the scenario")
