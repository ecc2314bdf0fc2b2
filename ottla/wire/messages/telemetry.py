"""Clients' own metrics (KIP-714): GetTelemetrySubscriptions, PushTelemetry."""

from ottla.wire.schema import Request, Response, i8, i16, i32, uuid


class GetTelemetrySubscriptionsRequest(Request, key=71, versions=(0, 0), flexible=0):
    """Ask which metrics are wanted; an id of zeros asks for an id, too."""

    client_instance_id: uuid


class GetTelemetrySubscriptionsResponse(Response, key=71, versions=(0, 0), flexible=0):
    """The metrics' prefixes, and how often they are wanted."""

    throttle_time_ms: i32 = 0
    error_code: i16 = 0
    client_instance_id: uuid
    subscription_id: i32
    accepted_compression_types: list[i8]
    push_interval_ms: i32
    telemetry_max_bytes: i32
    delta_temporality: bool
    requested_metrics: list[str]


class PushTelemetryRequest(Request, key=72, versions=(0, 0), flexible=0):
    """Metrics as OpenTelemetry encodes them."""

    client_instance_id: uuid
    subscription_id: i32
    terminating: bool
    compression_type: i8
    metrics: bytes


class PushTelemetryResponse(Response, key=72, versions=(0, 0), flexible=0):
    """Whether they were taken."""

    throttle_time_ms: i32 = 0
    error_code: i16 = 0
