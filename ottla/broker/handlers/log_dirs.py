"""The place of partitions on disk: DescribeLogDirs, AlterReplicaLogDirs."""

import shutil

from ottla.broker.cluster.cluster import Cluster
from ottla.broker.requests.context import Context
from ottla.broker.topics.names import MAX_NAME_LENGTH
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.log_dirs import (
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
)

LogDir = DescribeLogDirsResponse.LogDir
MovedTopic = AlterReplicaLogDirsResponse.Topic


def describe_log_dirs(context: Context, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse:
    """Describe the partitions in the data directory, and the size of its disk (KIP-827); unknown ones are left out."""
    cluster = context.cluster
    wanted: dict[str, set[int]] | None = None
    if request.topics is not None:
        wanted = {}
        for each in request.topics:
            wanted.setdefault(each.topic, set()).update(each.partitions)
    topics = []
    for topic in cluster.topics.by_name.values():
        indexes = None if wanted is None else wanted.get(topic.name, set())
        partitions = [
            LogDir.Topic.Partition(
                partition_index=partition.index,
                partition_size=partition.log.size_bytes,
                offset_lag=0,
                is_future_key=False,
            )
            for partition in topic.partitions
            if (indexes is None or partition.index in indexes) and context.node_id in partition.replicas
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


def alter_replica_log_dirs(context: Context, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse:
    """Accept moves to the only log directory, where replicas are already; of a replica named twice, the last counts."""
    wanted = {
        (topic.name, index): each.path for each in request.dirs for topic in each.topics for index in topic.partitions
    }
    topics: dict[str, MovedTopic] = {}
    for (name, index), path in wanted.items():
        answer = MovedTopic.Partition(partition_index=index)
        try:
            _move(context.cluster, name, index, path)
        except KafkaError as error:
            answer.error_code = error.code
        topics.setdefault(name, MovedTopic(topic_name=name, partitions=[])).partitions.append(answer)
    return AlterReplicaLogDirsResponse(results=list(topics.values()))


def _move(cluster: Cluster, name: str, index: int, path: str) -> None:
    if len(name) > MAX_NAME_LENGTH:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION)
    if path != str(cluster.directory.root.absolute()):
        raise KafkaError(ErrorCode.LOG_DIR_NOT_FOUND)
    cluster.topics.partition(name, index)
