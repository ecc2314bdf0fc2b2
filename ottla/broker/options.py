"""What a person asked `ottla serve` for, and what the server tells back once it listens. Opens nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ottla.broker.config import BrokerConfig
from ottla.broker.releases import Release

DEFAULT_PORT = 9092


class StartError(Exception):
    """The broker cannot start; the message is one sentence for a person, who sees nothing else."""


@dataclass(frozen=True)
class Address:
    """A host and a port. The host is a name, an IPv4 or an IPv6 address (without brackets)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str, *, default_port: int | None = None) -> Address:
        """Read `HOST:PORT` or `[IPV6]:PORT`; raises ValueError with a sentence."""
        host, colon, port = text.rpartition(":")
        if default_port is not None and (not colon or port.endswith("]")):
            host, colon, port = text, ":", str(default_port)
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text!r} needs brackets around the IPv6 address: [{host}]:{port}")
        if not (colon and port.isascii() and port.isdigit() and int(port) <= 0xFFFF):
            raise ValueError(f"{text!r} is not HOST:PORT with a port from 0 to 65535")
        return cls(host, int(port))


@dataclass(frozen=True)
class Listener:
    """Where to listen. Port 0 asks for a free one, and all listeners that ask for it share one.

    An optional listener is left out without a word if the machine does not have its address (::1, mostly).
    """

    address: Address
    optional: bool = False


DEFAULT_LISTENERS = (
    Listener(Address("127.0.0.1", DEFAULT_PORT)),
    Listener(Address("::1", DEFAULT_PORT), optional=True),
)


@dataclass(frozen=True)
class Ready:
    """A broker that answers: what it listens on, and what it tells clients to connect to."""

    advertised: Address
    listening: tuple[Address, ...]
    data_dir: Path
    cluster_id: str
    node_id: int
    acknowledgement: str
    """What is certain of a record that was acknowledged: one sentence for a person."""


@dataclass(frozen=True)
class ServeOptions:
    """All that the server needs to know. `on_ready` is called once, when the first client would be answered.

    `advertise` is what the person chose for clients to connect to (port 0: the port that is listened on);
    None leaves it to ottla.broker.advertise.
    """

    listeners: tuple[Listener, ...]
    advertise: Address | None
    data_dir: Path
    ephemeral: bool
    config: BrokerConfig
    on_ready: Callable[[Ready], None]
    release: Release | None = None
    """The release of Apache's that clients are to find; None: all that is served."""
