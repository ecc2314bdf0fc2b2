"""Kafka's own console tools, run as a person would run them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

import same_cluster
import same_configs
import same_groups
import same_records
import same_topics
from compat_program import Job, check, check_equal, main
from shell import Shell

TIMEOUT = 120.0  # seconds, for one tool


def tool(
    job: Job,
    class_name: str,
    *words: str,
    given: str = "",
    bootstrap: str = "--bootstrap-server",
    action: tuple[str, ...] = (),
) -> str:
    """Return what the tool prints; fails unless it ends with 0. `action` are words that must come first."""
    options = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    options += [f"-Dlog4j2.configurationFile={os.environ['LOGGING']}", "-cp", f"{os.environ['APACHE_JARS']}/*"]
    command = ["java", *options, class_name, *action, bootstrap, job.bootstrap, *words]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    print(f"$ {class_name} {' '.join(words)}\n{done.stdout}{done.stderr}", flush=True)
    check_equal(done.returncode, 0, f"exit code of {class_name} ({(done.stderr or done.stdout)[-300:]})")
    return done.stdout


def topics(job: Job, *words: str) -> str:
    return tool(job, "org.apache.kafka.tools.TopicCommand", *words)


def create(job: Job, partitions: int = 1) -> None:
    topics(job, "--create", "--topic", job.topic, "--partitions", str(partitions), "--replication-factor", "1")


def produce(job: Job, lines: list[str], *properties: str) -> None:
    words = [word for value in properties for word in ("--reader-property", value)]
    given = "".join(line + "\n" for line in lines)
    tool(job, "org.apache.kafka.tools.ConsoleProducer", "--topic", job.topic, *words, given=given)


def consume(job: Job, count: int, *words: str) -> list[str]:
    limits = ["--max-messages", str(count), "--timeout-ms", "20000"]
    answer = tool(job, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic", job.topic, *limits, *words)
    return answer.splitlines()


def groups(job: Job, *words: str) -> str:
    return tool(job, "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", *words)


def console_producer_consumer(job: Job) -> None:
    create(job, partitions=2)
    lines = [f"from:me,number:{number}\tkey-{number % 5}:value {number}" for number in range(50)]
    produce(job, lines, "parse.key=true", "key.separator=:", "parse.headers=true")
    shown = ["print.key=true", "key.separator=:", "print.headers=true"]
    words = [word for value in shown for word in ("--formatter-property", value)]
    # It puts the key separator after the headers too.
    expected = sorted(line.replace("\t", ":") for line in lines)
    check_equal(sorted(consume(job, 50, "--from-beginning", *words)), expected, "lines from the start")
    back = consume(job, 50, "--group", job.group, "--from-beginning", *words)
    check_equal(sorted(back), expected, "lines of the group")
    produce(job, ["one more"])
    check_equal(consume(job, 1, "--group", job.group), ["one more"], "the group goes on after its commit")


def topics_tool(job: Job) -> None:
    create(job, partitions=2)
    check(job.topic in topics(job, "--list").split(), "the topic is listed")
    check("PartitionCount: 2" in topics(job, "--describe", "--topic", job.topic), "two partitions")
    topics(job, "--alter", "--topic", job.topic, "--partitions", "4")
    check("PartitionCount: 4" in topics(job, "--describe", "--topic", job.topic), "four partitions")
    topics(job, "--delete", "--topic", job.topic)
    check(job.topic not in topics(job, "--list").split(), "the topic is gone")


def configs_tool(job: Job) -> None:
    create(job)
    entity = ["--entity-type", "topics", "--entity-name", job.topic]
    config = "kafka.admin.ConfigCommand"
    tool(job, config, *entity, "--alter", "--add-config", "retention.ms=3600000,cleanup.policy=compact")
    shown = tool(job, config, *entity, "--describe")
    check("retention.ms=3600000" in shown and "cleanup.policy=compact" in shown, "both settings are shown")
    tool(job, config, *entity, "--alter", "--delete-config", "retention.ms")
    check("retention.ms" not in tool(job, config, *entity, "--describe"), "the setting is gone")
    check(
        "log.segment.bytes"
        in tool(job, config, "--entity-type", "brokers", "--entity-name", "1", "--describe", "--all"),
        "the broker's settings are shown",
    )


def configs(job: Job, *words: str) -> str:
    return tool(job, "kafka.admin.ConfigCommand", *words)


def all_configs_tool(job: Job) -> None:
    create(job)
    for entity, kept, gone in (
        (["brokers", "--entity-name", "1"], "message.max.bytes=2000000", "log.segment.bytes=2000000"),
        (["brokers", "--entity-default"], "log.retention.ms=3600000", "log.segment.bytes=3000000"),
        (
            ["groups", "--entity-name", job.group],
            "consumer.session.timeout.ms=50000",
            "share.isolation.level=read_committed",
        ),
        (["client-metrics", "--entity-name", job.group], "interval.ms=60000", "metrics=org.apache.kafka."),
    ):
        where = ["--entity-type", *entity]
        configs(job, *where, "--alter", "--add-config", f"{kept},{gone}")
        configs(job, *where, "--alter", "--delete-config", gone.partition("=")[0])
        shown = configs(job, *where, "--describe")
        check(kept in shown and gone not in shown, f"{kept} is shown for {entity}, and {gone} is gone")
    topic = configs(job, "--entity-type", "topics", "--entity-name", job.topic, "--describe", "--all")
    check("max.message.bytes=2000000" in topic and "retention.ms=3600000" in topic, "the topic has what the broker has")
    where = ["--entity-type", "broker-loggers", "--entity-name", "1"]
    configs(job, *where, "--alter", "--add-config", "root=ERROR")
    check("root=ERROR" in configs(job, *where, "--describe"), "the root logger's level is shown")


def quotas_tool(job: Job) -> None:
    client = ["--entity-type", "users", "--entity-name", "u", "--entity-type", "clients", "--entity-name", job.group]
    default = ["--entity-type", "clients", "--entity-default"]
    configs(job, *client, "--alter", "--add-config", "producer_byte_rate=1024,request_percentage=12.5")
    configs(job, *default, "--alter", "--add-config", "consumer_byte_rate=2048000")
    shown = configs(job, *client, "--describe")
    check("producer_byte_rate=1024" in shown and "request_percentage=12.5" in shown, "both quotas are shown")
    check("consumer_byte_rate=2048000" in configs(job, *default, "--describe"), "the default is shown")
    configs(job, *client, "--alter", "--delete-config", "producer_byte_rate")
    check("producer_byte_rate" not in configs(job, *client, "--describe"), "the quota is gone")
    configs(job, *client, "--alter", "--delete-config", "request_percentage")
    configs(job, *default, "--alter", "--delete-config", "consumer_byte_rate")
    user = ["--entity-type", "users", "--entity-name", "alice"]
    configs(job, *user, "--alter", "--add-config", "SCRAM-SHA-256=[iterations=8192,password=secret]")
    check("SCRAM-SHA-256=iterations=8192" in configs(job, *user, "--describe"), "the credential is shown")
    configs(job, *user, "--alter", "--delete-config", "SCRAM-SHA-256")
    check("SCRAM" not in configs(job, *user, "--describe"), "the credential is gone")


def producer_quota(job: Job) -> None:
    create(job)
    where = ["--entity-type", "clients", "--entity-name", job.group]
    configs(job, *where, "--alter", "--add-config", "producer_byte_rate=40000")
    load = ["--topic", job.topic, "--num-records", "2000", "--record-size", "400", "--throughput", "-1"]
    sent = tool(
        job,
        "org.apache.kafka.tools.ProducerPerformance",
        *load,
        "--command-property",
        f"client.id={job.group}",
        "--print-metrics",
    )
    configs(job, *where, "--alter", "--delete-config", "producer_byte_rate")
    waited = [line for line in sent.splitlines() if "produce-throttle-time-max" in line]
    check(bool(waited) and float(waited[0].rpartition(":")[2]) > 1000, f"the producer was told to wait: {waited}")


def leaders_tools(job: Job) -> None:
    create(job, partitions=2)
    words = ["--election-type", "preferred", "--topic", job.topic, "--partition", "0"]
    answer = tool(job, "org.apache.kafka.tools.LeaderElectionCommand", *words)
    check("already" in answer, "the partition is led by its first replica")
    reassign = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        path.write_text(json.dumps({"topics": [{"topic": job.topic}], "version": 1}))
        plan = tool(job, reassign, "--topics-to-move-json-file", str(path), "--broker-list", "1", "--generate")
        path.write_text(plan.strip().splitlines()[-1])
        executed = tool(job, reassign, "--reassignment-json-file", str(path), "--execute")
        check("Successfully started" in executed, "the plan is taken")
        verified = tool(job, reassign, "--reassignment-json-file", str(path), "--verify")
        check(verified.count("is completed") == 2, "both partitions are where they should be")
    check("No partition reassignments found" in tool(job, reassign, "--list"), "nothing is under way")


def cluster_tools(job: Job) -> None:
    create(job)
    consumed = [str(number) for number in range(3)]
    produce(job, consumed)
    consume(job, 3, "--group", job.group, "--from-beginning")
    cluster = "org.apache.kafka.tools.ClusterTool"
    check("Cluster ID: " in tool(job, cluster, action=("cluster-id",)), "the cluster's id")
    row = tool(job, cluster, action=("list-endpoints",)).splitlines()[1].split()
    check_equal([row[0], *row[4:]], ["1", "unfenced", "broker"], "the one broker")
    features = tool(job, "org.apache.kafka.tools.FeatureCommand", "describe")
    check("metadata.version" in features and "4.3-IV0" in features, "the metadata version")
    quorum = "org.apache.kafka.tools.MetadataQuorumCommand"
    check("LeaderId:               1" in tool(job, quorum, "describe", "--status"), "the quorum's leader")
    check("Leader" in tool(job, quorum, "describe", "--replication"), "the quorum's replicas")
    listed = tool(job, "org.apache.kafka.tools.GroupsCommand", "--list")
    check(any(line.split()[:2] == [job.group, "Classic"] for line in listed.splitlines()), "the group is listed")


def groups_tool(job: Job) -> None:
    create(job)
    produce(job, [str(number) for number in range(20)])
    consume(job, 5, "--group", job.group, "--from-beginning", "--command-property", "max.poll.records=5")
    check(job.group in groups(job, "--list").split(), "the group is listed")
    described = groups(job, "--describe", "--group", job.group)
    row = next(line.split() for line in described.splitlines() if line.startswith(job.group))
    check_equal(row[:6], [job.group, job.topic, "0", "5", "20", "15"], "group, topic, partition, offset, end, lag")
    check("Empty" in groups(job, "--describe", "--group", job.group, "--state"), "its state is Empty")
    groups(job, "--reset-offsets", "--group", job.group, "--topic", job.topic, "--to-offset", "12", "--execute")
    described = groups(job, "--describe", "--group", job.group)
    row = next(line.split() for line in described.splitlines() if line.startswith(job.group))
    check_equal(row[3:6], ["12", "20", "8"], "offset, end, lag after the reset")
    groups(job, "--delete", "--group", job.group)
    check(job.group not in groups(job, "--list").split(), "the group is gone")


def offsets_tools(job: Job) -> None:
    create(job)
    produce(job, [str(number) for number in range(20)])

    def offset(time: str) -> str:
        return tool(job, "org.apache.kafka.tools.GetOffsetShell", "--topic", job.topic, "--time", time).strip()

    check_equal(offset("latest"), f"{job.topic}:0:20", "end")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "offsets.json"
        wanted = [{"topic": job.topic, "partition": 0, "offset": 7}]
        path.write_text(json.dumps({"partitions": wanted, "version": 1}))
        answer = tool(job, "org.apache.kafka.tools.DeleteRecordsCommand", "--offset-json-file", str(path))
    check("low_watermark: 7" in answer, "low watermark")
    check_equal(offset("earliest"), f"{job.topic}:0:7", "start")
    check(offset("max-timestamp").startswith(f"{job.topic}:0:"), "offset of the newest timestamp")


def log_dirs_tool(job: Job) -> None:
    create(job, partitions=2)
    produce(job, ["something"])
    answer = tool(job, "org.apache.kafka.tools.LogDirsCommand", "--describe", "--topic-list", job.topic)
    described = json.loads(answer.splitlines()[-1])
    partitions = {
        partition["partition"]: partition["size"]
        for broker in described["brokers"]
        for folder in broker["logDirs"]
        for partition in folder["partitions"]
    }
    check_equal(sorted(partitions), [f"{job.topic}-0", f"{job.topic}-1"], "partitions")
    check(sum(partitions.values()) > 60, "their size")


def api_versions_tool(job: Job) -> None:
    answer = tool(job, "org.apache.kafka.tools.BrokerApiVersionsCommand")
    for name in ("Produce(0)", "Fetch(1)", "Metadata(3)", "JoinGroup(11)", "CreateTopics(19)"):
        check(name in answer, f"{name} is listed")


def performance_tools(job: Job) -> None:
    create(job, partitions=2)
    load = ["--topic", job.topic, "--num-records", "20000", "--record-size", "100", "--throughput", "-1"]
    sent = tool(job, "org.apache.kafka.tools.ProducerPerformance", *load)
    check("20000 records sent" in sent, "all records sent")
    read = tool(job, "org.apache.kafka.tools.ConsumerPerformance", "--topic", job.topic, "--num-records", "20000")
    check_equal(read.strip().splitlines()[-1].split(", ")[4], "20000", "records consumed")


def compared(job: Job) -> None:
    """A scenario whose printed output has to be the same on both brokers."""
    shell = Shell(job)
    try:
        COMPARED[job.role](shell)
        shell.printed.compare()
    finally:
        shell.close()


COMPARED = {
    **same_topics.SCENARIOS,
    **same_configs.SCENARIOS,
    **same_groups.SCENARIOS,
    **same_cluster.SCENARIOS,
    **same_records.SCENARIOS,
}

if __name__ == "__main__":
    main(
        dict.fromkeys(COMPARED, compared)
        | {
            "console-producer-consumer": console_producer_consumer,
            "topics-tool": topics_tool,
            "configs-tool": configs_tool,
            "all-configs-tool": all_configs_tool,
            "quotas-tool": quotas_tool,
            "producer-quota": producer_quota,
            "leaders-tools": leaders_tools,
            "cluster-tools": cluster_tools,
            "groups-tool": groups_tool,
            "offsets-tools": offsets_tools,
            "log-dirs-tool": log_dirs_tool,
            "api-versions-tool": api_versions_tool,
            "performance-tools": performance_tools,
        }
    )
