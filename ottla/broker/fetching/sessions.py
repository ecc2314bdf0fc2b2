"""The partitions that a client fetches: all named in each request, or remembered in a session (KIP-227).

A session costs only as much as has changed: an append marks its partition as dirty, and only dirty partitions are
read. A partition stays dirty until a read of it finds no new records.
"""

import random
from collections import OrderedDict
from collections.abc import Callable

from ottla.broker.topics.partition import Partition
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.fetch import FetchRequest

RequestPartition = FetchRequest.Topic.Partition

NO_SESSION = 0
INITIAL_EPOCH = 0
FINAL_EPOCH = -1
LAST_EPOCH = 2**31 - 1


class FetchedPartition:
    """One partition as one client fetches it, with the offsets that the client was last told."""

    __slots__ = (
        "index",
        "known_name",
        "last_fetched_epoch",
        "leader_epoch",
        "max_bytes",
        "offset",
        "owner",
        "partition",
        "told_high_watermark",
        "told_log_start_offset",
        "topic_id",
        "topic_name",
    )

    def __init__(self, owner: "FetchSet", topic_name: str, topic_id: bytes, index: int) -> None:
        self.owner = owner
        self.topic_name = topic_name
        self.topic_id = topic_id
        self.index = index
        self.known_name = ""
        """The name of the topic that was found by its id."""
        self.partition: Partition | None = None
        self.offset = 0
        self.max_bytes = 0
        self.leader_epoch = -1
        self.last_fetched_epoch = -1
        self.told_high_watermark = -1
        self.told_log_start_offset = -1

    def update(self, data: RequestPartition) -> None:
        """Take over the fields of a request."""
        self.offset = data.fetch_offset
        self.max_bytes = data.partition_max_bytes
        self.leader_epoch = max(data.current_leader_epoch, -1)
        self.last_fetched_epoch = data.last_fetched_epoch

    def watch(self, partition: Partition) -> None:
        """Watch ``partition`` for growth."""
        if self.partition is not partition:
            self.unwatch()
            self.partition = partition
        partition.watchers[self] = None

    def unwatch(self) -> None:
        """Stop watching the partition."""
        if self.partition is not None:
            self.partition.watchers.pop(self, None)
            self.partition = None

    def on_growth(self, size: int) -> None:
        """Tell the fetch that waits, or the session that the next fetch uses."""
        self.owner.on_growth(self, size)

    def on_gone(self) -> None:
        """Let a fetch read at once: it finds why the partition is gone, and must not wait for it."""
        self.partition = None
        self.owner.on_growth(self, LAST_EPOCH)


class FetchSet:
    """The partitions of one fetch without a session; it lives as long as the request."""

    incremental = False
    session_id = NO_SESSION

    def __init__(self, *, by_id: bool) -> None:
        self.by_id = by_id
        self.dirty: OrderedDict[tuple[str | bytes, int], FetchedPartition] = OrderedDict()
        self.on_bytes: Callable[[int], None] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is fetched."""
        return not self.dirty

    def key(self, topic_name: str, topic_id: bytes, index: int) -> tuple[str | bytes, int]:
        """Return the key of a partition in this set."""
        return (topic_id if self.by_id else topic_name), index

    def take(self, request: FetchRequest) -> None:
        """Read the partitions of a request."""
        for topic in request.topics:
            for data in topic.partitions:
                fetched = FetchedPartition(self, topic.topic, topic.topic_id, data.partition)
                fetched.update(data)
                self.dirty[self.key(topic.topic, topic.topic_id, data.partition)] = fetched

    def on_growth(self, _fetched: FetchedPartition, size: int) -> None:
        """Count bytes for the fetch that waits."""
        if self.on_bytes is not None:
            self.on_bytes(size)

    def settle(self, fetched: FetchedPartition, *, at_end: bool, got_records: bool) -> None:
        """Note how the read of ``fetched`` went; a set without memory has nothing to note."""

    def rest(self, on_bytes: Callable[[int], None]) -> None:
        """Stop watching: the request that waited with ``on_bytes`` is answered, or did not wait."""
        self._stop_waiting(on_bytes)
        for fetched in self.dirty.values():
            fetched.unwatch()

    def _stop_waiting(self, on_bytes: Callable[[int], None]) -> None:
        # A client that reconnected may wait again already when the request of its old connection is given up.
        if self.on_bytes == on_bytes:
            self.on_bytes = None


class FetchSession(FetchSet):
    """Partitions that a client fetches again and again, naming only those that change."""

    def __init__(self, session_id: int, *, by_id: bool, now: float) -> None:
        super().__init__(by_id=by_id)
        self.session_id = session_id
        self.epoch = INITIAL_EPOCH
        self.used_at = now
        self.partitions: dict[tuple[str | bytes, int], FetchedPartition] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is fetched."""
        return not self.partitions

    def take(self, request: FetchRequest) -> None:
        """Add and update the partitions that the request names; drop those that it forgets."""
        for topic in request.topics:
            for data in topic.partitions:
                key = self.key(topic.topic, topic.topic_id, data.partition)
                fetched = self.partitions.get(key)
                if fetched is None:
                    fetched = FetchedPartition(self, topic.topic, topic.topic_id, data.partition)
                    self.partitions[key] = fetched
                fetched.update(data)
                self.dirty[key] = fetched
        for forgotten in request.forgotten_topics_data:
            for index in forgotten.partitions:
                key = self.key(forgotten.topic, forgotten.topic_id, index)
                dropped = self.partitions.pop(key, None)
                self.dirty.pop(key, None)
                if dropped is not None:
                    dropped.unwatch()

    def on_growth(self, fetched: FetchedPartition, size: int) -> None:
        """Mark the partition as dirty, and count bytes for the fetch that waits."""
        self.dirty[self.key(fetched.topic_name, fetched.topic_id, fetched.index)] = fetched
        if self.on_bytes is not None:
            self.on_bytes(size)

    def settle(self, fetched: FetchedPartition, *, at_end: bool, got_records: bool) -> None:
        """Read it again next time, unless all was read; partitions that found no room this time come first then."""
        key = self.key(fetched.topic_name, fetched.topic_id, fetched.index)
        if at_end:
            self.dirty.pop(key, None)
        elif got_records and key in self.dirty:
            self.dirty.move_to_end(key)

    def rest(self, on_bytes: Callable[[int], None]) -> None:
        """Go on watching after the request is answered."""
        self._stop_waiting(on_bytes)

    def close(self) -> None:
        """Stop watching, and forget all partitions."""
        for fetched in self.partitions.values():
            fetched.unwatch()
        self.partitions.clear()
        self.dirty.clear()


class FetchSessions:
    """The sessions of one node: bounded, bound to no connection, the longest unused evicted first (FetchSessionCache).

    ``slots`` is their maximum number; one that was used in the last ``eviction_s`` seconds is not evicted.
    """

    def __init__(self, *, slots: int, random_source: random.Random, eviction_s: float = 120.0) -> None:
        self._slots = slots
        self._eviction_s = eviction_s
        self._random = random_source
        self._sessions: OrderedDict[int, FetchSession] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def resolve(self, request: FetchRequest, *, by_id: bool, now: float) -> FetchSet:
        """Return the partitions to read for ``request``.

        Raises ``KafkaError``: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR.
        """
        if request.session_epoch in {INITIAL_EPOCH, FINAL_EPOCH}:
            self._close(request.session_id)
            opened = self._open(by_id=by_id, now=now) if request.session_epoch == INITIAL_EPOCH else None
            fetch_set = FetchSet(by_id=by_id) if opened is None else opened
            fetch_set.take(request)
            return fetch_set
        session = self._sessions.get(request.session_id)
        if session is None:
            raise KafkaError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != request.session_epoch:
            raise KafkaError(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.by_id != by_id:
            raise KafkaError(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        session.epoch = 1 if session.epoch == LAST_EPOCH else session.epoch + 1
        session.incremental = True
        session.used_at = now
        self._sessions.move_to_end(session.session_id)
        session.take(request)
        if session.is_empty:  # no partition is left to remember
            self._close(session.session_id)
            return FetchSet(by_id=by_id)
        return session

    def clear(self) -> None:
        """Forget all sessions, as a broker that stops does."""
        for session_id in list(self._sessions):
            self._close(session_id)

    def _open(self, *, by_id: bool, now: float) -> FetchSession | None:
        if len(self._sessions) >= self._slots:
            oldest = next(iter(self._sessions.values()), None)
            if oldest is None or now - oldest.used_at < self._eviction_s:
                return None
            self._close(oldest.session_id)
        session_id = NO_SESSION
        while session_id == NO_SESSION or session_id in self._sessions:
            session_id = self._random.randint(1, LAST_EPOCH)
        session = self._sessions[session_id] = FetchSession(session_id, by_id=by_id, now=now)
        session.epoch = 1
        return session

    def _close(self, session_id: int) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            session.close()
