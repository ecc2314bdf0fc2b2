"""kafka-consumer-groups and kafka-groups in all their forms: list, describe, reset by every option, delete."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from compat_program import an_hour_ago, check
from shell import Shell

AT_TIME = "2020-01-01T00:00:00.000"
COMMITTED = 12


def committed_group(shell: Shell, partitions: int = 1) -> None:
    """Twenty records in one partition, of which the group has read some."""
    shell.create(partitions)
    numbers = [f"key:{number}" for number in range(20)]
    shell.quietly(
        "producer",
        "--topic",
        shell.job.topic,
        "--reader-property",
        "parse.key=true",
        "--reader-property",
        "key.separator=:",
        given="".join(line + "\n" for line in numbers),
    )
    shell.quietly(
        "consumer",
        "--topic",
        shell.job.topic,
        "--group",
        shell.job.group,
        "--from-beginning",
        "--max-messages",
        str(COMMITTED),
        "--command-property",
        f"max.poll.records={COMMITTED}",
    )


def groups_list(shell: Shell) -> None:
    committed_group(shell)
    only = f"{shell.job.group}|GROUP"
    shell.run("groups", "--list", only=only)
    for words in ("--state", "--state Empty", "--state stable,empty", "--state Dead", "--type", "--type classic"):
        shell.run("groups", "--list", *words.split(), only=only)
    shell.run("groups", "--list", "--type", "consumer", only=only)
    shell.run("groups", "--list", "--state", "--type", only=only)
    for words in ("", "--consumer", "--group-type classic", "--group-type consumer", "--protocol consumer", "--share"):
        shell.run("all-groups", "--list", *words.split(), only=only)
    shell.refuse("groups", "--list", "--state", "Strange")
    with shell.consuming():
        shell.run("groups", "--list", "--state", only=only)
        shell.run("groups", "--list", "--state", "Stable", only=only)
        shell.run("all-groups", "--list", only=only)


def groups_describe(shell: Shell) -> None:
    committed_group(shell, partitions=3)
    group = ["--describe", "--group", shell.job.group]
    forms = ("", "--offsets", "--offsets --verbose", "--members", "--members --verbose", "--state", "--state --verbose")
    for form in forms:
        shell.run("groups", *group, *form.split())
    for form in ("--offsets", "--members", "--state"):
        shell.run("groups", "--describe", "--all-groups", form, only=f"{shell.job.group}\\s")
    with shell.consuming("--command-property", "client.id=reader", "--command-property", "auto.commit.interval.ms=100"):
        for form in forms:
            shell.run("groups", *group, *form.split())
        shell.run("groups", "--delete", "--group", shell.job.group)
        shell.run("groups", "--reset-offsets", *group[1:], "--all-topics", "--to-earliest", "--execute")
        shell.run("groups", "--delete-offsets", *group[1:], "--topic", shell.job.topic)
    shell.run("groups", "--describe", "--group", f"{shell.job.group}-missing")
    shell.run("groups", "--describe", "--group", f"{shell.job.group}-missing", "--state")


def groups_reset(shell: Shell) -> None:
    committed_group(shell, partitions=2)
    topic = shell.job.topic
    reset = ["--reset-offsets", "--group", shell.job.group]
    for option in (
        "--to-earliest",
        "--to-latest",
        "--to-offset 7",
        "--to-offset 1000",
        "--shift-by 3",
        "--shift-by -4",
        "--shift-by 1000",
        f"--to-datetime {AT_TIME}",
        "--to-datetime 2099-01-01T00:00:00.000",
        "--by-duration PT1H",
        "--by-duration PT0S",
        "--to-current",
    ):
        shell.run("groups", *reset, "--topic", topic, *option.split(), "--dry-run")
        shell.run("groups", *reset, "--topic", topic, *option.split(), "--execute")
        shell.run("groups", "--describe", "--group", shell.job.group)
    shell.run("groups", *reset, "--topic", f"{topic}:0", "--to-offset", "5", "--execute")
    shell.run("groups", *reset, "--all-topics", "--to-latest")
    shell.run("groups", *reset, "--all-topics", "--shift-by", "-1", "--execute")
    exported = shell.run("groups", *reset, "--all-topics", "--to-offset", "9", "--dry-run", "--export")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.csv"
        path.write_text(exported)
        from_file = ["--from-file", str(path), "--execute"]
        shell.printed.add("from-file", shell.ordered(shell.quietly("groups", *reset, *from_file)))
        path.write_text(f'"{topic}",0,0\n"{topic}",1,3\n')
        shell.printed.add("from-file", shell.ordered(shell.quietly("groups", *reset, *from_file)))
    described = shell.run("groups", "--describe", "--group", shell.job.group)
    check(re.search(r" 3 ", described), f"the file's offset is in force: {described}")
    # A group that does not exist yet gets its offsets, too.
    shell.run("groups", *reset[:1], "--group", f"{shell.job.group}-new", "--topic", topic, "--to-latest", "--execute")
    shell.run("groups", "--describe", "--group", f"{shell.job.group}-new")
    shell.run("groups", *reset, "--topic", f"{topic}-missing", "--to-latest", "--execute")
    shell.run("groups", *reset, "--topic", f"{topic}:7", "--to-latest", "--execute")


def groups_reset_by_time(shell: Shell) -> None:
    """Records a second apart, an hour ago."""
    shell.create()
    start = an_hour_ago() // 1000 * 1000
    words = ["--max-messages", "60", "--throughput", "1000", "--message-create-time", str(start)]
    shell.quietly("verifiable-producer", "--topic", shell.job.topic, *words)
    reset = ["--reset-offsets", "--group", shell.job.group, "--topic", shell.job.topic]
    for option in (
        "--by-duration PT2H",
        "--by-duration P1D",
        "--by-duration PT1M",
        "--to-datetime 2021-05-05T01:02:03.004+05:30",
    ):
        shell.run("groups", *reset, *option.split(), "--execute")
    shell.refuse("groups", *reset, "--to-datetime", "yesterday", "--execute", ends=0)
    shell.refuse("groups", *reset, "--by-duration", "an-hour", "--execute", ends=0)


def groups_delete(shell: Shell) -> None:
    committed_group(shell, partitions=2)
    topic, group = shell.job.topic, ["--group", shell.job.group]
    shell.run("groups", "--reset-offsets", *group, "--topic", topic, "--to-latest", "--execute")
    shell.run("groups", "--delete-offsets", *group, "--topic", f"{topic}:1")
    shell.run("groups", "--describe", *group)
    shell.run("groups", "--delete-offsets", *group, "--topic", topic)
    shell.run("groups", "--delete-offsets", *group, "--topic", topic)
    shell.run("groups", "--delete-offsets", *group, "--topic", f"{topic}-missing")
    shell.run("groups", "--delete-offsets", "--group", f"{shell.job.group}-missing", "--topic", topic)
    shell.run("groups", "--describe", *group, "--state")
    shell.run("groups", "--reset-offsets", *group, "--topic", topic, "--to-latest", "--execute")
    shell.run("groups", "--delete", *group)
    shell.run("groups", "--delete", *group)
    shell.run("groups", "--describe", *group)
    shell.run("groups", "--list", only=shell.job.group)


SCENARIOS = {
    "prints-groups-list": groups_list,
    "prints-groups-describe": groups_describe,
    "prints-groups-reset": groups_reset,
    "prints-groups-reset-by-time": groups_reset_by_time,
    "prints-groups-delete": groups_delete,
}
