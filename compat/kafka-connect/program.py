"""Kafka Connect's own workers with its file connectors, run as a person would run them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from compat_program import Job, check_equal, eventually, main

CONVERTER = "org.apache.kafka.connect.storage.StringConverter"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_properties(path: Path, settings: dict[str, Any]) -> str:
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return str(path)


class Worker:
    """A worker process in `folder`, ended by SIGTERM."""

    def __init__(self, job: Job, folder: Path, connectors: dict[str, dict[str, Any]], mode: str = "Standalone") -> None:
        self.port = free_port()
        settings = {
            "bootstrap.servers": job.bootstrap,
            "key.converter": CONVERTER,
            "value.converter": CONVERTER,
            "listeners": f"http://127.0.0.1:{self.port}",
            "offset.flush.interval.ms": "500",
        }
        if mode == "Standalone":
            settings["offset.storage.file.filename"] = str(folder / "offsets")
        else:
            settings |= {"group.id": job.group, "heartbeat.interval.ms": "500", "session.timeout.ms": "6000"}
            for name in ("config", "offset", "status"):
                settings[f"{name}.storage.topic"] = f"{job.topic}-{name}"
                settings[f"{name}.storage.replication.factor"] = "1"
        files = [write_properties(folder / "worker.properties", settings)]
        if mode == "Standalone":
            files += [write_properties(folder / f"{name}.properties", one) for name, one in connectors.items()]
        options = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{os.environ['JARS']}/*"]
        command = ["java", *options, f"org.apache.kafka.connect.cli.Connect{mode}", *files]
        self.process = subprocess.Popen(command)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The REST interface's answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()


def connectors(job: Job, folder: Path) -> dict[str, dict[str, Any]]:
    return {
        "source": {
            "name": f"{job.group}-source",
            "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
            "tasks.max": "1",
            "file": str(folder / "in"),
            "topic": job.topic,
        },
        "sink": {
            "name": f"{job.group}-sink",
            "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector",
            "tasks.max": "1",
            "file": str(folder / "out"),
            "topics": job.topic,
        },
    }


def add_lines(folder: Path, first: int, count: int) -> None:
    with (folder / "in").open("a") as file:
        file.writelines(f"line {number}\n" for number in range(first, first + count))


def expect_lines(folder: Path, count: int) -> None:
    expected = [f"line {number}" for number in range(count)]

    def arrived() -> bool:
        return len((folder / "out").read_text().splitlines()) >= count

    eventually(arrived, f"{count} lines in the sink's file", 120)
    check_equal((folder / "out").read_text().splitlines(), expected, "lines of the sink's file")


def file_source_sink(job: Job) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        add_lines(folder, 0, 100)
        with Worker(job, folder, connectors(job, folder)) as worker:
            expect_lines(folder, 100)
            add_lines(folder, 100, 100)
            expect_lines(folder, 200)
            worker.stop()


def restart_resumes(job: Job) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        add_lines(folder, 0, 100)
        with Worker(job, folder, connectors(job, folder)) as worker:
            expect_lines(folder, 100)
            worker.stop()
        add_lines(folder, 100, 50)
        with Worker(job, folder, connectors(job, folder)) as worker:
            expect_lines(folder, 150)
            worker.stop()


def distributed(job: Job) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        add_lines(folder, 0, 50)
        with Worker(job, folder, {}, "Distributed") as worker:
            eventually(lambda: worker.call("GET", "/connectors") == [], "the worker answers", 120)
            for one in connectors(job, folder).values():
                settings = dict(one)
                eventually(
                    lambda settings=settings: worker.call(  # type: ignore[misc]
                        "PUT", f"/connectors/{settings['name']}/config", settings
                    ),
                    "the connector is accepted",
                    60,
                )
            expect_lines(folder, 50)
            worker.stop()
        add_lines(folder, 50, 50)
        with Worker(job, folder, {}, "Distributed") as worker:
            expect_lines(folder, 100)
            names = sorted(one["name"] for one in connectors(job, folder).values())
            # A worker serves its connectors before it serves this.
            found = eventually(lambda: worker.call("GET", "/connectors"), "the worker answers again", 60)
            check_equal(sorted(found), names, "connectors after the restart")
            worker.stop()


if __name__ == "__main__":
    main({"file-source-sink": file_source_sink, "restart-resumes": restart_resumes, "distributed": distributed})
