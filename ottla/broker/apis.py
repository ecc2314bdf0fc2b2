"""The one table of the APIs: ApiVersions, dispatch, docs and the CLI read it; tests check the schemas against it."""

from typing import NamedTuple

from ottla.wire.codes import ApiKey


class Api(NamedTuple):
    """One API: its modules and the versions of it that are served.

    ``family`` names the module in ``ottla.wire.messages`` and in ``ottla.broker.handlers``; the handler is the
    function with the API's name in snake case. ``advertised`` has the versions that ApiVersions names; None for none.
    """

    key: ApiKey
    name: str
    family: str
    served: tuple[int, int]
    advertised: tuple[int, int] | None


APIS: tuple[Api, ...] = (
    # Versions that Kafka 4 dropped (KIP-896) are served in silence, as 3.9 served them. But Apache 4, too, advertises
    # Produce 0-2, which it closes on: librdkafka compresses only if it sees them.
    Api(ApiKey.PRODUCE, "Produce", "produce", (0, 13), (0, 13)),
    Api(ApiKey.FETCH, "Fetch", "fetch", (0, 18), (4, 18)),
    Api(ApiKey.LIST_OFFSETS, "ListOffsets", "fetch", (0, 11), (1, 11)),
    Api(ApiKey.METADATA, "Metadata", "core", (0, 13), (0, 13)),
    Api(ApiKey.OFFSET_COMMIT, "OffsetCommit", "groups", (0, 10), (2, 10)),
    Api(ApiKey.OFFSET_FETCH, "OffsetFetch", "groups", (0, 10), (1, 10)),
    Api(ApiKey.FIND_COORDINATOR, "FindCoordinator", "groups", (0, 6), (0, 6)),
    Api(ApiKey.JOIN_GROUP, "JoinGroup", "groups", (0, 9), (0, 9)),
    Api(ApiKey.HEARTBEAT, "Heartbeat", "groups", (0, 4), (0, 4)),
    Api(ApiKey.LEAVE_GROUP, "LeaveGroup", "groups", (0, 5), (0, 5)),
    Api(ApiKey.SYNC_GROUP, "SyncGroup", "groups", (0, 5), (0, 5)),
    Api(ApiKey.DESCRIBE_GROUPS, "DescribeGroups", "groups", (0, 6), (0, 6)),
    Api(ApiKey.LIST_GROUPS, "ListGroups", "groups", (0, 5), (0, 5)),
    Api(ApiKey.DELETE_GROUPS, "DeleteGroups", "groups", (0, 2), (0, 2)),
    Api(ApiKey.OFFSET_DELETE, "OffsetDelete", "groups", (0, 0), (0, 0)),
    Api(ApiKey.API_VERSIONS, "ApiVersions", "core", (0, 4), (0, 4)),
    Api(ApiKey.DESCRIBE_CLUSTER, "DescribeCluster", "core", (0, 2), (0, 2)),
    Api(ApiKey.DESCRIBE_TOPIC_PARTITIONS, "DescribeTopicPartitions", "core", (0, 0), (0, 0)),
    Api(ApiKey.OFFSET_FOR_LEADER_EPOCH, "OffsetForLeaderEpoch", "fetch", (0, 4), (2, 4)),
    Api(ApiKey.CREATE_TOPICS, "CreateTopics", "topics", (0, 7), (2, 7)),
    Api(ApiKey.DELETE_TOPICS, "DeleteTopics", "topics", (0, 6), (1, 6)),
    Api(ApiKey.DELETE_RECORDS, "DeleteRecords", "topics", (0, 2), (0, 2)),
    Api(ApiKey.DESCRIBE_CONFIGS, "DescribeConfigs", "configs", (0, 4), (1, 4)),
    Api(ApiKey.ALTER_CONFIGS, "AlterConfigs", "configs", (0, 2), (0, 2)),
    Api(ApiKey.LIST_CONFIG_RESOURCES, "ListConfigResources", "configs", (0, 1), (0, 1)),
    Api(ApiKey.ALTER_REPLICA_LOG_DIRS, "AlterReplicaLogDirs", "log_dirs", (0, 2), (1, 2)),
    Api(ApiKey.DESCRIBE_LOG_DIRS, "DescribeLogDirs", "log_dirs", (0, 5), (1, 5)),
    Api(ApiKey.CREATE_PARTITIONS, "CreatePartitions", "topics", (0, 3), (0, 3)),
    Api(ApiKey.INCREMENTAL_ALTER_CONFIGS, "IncrementalAlterConfigs", "configs", (0, 1), (0, 1)),
    Api(ApiKey.ELECT_LEADERS, "ElectLeaders", "replicas", (0, 2), (0, 2)),
    Api(ApiKey.ALTER_PARTITION_REASSIGNMENTS, "AlterPartitionReassignments", "replicas", (0, 1), (0, 1)),
    Api(ApiKey.LIST_PARTITION_REASSIGNMENTS, "ListPartitionReassignments", "replicas", (0, 0), (0, 0)),
    Api(ApiKey.DESCRIBE_PRODUCERS, "DescribeProducers", "replicas", (0, 0), (0, 0)),
    Api(ApiKey.SASL_HANDSHAKE, "SaslHandshake", "security", (0, 1), (0, 1)),
    Api(ApiKey.SASL_AUTHENTICATE, "SaslAuthenticate", "security", (0, 2), (0, 2)),
    Api(ApiKey.DESCRIBE_ACLS, "DescribeAcls", "security", (0, 3), (1, 3)),
    Api(ApiKey.CREATE_ACLS, "CreateAcls", "security", (0, 3), (1, 3)),
    Api(ApiKey.DELETE_ACLS, "DeleteAcls", "security", (0, 3), (1, 3)),
    Api(ApiKey.CREATE_DELEGATION_TOKEN, "CreateDelegationToken", "security", (0, 3), (1, 3)),
    Api(ApiKey.RENEW_DELEGATION_TOKEN, "RenewDelegationToken", "security", (0, 2), (1, 2)),
    Api(ApiKey.EXPIRE_DELEGATION_TOKEN, "ExpireDelegationToken", "security", (0, 2), (1, 2)),
    Api(ApiKey.DESCRIBE_DELEGATION_TOKEN, "DescribeDelegationToken", "security", (0, 3), (1, 3)),
    Api(ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS, "DescribeUserScramCredentials", "security", (0, 0), (0, 0)),
    Api(ApiKey.ALTER_USER_SCRAM_CREDENTIALS, "AlterUserScramCredentials", "security", (0, 0), (0, 0)),
    Api(ApiKey.DESCRIBE_CLIENT_QUOTAS, "DescribeClientQuotas", "quotas", (0, 1), (0, 1)),
    Api(ApiKey.ALTER_CLIENT_QUOTAS, "AlterClientQuotas", "quotas", (0, 1), (0, 1)),
    Api(ApiKey.DESCRIBE_QUORUM, "DescribeQuorum", "quorum", (0, 2), (0, 2)),
    Api(ApiKey.UPDATE_FEATURES, "UpdateFeatures", "quorum", (0, 2), (0, 2)),
    Api(ApiKey.UNREGISTER_BROKER, "UnregisterBroker", "quorum", (0, 0), (0, 0)),
    Api(ApiKey.ADD_RAFT_VOTER, "AddRaftVoter", "quorum", (0, 1), (0, 1)),
    Api(ApiKey.REMOVE_RAFT_VOTER, "RemoveRaftVoter", "quorum", (0, 0), (0, 0)),
    Api(ApiKey.GET_TELEMETRY_SUBSCRIPTIONS, "GetTelemetrySubscriptions", "telemetry", (0, 0), None),
    Api(ApiKey.PUSH_TELEMETRY, "PushTelemetry", "telemetry", (0, 0), None),
    Api(ApiKey.INIT_PRODUCER_ID, "InitProducerId", "produce", (0, 5), (0, 5)),
)

BY_KEY: dict[int, Api] = {api.key: api for api in APIS}
