"""A real broker for tests, in a process of its own. Imports nothing of the broker into the test process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TypeAlias

from ottla.control_channel import ask
from ottla.ready import READY_LINE

Setting: TypeAlias = str | int | float | bool


class BrokerFailedError(RuntimeError):
    """The error of a broker that ended before it was ready; the message holds its log."""


class Node:
    """One node of a running broker. `stop` and `start` do the same as `ottla nodes stop` and `ottla nodes start`."""

    def __init__(self, broker: Ottla, node_id: int, *, host: str, port: int, rack: str | None) -> None:
        self.id = node_id
        self.host = host
        self.port = port
        self.rack = rack
        self._broker = broker

    @property
    def bootstrap(self) -> str:
        """The node's host and port."""
        return f"{self.host}:{self.port}"

    def stop(self) -> None:
        """Stop the node: other nodes lead its partitions, clients cannot connect. Harmless if it is stopped."""
        ask(self._broker.data_dir, "stop-node", node_id=self.id)

    def start(self) -> None:
        """Start the node again, on the same port. Harmless if it runs. Raises ControlError if the port is taken."""
        ask(self._broker.data_dir, "start-node", node_id=self.id)

    def __repr__(self) -> str:
        return f"<Node {self.id} {self.bootstrap}>"


class Ottla:
    """A broker on a free port of 127.0.0.1, whose data is deleted when it is closed.

    ```python
    with Ottla(num_partitions=3) as broker:
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    ```

    Keywords are Kafka's broker settings with underscores for dots; `config` takes them under their own names.
    With a `data_dir` the data stays there. `restart` keeps the data and the ports, so clients reconnect.

    With `nodes` it is a cluster of that many brokers, on a port each: `broker.nodes[2].stop()` lets one of them fail.
    `racks` are given out to them in turn. With `as_kafka="2.8"` it serves only the APIs of that release of Kafka.
    """

    def __init__(
        self,
        *,
        config: Mapping[str, Setting] | None = None,
        data_dir: Path | str | None = None,
        port: int = 0,
        nodes: int = 1,
        racks: Sequence[str] = (),
        start_timeout: float = 30.0,
        as_kafka: str | None = None,
        **settings: Setting,
    ) -> None:
        self.config = {**(config or {}), **{name.replace("_", "."): value for name, value in settings.items()}}
        self.host = "127.0.0.1"
        self.port = port
        self.nodes: dict[int, Node] = {}
        """The nodes by id, once the broker has started."""
        self.start_timeout = start_timeout
        self._node_count = nodes
        self._racks = tuple(racks)
        self.as_kafka = as_kafka
        self._own: TemporaryDirectory[str] | None = None
        self._given_data_dir = Path(data_dir) if data_dir is not None else None
        self._process: subprocess.Popen[str] | None = None

    @property
    def bootstrap(self) -> str:
        """The `bootstrap.servers` for clients: host and port, of every node."""
        return ",".join(node.bootstrap for node in self.nodes.values()) or f"{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        return self._running().pid

    @property
    def data_dir(self) -> Path:
        """The folder of the broker's data."""
        return self._given_data_dir or self._folder / "data"

    @property
    def log(self) -> str:
        """The broker's log so far, over all its starts."""
        return self._log_file.read_text(encoding="utf-8", errors="replace")

    def start(self) -> Ottla:
        """Start the broker, and return when it answers. Raises BrokerFailedError, with its log, if it does not."""
        if self._process is not None:
            return self
        with self._log_file.open("a", encoding="utf-8") as log:
            process = subprocess.Popen(  # noqa: S603
                self._command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self._process = process
        # No polling: either the ready line comes, or the output ends because the process did.
        alarm = threading.Timer(self.start_timeout, process.kill)
        alarm.start()
        try:
            assert process.stdout is not None  # noqa: S101
            ready = any(line.startswith(READY_LINE) for line in iter(process.stdout.readline, ""))
        finally:
            alarm.cancel()
        if not ready:
            self.kill()
            failure = BrokerFailedError(f"the broker did not start:\n{self.log}")
            if not self._port_file.exists():  # it never ran, so the caller has nothing to close
                self.close()
            raise failure
        facts = json.loads(self._port_file.read_text(encoding="utf-8"))
        self.port = facts["port"]
        self.nodes = {
            node["id"]: Node(self, node["id"], host=node["host"], port=node["port"], rack=node["rack"])
            for node in facts["nodes"]
        }
        return self

    def stop(self, timeout: float = 30.0) -> None:
        """Stop the broker with SIGTERM: it finishes requests in flight and closes its data cleanly."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"the broker did not stop within {timeout} s:\n{self.log}") from None
        self._forget()
        if code != 0:
            raise BrokerFailedError(f"the broker ended with exit code {code}:\n{self.log}")

    def kill(self) -> None:
        """Kill the broker with SIGKILL, as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    def restart(self) -> None:
        """Stop the broker if it runs, and start it again, on the same port and data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop the broker, and delete its data unless `data_dir` was given."""
        try:
            self.stop()
        finally:
            if self._own is not None:
                self._own.cleanup()
                self._own = None

    def __enter__(self) -> Ottla:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Ottla {self.bootstrap}>" if self._process is not None else "<Ottla, stopped>"

    @property
    def _folder(self) -> Path:
        if self._own is None:
            self._own = TemporaryDirectory(prefix="ottla-")
        return Path(self._own.name)

    @property
    def _log_file(self) -> Path:
        file = self._folder / "log.txt"
        file.touch()
        return file

    @property
    def _port_file(self) -> Path:
        return self._folder / "port.json"

    @property
    def _listen(self) -> str:
        ports = [node.port for node in self.nodes.values()] or [self.port]
        return f"{self.host}:{','.join(map(str, ports))}"

    def _command(self) -> list[str]:
        settings = (
            f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in self.config.items()
        )
        return [
            *(sys.executable, "-m", "ottla", "serve", "--until-stdin-closes"),
            *("--listen", self._listen, "--data-dir", str(self.data_dir), "--port-file", str(self._port_file)),
            *("--nodes", str(self._node_count)),
            *(word for rack in self._racks for word in ("--rack", rack)),
            *(() if self.as_kafka is None else ("--as-kafka", self.as_kafka)),
            *(word for setting in settings for word in ("--config", setting)),
        ]

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("the broker is not running")
        return self._process

    def _forget(self) -> None:
        process = self._running()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None
