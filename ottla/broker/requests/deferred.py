"""A reply, and a reply that comes later: all that a connection knows of a request that waits."""

from collections.abc import Callable
from typing import Any

from ottla.broker.apis import Api
from ottla.scheduling.promise import Promise

Reply = bytes | list[Any]
"""The frame of an answer, or its pieces if some of its bytes are in files."""


class Deferred:
    """A request whose answer comes later. ``finish`` encodes it once ``pending`` is done.

    ``at_once`` is a reply to send before that; the promise may then only say when to go on.
    """

    __slots__ = ("api", "at_once", "finish", "pending")

    def __init__(
        self,
        api: Api,
        pending: Promise[Any],
        finish: "Callable[[Promise[Any]], Reply | Deferred | None]",
        at_once: Reply | None = None,
    ) -> None:
        self.api = api
        self.pending = pending
        self.finish = finish
        self.at_once = at_once

    def reply(self) -> "Reply | Deferred | None":
        """Encode the answer that has come. Raises ProtocolError if the connection must be closed instead."""
        return self.finish(self.pending)
