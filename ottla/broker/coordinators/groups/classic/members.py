"""The members of a classic group, and the answer that each waits for. Only keeps them: decides and answers nothing."""

from collections.abc import Iterable, Iterator

from ottla.broker.coordinators.engine.decision import Asked
from ottla.broker.coordinators.engine.java_strings import map_order
from ottla.broker.coordinators.groups.group import Identity
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.group_records import GroupMetadataValue
from ottla.wire.messages.groups import JoinGroupRequest, JoinGroupResponse, SyncGroupResponse

Protocols = list[JoinGroupRequest.Protocol]


class JoinAsked(Asked[JoinGroupResponse]):
    """A client's request to join: answered when the generation begins, or refused."""

    __slots__ = (
        "client_host",
        "client_id",
        "may_skip_assignment",
        "new_member_id",
        "request",
        "requires_member_id",
    )

    def __init__(
        self,
        request: JoinGroupRequest,
        *,
        client_id: str,
        client_host: str,
        new_member_id: str,
        requires_member_id: bool,
        may_skip_assignment: bool,
    ) -> None:
        super().__init__(self.refused)
        self.request = request
        self.client_id = client_id
        self.client_host = client_host
        self.new_member_id = new_member_id
        """The id for a client that has none yet."""
        self.requires_member_id = requires_member_id
        """Whether the client first learns its id and then joins with it (KIP-394)."""
        self.may_skip_assignment = may_skip_assignment
        """Whether a returning static leader can be told not to assign again (KIP-814)."""

    @property
    def rebalance_timeout_ms(self) -> int:
        """The time in which the other members may join again. Version 0 of the request has only one timeout."""
        given = self.request.rebalance_timeout_ms
        return self.request.session_timeout_ms if given == -1 else given

    def refused(self, code: ErrorCode, member_id: str = "") -> JoinGroupResponse:
        """Return the answer that refuses the request."""
        return JoinGroupResponse(error_code=code, protocol_name=None, leader="", member_id=member_id, members=[])


SyncAsked = Asked[SyncGroupResponse]


class Member:
    """One consumer, or another client of the group protocol. It counts as dead from ``deadline`` on."""

    __slots__ = (
        "assignment",
        "client_host",
        "client_id",
        "deadline",
        "group_instance_id",
        "is_new",
        "joining",
        "member_id",
        "protocols",
        "rebalance_timeout_ms",
        "session_timeout_ms",
        "syncing",
    )

    def __init__(
        self,
        *,
        member_id: str,
        group_instance_id: str | None,
        client_id: str,
        client_host: str,
        rebalance_timeout_ms: int,
        session_timeout_ms: int,
        protocols: Protocols,
        assignment: bytes = b"",
    ) -> None:
        self.member_id = member_id
        self.group_instance_id = group_instance_id
        self.client_id = client_id
        self.client_host = client_host
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.session_timeout_ms = session_timeout_ms
        self.protocols = protocols
        self.assignment = assignment
        self.joining: JoinAsked | None = None
        self.syncing: SyncAsked | None = None
        self.is_new = False
        """Whether no generation has begun since it was added: its first join has a timeout of its own."""
        self.deadline: float | None = None

    @property
    def is_static(self) -> bool:
        """Whether a restarted client takes this member's place (KIP-345)."""
        return self.group_instance_id is not None

    @property
    def must_not_expire(self) -> bool:
        """Whether the member waits for the coordinator, so that it cannot send heartbeats."""
        return not self.is_new and (self.joining is not None or self.syncing is not None)

    def metadata(self, protocol: str | None) -> bytes:
        """Return the member's metadata for ``protocol``, empty if it does not support it."""
        return metadata_for(protocol, self.protocols)


def metadata_for(protocol: str | None, protocols: Protocols) -> bytes:
    """Return a member's metadata for ``protocol``, empty if it is not among these protocols."""
    return next((each.metadata for each in protocols if each.name == protocol), b"")


class Members:
    """The members of one group, with the counts that tell when a rebalance may go on."""

    def __init__(self) -> None:
        self._by_id: dict[str, Member] = {}
        self._static: dict[str, str] = {}
        self._supporters: dict[str, int] = {}
        self._joining_count = 0
        self.leader: str | None = None
        self.promised: dict[str, float] = {}
        """The ids that were given out and not used yet (KIP-394), with their deadlines."""
        self.yet_to_sync: set[str] = set()

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._by_id.values())

    def __contains__(self, member_id: str) -> bool:
        return member_id in self._by_id

    def __getitem__(self, member_id: str) -> Member:
        return self._by_id[member_id]

    def get(self, member_id: str) -> Member | None:
        """Return the member with this id, or None."""
        return self._by_id.get(member_id)

    def static_member_id(self, group_instance_id: str | None) -> str | None:
        """Return the id of the member that has this instance id."""
        return None if group_instance_id is None else self._static.get(group_instance_id)

    def check(self, identity: Identity) -> Member:
        """Return the member that a request names.

        Raises KafkaError: UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID if another member has taken over the instance id.
        """
        if identity.group_instance_id is not None:
            known = self._static.get(identity.group_instance_id)
            if known is None:
                raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
            if known != identity.member_id:
                raise KafkaError(ErrorCode.FENCED_INSTANCE_ID)
        member = self._by_id.get(identity.member_id)
        if member is None:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
        return member

    def add(self, member: Member) -> None:
        """Add a member; the first one becomes the leader."""
        self._by_id[member.member_id] = member
        if member.group_instance_id is not None:
            self._static[member.group_instance_id] = member.member_id
        self._count_protocols(member.protocols, 1)
        self._joining_count += member.joining is not None
        self.promised.pop(member.member_id, None)
        if self.leader is None:
            self.leader = member.member_id

    def remove(self, member_id: str) -> Member | None:
        """Remove a member or a promised id. If the leader goes, the oldest remaining member becomes the leader."""
        self.promised.pop(member_id, None)
        self.yet_to_sync.discard(member_id)
        member = self._by_id.pop(member_id, None)
        if member is None:
            return None
        self._count_protocols(member.protocols, -1)
        self._joining_count -= member.joining is not None
        if member.group_instance_id is not None and self._static.get(member.group_instance_id) == member_id:
            del self._static[member.group_instance_id]
        if self.leader == member_id:
            self.leader = next(iter(self._by_id), None)
        return member

    def replace(self, old_id: str, new_id: str) -> Member:
        """Give a static member a new id: its client restarted (KIP-345). Requests of the old id are dropped."""
        led = self.leader == old_id
        old = self._by_id[old_id]
        self.remove(old_id)
        member = Member(
            member_id=new_id,
            group_instance_id=old.group_instance_id,
            client_id=old.client_id,
            client_host=old.client_host,
            rebalance_timeout_ms=old.rebalance_timeout_ms,
            session_timeout_ms=old.session_timeout_ms,
            protocols=old.protocols,
            assignment=old.assignment,
        )
        self.add(member)
        if led:
            self.leader = new_id
        return member

    def set_protocols(self, member: Member, protocols: Protocols) -> None:
        """Replace the protocols that a member supports."""
        self._count_protocols(member.protocols, -1)
        member.protocols = protocols
        self._count_protocols(protocols, 1)

    def set_joining(self, member: Member, joining: JoinAsked | None) -> JoinAsked | None:
        """Let a member wait for the next generation, or no longer (None); return the request that waited before."""
        before, member.joining = member.joining, joining
        self._joining_count += (joining is not None) - (before is not None)
        return before

    def adopt(self, image: GroupMetadataValue) -> None:
        """Hold exactly the members that the log names; members that are here already keep their soft state."""
        for gone in self._by_id.keys() - {each.member_id for each in image.members}:
            self.remove(gone)
        for each in image.members:
            member = self._by_id.get(each.member_id)
            if member is None:
                self.add(_member_of(image, each))
            else:
                member.assignment = each.assignment
        self.leader = image.leader

    @property
    def joining_count(self) -> int:
        """The number of members that wait for the next generation."""
        return self._joining_count

    @property
    def all_joined(self) -> bool:
        """Whether all members have joined, and no promised id is left to wait for."""
        return len(self._by_id) == self._joining_count and not self.promised

    @property
    def rebalance_timeout_ms(self) -> int:
        """The longest rebalance timeout that a member asks for."""
        return max((member.rebalance_timeout_ms for member in self), default=0)

    def elect_joined_leader(self) -> bool:
        """Let a member that joins be the leader; return False if no member joins."""
        leader = None if self.leader is None else self._by_id.get(self.leader)
        if leader is None:
            return False
        if leader.joining is None:
            joined = next((member for member in self if member.joining is not None), None)
            if joined is None:
                return False
            self.leader = joined.member_id
        return True

    def all_support_one_of(self, names: Iterable[str]) -> bool:
        """Return whether all members support a common one of these protocols."""
        return any(self._supporters.get(name, 0) == len(self) for name in names)

    def select_protocol(self) -> str | None:
        """Return the protocol that most members prefer among those that all support."""
        candidates = {name for name, count in self._supporters.items() if count == len(self)}
        votes: dict[str, int] = {}
        for member in self:
            vote = next((each.name for each in member.protocols if each.name in candidates), None)
            if vote is not None:
                votes[vote] = votes.get(vote, 0) + 1
        return min(votes, key=lambda name: (-votes[name], map_order(name)), default=None)

    def _count_protocols(self, protocols: Protocols, change: int) -> None:
        for name in {each.name for each in protocols}:
            count = self._supporters.get(name, 0) + change
            if count:
                self._supporters[name] = count
            else:
                self._supporters.pop(name, None)


def _member_of(image: GroupMetadataValue, each: GroupMetadataValue.Member) -> Member:
    return Member(
        member_id=each.member_id,
        group_instance_id=each.group_instance_id,
        client_id=each.client_id,
        client_host=each.client_host,
        rebalance_timeout_ms=each.session_timeout if each.rebalance_timeout == -1 else each.rebalance_timeout,
        session_timeout_ms=each.session_timeout,
        protocols=[JoinGroupRequest.Protocol(name=image.protocol or "", metadata=each.subscription)],
        assignment=each.assignment,
    )
