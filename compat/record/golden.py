"""Golden frame files: which exchange stands for an API version, and how it is written."""

from __future__ import annotations

from pathlib import Path

from compat.record.proxy import Exchange
from ottla.wire.codes import ApiKey, ErrorCode

SHORT = 1200  # bytes, of a request or a response: what a person can still read
LARGEST = 20_000
BYTES_PER_LINE = 32


class Golden:
    """The telling exchange of each (API, version) that one client used."""

    def __init__(self) -> None:
        self._best: dict[tuple[int, int], Exchange] = {}

    def keep(self, exchange: Exchange) -> None:
        """Take `exchange` when it is better than the one before: the longest of the short ones says most."""
        if max(len(exchange.request), len(exchange.response)) > LARGEST or _refused(exchange):
            return
        key = (exchange.api_key, exchange.version)
        best = self._best.get(key)
        if best is None or _merit(exchange) > _merit(best):
            self._best[key] = exchange

    def write(self, folder: Path, client: str, broker: str) -> int:
        """Replace `folder`'s frames; how many files it has now."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.hex"):
            old.unlink()
        for (api_key, version), exchange in sorted(self._best.items()):
            name = ApiKey(api_key).name.lower()
            for kind, frame in (("request", exchange.request), ("response", exchange.response)):
                head = f"# client: {client}; broker: {broker}; api: {name} ({api_key}); version: {version}; {kind}\n"
                (folder / f"{name}-v{version}-{kind}-1.hex").write_text(head + _hexadecimal(frame))
        return len(self._best) * 2


def _refused(exchange: Exchange) -> bool:
    """Whether the client tried an ApiVersions that the broker lacks: the answer is of version 0 then."""
    error = exchange.response[8:10]  # after length and correlation id
    return exchange.api_key == ApiKey.API_VERSIONS and error == ErrorCode.UNSUPPORTED_VERSION.to_bytes(2, "big")


def _merit(exchange: Exchange) -> tuple[bool, int]:
    short = max(len(exchange.request), len(exchange.response)) <= SHORT
    size = len(exchange.request) + len(exchange.response)
    return short, size if short else -size


def _hexadecimal(frame: bytes) -> str:
    starts = range(0, len(frame), BYTES_PER_LINE)
    return "".join(frame[start : start + BYTES_PER_LINE].hex() + "\n" for start in starts)
