"""The tools that move records or ask for offsets: what they print, and the offsets they leave behind."""

from __future__ import annotations

import json
import re
import tempfile
from base64 import b64decode
from pathlib import Path

from compat_program import an_hour_ago, check, check_equal
from shell import Shell


def get_offsets(shell: Shell) -> None:
    shell.create(3)
    topic, start = shell.job.topic, an_hour_ago()
    words = [
        "--max-messages",
        "30",
        "--throughput",
        "1000",
        "--repeating-keys",
        "5",
        "--message-create-time",
        str(start),
    ]
    shell.quietly("verifiable-producer", "--topic", topic, *words)
    for time in (
        "latest",
        "earliest",
        "max-timestamp",
        "earliest-local",
        "latest-tiered",
        "-1",
        "-2",
        "-3",
        str(start),
        "0",
    ):
        shell.run("offsets", "--topic", topic, "--time", time)
    shell.run("offsets", "--topic", topic, "--time", str(start + 10**9))
    shell.run("offsets", "--topic", topic, "--partitions", "0,2")
    shell.run("offsets", "--topic-partitions", f"{topic}:1-")
    shell.run("offsets", "--topic-partitions", f"{topic}:-2", "--time", "earliest")
    shell.run("offsets", "--exclude-internal-topics", only=topic)
    shell.refuse("offsets", "--topic", f"{topic}-missing")
    shell.refuse("offsets", "--topic", topic, "--partitions", "7")
    shell.refuse("offsets", "--topic", topic, "--time", "noon")


def delete_records(shell: Shell) -> None:
    shell.create(2)
    topic = shell.job.topic
    shell.quietly(
        "verifiable-producer", "--topic", topic, "--max-messages", "40", "--throughput", "1000", "--repeating-keys", "9"
    )

    def delete(*wanted: tuple[str, int, int], ends: int = 0) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "offsets.json"
            partitions = [{"topic": name, "partition": number, "offset": offset} for name, number, offset in wanted]
            path.write_text(json.dumps({"partitions": partitions, "version": 1}))
            text = shell.quietly("delete-records", "--offset-json-file", str(path), ends=ends)
        text = re.sub(r"(Exception): .*", r"\1", re.sub(r"(?m)^\tat .*\n?", "", text))
        shell.printed.add(f"delete-records {wanted}", "\n".join(sorted(text.splitlines())))
        shell.run("offsets", "--topic", topic, "--time", "earliest")

    delete((topic, 0, 3), (topic, 1, 2))
    delete((topic, 0, 3))
    delete((topic, 0, 1))
    delete((topic, 0, -1))
    delete((topic, 0, 1000))
    delete((topic, 1, 3), (topic, 1, 4), ends=1)


def console(shell: Shell) -> None:
    shell.create(1)
    topic = shell.job.topic
    lines = [f"from:me,number:{number}\tkey-{number % 5}:value {number}" for number in range(20)]
    keyed = [
        "--reader-property",
        "parse.key=true",
        "--reader-property",
        "key.separator=:",
        "--reader-property",
        "parse.headers=true",
    ]
    shell.run("producer", "--topic", topic, *keyed, given="".join(line + "\n" for line in lines))
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        shell.run("producer", "--topic", topic, "--compression-codec", codec, given=f"{codec} one\n{codec} two\n")
    shell.run("producer", "--topic", topic, "--sync", given="sync\n")
    shown = [f"print.{what}=true" for what in ("key", "headers", "partition", "offset", "epoch", "delivery")]
    words = [word for value in shown for word in ("--formatter-property", value)]
    shell.run("consumer", "--topic", topic, "--from-beginning", "--max-messages", "29", *words)
    shell.run("consumer", "--topic", topic, "--partition", "0", "--offset", "27", "--max-messages", "2")
    shell.run("consumer", "--topic", topic, "--partition", "0", "--offset", "earliest", "--max-messages", "1")
    shell.run("consumer", "--include", f"{topic}|nothing", "--from-beginning", "--max-messages", "3")
    shell.run(
        "consumer", "--topic", topic, "--from-beginning", "--timeout-ms", "3000", "--isolation-level", "read_committed"
    )


def offsets_topic(shell: Shell) -> None:
    """Compare the contents of __consumer_offsets, as Apache's own formatters read them."""
    shell.create(1)
    shell.produce(["one", "two"])
    limits = ["--from-beginning", "--max-messages", "2"]
    shell.quietly("consumer", "--topic", shell.job.topic, "--group", shell.job.group, *limits)
    for formatter in ("OffsetsMessageFormatter", "GroupMetadataMessageFormatter"):
        words = [
            "--formatter",
            f"org.apache.kafka.tools.consumer.{formatter}",
            "--from-beginning",
            "--timeout-ms",
            "4000",
        ]
        text = shell.quietly("consumer", "--topic", "__consumer_offsets", *words)
        # Neither the next record nor what the consumer has to say at its end begins a line.
        records = re.sub(r'}(?={"key"|The )', "}\n", text).splitlines()
        ours = "\n".join(line for line in records if f'"group":"{shell.job.group}"' in line)
        check(ours, f"{formatter} finds the group")
        ours = re.sub(r'"topicId":"[^"]*"', '"topicId":...', ours)
        # These hold the topic's name.
        ours = re.sub(
            r'("(?:subscription|assignment)":)"([^"]*)"', lambda found: f"{found[1]}{b64decode(found[2])!r}", ours
        )
        shell.printed.add(formatter, re.sub(r'("(?:\w*[tT]imestamp|generation)"):-?\d+', r"\1:...", ours))


def verifiable(shell: Shell) -> None:
    shell.create(2)
    where = ["--topic", shell.job.topic]
    text = shell.quietly(
        "verifiable-producer",
        *where,
        "--max-messages",
        "50",
        "--throughput",
        "1000",
        "--value-prefix",
        "7",
        "--repeating-keys",
        "3",
    )
    shell.printed.add("verifiable-producer", _untimed(text))
    text = shell.quietly(
        "verifiable-consumer", *where, "--group-id", shell.job.group, "--max-messages", "50", "--verbose"
    )
    seen = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    names = {event["name"] for event in seen}
    check(
        {"startup_complete", "partitions_assigned", "records_consumed", "offsets_committed"} <= names, f"events {names}"
    )
    records = [event for event in seen if event["name"] == "record_data"]
    check_equal(len(records), 50, "records")
    ordered = sorted((event["partition"], event["offset"], event["key"], event["value"]) for event in records)
    shell.printed.add("verifiable-consumer", "\n".join(map(str, ordered)))
    shell.run("groups", "--describe", "--group", shell.job.group, "--offsets")


def _untimed(text: str) -> str:
    """Events without their times, in the order of partitions and offsets: acknowledgements come as they may."""
    events = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    plain = [
        {name: value for name, value in event.items() if name not in {"timestamp", "avg_throughput"}}
        for event in events
    ]
    return "\n".join(sorted(json.dumps(event, sort_keys=True) for event in plain))


def end_to_end_latency(shell: Shell) -> None:
    text = shell.quietly("latency", shell.job.bootstrap, shell.job.topic, "200", "all", "100", at="")
    check(re.search(r"Percentiles: 50th = \d+, 99th = \d+, 99.9th = \d+", text), "latencies are shown")
    shell.run("offsets", "--topic", shell.job.topic)


def streams_reset(shell: Shell) -> None:
    """An application's topics and offsets, without the application: all that the tool asks the broker for."""
    application, topic = shell.job.group, shell.job.topic
    shell.create(2)
    for name in (f"{application}-counts-changelog", f"{application}-by-key-repartition"):
        shell.quietly("topics", "--create", "--topic", name, "--partitions", "1")
    shell.quietly(
        "verifiable-producer", "--topic", topic, "--max-messages", "30", "--throughput", "1000", "--repeating-keys", "4"
    )
    words = ["--application-id", application, "--input-topics", topic]

    def reset(*option: str) -> None:
        text = shell.quietly("streams-reset", *words, *option)
        # The tool keeps topics in a set.
        ordered = re.sub(r"\[(.*?)\]", lambda found: str(sorted(found[1].split(", "))), text)
        shell.printed.add(f"streams-reset {' '.join(option)}", ordered)

    for option in (
        "--to-earliest",
        "--to-latest",
        "--to-offset 3",
        "--shift-by 2",
        "--by-duration PT1H",
        "--to-datetime 2020-01-01T00:00:00.000",
    ):
        reset(*option.split(), "--dry-run")
    reset("--to-offset", "5", "--force")
    shell.run("groups", "--describe", "--group", application)
    shell.run("topics", "--list", only=application)
    shell.refuse("streams-reset", "--application-id", application, "--input-topics", f"{topic}-missing")


SCENARIOS = {
    "prints-offsets": get_offsets,
    "prints-delete-records": delete_records,
    "prints-console": console,
    "prints-offsets-topic": offsets_topic,
    "prints-verifiable": verifiable,
    "end-to-end-latency": end_to_end_latency,
    "prints-streams-reset": streams_reset,
}
