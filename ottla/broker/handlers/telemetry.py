"""The metrics that clients push (KIP-714): answered, not advertised, as in Apache without a receiver for them."""

from collections.abc import Mapping

from ottla.broker.monitoring.client_metrics import CODECS
from ottla.broker.requests.context import Context
from ottla.wire.errors import KafkaError
from ottla.wire.messages.telemetry import (
    GetTelemetrySubscriptionsRequest,
    GetTelemetrySubscriptionsResponse,
    PushTelemetryRequest,
    PushTelemetryResponse,
)
from ottla.wire.schema import ZERO_UUID


def get_telemetry_subscriptions(
    context: Context, request: GetTelemetrySubscriptionsRequest
) -> GetTelemetrySubscriptionsResponse:
    """Return the metrics that a client is asked for, and the interval."""
    cluster = context.cluster
    try:
        instance_id, subscription = cluster.telemetry.ask(
            request.client_instance_id, _attributes(context), cluster.clock.monotonic()
        )
    except KafkaError as error:
        return GetTelemetrySubscriptionsResponse(
            error_code=error.code,
            client_instance_id=ZERO_UUID,
            subscription_id=0,
            accepted_compression_types=[],
            push_interval_ms=0,
            telemetry_max_bytes=0,
            delta_temporality=False,
            requested_metrics=[],
        )
    return GetTelemetrySubscriptionsResponse(
        client_instance_id=instance_id,
        subscription_id=subscription.id,
        accepted_compression_types=list(CODECS),
        push_interval_ms=subscription.interval_ms,
        telemetry_max_bytes=cluster.config.integer("telemetry.max.bytes"),
        delta_temporality=True,
        requested_metrics=list(subscription.metrics),
    )


def push_telemetry(context: Context, request: PushTelemetryRequest) -> PushTelemetryResponse:
    """Accept a client's metrics."""
    cluster = context.cluster
    try:
        cluster.telemetry.push(
            request.client_instance_id,
            _attributes(context),
            cluster.clock.monotonic(),
            subscription_id=request.subscription_id,
            terminating=request.terminating,
            codec=request.compression_type,
            metrics=request.metrics,
            max_bytes=cluster.config.integer("telemetry.max.bytes"),
        )
    except KafkaError as error:
        return PushTelemetryResponse(error_code=error.code)
    return PushTelemetryResponse()


def _attributes(context: Context) -> Mapping[str, str]:
    """Return the attributes of a client that a subscription can match, besides the instance's id."""
    client = context.client
    return {
        "client_id": client.id or "",
        "client_software_name": client.software_name,
        "client_software_version": client.software_version,
        "client_source_address": client.host,
        "client_source_port": str(client.port),
    }
