"""Metrics that clients push (KIP-714), at brokers without a subscription."""

from compat.apache.base import Base
from ottla.wire.messages.telemetry import GetTelemetrySubscriptionsRequest, PushTelemetryRequest

CLIENT = bytes(range(16, 32))

BASES = (
    Base(
        "GetTelemetrySubscriptions, a new client",
        lambda _: GetTelemetrySubscriptionsRequest(client_instance_id=bytes(16)),
        mutate=False,
    ),
    Base(
        "PushTelemetry, nobody",
        lambda _: PushTelemetryRequest(
            client_instance_id=CLIENT, subscription_id=7, terminating=False, compression_type=0, metrics=b""
        ),
        mutate=False,
    ),
)
