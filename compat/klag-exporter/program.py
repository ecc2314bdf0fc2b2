"""klag-exporter beside a broker: what its /metrics says of a group, held against what it says beside Apache."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compat_program import Job, check, check_equal, eventually, main
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from group_member import member_that_read
from printed import Printed

CONFIG = """
[exporter]
poll_interval = "1s"
http_host = "127.0.0.1"
http_port = {port}
granularity = "partition"

[exporter.timestamp_sampling]
enabled = false

[[clusters]]
name = "compat"
bootstrap_servers = "{bootstrap}"
group_whitelist = ["^{group}$"]
topic_whitelist = ["^{topic}$"]
"""
# How long its own work took, and when.
ITS_OWN = re.compile("poll_time|seconds")


@contextmanager
def exporter(job: Job) -> Iterator[str]:
    """The address of its metrics while it runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(CONFIG.format(port=port, bootstrap=job.bootstrap, group=job.group, topic=job.topic))
        process = subprocess.Popen([os.environ["EXPORTER"], "--config", str(path)])
        try:
            yield f"http://127.0.0.1:{port}/metrics"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def metrics(address: str) -> dict[str, float]:
    """Each series with its value, but those of the exporter's own work."""
    with urllib.request.urlopen(address, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    series = dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in series.items() if not ITS_OWN.search(name.partition("{")[0])}


def lag(found: dict[str, float], partition: int) -> float:
    """The group's lag in the partition."""
    wanted = [value for name, value in found.items() if "group_lag{" in name and f'partition="{partition}"' in name]
    check_equal(len(wanted), 1, f"series of the lag in partition {partition} among {sorted(found)}")
    return wanted[0]


def shown(found: dict[str, float]) -> str:
    """In a stable order; members' ids hold a UUID."""
    return "\n".join(f"{name} {value:g}" for name, value in sorted(found.items()))


def prepare(job: Job) -> Consumer:
    """Two partitions with 10 and 6 records, of which the group has read 4 and 6; its one member."""
    admin = AdminClient({"bootstrap.servers": job.bootstrap})
    admin.create_topics([NewTopic(job.topic, 2, 1)])[job.topic].result(20)
    producer = Producer({"bootstrap.servers": job.bootstrap})
    for partition, count in ((0, 10), (1, 6)):
        for number in range(count):
            producer.produce(job.topic, b"%d" % number, partition=partition)
    producer.flush(20)
    return member_that_read(job, job.group, {0: 4, 1: 6})


def lag_of_group(job: Job) -> None:
    printed = Printed(job)
    member = prepare(job)
    with exporter(job) as address:
        eventually(lambda: lag(metrics(address), 0) == 6, "the lag is shown", timeout=60)
        printed.add("with a member", shown(metrics(address)))
        member.commit(offsets=[TopicPartition(job.topic, 0, 9)], asynchronous=False)
        eventually(lambda: lag(metrics(address), 0) == 1, "the lag follows the commits")
        member.close()
        eventually(lambda: 'client_id="reader"' not in shown(metrics(address)), "the member is gone")
        printed.add("without a member", shown(metrics(address)))
    printed.compare()


def lag_after_delete(job: Job) -> None:
    printed = Printed(job)
    prepare(job).close()
    admin = AdminClient({"bootstrap.servers": job.bootstrap})
    (deleted,) = admin.delete_records([TopicPartition(job.topic, 0, 8)]).values()
    deleted.result(20)
    with exporter(job) as address:
        eventually(lambda: lag(metrics(address), 0), "the lag is shown", timeout=60)
        found = metrics(address)
        check(any("loss" in name for name in found), "losses are shown")
        printed.add("after records were deleted", shown(found))
    printed.compare()


if __name__ == "__main__":
    main({"lag-of-group": lag_of_group, "lag-after-delete": lag_after_delete})
