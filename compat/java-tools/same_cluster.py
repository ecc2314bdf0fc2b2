"""The tools that show the cluster: nodes, quorum, features, APIs, log folders."""

from __future__ import annotations

import json
import re

from compat_program import check
from shell import Shell


def cluster(shell: Shell) -> None:
    text = shell.quietly("cluster", "cluster-id")
    shell.printed.add("cluster-id", re.sub(r"ID: \S+", "ID: ...", text))
    shell.run("cluster", "list-endpoints")
    shell.run("cluster", "list-endpoints", "--include-fenced-brokers")
    shell.refuse("cluster", "unregister", "--id", "7")


def quorum(shell: Shell) -> None:
    """Offsets, times and folders are each broker's own."""
    for words in ("--status", "--replication", "--replication --human-readable"):
        text = shell.quietly("quorum", "describe", *words.split())
        if words == "--status":
            shown = re.sub(
                r"(?m)^(ClusterId|LeaderEpoch|HighWatermark|MaxFollowerLagTimeMs):(\s+)\S+$", r"\1: ...", text
            )
            shown = re.sub(r'"(directoryId|id)": "?[^",}]+"?|PORT|\[.*?CONTROLLER.*?\]', "...", shown)
        else:
            lines = [line.split("\t") for line in text.splitlines()]
            # Node, lag and status; between them an id, an offset, times.
            shown = "\n".join(
                " ".join(column.strip() for column in (line[0], line[3], line[-1])) for line in lines if len(line) > 3
            )
        shell.printed.add(f"quorum describe {words}", shown)
    shell.refuse(
        "quorum", "remove-controller", "--controller-id", "7", "--controller-directory-id", "AAAAAAAAAAAAAAAAAAAABQ"
    )


def features(shell: Shell) -> None:
    """Ottla has only those whose behaviour it serves, so each is compared where both have it."""
    shown = shell.quietly("features", "describe")
    version = re.findall(r"Feature: metadata.version\s.*?FinalizedVersionLevel: (\S+)", shown)
    shell.printed.add("features describe", f"metadata.version {version}")
    shell.run("features", "version-mapping", "--release-version", "4.0-IV3")
    shell.run("features", "feature-dependencies", "--feature", "metadata.version=25")
    shell.run("features", "upgrade", "--metadata", "4.3-IV0")
    for words in (
        "upgrade --feature no.such.feature=1",
        "downgrade --metadata 3.3-IV0",
        "disable --feature no.such.feature",
    ):
        text = shell.quietly("features", *words.split(), ends=1)
        # The text after the first sentence is the broker's.
        shell.printed.add(f"features {words}", re.sub(r"(?m)^(Could not .*?\.) .*", r"\1", text))


def api_versions(shell: Shell) -> None:
    """Compare the APIs that both serve, with the versions of both."""
    text = shell.quietly("api-versions")
    check("Produce(0): 0 to 13 [usable: 13]" in text, "versions are shown")
    # Those that are not here yet are counted by the README's table.
    missing = re.compile(r"\t(?!\w+\(\d+\): UNSUPPORTED).*")
    lines = [line.rstrip(",") for line in text.splitlines() if missing.match(line)]
    shell.printed.add("usable by kafka-clients", "\n".join(line for line in lines if _served(line)))


def _served(line: str) -> bool:
    key = re.search(r"\((\d+)\)", line)
    # Transactions, and the groups of the newer protocols.
    return bool(key) and int(key[1]) not in {24, 25, 26, 27, 28, 65, 66, 68, 69, *range(76, 80), *range(83, 93)}


def log_dirs(shell: Shell) -> None:
    shell.create(1)
    shell.produce(["something"])
    shell.produce(["and more"])
    shell.quietly("topics", "--alter", "--topic", shell.job.topic, "--partitions", "2")

    def folders(*words: str) -> None:
        text = shell.quietly("log-dirs", "--describe", *words)
        described = json.loads(text.strip().splitlines()[-1])
        for broker in described["brokers"]:
            for folder in broker["logDirs"]:
                folder["logDir"] = "..."
                folder["partitions"] = [
                    one for one in folder["partitions"] if one["partition"].startswith(shell.job.topic)
                ]
                folder["partitions"].sort(key=lambda one: one["partition"])
        shell.printed.add(
            f"log-dirs {' '.join(words)}", "\n".join([*text.strip().splitlines()[:-1], json.dumps(described, indent=1)])
        )

    folders("--topic-list", shell.job.topic)
    folders("--topic-list", shell.job.topic, "--broker-list", "1")
    folders("--topic-list", f"{shell.job.topic}-missing")
    folders()
    shell.refuse("log-dirs", "--describe", "--broker-list", "1,7")


SCENARIOS = {
    "prints-cluster": cluster,
    "prints-quorum": quorum,
    "prints-features": features,
    "prints-api-versions": api_versions,
    "prints-log-dirs": log_dirs,
}
