"""What an administrator reads and alters: DescribeConfigs, IncrementalAlterConfigs, DescribeLogDirs."""

import shutil
from collections import Counter

from ottla.broker.config_resources import ResourceType, alter_resource, describe_resource
from ottla.broker.context import Context
from ottla.broker.settings import Description
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.configs import (
    DescribeConfigsRequest,
    DescribeConfigsResponse,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

DescribedResource = DescribeConfigsResponse.Resource
DescribedConfig = DescribedResource.Config
AlteredResource = IncrementalAlterConfigsResponse.Resource
LogDir = DescribeLogDirsResponse.LogDir


def describe_configs(context: Context, request: DescribeConfigsRequest) -> DescribeConfigsResponse:
    """Show the settings of each resource, or those that are asked for; no names ask for all."""
    known = all(_is_known(resource.resource_type) for resource in request.resources)
    answers = []
    for asked in request.resources:
        # Apache gives no message as an empty one here.
        answer = DescribedResource(
            error_message="", resource_type=asked.resource_type, resource_name=asked.resource_name, configs=[]
        )
        try:
            if not known:  # Apache refuses the whole request
                raise KafkaError(ErrorCode.INVALID_REQUEST, "A resource is of a type that has no configuration")
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
        config_source=setting.source,
        is_sensitive=setting.sensitive,
        synonyms=[
            DescribedConfig.Synonym(name=synonym.name, value=synonym.value, source=synonym.source)
            for synonym in (setting.synonyms if include_synonyms else ())
        ],
        config_type=setting.type,
        documentation=None,
    )


def incremental_alter_configs(
    context: Context, request: IncrementalAlterConfigsRequest
) -> IncrementalAlterConfigsResponse:
    """Change single settings of each resource; one that is named twice is not touched."""
    times = Counter((resource.resource_type, resource.resource_name) for resource in request.resources)
    answers = []
    for asked in request.resources:
        resource = (asked.resource_type, asked.resource_name)
        answer = AlteredResource(
            error_message=None, resource_type=asked.resource_type, resource_name=asked.resource_name
        )
        try:
            if times[resource] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "The resource is named more than once")
            alter_resource(
                context.cluster,
                context.node,
                resource,
                [(config.name, config.config_operation, config.value) for config in asked.configs],
                validate_only=request.validate_only,
            )
        except KafkaError as error:
            answer.error_code = error.code
            answer.error_message = error.message
        answers.append(answer)
    return IncrementalAlterConfigsResponse(responses=answers)


def describe_log_dirs(context: Context, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse:
    """Tell what lies in the data directory, with the size of its disk (KIP-827); partitions that are not there lack."""
    cluster = context.cluster
    wanted: dict[str, set[int]] | None = None
    if request.topics is not None:
        wanted = {}
        for each in request.topics:
            wanted.setdefault(each.topic, set()).update(each.partitions)
    topics = []
    for topic in cluster.topics.values():
        indexes = None if wanted is None else wanted.get(topic.name, set())
        partitions = [
            LogDir.Topic.Partition(
                partition_index=partition.index,
                partition_size=partition.log.size_bytes,
                offset_lag=0,
                is_future_key=False,
            )
            for partition in topic.partitions
            if indexes is None or partition.index in indexes
        ]
        if partitions:
            topics.append(LogDir.Topic(name=topic.name, partitions=partitions))
    disk = shutil.disk_usage(cluster.directory.root)
    return DescribeLogDirsResponse(
        results=[
            LogDir(
                log_dir=str(cluster.directory.root.absolute()),
                topics=topics,
                total_bytes=disk.total,
                usable_bytes=disk.free,
            )
        ]
    )
