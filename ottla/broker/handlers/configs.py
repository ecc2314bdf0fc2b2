"""Configurations: DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, ListConfigResources."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

from ottla.broker.cluster.config_resources import (
    Change,
    Resource,
    change_resource,
    describe_resource,
    list_resources,
)
from ottla.broker.requests.context import Context
from ottla.broker.settings.operations import Operation
from ottla.broker.settings.types import Source
from ottla.broker.settings.values import Description
from ottla.wire.codes import ErrorCode, ResourceType
from ottla.wire.errors import KafkaError
from ottla.wire.messages.configs import (
    AlterConfigsRequest,
    AlterConfigsResponse,
    DescribeConfigsRequest,
    DescribeConfigsResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)

DescribedResource = DescribeConfigsResponse.Resource
DescribedConfig = DescribedResource.Config
Answer = TypeVar("Answer", AlterConfigsResponse.Resource, IncrementalAlterConfigsResponse.Resource)


def describe_configs(context: Context, request: DescribeConfigsRequest) -> DescribeConfigsResponse:
    """Return the settings of each resource that the request names, or all of them if it names none."""
    known = all(_is_known(resource.resource_type) for resource in request.resources)
    answers = []
    for asked in request.resources:
        # Apache writes an empty message here, not null.
        answer = DescribedResource(
            error_message="", resource_type=asked.resource_type, resource_name=asked.resource_name, configs=[]
        )
        try:
            if not known:  # Apache refuses the whole request
                raise KafkaError(ErrorCode.INVALID_REQUEST, "A resource has a type without configuration")
            settings = describe_resource(
                context.cluster, context.node, ResourceType(asked.resource_type), asked.resource_name
            )
            answer.configs = [
                _show(setting, include_synonyms=request.include_synonyms)
                for setting in settings
                if not asked.configuration_keys or setting.name in asked.configuration_keys
            ]
        except KafkaError as error:
            answer.error_code = error.code
            answer.error_message = error.message or ""
        answers.append(answer)
    return DescribeConfigsResponse(results=answers)


def _is_known(resource_type: int) -> bool:
    return resource_type in set(ResourceType)


def _show(setting: Description, *, include_synonyms: bool) -> DescribedConfig:
    return DescribedConfig(
        name=setting.name,
        value=setting.value,
        read_only=setting.read_only,
        is_default=setting.is_default,
        config_source=setting.source,
        is_sensitive=setting.sensitive,
        synonyms=[
            DescribedConfig.Synonym(name=synonym.name, value=synonym.value, source=synonym.source)
            for synonym in (setting.synonyms if include_synonyms else ())
        ],
        config_type=setting.type,
        documentation="" if setting.source is Source.DYNAMIC_BROKER_LOGGER_CONFIG else None,
    )


def incremental_alter_configs(
    context: Context, request: IncrementalAlterConfigsRequest
) -> IncrementalAlterConfigsResponse:
    """Change single settings of each resource; one that is named twice is not touched."""
    asked = [
        (
            (resource.resource_type, resource.resource_name),
            [(config.name, config.config_operation, config.value) for config in resource.configs],
        )
        for resource in request.resources
    ]
    answers = _change_each(
        context, asked, IncrementalAlterConfigsResponse.Resource, replaces=False, validate_only=request.validate_only
    )
    return IncrementalAlterConfigsResponse(responses=answers)


def alter_configs(context: Context, request: AlterConfigsRequest) -> AlterConfigsResponse:
    """Replace all settings of each resource; one that is named twice is not touched."""
    asked = [
        (
            (resource.resource_type, resource.resource_name),
            [(config.name, int(Operation.SET), config.value) for config in resource.configs],
        )
        for resource in request.resources
    ]
    answers = _change_each(
        context, asked, AlterConfigsResponse.Resource, replaces=True, validate_only=request.validate_only
    )
    return AlterConfigsResponse(responses=answers)


def _change_each(
    context: Context,
    asked: Sequence[tuple[Resource, Sequence[Change]]],
    answer_class: type[Answer],
    *,
    replaces: bool,
    validate_only: bool,
) -> list[Answer]:
    """Change each resource that is named once; return the outcome of each."""
    times = Counter(resource for resource, _ in asked)
    answers = []
    for resource, changes in asked:
        answer = answer_class(error_message=None, resource_type=resource[0], resource_name=resource[1])
        try:
            if times[resource] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "The resource is named more than once")
            change_resource(
                context.cluster, context.node, resource, changes, replaces=replaces, validate_only=validate_only
            )
        except KafkaError as error:
            answer.error_code = error.code
            answer.error_message = error.message
        answers.append(answer)
    return answers


def list_config_resources(context: Context, request: ListConfigResourcesRequest) -> ListConfigResourcesResponse:
    """List the resources that have a configuration, of the types in the request or of all types."""
    if not ListConfigResourcesRequest.names_types(context.api_version):
        types: Iterable[int] = [ResourceType.CLIENT_METRICS]
    else:
        types = request.resource_types or list(ResourceType)
    try:
        found = list(list_resources(context.cluster, types))
    except KafkaError as error:
        return ListConfigResourcesResponse(error_code=error.code, config_resources=[])
    return ListConfigResourcesResponse(
        config_resources=[
            ListConfigResourcesResponse.Resource(resource_name=name, resource_type=resource_type)
            for resource_type, name in found
        ]
    )
