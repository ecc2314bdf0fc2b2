"""The routes of requests: for each API and version its codecs and its handler, found by name and looked up once."""

import importlib
import re
from collections.abc import Callable
from typing import Any, cast

from ottla.broker.apis import Api
from ottla.broker.requests.context import Context
from ottla.broker.requests.deferred import Deferred, Reply
from ottla.scheduling.promise import Promise
from ottla.wire import frames
from ottla.wire.codes import ApiKey
from ottla.wire.schema import Request, Response

Handler = Callable[[Context, Any], Any]
Straight = Callable[[Context, int, bytearray, int, int], "bytes | Promise[Any] | None"]
"""A function that answers the request between two positions with a frame or a ``Promise``, or None if it cannot."""


def snake_case(name: str) -> str:
    """Return the name of an API's handler: ``OffsetForLeaderEpoch`` -> ``offset_for_leader_epoch``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Route:
    """The route of one version of one API: its codecs, its handler and how it is answered."""

    __slots__ = (
        "api",
        "carries_records",
        "decode",
        "depends_on_catalog_only",
        "encoder",
        "handler",
        "request_is_flexible",
        "response_class",
        "response_is_flexible",
        "straight",
        "version",
    )

    def __init__(self, api: Api, version: int) -> None:
        messages = importlib.import_module(f"ottla.wire.messages.{api.family}")
        handlers = importlib.import_module(f"ottla.broker.handlers.{api.family}")
        request_class = cast("type[Request]", getattr(messages, f"{api.name}Request"))
        self.api = api
        self.version = version
        self.handler = cast("Handler", getattr(handlers, snake_case(api.name)))
        make_straight = getattr(handlers, f"{snake_case(api.name)}_straight", None)
        self.straight = None if make_straight is None else cast("Straight | None", make_straight(version))
        self.response_class = cast("type[Response]", getattr(messages, f"{api.name}Response"))
        self.decode = request_class.decoder(version)
        self.request_is_flexible = request_class.is_flexible(version)
        self.response_is_flexible = frames.response_header_is_flexible(
            api.key, flexible=self.response_class.is_flexible(version)
        )
        self.encoder = self.response_class.encoder(version)
        self.carries_records = api.key == ApiKey.FETCH
        self.depends_on_catalog_only = api.key == ApiKey.METADATA

    def encode(self, response: Response, correlation_id: int) -> "Reply | Deferred":
        """Return the frame of ``response``, in pieces if some of its bytes are in files. See also ``Deferred``."""
        parts: list[Any] = []
        self.encoder(response, parts.append)
        if not self.carries_records:
            return frames.encode_response(correlation_id, b"".join(parts), flexible=self.response_is_flexible)
        return frames.encode_response_parts(correlation_id, parts, flexible=self.response_is_flexible)


ROUTES: dict[int, Route] = {}
"""The routes of all connections that are not measured, by API and version: the same for all clusters."""
