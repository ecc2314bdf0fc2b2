"""Holds clients to their quotas: measures their bytes, changes and request time, and makes them wait.

Only while a quota is set: then each connection has a ``Meter``, and routes of its own that go through it
(``requests.metered``). A client over a quota is answered at once, is told for how long it is muted, and is not read
from meanwhile (KIP-13, 124, 219, 599).
Connections that an address makes too often are held for a moment, and closed (KIP-612).
"""

from typing import Any, Protocol
from weakref import WeakSet

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
from ottla.broker.settings.broker_config import BrokerConfig
from ottla.scheduling.clock import Clock, Stopwatch, stopwatch
from ottla.scheduling.promise import Promise
from ottla.scheduling.timers import Timers
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

MAXIMUM_IDLE_RATES = 1000


class Measured(Protocol):
    """A connection that can be measured (``requests.context.Context``)."""

    node_id: int
    meter: "Meter | None"

    def measure(self, meter: "Meter | None", /) -> None:
        """Measure requests with a meter from the next one on; None stops that."""
        ...


class Throttling:
    """The rates of all clients of a cluster, and the connections that are measured."""

    def __init__(self, quotas: Quotas, config: BrokerConfig, clock: Clock, timers: Timers) -> None:
        self.quotas = quotas
        self.clock = clock
        self.timers = timers
        self.stopwatch: Stopwatch = stopwatch
        """The clock that measures the time of a request."""
        self.version = 0
        """The version of the quotas; a meter that has seen another one looks its limits up again."""
        self._windows = config.integer("quota.window.num")
        self._window_s = config.integer("quota.window.size.seconds")
        self._burst_s = config.integer("controller.quota.window.num") * config.integer(
            "controller.quota.window.size.seconds"
        )
        self._rates: dict[tuple[int, tuple[str, str, str]], Rate] = {}
        """The rates, by node and by the clients that share a quota: each node gives them the whole quota."""
        self._buckets: dict[tuple[str, str, str], TokenBucket] = {}
        self._connections: WeakSet[Measured] = WeakSet()

    def watch(self, connection: Measured) -> None:
        """Measure a new connection, now or once a quota is set."""
        self._connections.add(connection)
        if self.quotas.bind_clients:
            connection.measure(Meter(self, connection.node_id))

    def quotas_changed(self) -> None:
        """Measure all connections, or none, from their next request on."""
        self.version += 1
        needed = self.quotas.bind_clients
        if not needed:
            self._rates.clear()
            self._buckets.clear()
        for connection in list(self._connections):
            if needed != (connection.meter is not None):
                connection.measure(Meter(self, connection.node_id) if needed else None)

    def rate(self, node_id: int, shared_by: tuple[str, str, str], now: float) -> Rate:
        """Return the rate of the clients that share a quota of a node; idle rates are dropped."""
        rate = self._rates.get((node_id, shared_by))
        if rate is None:
            if len(self._rates) >= MAXIMUM_IDLE_RATES:
                self._rates = {key: one for key, one in self._rates.items() if not one.is_idle(now)}
            rate = self._rates[node_id, shared_by] = Rate(windows=self._windows, window_s=self._window_s)
        return rate

    def bucket(self, limit: Limit, now: float) -> TokenBucket:
        """Return the bucket of changes of the clients that share a quota; full buckets are dropped."""
        bucket = self._buckets.get(limit.shared_by)
        if bucket is None:
            if len(self._buckets) >= MAXIMUM_IDLE_RATES:
                self._buckets = {key: one for key, one in self._buckets.items() if not one.is_full(limit.value, now)}
            bucket = self._buckets[limit.shared_by] = TokenBucket(burst_s=self._burst_s)
        return bucket

    def hold_newcomer_s(self, address: str, node_id: int = 0) -> float:
        """Count a connection from an address to a node; returns 0 if it may stay, else the seconds to hold it.

        A connection that may not stay is not counted, and is held for at most a window (``ConnectionQuotas``, KIP-612).
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
        """Return the maximum size of one fetch, in bytes: a larger one could never be within its quota."""
        return int(min(limit.value * (self._windows - 1) * self._window_s, 2**62))

    @property
    def longest_request_wait_ms(self) -> int:
        """The maximum wait for request time: one window, in milliseconds."""
        return self._window_s * 1000


class Meter:
    """The meter of one connection. ``wait_ms`` is the wait that the request under way has earned so far."""

    def __init__(self, throttling: Throttling, node_id: int) -> None:
        self.throttling = throttling
        self._node_id = node_id
        self._limits: dict[str, Limit | None] = {}
        self._known: tuple[int, str, str] | None = None
        self._wait_ms = 0

    def begin(self, user: str, client_id: str | None) -> None:
        """Begin with a request; a client may change its name from one to the next."""
        self._wait_ms = 0
        known = (self.throttling.version, user, client_id or "")
        if known != self._known:
            self._known = known
            self._limits = {key: self.throttling.quotas.limit(key, user, known[2]) for key in CLIENT_KEYS}

    def most_to_fetch(self, wanted: int) -> int:
        """Return the number of the wanted bytes that one fetch may have."""
        limit = self._limits.get(CONSUMER_BYTE_RATE)
        return wanted if limit is None else min(wanted, self.throttling.most_at_once(limit))

    def produced(self, size: int) -> None:
        """Count the bytes that a client produced."""
        self._wait_ms = max(self._wait_ms, self._count(PRODUCER_BYTE_RATE, size))

    def fetched(self, size: int) -> bool:
        """Count the bytes of a fetch if it is within its quota, and return whether it is."""
        wait_ms = self._count(CONSUMER_BYTE_RATE, size)
        if wait_ms and size:
            self._count(CONSUMER_BYTE_RATE, -size)
        self._wait_ms = max(self._wait_ms, wait_ms)
        return wait_ms == 0

    def took(self, seconds: float) -> None:
        """Count the time that a request took; one second in each second is 100 per cent."""
        wait_ms = self._count(REQUEST_PERCENTAGE, seconds * 100)
        self._wait_ms = max(self._wait_ms, min(wait_ms, self.throttling.longest_request_wait_ms))

    def changes_partitions(self, count: int, *, client_is_told: bool) -> None:
        """Count partitions that are created or deleted, also with validate only.

        Raises ``KafkaError`` THROTTLING_QUOTA_EXCEEDED, and counts nothing, if there were too many before. For a client
        that does not know this code the change is made, and the client has to wait.
        """
        wait_ms = self._change(count, at_any_rate=not client_is_told)
        self._wait_ms = max(self._wait_ms, wait_ms)
        if wait_ms and client_is_told:
            raise KafkaError(ErrorCode.THROTTLING_QUOTA_EXCEEDED)

    def may_make_partitions(self, count: int) -> bool:
        """Count partitions of a topic created on demand; False if there were too many before. No client waits."""
        return not self._change(count, at_any_rate=False)

    def _change(self, count: int, *, at_any_rate: bool) -> int:
        """Count changes if there is no debt, or ``at_any_rate``; return the milliseconds until the debt is paid."""
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
        """Return the time for which the connection is muted after this request, in milliseconds."""
        wait_ms, self._wait_ms = self._wait_ms, 0
        return wait_ms

    def pause(self, wait_ms: int) -> "Promise[Any]":
        """Return a promise, resolved without an answer when the connection may be read from again."""
        throttling = self.throttling
        pending: Promise[Any] = Promise()
        timer = throttling.timers.schedule(throttling.clock.monotonic() + wait_ms / 1000, lambda: pending.resolve(None))
        pending.on_abandoned = timer.cancel
        return pending
