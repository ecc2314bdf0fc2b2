"""The interface of a group of any kind, for commits, cleaning, listing and the shard. Classic groups are one kind."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from ottla.broker.coordinators.engine.decision import Now
from ottla.broker.coordinators.groups.group_records import GroupDecision
from ottla.broker.coordinators.groups.group_settings import GroupSettings
from ottla.broker.coordinators.groups.offsets import CommittedOffset
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.groups import ListGroupsResponse


class Identity(NamedTuple):
    """The member that a request names."""

    member_id: str
    group_instance_id: str | None


class Group(Protocol):
    """A group of any kind: kinds differ in members and protocol, committed offsets are common to all."""

    group_id: str
    settings: GroupSettings
    wake_at: float
    """The time to call ``expire``, in seconds of the cluster's monotonic clock; infinity for never."""

    @property
    def is_empty(self) -> bool:
        """Whether it has no members, so that it may be deleted."""
        ...

    def check_commit(self, identity: Identity, generation: int, now: Now) -> None:
        """Check that a member may commit offsets. Raises KafkaError."""
        ...

    def check_offset_delete(self) -> ErrorCode:
        """Return the error for deleting offsets by hand, NONE if that is allowed."""
        ...

    def is_subscribed(self, topic: str) -> bool:
        """Whether members may still read the topic, so that its offsets must stay."""
        ...

    def retention_begins(self) -> Callable[[CommittedOffset], int] | None:
        """Return the time from which an offset's age counts, in wall milliseconds; None while it does not (KIP-211)."""
        ...

    def expire(self, now: Now) -> GroupDecision:
        """Act on the deadlines that have come."""
        ...

    def refuse_waiting(self, code: ErrorCode) -> None:
        """Refuse all members that wait for an answer."""
        ...

    def listed(self) -> ListGroupsResponse.Group:
        """Return the group as ListGroups shows it."""
        ...
