"""The program's side of the harness' protocol, for clients in Python: options, events, results."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


class Job:
    """The harness' request: `bootstrap`, `topic`, `group`, and further options as attributes."""

    def __init__(self, role: str, bootstrap: str) -> None:
        self.role = role
        self.bootstrap = bootstrap
        self.options: dict[str, Any] = json.loads(os.environ.get("COMPAT_OPTIONS", "{}"))
        self.topic: str = self.options.get("topic", role)
        self.group: str = self.options.get("group", f"group-{role}")
        self.stopped = threading.Event()
        # The harness may change these while the program runs.
        self.partitions: int = self.options.get("partitions", 1)
        self.paused = False

    def get(self, name: str, default: Any) -> Any:
        """An option, or `default`."""
        return self.options.get(name, default)

    def listen(self) -> None:
        """From now on, follow what the harness says; `stopped` is set when it says stop, or is gone."""

        def read() -> None:
            for line in sys.stdin:
                word, *values = line.split() or [""]
                if word == "stop":
                    break
                if word in {"pause", "resume"}:
                    self.paused = word == "pause"
                elif word == "partitions":
                    self.partitions = int(values[0])
            self.stopped.set()

        threading.Thread(target=read, daemon=True).start()


def emit(event: str, **fields: Any) -> None:
    """One event line."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def check(condition: object, message: str) -> None:
    """Fail the scenario unless `condition` holds."""
    if not condition:
        raise AssertionError(message)


def check_equal(actual: object, expected: object, what: str) -> None:
    """Fail the scenario unless both are equal."""
    if actual != expected:
        raise AssertionError(f"{what}: {str(actual)[:300]}, expected {str(expected)[:300]}")


def eventually(action: Callable[[], T], what: str, timeout: float = 60.0) -> T:
    """The first true answer of `action`, whose exceptions count as not yet."""
    deadline = time.monotonic() + timeout
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = action()
            if last:
                return last
        except Exception as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {timeout:.0f} s, last {last!r}")


def an_hour_ago() -> int:
    """A timestamp in ms: in the past, but not so far that retention would remove the record."""
    return int(time.time() * 1000) - 3_600_000


def numbered_value(job: Job, number: int) -> str:
    """The value of a producer's record: its number, and after a space the `padding` that is asked for."""
    return f"{number} {job.get('padding', '')}".rstrip()


def dead_letter_headers(topic: str, partition: int, offset: int) -> list[tuple[str, bytes]]:
    """Where a dead letter came from."""
    fields = {"topic": topic, "partition": str(partition), "offset": str(offset)}
    return [(name, value.encode()) for name, value in fields.items()]


def expected_records(count: int, size: int) -> list[dict[str, Any]]:
    """`count` records with key, value, headers, timestamp: one without key, one without value, some without headers."""
    start = an_hour_ago()
    records: list[dict[str, Any]] = []
    for number in range(count):
        headers: list[tuple[str, bytes]] = []
        if number % 3:
            headers = [("number", str(number).encode()), ("empty", b""), ("number", b"again")]
        records.append(
            {
                "key": f"key-{number % 10}".encode(),
                "value": f"value-{number}-".encode() + b"abcdefgh" * (size // 8),
                "headers": headers,
                "timestamp": start + number,
            }
        )
    records[1]["key"] = None
    records[2]["value"] = None
    return records


Roles = dict[str, Callable[[Job], None]]
Patterns = Iterable[tuple[str, Callable[[Job, str], None]]]


def _find(role: str, roles: Roles, patterns: Patterns) -> Callable[[Job], None]:
    if role in roles:
        return roles[role]
    for prefix, general in patterns:
        if role.startswith(prefix):
            return lambda job: general(job, role.removeprefix(prefix))
    raise AssertionError(f"the program has no scenario {role}")


def main(roles: Roles, patterns: Patterns = ()) -> None:
    """Run the role that the command line names. `patterns`: (prefix, function taking what follows the prefix)."""
    role, bootstrap = sys.argv[1:3]
    job = Job(role, bootstrap)
    # The client's own log, kept by the harness when the scenario fails.
    logging.basicConfig(
        level=os.environ.get("COMPAT_LOG", "INFO"), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    started = time.monotonic()
    error = None
    try:
        _find(role, roles, patterns)(job)
    except Exception as failure:
        traceback.print_exc()
        error = f"{type(failure).__name__}: {failure}"
    emit("result", scenario=role, passed=error is None, seconds=round(time.monotonic() - started, 2), error=error)
    sys.exit(1 if error else 0)
