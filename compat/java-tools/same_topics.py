"""kafka-topics, kafka-leader-election and kafka-reassign-partitions: what they print of topics and their replicas."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from compat_program import check, eventually
from shell import Shell, error_classes


def topics(shell: Shell) -> None:
    topic = shell.job.topic
    create = ["--create", "--topic", topic, "--partitions", "3", "--replication-factor", "1"]
    shell.run("topics", *create, "--config", "retention.ms=3600000", "--config", "cleanup.policy=compact")
    shell.refuse("topics", *create)
    shell.run("topics", *create, "--if-not-exists")
    shell.run("topics", "--list", "--topic", topic)
    shell.run("topics", "--list", "--topic", f"{topic[:-6]}[0-9a-f]{{6}}")
    shell.run("topics", "--list", "--exclude-internal", only=topic)
    described = _describe(shell, "--topic", topic)
    check("PartitionCount: 3" in described and "retention.ms=3600000" in described, "the topic is described")
    topic_id = described.split("TopicId: ")[1].split()[0]
    shell.printed.add("describe by id", _masked(shell.quietly("topics", "--describe", "--topic-id", topic_id)))
    for words in ("--under-replicated-partitions", "--unavailable-partitions", "--under-min-isr-partitions"):
        shell.run("topics", "--describe", words, "--topic", topic)
    shell.run("topics", "--describe", "--at-min-isr-partitions", "--topic", topic)
    _describe(shell, "--topics-with-overrides", "--topic", topic)
    _describe(shell, "--topic", topic, "--partition-size-limit-per-response", "1")
    shell.run("topics", "--alter", "--topic", topic, "--partitions", "5")
    shell.refuse("topics", "--alter", "--topic", topic, "--partitions", "2")
    shell.refuse("topics", "--alter", "--topic", topic, "--partitions", "5")
    _describe(shell, "--topic", topic)
    assigned = ["--topic", f"{topic}-assigned", "--replica-assignment"]
    shell.run("topics", "--create", *assigned, "1,1,1")
    shell.run("topics", "--alter", *assigned, "1,1,1,1", "--partitions", "4")
    _describe(shell, "--topic", f"{topic}-assigned")
    shell.run("topics", "--delete", "--topic", f"{topic}-assigned")
    shell.run("topics", "--delete", "--topic", topic)
    # Apache's brokers see it a moment after the controller.
    eventually(lambda: not shell.quietly("topics", "--list", "--topic", topic).strip(), "the topic is not listed")


def _describe(shell: Shell, *words: str) -> str:
    text = shell.quietly("topics", "--describe", *words)
    shell.printed.add(f"topics --describe {' '.join(words)}", _masked(text))
    return text


def _masked(text: str) -> str:
    """Without the topic's id."""
    words = [word for line in text.split("TopicId: ")[1:] for word in line.split()[:1]]
    for word in words:
        text = text.replace(word, "ID")
    return text


def topics_refused(shell: Shell) -> None:
    topic = shell.job.topic
    create = ["--create", "--topic"]
    one = ["--partitions", "1", "--replication-factor"]
    shell.refuse("topics", *create, topic, *one, "3")
    shell.refuse("topics", *create, topic, "--partitions", "0", "--replication-factor", "1")
    shell.refuse("topics", *create, f"{topic}!", *one, "1")
    shell.refuse("topics", *create, "..", *one, "1")
    shell.refuse("topics", *create, topic, *one, "1", "--config", "retention.ms=long")
    shell.refuse("topics", *create, topic, *one, "1", "--config", "no.such.setting=1")
    shell.refuse("topics", *create, topic, "--replica-assignment", "1:1")
    shell.refuse("topics", *create, topic, "--replica-assignment", "7")
    shell.refuse("topics", "--describe", "--topic", topic)
    shell.run("topics", "--describe", "--topic", topic, "--if-exists")
    shell.refuse("topics", "--alter", "--topic", topic, "--partitions", "2")
    shell.run("topics", "--alter", "--topic", topic, "--partitions", "2", "--if-exists")
    shell.refuse("topics", "--delete", "--topic", topic)
    shell.run("topics", "--delete", "--topic", topic, "--if-exists")
    shell.refuse("topics", "--describe", "--topic-id", "AAAAAAAAAAAAAAAAAAAABQ")


def leader_election(shell: Shell) -> None:
    shell.create(2)
    topic = shell.job.topic
    for kind in ("preferred", "unclean"):
        for partition in ("0", "1"):
            shell.run("elect", "--election-type", kind, "--topic", topic, "--partition", partition)
        shell.run("elect", "--election-type", kind, "--all-topic-partitions")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "partitions.json"
            both = [{"topic": topic, "partition": partition} for partition in (0, 1)]
            path.write_text(json.dumps({"partitions": both}))
            words = ["--election-type", kind, "--path-to-json-file", str(path)]
            # The tool keeps them in a set.
            shell.printed.add(
                f"elect {kind} from a file", "\n".join(sorted(re.split(r"[\s,]+", shell.quietly("elect", *words))))
            )
        shell.refuse("elect", "--election-type", kind, "--topic", topic, "--partition", "7")
        shell.refuse("elect", "--election-type", kind, "--topic", f"{topic}-missing", "--partition", "0")


class Plans:
    """kafka-reassign-partitions with plans in files."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self.shell = shell
        self.path = folder / "plan.json"

    def run(self, plan: object, *words: str, ends: int = 0) -> str:
        self.path.write_text(plan if isinstance(plan, str) else json.dumps(plan))
        option = "--topics-to-move-json-file" if "--generate" in words else "--reassignment-json-file"
        text = self.shell.quietly("reassign", option, str(self.path), *words, ends=ends)
        shown = error_classes(text) if ends else re.sub(r'"/[^"]*"', '"FOLDER"', text)
        self.shell.printed.add(f"reassign {plan} {' '.join(words)}", shown)
        return text


def reassignments(shell: Shell) -> None:
    shell.create(2)
    topic = shell.job.topic
    shell.run("reassign", "--list")
    with tempfile.TemporaryDirectory() as folder:
        plans = Plans(shell, Path(folder))
        topics = {"topics": [{"topic": topic}], "version": 1}
        generated = plans.run(topics, "--broker-list", "1", "--generate")
        plans.run(topics, "--broker-list", "1", "--generate", "--disable-rack-aware")
        plan = generated.strip().splitlines()[-1]
        plans.run(plan, "--execute")
        plans.run(plan, "--execute", "--throttle", "1000000", "--replica-alter-log-dirs-throttle", "1000000")
        shell.run("configs", "--entity-type", "topics", "--entity-name", topic, "--describe")
        shell.run("configs", "--entity-type", "brokers", "--entity-name", "1", "--describe", only="throttled")
        plans.run(plan, "--verify")
        shell.run("configs", "--entity-type", "topics", "--entity-name", topic, "--describe")
        shell.run("configs", "--entity-type", "brokers", "--entity-name", "1", "--describe", only="throttled")
        plans.run(plan, "--cancel")
        plans.run(plan, "--execute", "--additional")
        plans.run(plan, "--verify", "--preserve-throttles")
        one = {"topic": topic, "partition": 0}
        plans.run({"version": 1, "partitions": [one | {"replicas": [1], "log_dirs": ["any"]}]}, "--execute")
        plans.run({"version": 1, "partitions": [one | {"replicas": [7]}]}, "--execute", ends=1)
        plans.run({"version": 1, "partitions": [one | {"replicas": []}]}, "--execute", ends=1)
        plans.run({"version": 1, "partitions": [one | {"replicas": [1], "topic": f"{topic}-no"}]}, "--execute", ends=1)
        plans.run({"version": 1, "partitions": [one | {"replicas": [1, 1]}]}, "--execute", ends=1)
        plans.run({"topics": [{"topic": f"{topic}-no"}], "version": 1}, "--broker-list", "1", "--generate", ends=1)
        plans.run(topics, "--broker-list", "7", "--generate", ends=1)
    shell.run("reassign", "--list")


SCENARIOS = {
    "prints-topics": topics,
    "prints-topics-refused": topics_refused,
    "prints-leader-election": leader_election,
    "prints-reassignments": reassignments,
}
