"""The records of `__consumer_offsets`: each key and value begins with an int16 that the caller writes."""

from ottla.wire.schema import ZERO_UUID, Data, Struct, field, i32, i64, since, tagged, uuid


class OffsetCommitKey(Data, versions=(0, 0), flexible=None):
    """Key type 1: the partition whose offset a group committed. Type 0 is its older form, with the same fields."""

    group: str
    topic: str
    partition: i32


class OffsetCommitValue(Data, versions=(0, 4), flexible=4):
    """A committed offset. Version 1 alone carries an expiry; later ones expire by retention (KIP-211)."""

    offset: i64
    leader_epoch: i32 = since(3, default=-1)
    metadata: str
    commit_timestamp: i64
    expire_timestamp: i64 = field(since=1, until=1, default=-1)
    topic_id: uuid = tagged(0, 4, default=ZERO_UUID)


class GroupMetadataKey(Data, versions=(0, 0), flexible=None):
    """Key type 2: a classic group."""

    group: str


class GroupMetadataValue(Data, versions=(0, 4), flexible=4):
    """A classic group's generation and members; from version 4 open to new tagged fields (KIP-915)."""

    class Member(Struct):
        member_id: str
        group_instance_id: str | None = since(3, default=None)
        client_id: str
        client_host: str
        rebalance_timeout: i32 = since(1, default=-1)
        session_timeout: i32
        subscription: bytes
        assignment: bytes

    protocol_type: str
    generation: i32
    protocol: str | None
    leader: str | None
    current_state_timestamp: i64 = since(2, default=-1)
    members: list[Member]
