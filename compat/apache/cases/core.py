"""ApiVersions, Metadata and what describes the cluster."""

from compat.apache.base import FIXED, Base
from ottla.wire.messages.core import (
    ApiVersionsRequest,
    DescribeClusterRequest,
    DescribeTopicPartitionsRequest,
    MetadataRequest,
)

Topic = MetadataRequest.Topic
Described = DescribeTopicPartitionsRequest.Topic

BASES = (
    Base(
        "ApiVersions",
        lambda _: ApiVersionsRequest(client_software_name="compare", client_software_version="1.0"),
    ),
    Base(
        "Metadata by name",
        lambda _: MetadataRequest(topics=[Topic(name=FIXED)], allow_auto_topic_creation=False),
    ),
    Base(
        "Metadata by id",
        lambda side: MetadataRequest(
            topics=[Topic(topic_id=side.topic_id(FIXED), name=None)], allow_auto_topic_creation=False
        ),
        first_version=10,
    ),
    Base(
        "Metadata of all topics",
        lambda _: MetadataRequest(topics=None, allow_auto_topic_creation=False),
        first_version=1,
        mutate=False,
    ),
    Base("DescribeCluster", lambda _: DescribeClusterRequest(include_cluster_authorized_operations=True)),
    Base("DescribeTopicPartitions", lambda _: DescribeTopicPartitionsRequest(topics=[Described(name=FIXED)])),
    Base(
        "DescribeTopicPartitions from a cursor",
        lambda _: DescribeTopicPartitionsRequest(
            topics=[Described(name=FIXED)],
            response_partition_limit=1,
            cursor=DescribeTopicPartitionsRequest.Cursor(topic_name=FIXED, partition_index=1),
        ),
    ),
)
