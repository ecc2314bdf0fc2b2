"""The classic group protocol: coordinators, members, committed offsets."""

from ottla.wire.schema import ZERO_UUID, Request, Response, Struct, field, i8, i16, i32, i64, since, uuid


class FindCoordinatorRequest(Request, key=10, versions=(0, 6), flexible=3):
    """Finds the coordinator of a group (0), transaction (1), share partition (2). Batched from version 4 (KIP-699)."""

    key: str = field(until=3, default="")
    key_type: i8 = since(1, default=0)
    coordinator_keys: list[str] = since(4, default=[])

    @staticmethod
    def names_several_keys(version: int) -> bool:
        """Tell whether coordinators of several keys are asked for at once (KIP-699)."""
        return version >= 4

    @staticmethod
    def knows_share_coordinators(version: int) -> bool:
        """Tell whether coordinators of share partitions may be asked for (KIP-932)."""
        return version >= 6


class FindCoordinatorResponse(Response, key=10, versions=(0, 6), flexible=3):
    """The coordinator's address, one per key from version 4 (KIP-699)."""

    class Coordinator(Struct):
        key: str
        node_id: i32
        host: str
        port: i32
        error_code: i16 = 0
        error_message: str | None

    throttle_time_ms: i32 = since(1, default=0)
    error_code: i16 = field(until=3, default=0)
    error_message: str | None = field(since=1, until=3, default="")
    node_id: i32 = field(until=3, default=0)
    host: str = field(until=3, default="")
    port: i32 = field(until=3, default=0)
    coordinators: list[Coordinator] = since(4, default=[])


class JoinGroupRequest(Request, key=11, versions=(0, 9), flexible=6):
    """Enter a rebalance. A new member first learns its id from version 4 (KIP-394); static from 5 (KIP-345)."""

    class Protocol(Struct):
        name: str
        metadata: bytes

    group_id: str
    session_timeout_ms: i32
    rebalance_timeout_ms: i32 = since(1, default=-1)
    member_id: str
    group_instance_id: str | None = since(5, default=None)
    protocol_type: str
    protocols: list[Protocol]
    reason: str | None = since(8, default=None)

    @staticmethod
    def requires_member_id(version: int) -> bool:
        """Tell whether a new dynamic member must first ask for its id and then join with it (KIP-394)."""
        return version >= 4

    @staticmethod
    def may_skip_assignment(version: int) -> bool:
        """Tell whether a static leader that comes back understands ``skip_assignment`` (KIP-814)."""
        return version >= 9


class JoinGroupResponse(Response, key=11, versions=(0, 9), flexible=6):
    """The generation that began; only its leader learns who the members are."""

    class Member(Struct):
        member_id: str
        group_instance_id: str | None = since(5, default=None)
        metadata: bytes

    throttle_time_ms: i32 = since(2, default=0)
    error_code: i16 = 0
    generation_id: i32 = -1
    protocol_type: str | None = since(7, default=None)
    protocol_name: str | None = field(nullable=7)
    leader: str
    skip_assignment: bool = since(9, default=False)
    member_id: str
    members: list[Member]

    @staticmethod
    def no_protocol_name(version: int) -> str | None:
        """Return what stands for no protocol, and for one whose name is empty."""
        return None if version >= 7 else ""


class SyncGroupRequest(Request, key=14, versions=(0, 5), flexible=4):
    """Ask for one's assignment; the leader brings everybody's."""

    class Assignment(Struct):
        member_id: str
        assignment: bytes

    group_id: str
    generation_id: i32
    member_id: str
    group_instance_id: str | None = since(3, default=None)
    protocol_type: str | None = since(5, default=None)
    protocol_name: str | None = since(5, default=None)
    assignments: list[Assignment]

    @staticmethod
    def must_name_protocol(version: int) -> bool:
        """Tell whether protocol type and name are mandatory (KIP-559)."""
        return version >= 5


class SyncGroupResponse(Response, key=14, versions=(0, 5), flexible=4):
    """The assignment that the leader made for this member."""

    throttle_time_ms: i32 = since(1, default=0)
    error_code: i16 = 0
    protocol_type: str | None = since(5, default=None)
    protocol_name: str | None = since(5, default=None)
    assignment: bytes


class HeartbeatRequest(Request, key=12, versions=(0, 4), flexible=4):
    """Say that this member lives."""

    group_id: str
    generation_id: i32
    member_id: str
    group_instance_id: str | None = since(3, default=None)


class HeartbeatResponse(Response, key=12, versions=(0, 4), flexible=4):
    """Whether the generation still stands: REBALANCE_IN_PROGRESS asks the member to rejoin."""

    throttle_time_ms: i32 = since(1, default=0)
    error_code: i16 = 0


class LeaveGroupRequest(Request, key=13, versions=(0, 5), flexible=4):
    """Take members out of a group, several at once from version 3 (KIP-345), with a reason from version 5 (KIP-800)."""

    class Member(Struct):
        member_id: str
        group_instance_id: str | None = None
        reason: str | None = since(5, default=None)

    group_id: str
    member_id: str = field(until=2, default="")
    members: list[Member] = since(3, default=[])

    @staticmethod
    def names_several_members(version: int) -> bool:
        """Tell whether members leave in a batch, each with its own error (KIP-345)."""
        return version >= 3


class LeaveGroupResponse(Response, key=13, versions=(0, 5), flexible=4):
    """How each member's leaving went."""

    class Member(Struct):
        member_id: str
        group_instance_id: str | None
        error_code: i16 = 0

    throttle_time_ms: i32 = since(1, default=0)
    error_code: i16 = 0
    members: list[Member] = since(3, default=[])


class OffsetCommitRequest(Request, key=8, versions=(0, 10), flexible=8):
    """Commit consumed offsets. From version 10, topics are named by id (KIP-848)."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32
            committed_offset: i64
            committed_leader_epoch: i32 = since(6, default=-1)
            commit_timestamp: i64 = field(since=1, until=1, default=-1)
            committed_metadata: str | None

        name: str = field(until=9, default="")
        topic_id: uuid = since(10, default=ZERO_UUID)
        partitions: list[Partition]

    group_id: str
    generation_id_or_member_epoch: i32 = since(1, default=-1)
    member_id: str = since(1, default="")
    group_instance_id: str | None = since(7, default=None)
    retention_time_ms: i64 = field(since=2, until=4, default=-1)
    topics: list[Topic]

    @staticmethod
    def names_topics_by_id(version: int) -> bool:
        """Tell whether topics are named by id (KIP-848)."""
        return version >= 10

    @staticmethod
    def is_told_of_missing_groups(version: int) -> bool:
        """Tell whether the client knows GROUP_ID_NOT_FOUND; before, a missing group was ILLEGAL_GENERATION."""
        return version >= 9


class OffsetCommitResponse(Response, key=8, versions=(0, 10), flexible=8):
    """How each partition's commit went."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32
            error_code: i16 = 0

        name: str = field(until=9, default="")
        topic_id: uuid = since(10, default=ZERO_UUID)
        partitions: list[Partition]

    throttle_time_ms: i32 = since(3, default=0)
    topics: list[Topic]


class OffsetFetchRequest(Request, key=9, versions=(0, 10), flexible=6):
    """Read committed offsets: of several groups from version 8 (KIP-709), topics by id from version 10 (KIP-848)."""

    class Topic(Struct):
        name: str
        partition_indexes: list[i32]

    class Group(Struct):
        class Topic(Struct):
            name: str = field(until=9, default="")
            topic_id: uuid = since(10, default=ZERO_UUID)
            partition_indexes: list[i32]

        group_id: str
        member_id: str | None = since(9, default=None)
        member_epoch: i32 = since(9, default=-1)
        topics: list[Topic] | None

    group_id: str = field(until=7, default="")
    topics: list[Topic] | None = field(until=7, default=[], nullable=2)
    groups: list[Group] = since(8, default=[])
    require_stable: bool = since(7, default=False)

    @staticmethod
    def names_several_groups(version: int) -> bool:
        """Tell whether offsets of several groups are asked for at once (KIP-709)."""
        return version >= 8

    @staticmethod
    def names_topics_by_id(version: int) -> bool:
        """Tell whether topics are named by id (KIP-848)."""
        return version >= 10


class OffsetFetchResponse(Response, key=9, versions=(0, 10), flexible=6):
    """Committed offsets and their metadata; -1 where nothing was committed."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32
            committed_offset: i64
            committed_leader_epoch: i32 = since(5, default=-1)
            metadata: str | None
            error_code: i16 = 0

        name: str
        partitions: list[Partition]

    class Group(Struct):
        class Topic(Struct):
            class Partition(Struct):
                partition_index: i32
                committed_offset: i64
                committed_leader_epoch: i32 = -1
                metadata: str | None
                error_code: i16 = 0

            name: str = field(until=9, default="")
            topic_id: uuid = since(10, default=ZERO_UUID)
            partitions: list[Partition]

        group_id: str
        topics: list[Topic]
        error_code: i16 = 0

    throttle_time_ms: i32 = since(3, default=0)
    topics: list[Topic] = field(until=7, default=[])
    error_code: i16 = field(since=2, until=7, default=0)
    groups: list[Group] = since(8, default=[])

    @staticmethod
    def has_group_error(version: int) -> bool:
        """Tell whether an error of the whole group has a place of its own; before, each partition carried it."""
        return version >= 2


class DescribeGroupsRequest(Request, key=15, versions=(0, 6), flexible=5):
    """Describe classic groups."""

    groups: list[str]
    include_authorized_operations: bool = since(3, default=False)


class DescribeGroupsResponse(Response, key=15, versions=(0, 6), flexible=5):
    """State and members of classic groups. From version 6, a missing group is GROUP_ID_NOT_FOUND (KIP-1043)."""

    class Group(Struct):
        class Member(Struct):
            member_id: str
            group_instance_id: str | None = since(4, default=None)
            client_id: str
            client_host: str
            member_metadata: bytes
            member_assignment: bytes

        error_code: i16 = 0
        error_message: str | None = since(6, default=None)
        group_id: str
        group_state: str
        protocol_type: str
        protocol_data: str
        members: list[Member]
        authorized_operations: i32 = since(3, default=-(2**31))

    throttle_time_ms: i32 = since(1, default=0)
    groups: list[Group]

    @staticmethod
    def says_what_is_missing(version: int) -> bool:
        """Tell whether a missing group is GROUP_ID_NOT_FOUND; before, it looked like a dead one (KIP-1043)."""
        return version >= 6


class ListGroupsRequest(Request, key=16, versions=(0, 5), flexible=3):
    """List the groups of this coordinator, filtered by state (version 4, KIP-518) and by type (version 5, KIP-848)."""

    states_filter: list[str] = since(4, default=[])
    types_filter: list[str] = since(5, default=[])


class ListGroupsResponse(Response, key=16, versions=(0, 5), flexible=3):
    """The groups of this coordinator."""

    class Group(Struct):
        group_id: str
        protocol_type: str
        group_state: str = since(4, default="")
        group_type: str = since(5, default="")

    throttle_time_ms: i32 = since(1, default=0)
    error_code: i16 = 0
    groups: list[Group]


class DeleteGroupsRequest(Request, key=42, versions=(0, 2), flexible=2):
    """Delete groups that have no members (KIP-229)."""

    groups_names: list[str]


class DeleteGroupsResponse(Response, key=42, versions=(0, 2), flexible=2):
    """How each group's deletion went."""

    class Group(Struct):
        group_id: str
        error_code: i16 = 0

    throttle_time_ms: i32 = 0
    results: list[Group]


class OffsetDeleteRequest(Request, key=47, versions=(0, 0), flexible=None):
    """Forget committed offsets of topics that the group no longer reads (KIP-496)."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32

        name: str
        partitions: list[Partition]

    group_id: str
    topics: list[Topic]


class OffsetDeleteResponse(Response, key=47, versions=(0, 0), flexible=None):
    """How each partition's forgetting went."""

    class Topic(Struct):
        class Partition(Struct):
            partition_index: i32
            error_code: i16 = 0

        name: str
        partitions: list[Partition]

    error_code: i16 = 0
    throttle_time_ms: i32 = 0
    topics: list[Topic]
