"""Lets Apache write transactions and keeps its files, with its answers to Fetch and ListOffsets, for the tests."""

from __future__ import annotations

import itertools
import json
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from compat.apache_broker import ApacheBroker, class_path
from compat.harness.stage import ROOT
from ottla.wire import frames
from ottla.wire.messages.fetch import FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse

TARGET = ROOT / "tests" / "storage" / "apache-4.3.1-transactions"
WRITER = ROOT / "compat" / "apache" / "WriteTransactions.java"
TOPIC = "transactions"
FETCH_VERSION = 12
LIST_OFFSETS_VERSION = 7
READ_COMMITTED = 1
LATEST = -1
SIZES = (1, 1500, 1 << 20)


def main() -> int:
    """Write the folder of the fixture anew."""
    with tempfile.TemporaryDirectory() as folder:
        broker = ApacheBroker(Path(folder))
        with broker:
            java = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", class_path(), str(WRITER)]
            subprocess.run([*java, broker.bootstrap, TOPIC], check=True)
            answers = record_answers(broker.port)
            broker.stop()
        source = broker.data_dir / f"{TOPIC}-0"
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(source, TARGET / source.name)
    (TARGET / "answers.json").write_text(in_lines(answers))
    return 0


def in_lines(answers: dict[str, Any]) -> str:
    """The JSON document, with each fetch on a line of its own."""
    fetches = ",\n".join(map(json.dumps, answers["fetches"]))
    return json.dumps(answers | {"fetches": []}).replace("[]", f"[\n{fetches}\n]") + "\n"


def record_answers(port: int) -> dict[str, Any]:
    """How far it may be read, and of each fetch: offset, bytes allowed, bytes given, aborted transactions."""
    latest = ask(
        port,
        ListOffsetsRequest(
            replica_id=-1,
            isolation_level=READ_COMMITTED,
            topics=[ListOffsetsRequest.Topic(name=TOPIC, partitions=[_latest()])],
        ),
        ListOffsetsResponse,
        LIST_OFFSETS_VERSION,
    )
    first = fetch(port, 0, SIZES[0])
    fetches = []
    for offset, size in itertools.product(range(first.high_watermark), SIZES):
        answer = fetch(port, offset, size)
        aborted = [[each.producer_id, each.first_offset] for each in answer.aborted_transactions or ()]
        fetches.append([offset, size, len(answer.records or b""), aborted])
    return {
        "high_watermark": first.high_watermark,
        "last_stable_offset": first.last_stable_offset,
        "latest_committed": latest.topics[0].partitions[0].offset,
        "fetches": fetches,
    }


def _latest() -> ListOffsetsRequest.Topic.Partition:
    return ListOffsetsRequest.Topic.Partition(partition_index=0, timestamp=LATEST)


def fetch(port: int, offset: int, size: int) -> FetchResponse.Topic.Partition:
    """Return the records that a consumer with ``read_committed`` gets."""
    partition = FetchRequest.Topic.Partition(partition=0, fetch_offset=offset, partition_max_bytes=size)
    request = FetchRequest(
        max_wait_ms=0,
        min_bytes=0,
        isolation_level=READ_COMMITTED,
        topics=[FetchRequest.Topic(topic=TOPIC, partitions=[partition])],
    )
    answer = ask(port, request, FetchResponse, FETCH_VERSION)
    found: FetchResponse.Topic.Partition = answer.responses[0].partitions[0]
    return found


def ask(port: int, request: Any, response: Any, version: int) -> Any:
    """Send one request and return the decoded answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(frames.encode_request(request, version, correlation_id=1, client_id="record"))
        stream = connection.makefile("rb")
        (size,) = frames.SIZE.unpack(stream.read(frames.SIZE.size))
        _, answer = frames.decode_response(response, stream.read(size), version)
        return answer
