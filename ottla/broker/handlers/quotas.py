"""The quotas of clients: DescribeClientQuotas, AlterClientQuotas (KIP-546)."""

from collections import Counter

from ottla.broker.quotas.limits import Component, as_entity
from ottla.broker.requests.context import Context
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
)

DescribedEntry = DescribeClientQuotasResponse.Entry
AlteredEntry = AlterClientQuotasResponse.Entry


def describe_client_quotas(context: Context, request: DescribeClientQuotasRequest) -> DescribeClientQuotasResponse:
    """List the quotas that match a filter."""
    components = [Component(each.entity_type, each.match_type, each.match) for each in request.components]
    if not components and request.strict:
        return DescribeClientQuotasResponse(error_message="", entries=[])
    try:
        found = list(context.cluster.quotas.describe(components, strict=request.strict))
    except KafkaError as error:
        return DescribeClientQuotasResponse(error_code=error.code, error_message=error.message, entries=None)
    return DescribeClientQuotasResponse(
        error_message="",
        entries=[
            DescribedEntry(
                entity=[DescribedEntry.Entity(entity_type=kind, entity_name=name) for kind, name in entity],
                values=[DescribedEntry.Value(key=key, value=value) for key, value in values.items()],
            )
            for entity, values in found
        ],
    )


def alter_client_quotas(context: Context, request: AlterClientQuotasRequest) -> AlterClientQuotasResponse:
    """Set and remove quotas, each entity by itself, in force at once; an entity named twice is left unchanged."""
    cluster = context.cluster
    wanted = [
        (as_entity([(part.entity_type, part.entity_name) for part in entry.entity]), entry.ops)
        for entry in request.entries
    ]
    times = Counter(entity for entity, _ in wanted)
    answers = []
    for entity, operations in wanted:
        count = times.pop(entity, 0)
        if not count:
            continue
        answer = AlteredEntry(
            error_message=None,
            entity=[AlteredEntry.Entity(entity_type=kind, entity_name=name) for kind, name in entity],
        )
        try:
            if count > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "An entity is named more than once")
            cluster.quotas.alter(
                entity,
                [(each.key, None if each.remove else each.value) for each in operations],
                validate_only=request.validate_only,
            )
        except KafkaError as error:
            answer.error_code, answer.error_message = error.code, error.message
        answers.append(answer)
    cluster.throttling.quotas_changed()
    return AlterClientQuotasResponse(entries=answers)
