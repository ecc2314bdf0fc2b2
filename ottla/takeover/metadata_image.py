"""The state of an Apache cluster: the sum of its metadata records. Only ``apply`` changes it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ottla.takeover.metadata_log import MetadataLogError
from ottla.wire.codes import ResourceType
from ottla.wire.messages.metadata_records import (
    AbortTransactionRecord,
    AccessControlEntryRecord,
    BeginTransactionRecord,
    ClearElrRecord,
    ClientQuotaRecord,
    ConfigRecord,
    DelegationTokenRecord,
    EndTransactionRecord,
    FeatureLevelRecord,
    PartitionChangeRecord,
    PartitionRecord,
    ProducerIdsRecord,
    RemoveAccessControlEntryRecord,
    RemoveDelegationTokenRecord,
    RemoveTopicRecord,
    RemoveUserScramCredentialRecord,
    TopicRecord,
    UserScramCredentialRecord,
)
from ottla.wire.schema import MetadataRecord

_LEADER_STAYS = -2


@dataclass(kw_only=True, slots=True)
class PartitionImage:
    """A partition. Replicas in ``isr`` or ``eligible`` have all acknowledged records (KIP-966)."""

    replicas: list[int]
    isr: list[int]
    eligible: list[int]
    leader_epoch: int

    def is_whole_on(self, node_id: int) -> bool:
        """Return whether a node's log has all acknowledged records, according to the metadata."""
        return self.replicas == [node_id] or node_id in self.isr or node_id in self.eligible


@dataclass(kw_only=True, slots=True)
class TopicImage:
    """A topic with its partitions by their numbers."""

    name: str
    id: bytes
    partitions: dict[int, PartitionImage] = field(default_factory=dict)


class MetadataImage:
    """The state of the cluster after the last record that was applied."""

    def __init__(self) -> None:
        self.topics: dict[bytes, TopicImage] = {}
        self.configs: dict[tuple[int, str], dict[str, str]] = {}
        """The settings, by type and name of the resource."""
        self.features: dict[str, int] = {}
        self.next_producer_id = 0
        self.acls: set[bytes] = set()
        self.scram_credentials: dict[tuple[str, int], UserScramCredentialRecord] = {}
        """The SCRAM credentials, by user and mechanism."""
        self.quotas: dict[tuple[tuple[str, str | None], ...], dict[str, float]] = {}
        """The quotas, by the types and names of the entities that they bind."""
        self.delegation_tokens: set[str] = set()

    @classmethod
    def of(cls, records: Iterable[MetadataRecord]) -> "MetadataImage":
        """Return the sum of the records, without transactions that have no end. Raises MetadataLogError."""
        image = cls()
        pending: list[MetadataRecord] | None = None
        for record in records:
            match record:
                case BeginTransactionRecord() | AbortTransactionRecord():
                    pending = [] if isinstance(record, BeginTransactionRecord) else None
                case EndTransactionRecord():
                    for each in pending or ():
                        image.apply(each)
                    pending = None
                case _ if pending is not None:
                    pending.append(record)
                case _:
                    image.apply(record)
        return image

    def apply(self, record: MetadataRecord) -> None:
        """Apply one record. Raises MetadataLogError if it names a topic or partition that does not exist."""
        match record:
            case TopicRecord():
                self.topics[record.topic_id] = TopicImage(name=record.name, id=record.topic_id)
            case RemoveTopicRecord():
                removed = self._topic(record.topic_id)
                del self.topics[record.topic_id]
                self.configs.pop((ResourceType.TOPIC, removed.name), None)
            case PartitionRecord():
                self._topic(record.topic_id).partitions[record.partition_id] = PartitionImage(
                    replicas=record.replicas,
                    isr=record.isr,
                    eligible=record.eligible_leader_replicas or [],
                    leader_epoch=record.leader_epoch,
                )
            case PartitionChangeRecord():
                self._change_partition(record)
            case ClearElrRecord():
                for topic in self.topics.values():
                    if record.topic_name in {"", topic.name}:
                        for partition in topic.partitions.values():
                            partition.eligible = []
            case ConfigRecord():
                configs = self.configs.setdefault((record.resource_type, record.resource_name), {})
                if record.value is None:
                    configs.pop(record.name, None)
                else:
                    configs[record.name] = record.value
            case ProducerIdsRecord():
                self.next_producer_id = max(self.next_producer_id, record.next_producer_id)
            case FeatureLevelRecord():
                self.features[record.name] = record.feature_level
            case _:
                self._apply_security(record)

    def _change_partition(self, record: PartitionChangeRecord) -> None:
        topic = self._topic(record.topic_id)
        partition = topic.partitions.get(record.partition_id)
        if partition is None:
            raise MetadataLogError(f"A record changes {topic.name}-{record.partition_id}, which does not exist")
        if record.replicas is not None:
            partition.replicas = record.replicas
        if record.isr is not None:
            partition.isr = record.isr
        if record.eligible_leader_replicas is not None:
            partition.eligible = record.eligible_leader_replicas
        if record.leader != _LEADER_STAYS:
            partition.leader_epoch += 1

    def _apply_security(self, record: MetadataRecord) -> None:
        match record:
            case AccessControlEntryRecord():
                self.acls.add(record.id)
            case RemoveAccessControlEntryRecord():
                self.acls.discard(record.id)
            case UserScramCredentialRecord():
                self.scram_credentials[record.name, record.mechanism] = record
            case RemoveUserScramCredentialRecord():
                self.scram_credentials.pop((record.name, record.mechanism), None)
            case DelegationTokenRecord():
                self.delegation_tokens.add(record.token_id)
            case RemoveDelegationTokenRecord():
                self.delegation_tokens.discard(record.token_id)
            case ClientQuotaRecord():
                entity = tuple(sorted((each.entity_type, each.entity_name) for each in record.entity))
                values = self.quotas.setdefault(entity, {})
                if record.remove:
                    values.pop(record.key, None)
                else:
                    values[record.key] = record.value

    def _topic(self, topic_id: bytes) -> TopicImage:
        topic = self.topics.get(topic_id)
        if topic is None:
            raise MetadataLogError(f"A record names topic {topic_id.hex()}, which no record has created")
        return topic
