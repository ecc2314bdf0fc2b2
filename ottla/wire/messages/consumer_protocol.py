"""Messages from consumer to consumer inside JoinGroup and SyncGroup; the broker reads it for descriptions only."""

from ottla.wire.schema import Data, Struct, i32, since


class ConsumerProtocolSubscription(Data, versions=(0, 3), flexible=None):
    """A consumer's subscription; owned partitions from version 1 (KIP-429), rack from version 3 (KIP-881)."""

    class TopicPartition(Struct):
        topic: str
        partitions: list[i32]

    topics: list[str]
    user_data: bytes | None = None
    owned_partitions: list[TopicPartition] = since(1, default=[])
    generation_id: i32 = since(2, default=-1)
    rack_id: str | None = since(3, default=None)


class ConsumerProtocolAssignment(Data, versions=(0, 3), flexible=None):
    """The partitions that the leader assigned to one consumer."""

    class TopicPartition(Struct):
        topic: str
        partitions: list[i32]

    assigned_partitions: list[TopicPartition]
    user_data: bytes | None = None
