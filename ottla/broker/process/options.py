"""What a person asked `ottla serve` for, and what the server tells back once it listens. Opens nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.versions.releases import Release

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
    """Where to listen. Port 0 asks for a free one, and all listeners of a node that ask for it share one.

    An optional listener is left out without a word if the machine does not have its address (::1, mostly). The second
    node has the first of ``more_ports``, the third the next; without them, the port after that of the node before.
    """

    address: Address
    optional: bool = False
    more_ports: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Listener:
        """Read `HOST:PORT`, or `HOST:PORT,PORT...` with a port for each node; raises ValueError with a sentence."""
        first, *more = text.split(",")
        address = Address.parse(first)
        return cls(
            address, more_ports=tuple(Address.parse(f"{address}".rpartition(":")[0] + f":{port}").port for port in more)
        )

    def of_node(self, number: int) -> Listener:
        """Return where the node listens that has this number, counted from 0."""
        port = self.address.port
        if number and self.more_ports:
            port = self.more_ports[number - 1]
        elif port:
            port += number
        return Listener(Address(self.address.host, port), self.optional)


DEFAULT_LISTENERS = (
    Listener(Address("127.0.0.1", DEFAULT_PORT)),
    Listener(Address("::1", DEFAULT_PORT), optional=True),
)


@dataclass(frozen=True)
class ReadyNode:
    """One node: what it listens on, and what it tells clients to connect to."""

    id: int
    advertised: Address
    listening: tuple[Address, ...]
    rack: str | None


@dataclass(frozen=True)
class Ready:
    """A broker that answers, with all its nodes."""

    nodes: tuple[ReadyNode, ...]
    data_dir: Path
    cluster_id: str
    acknowledgement: str
    """What is certain of a record that was acknowledged: one sentence for a person."""

    @property
    def bootstrap(self) -> str:
        """The `bootstrap.servers` for clients: every node's address."""
        return ",".join(str(node.advertised) for node in self.nodes)


@dataclass(frozen=True)
class ServeOptions:
    """All that the server needs to know. `on_ready` is called once, when the first client would be answered.

    `advertise` is what the person chose for clients to connect to (port 0: the port that is listened on; else the
    second node has the next port); None leaves it to ottla.broker.settings.advertise. `config` is the first node's,
    `more_nodes` are those of the others.
    """

    listeners: tuple[Listener, ...]
    advertise: Address | None
    data_dir: Path
    ephemeral: bool
    config: BrokerConfig
    on_ready: Callable[[Ready], None]
    more_nodes: tuple[BrokerConfig, ...] = ()
    release: Release | None = None
    """The release of Apache's that clients are to find; None: all that is served."""
