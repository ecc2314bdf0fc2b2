"""kcat, run as a person would run it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from compat_program import Job, check, check_equal, eventually, main

TIMEOUT = 60.0  # seconds, for one kcat


def kcat(job: Job, *words: str, given: bytes = b"") -> str:
    """Return what kcat prints; fails unless it ends with 0."""
    command = ["kcat", "-b", job.bootstrap, *words]
    done = subprocess.run(command, input=given, capture_output=True, timeout=TIMEOUT, check=False)
    printed = done.stdout.decode(errors="replace")
    print(f"$ {' '.join(command)}\n{printed[:2000]}{done.stderr.decode(errors='replace')}", flush=True)
    check_equal(done.returncode, 0, f"exit code of kcat {' '.join(words)}: {done.stderr[-300:]!r}")
    return printed


def produce(job: Job, lines: list[str], *words: str) -> None:
    kcat(job, "-P", "-t", job.topic, *words, given="".join(line + "\n" for line in lines).encode())


def consume(job: Job, *words: str, topic: bool = True) -> list[str]:
    """All lines up to the end of the partitions."""
    return kcat(job, "-C", *(["-t", job.topic] if topic else []), "-e", "-q", *words).splitlines()


def produce_consume(job: Job) -> None:
    before = int(time.time() * 1000)
    produce(job, [f"key-{number % 5}:value {number}" for number in range(50)], "-K", ":", "-H", "from=kcat")
    lines = consume(job, "-o", "beginning", "-f", "%k:%s %p %o %T %h\\n")
    check_equal(len(lines), 50, "lines")
    for number, line in enumerate(lines):
        body, partition, offset, timestamp, headers = line.rsplit(" ", 4)
        check_equal(body, f"key-{number % 5}:value {number}", "key and value")
        check_equal((partition, offset, headers), ("0", str(number), "from=kcat"), "partition, offset, headers")
        check(before <= int(timestamp) <= time.time() * 1000, f"timestamp {timestamp}")


def codecs(job: Job) -> None:
    have = ["none", "gzip", "snappy", "lz4", "zstd"]
    for codec in have:
        produce(job, [f"{codec} " + "abcdefgh" * 50 for _ in range(10)], "-z", codec)
    lines = consume(job, "-o", "beginning")
    check_equal([line.split()[0] for line in lines], [codec for codec in have for _ in range(10)], "records")


def metadata(job: Job) -> None:
    produce(job, ["something"])
    shown = json.loads(kcat(job, "-L", "-J", "-t", job.topic))
    ports = [broker["name"].rpartition(":")[2] for broker in shown["brokers"]]
    check_equal(ports, [job.bootstrap.rpartition(":")[2]], "ports of the brokers")
    (topic,) = shown["topics"]
    check_equal(topic["topic"], job.topic, "topic")
    check_equal([partition["partition"] for partition in topic["partitions"]], [0], "partitions")
    check(all(partition["leader"] >= 0 for partition in topic["partitions"]), "leaders")
    everything = json.loads(kcat(job, "-L", "-J"))
    check(job.topic in {one["topic"] for one in everything["topics"]}, "the topic is among all")


def query_offsets(job: Job) -> None:
    produce(job, [str(number) for number in range(20)])

    def offset(timestamp: int) -> str:
        return kcat(job, "-Q", "-t", f"{job.topic}:0:{timestamp}").strip().split()[-1]

    check_equal(offset(-2), "0", "start")
    check_equal(offset(-1), "20", "end")
    check_equal(offset(1), "0", "first record after 1970")


def consume_tail(job: Job) -> None:
    produce(job, [str(number) for number in range(20)])
    check_equal(consume(job, "-o", "-5"), [str(number) for number in range(15, 20)], "the last five")
    check_equal(consume(job, "-o", "12"), [str(number) for number in range(12, 20)], "from 12 on")
    check_equal(consume(job, "-o", "beginning", "-c", "3"), ["0", "1", "2"], "three")


class Balanced:
    """A kcat in the group, whose lines are collected."""

    def __init__(self, job: Job) -> None:
        settings = ["-X", "session.timeout.ms=6000", "-X", "auto.offset.reset=earliest"]
        command = ["kcat", "-b", job.bootstrap, "-u", "-q", "-f", "%p %s\\n", *settings, "-G", job.group, job.topic]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def partitions(self) -> set[str]:
        return {line.split()[0] for line in self.lines}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def balanced_group(job: Job) -> None:
    produce(job, ["first"])
    first = Balanced(job)
    eventually(lambda: first.lines == ["0 first"], "the first record arrives", 30)
    second = Balanced(job)
    time.sleep(4)  # the second joins; the only partition stays with one of them
    produce(job, ["second"])
    eventually(lambda: "0 second" in first.lines + second.lines, "the second record arrives", 30)
    first.stop()
    second.stop()
    produce(job, ["third"])
    third = Balanced(job)
    eventually(lambda: third.lines, "the third record arrives", 30)
    third.stop()
    check_equal(third.lines, ["0 third"], "what comes after the group's commits")


def large_file(job: Job) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(os.urandom(450 * 1024).hex().encode())
        kcat(job, "-P", "-t", job.topic, str(path))
        back = kcat(job, "-C", "-t", job.topic, "-e", "-q", "-o", "beginning", "-D", "")
        check(back == path.read_text(), "the file comes back equal")


if __name__ == "__main__":
    main(
        {
            "produce-consume": produce_consume,
            "codecs": codecs,
            "metadata": metadata,
            "query-offsets": query_offsets,
            "consume-tail": consume_tail,
            "balanced-group": balanced_group,
            "large-file": large_file,
        }
    )
