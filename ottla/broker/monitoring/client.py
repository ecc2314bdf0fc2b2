"""One client as its connection shows it: its address, its names, and the APIs that it has used so far."""


class Client:
    """The client of one connection. ``host`` is its address without the port; ``connected_ms`` is wall-clock time."""

    __slots__ = ("apis_in_use", "connected_ms", "host", "id", "port", "software_name", "software_version")

    def __init__(self, host: str = "", port: int = 0, *, connected_ms: int = 0) -> None:
        self.host = host
        self.port = port
        self.connected_ms = connected_ms
        self.id: str | None = None
        """The client id of its latest request; it may change from one to the next."""
        self.software_name = ""
        self.software_version = ""
        """The version of its library; empty if the library does not name itself (KIP-511)."""
        self.apis_in_use: set[int] = set()
        """The APIs and versions that it has used so far: ``api_key << 16 | version``."""
