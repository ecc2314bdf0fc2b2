"""A client's program as a child process: its JSON lines are events that a scenario can wait for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class ScenarioError(Exception):
    """The scenario did not end as it should; the message says what was expected."""


class Program:
    """One run of a client's program in a scenario or a role. Everything it prints is kept in `log_path`."""

    def __init__(self, command: list[str], *, environment: dict[str, str], log_path: Path, label: str) -> None:
        self.label = label
        self.log_path = log_path
        self.events: list[Event] = []
        self.ended = False
        self._changed = threading.Condition()
        log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log = log_path.open("ab")
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._log.write(line)
            self._log.flush()
            event = None
            if line.startswith(b"{"):
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
            if isinstance(event, dict):
                event["at"] = time.monotonic()
                with self._changed:
                    self.events.append(event)
                    self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def named(self, name: str) -> list[Event]:
        """The events of that name so far, oldest first."""
        with self._changed:
            return [event for event in self.events if event.get("event") == name]

    def wait_for(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        """Until `condition` holds; it is asked again whenever this program says something."""
        deadline = time.monotonic() + timeout
        while not condition():
            with self._changed:
                if self.ended and not condition():
                    raise ScenarioError(f"{self.label} ended while waiting for {what}: {self.tail(600)}")
                # Others' events count too, and nobody notifies for those.
                self._changed.wait(0.1)
            if time.monotonic() > deadline:
                raise ScenarioError(f"{what}: not within {timeout:.0f} s ({self.label})")

    def say(self, line: str) -> None:
        """One line to its standard input."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()

    def finish(self, timeout: float) -> int:
        """Wait for its end; the exit code. Kills it after `timeout`."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ScenarioError(f"{self.label} did not end within {timeout:.0f} s") from None
        self._reader.join(5)
        self._close()
        return code

    def stop(self, timeout: float = 30) -> None:
        """Ask it to close its client and end. Raises ScenarioError when it fails in that."""
        self.say("stop")
        if code := self.finish(timeout):
            raise ScenarioError(f"{self.label} exited with {code}: {self.tail(600)}")

    def kill(self) -> None:
        """SIGKILL it, without a chance to say goodbye to the broker."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(5)
        self._close()

    def _close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.close()
        self._log.close()

    def tail(self, size: int) -> str:
        """The end of what it printed."""
        return self.log_path.read_bytes()[-size:].decode(errors="replace").strip()
