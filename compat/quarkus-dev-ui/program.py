"""The web UI for Kafka in Quarkus' dev mode: what it tells its pages of a broker, held against what it tells of Apache.

Its pages ask by JSON-RPC over a WebSocket. The same requests are sent here (only such as stand in the pages' own
scripts), and the answers compared. It is started by Maven, as a developer does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket
from compat_program import Job, an_hour_ago, check, check_equal, eventually, main
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType
from group_member import member_that_read
from printed import Printed

START = 240.0  # seconds: two JVMs come first
FETCH = 1200.0  # seconds, with 150 MB to fetch before
EXTENSION = "quarkus-kafka-client"
SCRIPTS = ["nodes", "topics", "messages", "add-topic", "add-message", "consumer-groups", "access-control-list"]
SETTINGS = {
    "quarkus.analytics.disabled": "true",
    "quarkus.console.enabled": "false",
    # It would start a Kafka in a container.
    "quarkus.devservices.enabled": "false",
    "quarkus.test.continuous-testing": "disabled",
    "debug": "false",
    "jvm.args": "-Xmx256m -XX:+UseSerialGC",
}
# The ids of clusters, topics, and members of the new protocol: 128 bits in base 64.
ID = re.compile(r'("(?:topicId|clusterId|id|memberId)": )"[\w-]{22}"')


class WebUI:
    """One browser's connection. It asks nothing that the pages' scripts do not ask."""

    def __init__(self, port: int) -> None:
        self._scripts = "".join(get(port, f"{EXTENSION}/qwc-kafka-{name}.js") for name in SCRIPTS)
        self._socket = websocket.create_connection(f"ws://127.0.0.1:{port}/q/dev-ui/json-rpc-ws", timeout=60)
        self._asked = 0

    def answer(self, method: str, **parameters: Any) -> dict[str, Any]:
        """To one request of a page: a `result`, or an `error`."""
        check(f"this.jsonRpc.{method}(" in self._scripts, f"no page asks for {method}")
        self._asked += 1
        request = {"jsonrpc": "2.0", "method": f"{EXTENSION}_{method}", "params": parameters, "id": self._asked}
        self._socket.send(json.dumps(request))
        while True:
            answer: dict[str, Any] = json.loads(self._socket.recv())
            if answer.get("id") == self._asked:
                return answer

    def ask(self, method: str, **parameters: Any) -> Any:
        """Return the data that the page is given to show."""
        answer = self.answer(method, **parameters)
        check("result" in answer, f"{method}: {answer}")
        return answer["result"]["object"]

    def topics(self, job: Job) -> list[dict[str, Any]]:
        """This scenario's topics, by name."""
        found = (topic for topic in self.ask("getTopics") if topic["name"].startswith(job.topic))
        return sorted(found, key=lambda topic: str(topic["name"]))

    def names(self, job: Job) -> list[str]:
        """Those of this scenario's topics."""
        return [topic["name"] for topic in self.topics(job)]

    def messages(self, topic: str, count: int) -> dict[str, Any]:
        """Return the messages that the topic's page shows once it has `count` messages; it reads for a moment only."""

        def read() -> dict[str, Any] | None:
            page: dict[str, Any] = self.ask("topicMessages", topicName=topic)
            return page if len(page["messages"]) == count else None

        return eventually(read, f"{count} messages are shown") or {}

    def group(self, name: str) -> dict[str, Any]:
        """The group, its members and their partitions in order. Raises AssertionError if it is not shown."""
        found = [group for group in self.ask("getInfo")["consumerGroups"] if group["name"] == name]
        check_equal(len(found), 1, f"groups called {name}")
        group: dict[str, Any] = found[0]
        group["members"].sort(key=lambda member: str(member["clientId"]))
        for member in group["members"]:
            member["partitions"].sort(key=lambda partition: int(partition["partition"]))
        return group

    def close(self) -> None:
        """As a browser does."""
        self._socket.close()


def get(port: int, path: str) -> str:
    """A file of the web UI. Raises OSError when there is none yet."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/q/dev-ui/{path}", timeout=30) as answer:
        return str(answer.read().decode())


@contextmanager
def web_ui(job: Job, *, fetching: bool = False) -> Iterator[WebUI]:
    """A page of it while it runs. Maven may fetch what it needs only if `fetching`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = SETTINGS | {"quarkus.http.port": str(port), "kafka.bootstrap.servers": job.bootstrap}
    with tempfile.TemporaryDirectory() as folder:
        # Dev mode keeps files beside its pom.
        shutil.copy(os.environ["POM"], folder)
        command = ["sh", os.environ["MAVEN"], "-B", *([] if fetching else ["-o"])]
        command += ["-f", str(Path(folder) / "pom.xml"), "quarkus:dev"]
        command += [f"-D{name}={value}" for name, value in settings.items()]
        environment = os.environ | {"MAVEN_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)
        try:
            limit = FETCH if fetching else START
            eventually(lambda: process.poll() is not None or get(port, ""), "the web server answers", timeout=limit)
            check(process.poll() is None, "the web UI ended before it answered")
            page = WebUI(port)
            yield page
            page.close()
        finally:
            # Maven ends what it started.
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


Show = Callable[[str, Any], None]


def shown_in(printed: Printed) -> Show:
    """Adds an answer to what is to be the same: lists with a line for each entry."""

    def show(title: str, answer: Any) -> None:
        entries = answer if isinstance(answer, list) else [answer]
        lines = (json.dumps(entry, sort_keys=True, ensure_ascii=False) for entry in entries)
        printed.add(title, ID.sub(r'\1"ID"', "\n".join(lines)))

    return show


def prepare(job: Job, admin: AdminClient) -> None:
    """Two partitions: 30 messages in one compressed batch, and some without key, value, or headers."""
    admin.create_topics([NewTopic(job.topic, 2, 1)])[job.topic].result(20)
    start = an_hour_ago()
    producer = Producer({"bootstrap.servers": job.bootstrap, "compression.type": "lz4", "linger.ms": 1000})
    for number in range(30):
        producer.produce(job.topic, f"value {number}", f"key {number}", 0, timestamp=start + number)
    messages = [
        {"key": "with headers", "value": "a", "headers": [("one", b"1"), ("empty", b""), ("two", "zwei ü".encode())]},
        {"key": None, "value": "without key"},
        {"key": "tombstone", "value": None},
    ]
    for number, message in enumerate(messages):
        producer.produce(job.topic, partition=1, timestamp=start + 100 + number, **message)
    check_equal(producer.flush(20), 0, "messages not sent")


def make_and_delete(job: Job, page: WebUI, show: Show, admin: AdminClient) -> None:
    """Use the dialogs for new topics, new messages and deletion, and have them refused."""
    made = f"{job.topic}-made"
    refused = [
        {"topicName": f"{job.topic}-two", "partitions": 1, "replications": 2, "configs": {}},
        {"topicName": f"{job.topic}-bad", "partitions": 1, "replications": 1, "configs": {"retention.ms": "soon"}},
        {"topicName": f"{job.topic}-!", "partitions": 1, "replications": 1, "configs": {}},
        {"topicName": job.topic, "partitions": 5, "replications": 1, "configs": {}},
    ]
    for topic in refused:
        page.ask("createTopic", **topic)
    # Neither the one nor the other waits for the broker.
    page.ask("createTopic", topicName=made, partitions=3, replications=1, configs={"retention.ms": "60000000"})
    eventually(lambda: made in page.names(job), "the topic is made")
    show("a topic made, four refused", page.topics(job))
    resource = ConfigResource(ResourceType.TOPIC, made)
    (described,) = admin.describe_configs([resource]).values()
    check_equal(described.result(20)["retention.ms"].value, "60000000", "the new topic's setting")

    to = {"topicName": made}
    page.ask("createMessage", **to, partition=1, key="k", value="välue", headers={"header": "h"})
    page.ask("createMessage", **to, partition=-1, key="anywhere", value="", headers={})
    show("messages written", page.messages(made, 2))
    page.ask("deleteTopic", topicName=made)
    page.ask("deleteTopic", topicName=f"{job.topic}-unknown")
    eventually(lambda: made not in page.names(job), "the topic is deleted")
    show("it is deleted", page.topics(job))
    show("messages of a topic that is not there", page.answer("topicMessages", topicName=made)["error"])


def web_ui_topics(job: Job) -> None:
    printed = Printed(job)
    show = shown_in(printed)
    admin = AdminClient({"bootstrap.servers": job.bootstrap})
    prepare(job, admin)
    with web_ui(job) as page:
        info = page.ask("getInfo")
        show("nodes", info["clusterInfo"])
        show("broker", info["broker"])
        show("ACLs", page.ask("getAclInfo"))
        show("topics", page.topics(job))
        show("messages", page.messages(job.topic, 20)["messages"])
        (deleted,) = admin.delete_records([TopicPartition(job.topic, 0, 28)]).values()
        deleted.result(20)
        show("topics after records were deleted", page.topics(job))
        # It looks for the newest 20 below the log's start, and then only above its end.
        show("messages after records were deleted", page.messages(job.topic, 3)["messages"])
        make_and_delete(job, page, show, admin)
    printed.compare()


def web_ui_groups(job: Job) -> None:
    printed = Printed(job)
    show = shown_in(printed)
    prepare(job, AdminClient({"bootstrap.servers": job.bootstrap}))
    with web_ui(job) as page:
        for assignor in ("range", "cooperative-sticky"):
            group = f"{job.group}-{assignor}"
            consumer = member_that_read(job, group, {0: 20, 1: 3}, **{"partition.assignment.strategy": assignor})
            show(group, page.group(group))
            consumer.commit(offsets=[TopicPartition(job.topic, 0, 29)], asynchronous=False)
            show(f"{group} has gone on", page.group(group))
            consumer.close()
            show(f"{group} without members", page.group(group))
    printed.compare()


def fetch(job: Job) -> None:
    """Starts it once, so that Maven has all that it needs."""
    with web_ui(job, fetching=True):
        pass


if __name__ == "__main__":
    main({"web-ui-topics": web_ui_topics, "web-ui-groups": web_ui_groups, "fetch": fetch})
