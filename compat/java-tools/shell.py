"""Runs Kafka's console tools in one JVM, and holds what each prints against what it printed on Apache."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from compat_program import Job, check, check_equal
from printed import Printed

OPTIONS = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
SHORT = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "configs": "kafka.admin.ConfigCommand",
    "groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "all-groups": "org.apache.kafka.tools.GroupsCommand",
    "offsets": "org.apache.kafka.tools.GetOffsetShell",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "elect": "org.apache.kafka.tools.LeaderElectionCommand",
    "reassign": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "features": "org.apache.kafka.tools.FeatureCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
    "acls": "org.apache.kafka.tools.AclCommand",
    "tokens": "org.apache.kafka.tools.DelegationTokenCommand",
    "streams-reset": "org.apache.kafka.tools.StreamsResetter",
    "producer": "org.apache.kafka.tools.ConsoleProducer",
    "consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
    "verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "latency": "org.apache.kafka.tools.EndToEndLatency",
}
"""The scenarios' names of the tools."""

ALONE = {"verifiable-producer", "verifiable-consumer"}
"""Those that leave threads behind, which print on until the JVM ends."""


def java(*words: str) -> list[str]:
    """A command with Apache's jars, and with those of ours that were built beside the tools."""
    places = f"{os.environ['TOOLS']}:{os.environ['APACHE_JARS']}/*"
    return ["java", *OPTIONS, f"-Dlog4j2.configurationFile={os.environ['LOGGING']}", "-cp", places, *words]


def error_classes(text: str) -> str:
    """The classes of the errors in `text`, or, where a tool names none, what it says before the error's own words."""
    found = re.findall(r"\w+(?:Exception|Error)\b", text)
    said = [re.sub(r" ?: .*", "", line) for line in text.splitlines() if not line.startswith(("\t", "WARNING"))]
    return "\n".join(dict.fromkeys(found) or said)


class Shell:
    """One scenario's tools, run one after another."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.printed = Printed(job)
        self._process = subprocess.Popen(java("Tools"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def quietly(self, tool: str, *words: str, given: str = "", ends: int = 0, at: str = "--bootstrap-server") -> str:
        """Return what the tool prints, which is not compared; fails unless it ends with the code `ends`."""
        where = [at, self.job.bootstrap] if at else []
        first = list(words[:1]) if tool == "cluster" else []  # it wants the action first
        command = [*first, *where, *words[len(first) :]]
        code, text = self._alone(tool, command) if tool in ALONE else self._together(tool, command, given)
        if code != ends:
            print(f"$ {tool} {' '.join(words)}\n{text}", flush=True)
        check_equal(code, ends, f"exit code of {tool} {' '.join(words)} ({text[-300:]})")
        return text

    def _together(self, tool: str, words: list[str], given: str) -> tuple[int, str]:
        """Its exit code and what it printed, in the JVM that the tools share."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"tool": SHORT[tool], "words": words, "given": given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        check(line, f"the JVM ended in {tool}")
        answer = json.loads(line)
        return answer["code"], answer["out"] + answer["err"]

    def _alone(self, tool: str, words: list[str]) -> tuple[int, str]:
        """The same in a JVM of its own."""
        done = subprocess.run(java(SHORT[tool], *words), capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout + done.stderr

    def run(self, tool: str, *words: str, only: str = "", ends: int = 0, **more: str) -> str:
        """Return what the tool prints, which must be the same on both; only lines with the pattern `only`."""
        text = self.quietly(tool, *words, ends=ends, **more)
        if only:
            # The columns are as wide as the longest name of those that are left out.
            lines = [re.sub(r" {2,}", "  ", line) for line in text.splitlines() if re.search(only, line)]
            text = "\n".join(lines)
        self.printed.add(f"{tool} {' '.join(words)}", self.ordered(text))
        return text

    def ordered(self, text: str) -> str:
        """Rows and warnings that follow each other in order, since tools keep partitions in hash tables."""
        beginnings = (self.job.group, f'"{self.job.topic}"', "Warn: ")
        # A warning is set apart by empty lines.
        spaced = re.sub(r"(?m)^(Warn: .*)\n\n(?=Warn: )", r"\1\n", text)
        lines: list[str] = []
        for is_row, some in itertools.groupby(spaced.splitlines(), lambda line: line.startswith(beginnings)):
            rows = list(some)
            lines += sorted(rows) if is_row else rows
        return "\n".join(lines)

    def refuse(self, tool: str, *words: str, ends: int = 1, **more: str) -> str:
        """The same for one that reports an error: brokers word theirs as they like, so only its class is compared."""
        text = self.quietly(tool, *words, ends=ends, **more)
        self.printed.add(f"{tool} {' '.join(words)}", error_classes(text))
        return text

    def create(self, partitions: int = 1, *words: str) -> None:
        """The scenario's topic."""
        count = ["--partitions", str(partitions), "--replication-factor", "1"]
        self.quietly("topics", "--create", "--topic", self.job.topic, *count, *words)

    def produce(self, lines: list[str]) -> None:
        """A record for each of `lines`, all to partition 0 when the topic has no other."""
        given = "".join(line + "\n" for line in lines)
        self.quietly("producer", "--topic", self.job.topic, given=given)

    @contextmanager
    def consuming(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A member of the group that has read at least one record, in a JVM of its own."""
        where = ["--bootstrap-server", self.job.bootstrap, "--topic", self.job.topic, "--group", self.job.group]
        command = java(SHORT["consumer"], *where, "--from-beginning", *words)
        member = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert member.stdout is not None
            check(member.stdout.readline(), "the member reads a record")
            yield member
        finally:
            member.terminate()
            member.wait(30)

    def close(self) -> None:
        """End the JVM."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)
