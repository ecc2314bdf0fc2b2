"""The records of Apache's metadata log, `__cluster_metadata`: together they are the state of a cluster.

Each has a prefix that its reader takes off: frame version, the record's key and its version, as unsigned varints.
Those about nodes that run (registrations, fencing, controllers) say nothing about data and are not declared.
"""

from ottla.wire.schema import MetadataRecord, Struct, f64, field, i8, i16, i32, i64, since, tagged, uuid


class TopicRecord(MetadataRecord, key=2, versions=(0, 0), flexible=0):
    """A topic is made."""

    name: str
    topic_id: uuid


class PartitionRecord(MetadataRecord, key=3, versions=(0, 2), flexible=0):
    """A partition is made. Version 1 names log directories (KIP-858), version 2 eligible leaders (KIP-966)."""

    partition_id: i32 = field(default=-1)
    topic_id: uuid
    replicas: list[i32]
    isr: list[i32]
    removing_replicas: list[i32]
    adding_replicas: list[i32]
    leader: i32 = field(default=-1)
    leader_recovery_state: i8 = tagged(0, 0, default=0)
    leader_epoch: i32 = field(default=-1)
    partition_epoch: i32 = field(default=-1)
    directories: list[uuid] = since(1, default=[])
    eligible_leader_replicas: list[i32] | None = tagged(1, 2, default=None)
    last_known_elr: list[i32] | None = tagged(2, 2, default=None)


class ConfigRecord(MetadataRecord, key=4, versions=(0, 0), flexible=0):
    """A setting of a resource has another value; null takes it away."""

    resource_type: i8
    resource_name: str
    name: str
    value: str | None


class PartitionChangeRecord(MetadataRecord, key=5, versions=(0, 2), flexible=0):
    """A partition changes: null stands for what stays as it is, and so does leader -2."""

    partition_id: i32 = field(default=-1)
    topic_id: uuid
    isr: list[i32] | None = tagged(0, 0, default=None)
    leader: i32 = tagged(1, 0, default=-2)
    replicas: list[i32] | None = tagged(2, 0, default=None)
    removing_replicas: list[i32] | None = tagged(3, 0, default=None)
    adding_replicas: list[i32] | None = tagged(4, 0, default=None)
    leader_recovery_state: i8 = tagged(5, 0, default=-1)
    directories: list[uuid] | None = tagged(8, 1, default=None)
    eligible_leader_replicas: list[i32] | None = tagged(6, 2, default=None)
    last_known_elr: list[i32] | None = tagged(7, 2, default=None)


class RemoveTopicRecord(MetadataRecord, key=9, versions=(0, 0), flexible=0):
    """A topic is deleted, and its settings with it."""

    topic_id: uuid


class DelegationTokenRecord(MetadataRecord, key=10, versions=(0, 0), flexible=0):
    """A delegation token (KIP-48); another one with the same id replaces it."""

    owner: str
    requester: str
    renewers: list[str]
    issue_timestamp: i64
    max_timestamp: i64
    expiration_timestamp: i64
    token_id: str


class UserScramCredentialRecord(MetadataRecord, key=11, versions=(0, 0), flexible=0):
    """The keys with which SCRAM checks a user's password; another one for the same user and mechanism replaces it."""

    name: str
    mechanism: i8
    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: i32


class FeatureLevelRecord(MetadataRecord, key=12, versions=(0, 0), flexible=0):
    """The level of a feature that the cluster has agreed on; `metadata.version` is one of them."""

    name: str
    feature_level: i16


class ClientQuotaRecord(MetadataRecord, key=14, versions=(0, 0), flexible=0):
    """A quota of users, clients or addresses is set or removed."""

    class EntityData(Struct):
        entity_type: str
        entity_name: str | None

    entity: list[EntityData]
    key: str
    value: f64
    remove: bool


class ProducerIdsRecord(MetadataRecord, key=15, versions=(0, 0), flexible=0):
    """A broker got a block of producer ids: those below `next_producer_id` are given away."""

    broker_id: i32
    broker_epoch: i64 = field(default=-1)
    next_producer_id: i64


class AccessControlEntryRecord(MetadataRecord, key=18, versions=(0, 0), flexible=0):
    """An ACL is made."""

    id: uuid
    resource_type: i8
    resource_name: str
    pattern_type: i8
    principal: str
    host: str
    operation: i8
    permission_type: i8


class RemoveAccessControlEntryRecord(MetadataRecord, key=19, versions=(0, 0), flexible=0):
    """An ACL is deleted."""

    id: uuid


class RemoveUserScramCredentialRecord(MetadataRecord, key=22, versions=(0, 0), flexible=0):
    """A user loses the credential of a mechanism."""

    name: str
    mechanism: i8


class BeginTransactionRecord(MetadataRecord, key=23, versions=(0, 0), flexible=0):
    """The records after it count only when its `EndTransactionRecord` is there (KIP-868)."""

    name: str | None = tagged(0, 0, default=None)


class EndTransactionRecord(MetadataRecord, key=24, versions=(0, 0), flexible=0):
    """The records between this and its beginning count."""


class AbortTransactionRecord(MetadataRecord, key=25, versions=(0, 0), flexible=0):
    """The records between this and its beginning do not count."""

    reason: str | None = tagged(0, 0, default=None)


class RemoveDelegationTokenRecord(MetadataRecord, key=26, versions=(0, 0), flexible=0):
    """A delegation token is gone."""

    token_id: str


class ClearElrRecord(MetadataRecord, key=28, versions=(0, 0), flexible=0):
    """The eligible leaders of a topic, or of all of them if it is not named, are forgotten (KIP-966)."""

    topic_name: str
