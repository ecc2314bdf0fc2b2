"""A broker as a child process on a free port: start until it answers, stop, kill, restart. Knows no product."""

from __future__ import annotations

import abc
import contextlib
import errno
import os
import random
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Self

# Below Linux's ephemeral range, so that no outgoing connection takes the port while a broker restarts.
PORTS = range(20_000, 32_000)

METADATA = 3
METADATA_VERSION = 1


class BrokerError(Exception):
    """The broker did not start, or was gone when it was needed."""


def free_port() -> int:
    """A TCP port that nobody listens on at 127.0.0.1 or ::1 now."""
    for _ in range(200):
        port = random.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if _free_by_ipv6(port):
                return port
    raise BrokerError("no free port found")


def _free_by_ipv6(port: int) -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE  # a machine without IPv6 has all its ports free
    return True


def answers_metadata(address: tuple[str, int], timeout: float = 2.0) -> bool:
    """Whether a broker at `address` answers Metadata with at least one broker in it."""
    header = struct.pack(">hhih", METADATA, METADATA_VERSION, 1, 5) + b"probe"
    request = header + struct.pack(">i", 0)
    try:
        with socket.create_connection(address, timeout) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            stream = connection.makefile("rb")
            size = stream.read(4)
            if len(size) < 4:
                return False
            body = stream.read(struct.unpack(">i", size)[0])
            return len(body) >= 8 and bool(struct.unpack_from(">i", body, 4)[0] > 0)
    except OSError:
        return False


class Broker(abc.ABC):
    """One broker process with its own data folder and log file under `directory`.

    `advertised_port` differs from `port` when clients must come through a proxy; `settings` are Kafka's, by name.
    """

    name: str
    start_timeout = 60.0

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        advertised_port: int | None = None,
        settings: dict[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.settings = settings or {}
        self.port = port or free_port()
        self.advertised_port = advertised_port or self.port
        self.log_path = directory / f"{self.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    @property
    def data_dir(self) -> Path:
        """Its data folder."""
        return self.directory / "data"

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return f"127.0.0.1:{self.advertised_port}"

    @property
    def bootstrap_ipv6(self) -> str:
        """The same port by IPv6; only brokers that no proxy stands before listen there."""
        return f"[::1]:{self.port}"

    @property
    def version(self) -> str:
        """The name of this broker in the result table."""
        return self.name

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @abc.abstractmethod
    def command(self) -> list[str]:
        """The command line that serves on `port`; the data folder survives a restart."""

    def prepare(self) -> None:  # noqa: B027  (nothing to prepare is a good default)
        """Called once before the first start."""

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def start(self) -> None:
        """Start, and return once it answers Metadata. Raises BrokerError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.starts == 0:
            self.prepare()
        self.starts += 1
        with self.log_path.open("ab") as log:
            log.write(f"--- start {self.starts}\n".encode())
            log.flush()
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + self.start_timeout
        while not answers_metadata(("127.0.0.1", self.port)):
            if not self.alive:
                raise BrokerError(f"{self.name} exited with {self.process.returncode}: {self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise BrokerError(f"{self.name} did not answer within {self.start_timeout:.0f} s: {self.log_tail()}")
            time.sleep(0.05)

    def stop(self, timeout: float = 40.0) -> None:
        """Ask it to end (SIGTERM) and wait; kill it when it does not."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BrokerError(f"{self.name} did not end within {timeout:.0f} s of SIGTERM") from None

    def kill(self) -> None:
        """SIGKILL the process and all that it started."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def restart(self, *, unclean: bool = False) -> None:
        """Stop (or SIGKILL, when `unclean`) and start again on the same port and data."""
        if unclean:
            self.kill()
        else:
            self.stop()
        self.start()

    def log_tail(self, size: int = 3000) -> str:
        """The end of its log, as far as it belongs to the last start."""
        with contextlib.suppress(OSError):
            return self.log_path.read_bytes()[-size:].decode(errors="replace").rpartition("--- start")[2]
        return ""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
