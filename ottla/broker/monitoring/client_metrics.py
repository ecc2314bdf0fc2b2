"""The metrics that clients are asked for (KIP-714): names them, checks what clients push, and keeps none of it.

Follows ``ClientMetricsManager``. A client is known by its instance id; the ids that were not heard of for longest are
forgotten when there are too many.
"""

import random
import re
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from ottla.broker.settings.group_table import CLIENT_METRICS_DEFINITIONS, read_patterns
from ottla.storage.catalog import Catalog
from ottla.wire.codes import ErrorCode, ResourceType
from ottla.wire.compression import decompress
from ottla.wire.errors import KafkaError
from ottla.wire.schema import ZERO_UUID

CODECS = (4, 3, 1, 2)
"""The codes of zstd, lz4, gzip and snappy, in the order of Apache's preference."""
NO_CODEC = 0
ALL_METRICS = "*"
DEFAULT_INTERVAL_MS = 300_000
MAXIMUM_INSTANCES = 16_384


class Subscription(NamedTuple):
    """The metrics that one client is asked for."""

    id: int
    interval_ms: int
    metrics: tuple[str, ...]


class Instance:
    """A client that has asked for its subscription or pushed metrics."""

    __slots__ = ("asked_at", "attributes", "changes", "error", "pushed_at", "subscription", "terminating")

    def __init__(self, attributes: Mapping[str, str], subscription: Subscription, changes: object) -> None:
        self.attributes = attributes
        self.subscription = subscription
        self.changes = changes
        """The state of the catalog that its subscription was made from: another object once it has changed."""
        self.asked_at = self.pushed_at = float("-inf")
        self.error = ErrorCode.NONE
        self.terminating = False


class Telemetry:
    """The subscriptions, and the clients that were told of them. Times are monotonic seconds."""

    def __init__(self, catalog: Catalog, random_source: random.Random) -> None:
        self._catalog = catalog
        self._random = random_source
        self._instances: OrderedDict[bytes, Instance] = OrderedDict()

    def ask(self, instance_id: bytes, attributes: Mapping[str, str], now: float) -> tuple[bytes, Subscription]:
        """Return a client's id and its subscription. Raises ``KafkaError`` THROTTLING_QUOTA_EXCEEDED."""
        while instance_id == ZERO_UUID:
            instance_id = self._random.randbytes(16)
        instance = self._instance(instance_id, attributes)
        since = now - max(instance.asked_at, instance.pushed_at)
        if since * 1000 < instance.subscription.interval_ms and instance.error not in {
            ErrorCode.UNKNOWN_SUBSCRIPTION_ID,
            ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
        }:
            raise _too_soon()
        instance.asked_at = now
        instance.error = ErrorCode.NONE
        return instance_id, instance.subscription

    def push(
        self,
        instance_id: bytes,
        attributes: Mapping[str, str],
        now: float,
        *,
        subscription_id: int,
        terminating: bool,
        codec: int,
        metrics: bytes,
        max_bytes: int,
    ) -> None:
        """Check metrics, and drop them. Raises ``KafkaError`` for those that Apache would refuse."""
        if instance_id == ZERO_UUID:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "The client has no instance id")
        instance = self._instance(instance_id, attributes)
        try:
            self._check_push(instance, now, terminating=terminating)
            if subscription_id != instance.subscription.id:
                raise KafkaError(ErrorCode.UNKNOWN_SUBSCRIPTION_ID, "The client's subscription has changed")
            if codec != NO_CODEC and codec not in CODECS:
                raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"Codec {codec} is unknown")
            if len(metrics) > max_bytes:
                raise KafkaError(ErrorCode.TELEMETRY_TOO_LARGE, f"More than {max_bytes} bytes (telemetry.max.bytes)")
            instance.terminating = terminating
            _read(codec, metrics)
        except KafkaError as error:
            instance.error = error.code
            raise
        instance.error = ErrorCode.NONE

    def _check_push(self, instance: Instance, now: float, *, terminating: bool) -> None:
        if instance.terminating:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "The client has pushed its last metrics already")
        # The first metrics may come at once: the client may have been started long ago.
        in_time = (
            instance.asked_at > instance.pushed_at
            or (now - instance.pushed_at) * 1000 >= instance.subscription.interval_ms
        )
        if in_time:
            instance.pushed_at = now
        elif not terminating:
            raise _too_soon()

    def _instance(self, instance_id: bytes, attributes: Mapping[str, str]) -> Instance:
        changes = self._catalog.metadata_offset
        instance = self._instances.get(instance_id)
        if instance is None:
            instance = Instance(attributes, self._subscription(instance_id, attributes), changes)
            self._instances[instance_id] = instance
            if len(self._instances) > MAXIMUM_INSTANCES:
                self._instances.popitem(last=False)
        elif instance.changes != changes:
            instance.subscription = self._subscription(instance_id, instance.attributes)
            instance.changes = changes
        self._instances.move_to_end(instance_id)
        return instance

    def _subscription(self, instance_id: bytes, attributes: Mapping[str, str]) -> Subscription:
        metrics: set[str] = set()
        intervals = []
        known = {**attributes, "client_instance_id": _uuid_text(instance_id)}
        for name in self._catalog.config_names(ResourceType.CLIENT_METRICS):
            configs = self._catalog.configs(ResourceType.CLIENT_METRICS, name)
            patterns = read_patterns(configs.get("match", ""))
            if all(pattern.fullmatch(known[matched]) for matched, pattern in patterns.items()):
                metrics.update(filter(None, re.split(r"\s*,\s*", configs.get("metrics", "").strip())))
                interval = CLIENT_METRICS_DEFINITIONS["interval.ms"].read(
                    configs.get("interval.ms", str(DEFAULT_INTERVAL_MS))
                )
                assert isinstance(interval, int)  # noqa: S101 - its type
                intervals.append(interval)
        wanted = (ALL_METRICS,) if ALL_METRICS in metrics else tuple(sorted(metrics))
        interval_ms = min(intervals, default=DEFAULT_INTERVAL_MS)
        # The same id for the same metrics, so that a client need not ask anew; each client has its own.
        number = zlib.crc32(repr((instance_id, wanted, interval_ms)).encode())
        return Subscription(number - (1 << 32) if number >= 1 << 31 else number, interval_ms, wanted)


def _read(codec: int, metrics: bytes) -> None:
    """Check that the codec can decompress the bytes; their content is not looked at."""
    if metrics:
        try:
            decompress(codec, metrics)
        except KafkaError as error:
            raise KafkaError(ErrorCode.INVALID_RECORD, error.message) from None


def _too_soon() -> KafkaError:
    return KafkaError(ErrorCode.THROTTLING_QUOTA_EXCEEDED, "The client asks or pushes more often than it was told to")


def _uuid_text(instance_id: bytes) -> str:
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(instance_id).decode().rstrip("=")
