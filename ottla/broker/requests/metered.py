"""Measured requests: while quotas are set, each connection has routes of its own, which go through its meter."""

from typing import Any

from ottla.broker.apis import Api
from ottla.broker.quotas.throttling import Meter
from ottla.broker.requests.context import Context
from ottla.broker.requests.deferred import Deferred, Reply
from ottla.broker.requests.routes import Route
from ottla.scheduling.promise import Promise
from ottla.wire.codes import ApiKey


class MeteredRoute(Route):
    """A route of one connection: measures requests and answers, and tells the client how long it has to wait."""

    __slots__ = ("_answer", "_meter")

    def __init__(self, api: Api, version: int, meter: Meter) -> None:
        super().__init__(api, version)
        self._meter = meter
        self._answer = self.handler
        self.handler = self._handle
        # The short cuts do not measure.
        self.straight = None
        self.depends_on_catalog_only = False

    def _handle(self, context: Context, request: Any) -> Any:
        meter = self._meter
        meter.begin(context.principal.name, context.client.id)
        began = meter.throttling.stopwatch()
        try:
            response = self._answer(context, request)
        finally:
            meter.took(meter.throttling.stopwatch() - began)
        if self.api.key == ApiKey.PRODUCE:
            meter.produced(
                sum(len(each.records or b"") for topic in request.topic_data for each in topic.partition_data)
            )
        if response is None:  # acks=0: there is no answer to name the wait, so the connection just waits
            wait_ms = meter.settle()
            return meter.pause(wait_ms) if wait_ms else None
        return response

    def encode(self, response: Any, correlation_id: int) -> Reply | Deferred:
        """Return the frame; if the client is over a quota, a ``Deferred`` that sends it and mutes the client."""
        wait_ms = self._meter.settle()
        if not wait_ms:
            return super().encode(response, correlation_id)
        response.throttle_time_ms = wait_ms
        answer = super().encode(response, correlation_id)
        assert not isinstance(answer, Deferred)  # noqa: S101 - only this class defers
        return Deferred(self.api, self._meter.pause(wait_ms), _no_more, answer)


def _no_more(_pause: Promise[Any]) -> None:
    """Return no further reply: the answer was sent before the pause."""
