"""Holds clients to their quotas: measures what they produce, fetch, change and cost, and lets them wait.

Only while a quota is set: then each connection has a ``Meter``, and routes of its own that go through it. Who is over
a quota is answered at once, is told for how long it is muted, and is not read from meanwhile (KIP-13, 124, 219, 599).
Connections that an address makes too often are held for a moment, and closed (KIP-612).
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from ottla.broker.apis import Api
from ottla.broker.quotas.limits import (
    CLIENT_KEYS,
    CONNECTION_CREATION_RATE,
    CONSUMER_BYTE_RATE,
    CONTROLLER_MUTATION_RATE,
    PRODUCER_BYTE_RATE,
    REQUEST_PERCENTAGE,
    Limit,
    Quotas,
)
from ottla.broker.quotas.rates import Rate, TokenBucket
from ottla.broker.requests.dispatch import Deferred, Reply, Route
from ottla.scheduling.clock import Clock
from ottla.scheduling.promise import Promise
from ottla.scheduling.timers import Timers
from ottla.wire.codes import ApiKey, ErrorCode
from ottla.wire.errors import KafkaError

if TYPE_CHECKING:
    from ottla.broker.requests.context import Context
    from ottla.broker.settings.broker_config import BrokerConfig

MOST_IDLE_RATES = 1000


class Throttling:
    """The rates of all clients of a cluster, and the connections that are measured."""

    def __init__(self, quotas: Quotas, config: "BrokerConfig", clock: Clock, timers: Timers) -> None:
        self.quotas = quotas
        self.clock = clock
        self.timers = timers
        self.stopwatch: Callable[[], float] = time.perf_counter
        """Tells what a request costs, in seconds."""
        self.version = 0
        """Of the quotas; a meter that has seen another looks again."""
        self._windows = config.integer("quota.window.num")
        self._window_s = config.integer("quota.window.size.seconds")
        self._burst_s = config.integer("controller.quota.window.num") * config.integer(
            "controller.quota.window.size.seconds"
        )
        self._rates: dict[tuple[int, tuple[str, str, str]], Rate] = {}
        """By the node that counts, and by those who share a quota: each node gives them the whole of it."""
        self._buckets: dict[tuple[str, str, str], TokenBucket] = {}
        self._contexts: WeakSet[Context] = WeakSet()

    def watch(self, context: "Context") -> None:
        """Measure a new connection, now or once there are quotas."""
        self._contexts.add(context)
        if self.quotas.bind_clients:
            context.measure(Meter(self, context.node.id))

    def quotas_changed(self) -> None:
        """Measure all connections, or none, from their next request on."""
        self.version += 1
        needed = self.quotas.bind_clients
        if not needed:
            self._rates.clear()
            self._buckets.clear()
        for context in list(self._contexts):
            if needed != (context.meter is not None):
                context.measure(Meter(self, context.node.id) if needed else None)

    def rate(self, node_id: int, shared_by: tuple[str, str, str], now: float) -> Rate:
        """Return what those who share a quota have had of a node; those who had nothing for long are forgotten."""
        rate = self._rates.get((node_id, shared_by))
        if rate is None:
            if len(self._rates) >= MOST_IDLE_RATES:
                self._rates = {key: one for key, one in self._rates.items() if not one.is_idle(now)}
            rate = self._rates[node_id, shared_by] = Rate(windows=self._windows, window_s=self._window_s)
        return rate

    def bucket(self, limit: Limit, now: float) -> TokenBucket:
        """Return the changes that those who share a quota may still make; buckets that are full again are dropped."""
        bucket = self._buckets.get(limit.shared_by)
        if bucket is None:
            if len(self._buckets) >= MOST_IDLE_RATES:
                self._buckets = {key: one for key, one in self._buckets.items() if not one.is_full(limit.value, now)}
            bucket = self._buckets[limit.shared_by] = TokenBucket(burst_s=self._burst_s)
        return bucket

    def hold_newcomer_s(self, address: str, node_id: int = 0) -> float:
        """Count a connection from an address to a node; returns 0 where it may stay, else for how long it is held.

        One that may not stay is not counted, and never held for longer than a window (``ConnectionQuotas``, KIP-612).
        """
        limit = self.quotas.connections_per_second(address)
        if limit is None:
            return 0.0
        now = self.clock.monotonic()
        rate = self.rate(node_id, (CONNECTION_CREATION_RATE, "", address), now)
        rate.add(1, now)
        wait_ms = rate.wait_ms(limit, now)
        if wait_ms:
            rate.add(-1, now)
        return min(wait_ms / 1000, self._window_s)

    def most_at_once(self, limit: Limit) -> int:
        """How many bytes one fetch may have so that it can be within its quota at all."""
        return int(min(limit.value * (self._windows - 1) * self._window_s, 2**62))

    @property
    def longest_request_wait_ms(self) -> int:
        """The time that a client may take is given back soon: nobody waits longer than one window for it."""
        return self._window_s * 1000


class Meter:
    """Measures one connection. ``wait_ms`` is what the request under way has earned so far."""

    def __init__(self, throttling: Throttling, node_id: int) -> None:
        self.throttling = throttling
        self._node_id = node_id
        self._limits: dict[str, Limit | None] = {}
        self._known: tuple[int, str, str] | None = None
        self._wait_ms = 0

    def route(self, context: "Context", api: Api, version: int) -> "MeteredRoute":
        """Make this connection's route for an API."""
        return MeteredRoute(api, version, context, self)

    def begin(self, user: str, client_id: str | None) -> None:
        """Begin with a request; a client may change its name from one to the next."""
        self._wait_ms = 0
        known = (self.throttling.version, user, client_id or "")
        if known != self._known:
            self._known = known
            self._limits = {key: self.throttling.quotas.limit(key, user, known[2]) for key in CLIENT_KEYS}

    def most_to_fetch(self, wanted: int) -> int:
        """Return how much of what a fetch wants it may have."""
        limit = self._limits.get(CONSUMER_BYTE_RATE)
        return wanted if limit is None else min(wanted, self.throttling.most_at_once(limit))

    def produced(self, size: int) -> None:
        """Count what a client produced."""
        self._wait_ms = max(self._wait_ms, self._count(PRODUCER_BYTE_RATE, size))

    def fetched(self, size: int) -> bool:
        """Count what a fetch would get; return whether it may. If not, it gets nothing, and nothing is counted."""
        wait_ms = self._count(CONSUMER_BYTE_RATE, size)
        if wait_ms and size:
            self._count(CONSUMER_BYTE_RATE, -size)
        self._wait_ms = max(self._wait_ms, wait_ms)
        return wait_ms == 0

    def took(self, seconds: float) -> None:
        """Count the time that a request took, of which a whole second in a second is 100 per cent."""
        wait_ms = self._count(REQUEST_PERCENTAGE, seconds * 100)
        self._wait_ms = max(self._wait_ms, min(wait_ms, self.throttling.longest_request_wait_ms))

    def changes_partitions(self, count: int, *, client_is_told: bool) -> None:
        """Count partitions that are made or deleted; tried out, too.

        Raises ``KafkaError`` THROTTLING_QUOTA_EXCEEDED, and counts nothing, where there were too many before. A client
        that does not know this code gets what it wants, and has to wait.
        """
        wait_ms = self._change(count, at_any_rate=not client_is_told)
        self._wait_ms = max(self._wait_ms, wait_ms)
        if wait_ms and client_is_told:
            raise KafkaError(ErrorCode.THROTTLING_QUOTA_EXCEEDED)

    def may_make_partitions(self, count: int) -> bool:
        """Count partitions of a topic that is made on demand, unless there were too many before. Nobody waits."""
        return not self._change(count, at_any_rate=False)

    def _change(self, count: int, *, at_any_rate: bool) -> int:
        """Count changes if there is no debt, or at any rate; return how long it takes to pay what was owed then."""
        limit = self._limits.get(CONTROLLER_MUTATION_RATE)
        if limit is None:
            return 0
        now = self.throttling.clock.monotonic()
        bucket = self.throttling.bucket(limit, now)
        owed_ms = bucket.wait_ms(limit.value, now)
        if owed_ms and not at_any_rate:
            return owed_ms
        bucket.take(count, limit.value, now)
        return bucket.wait_ms(limit.value, now) if at_any_rate else 0

    def _count(self, key: str, amount: float) -> int:
        limit = self._limits.get(key)
        if limit is None:
            return 0
        now = self.throttling.clock.monotonic()
        rate = self.throttling.rate(self._node_id, limit.shared_by, now)
        rate.add(amount, now)
        return rate.wait_ms(limit.value, now)

    def settle(self) -> int:
        """Return for how long the connection is muted after this request, in milliseconds."""
        wait_ms, self._wait_ms = self._wait_ms, 0
        return wait_ms

    def pause(self, wait_ms: int) -> "Promise[Any]":
        """Return what is resolved, with no answer, when the connection may be read from again."""
        throttling = self.throttling
        pending: Promise[Any] = Promise()
        timer = throttling.timers.schedule(throttling.clock.monotonic() + wait_ms / 1000, lambda: pending.resolve(None))
        pending.on_abandoned = timer.cancel
        return pending


class MeteredRoute(Route):
    """A route of one connection: what it answers is measured, and says how long the client has to wait."""

    __slots__ = ("_answer", "_context", "_meter")

    def __init__(self, api: Api, version: int, context: "Context", meter: Meter) -> None:
        super().__init__(api, version)
        self._context = context
        self._meter = meter
        self._answer = self.handler
        self.handler = self._handle
        # The short cuts know nothing of quotas.
        self.straight = None
        self.depends_on_catalog_only = False

    def _handle(self, context: "Context", request: Any) -> Any:
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
        if response is None:  # acks=0: nobody can be told to wait, so it just has to
            wait_ms = meter.settle()
            return meter.pause(wait_ms) if wait_ms else None
        return response

    def encode(self, response: Any, correlation_id: int) -> Reply | Deferred:
        """Return the frame, or where the client is over a quota the frame and how long it is muted."""
        wait_ms = self._meter.settle()
        if not wait_ms:
            return super().encode(response, correlation_id)
        response.throttle_time_ms = wait_ms
        muted = Deferred(
            context=self._context,
            route=self,
            correlation_id=correlation_id,
            pending=self._meter.pause(wait_ms),
        )
        answer = super().encode(response, correlation_id)
        assert not isinstance(answer, Deferred)  # noqa: S101 - only this class defers
        muted.at_once = answer
        return muted
