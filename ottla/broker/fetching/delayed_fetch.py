"""Reads records for a fetch, and waits while there are too few. Knows sessions and partitions, but no sockets.

A log may give its bytes later. Then the other logs are read as if it gave the full size that was asked for, and the
answer goes out when all bytes are there.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from ottla.broker.fetching.sessions import FetchedPartition, FetchSet
from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.topics.partition import Partition
from ottla.broker.topics.registry import Topics
from ottla.scheduling.clock import Clock
from ottla.scheduling.promise import Promise
from ottla.scheduling.timers import Timer, Timers
from ottla.storage.log import Log
from ottla.storage.open_transactions import AbortedTransaction
from ottla.storage.slices import FileSlice, RecordSlice
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.fetch import FetchRequest, FetchResponse

log = logging.getLogger(__name__)

TopicResponse = FetchResponse.Topic
PartitionResponse = FetchResponse.Topic.Partition

READ_UNCOMMITTED = 0
READ_COMMITTED = 1
_NOT_FOUND = {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID}
COPIED_BYTES = 1 << 14
"""Maximum number of bytes that are copied into the answer, which is cheaper than ``sendfile`` for so few."""


class Meter(Protocol):
    """The quota of a client that fetches (``quotas.throttling.Meter``)."""

    def most_to_fetch(self, wanted: int, /) -> int:
        """Return the number of the wanted bytes that the quota allows."""
        ...

    def fetched(self, size: int, /) -> bool:
        """Count the bytes of an answer, and return whether the client may have them now."""
        ...


class FetchSource:
    """One node as fetches see it: the partitions that it may serve, its place among the nodes, and its time.

    ``racks`` maps the id of every node of the cluster to its rack.
    """

    __slots__ = ("clock", "config", "node_id", "racks", "timers", "topics")

    def __init__(
        self,
        *,
        topics: Topics,
        config: BrokerConfig,
        clock: Clock,
        timers: Timers,
        node_id: int,
        racks: Mapping[int, str | None],
    ) -> None:
        self.topics = topics
        self.config = config
        self.clock = clock
        self.timers = timers
        self.node_id = node_id
        self.racks = racks


class Fetch:
    """One fetch request under way: reads its partitions, answers, or waits for bytes and reads again."""

    __slots__ = (
        "_by_id",
        "_by_replica",
        "_committed_only",
        "_fetch_set",
        "_is_due",
        "_max_bytes",
        "_meter",
        "_min_bytes",
        "_missing",
        "_pending",
        "_slow_reads",
        "_source",
        "_timer",
    )

    def __init__(self, source: FetchSource, meter: Meter | None, request: FetchRequest, fetch_set: FetchSet) -> None:
        self._source = source
        self._meter = meter
        self._fetch_set = fetch_set
        self._by_id = fetch_set.by_id
        self._max_bytes = min(request.max_bytes, source.config.integer("fetch.max.bytes"))
        if meter is not None:
            self._max_bytes = meter.most_to_fetch(self._max_bytes)
        self._min_bytes = min(request.min_bytes, self._max_bytes)
        self._committed_only = request.isolation_level == READ_COMMITTED
        self._by_replica = request.replica_id >= 0 or request.replica_state.replica_id >= 0
        self._missing = 0
        self._pending: Promise[FetchResponse] | None = None
        self._timer: Timer | None = None
        self._slow_reads = 0
        """The number of logs that have not given their bytes yet."""
        self._is_due = False
        """Whether the answer is to go out as soon as these logs have given their bytes."""

    def start(self, max_wait_ms: int) -> FetchResponse | Promise[FetchResponse]:
        """Answer at once if there is enough, a read failed or the client does not want to wait; else wait."""
        reads = self._read()
        if self._slow_reads:
            self._missing = self._min_bytes
            pending = self._wait(max_wait_ms)
            self._when_read(reads, self._answer_or_wait)
            return pending
        size = sum(read.size for read in reads)
        if size >= self._min_bytes or max_wait_ms <= 0 or not self._may_wait(reads):
            return self._answer(reads)
        _release(reads)
        self._missing = self._min_bytes - size
        return self._wait(max_wait_ms)

    def _wait(self, max_wait_ms: int) -> Promise[FetchResponse]:
        pending = self._pending = Promise(on_abandoned=self._stop)
        self._fetch_set.on_bytes = self._on_bytes
        if max_wait_ms > 0:
            due = self._source.clock.monotonic() + max_wait_ms / 1000
            self._timer = self._source.timers.schedule(due, self._finish)
        else:
            self._is_due = True
        return pending

    def _on_bytes(self, size: int) -> None:
        self._missing -= size
        if self._missing <= 0 and not self._slow_reads:
            self._look_again()

    def _look_again(self) -> None:
        """Read again: the growth may be records that this client may not read yet, or a transaction's marker."""
        self._missing = self._min_bytes
        self._read_again(self._answer_or_wait)

    def _finish(self) -> None:
        """Read again and answer; while slow logs are being read, answer as soon as they have been."""
        if self._pending is None:
            return
        if self._slow_reads:
            self._is_due = True
            return
        self._read_again(self._resolve)

    def _read_again(self, then: "Callable[[list[Read]], None]") -> None:
        """Read, and call ``then`` with the reads: at once, or when the slow logs have given their bytes."""
        reads = self._read()
        if self._slow_reads:
            self._when_read(reads, then)
        else:
            then(reads)

    def _resolve(self, reads: "list[Read]") -> None:
        pending = self._pending
        if pending is not None:
            self._stop()
            pending.resolve(self._answer(reads))

    def _when_read(self, reads: "list[Read]", then: "Callable[[list[Read]], None]") -> None:
        """Call ``then`` when the slow logs have given their bytes, unless the client has gone by then."""

        def came(read: Read, completion: Promise[Any]) -> None:
            read.settle(completion)
            if read.slow is not None:
                read.slow.completion.add_done_callback(partial(came, read))
                return
            self._slow_reads -= 1
            if not self._slow_reads:
                self._all_came(reads, then)

        for read in reads:
            if read.slow is not None:
                read.slow.completion.add_done_callback(partial(came, read))

    def _all_came(self, reads: "list[Read]", then: "Callable[[list[Read]], None]") -> None:
        """Read the partitions that were skipped until the sizes were known, which may be slow again; then go on."""
        if self._pending is None:
            _release(reads)
            return
        self._read_skipped(reads)
        if self._slow_reads:
            self._when_read(reads, then)
            return
        for each in reads:
            each.look_for_growth()
        then(reads)

    def _answer_or_wait(self, reads: "list[Read]") -> None:
        """Answer with the reads if they are enough; else wait, counting the bytes that were appended meanwhile."""
        size = sum(read.size for read in reads)
        if size >= self._min_bytes or self._is_due or not self._may_wait(reads):
            self._resolve(reads)
            return
        _release(reads)
        self._on_bytes(size)

    def _stop(self) -> None:
        self._pending = None
        self._fetch_set.rest(self._on_bytes)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _may_wait(self, reads: "Iterable[Read]") -> bool:
        """Return whether the fetch may wait: some partition can grow, and no answer is urgent."""
        return not self._fetch_set.is_empty and not any(read.response.error_code or read.is_urgent for read in reads)

    def _read(self) -> "list[Read]":
        """Read each partition that may have records, until ``max_bytes`` are found."""
        reads = []
        left = self._max_bytes
        for fetched in list(self._fetch_set.dirty.values()):
            read = Read(fetched)
            reads.append(read)
            left = self._read_into(read, left)
        return reads

    def _read_skipped(self, reads: "list[Read]") -> None:
        """Read the partitions for which there was no room while the sizes of slow reads were unknown."""
        left = self._max_bytes - sum(read.size for read in reads)
        for read in reads:
            if read.is_skipped:
                left = self._read_into(read, left)

    def _read_into(self, read: "Read", left: int) -> int:
        """Read one partition, and return the number of bytes that are left for others."""
        read.is_skipped = left <= 0 and self._slow_reads > 0
        if read.is_skipped:
            return left
        fetched = read.fetched
        try:
            partition = self._partition_of(fetched)
            fetched.watch(partition)
            limit = min(left, fetched.max_bytes)
            self._read_one(read, partition, limit=limit, minimum_one_batch=left == self._max_bytes)
        except KafkaError as error:
            read.fail(error)
        return left - read.size

    def _partition_of(self, fetched: FetchedPartition) -> Partition:
        partition = fetched.partition
        if partition is not None and not partition.gone:
            return partition
        topics = self._source.topics
        if self._by_id:
            topic = topics.by_id.get(fetched.topic_id)
            if topic is None:
                raise _topic_gone(topics, fetched)
            fetched.known_name = topic.name
        else:
            topic = topics.by_name.get(fetched.topic_name)
            if topic is None:
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        found = topic.partition(fetched.index)
        if found.leader != self._source.node_id:
            self._check_follower(found, fetched)
        return found

    def _check_follower(self, partition: Partition, fetched: FetchedPartition) -> None:
        """Refuse to answer for another node. Raises ``KafkaError`` NOT_LEADER_OR_FOLLOWER."""
        partition.check_asked(self._source.node_id, leader_epoch=fetched.leader_epoch)

    def _read_one(self, read: "Read", partition: Partition, *, limit: int, minimum_one_batch: bool) -> None:
        fetched = read.fetched
        epoch = fetched.leader_epoch
        if epoch >= 0 and epoch != partition.leader_epoch:
            partition.check_leader_epoch(epoch)
        if self._by_replica:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)  # no other broker has a replica of these partitions
        response = read.response
        response.high_watermark = partition.high_watermark
        response.last_stable_offset = partition.last_stable_offset
        response.log_start_offset = partition.log_start_offset
        if fetched.last_fetched_epoch >= 0 and self._diverges(read, partition):
            return
        committed_only = self._committed_only
        end_offset = response.last_stable_offset if committed_only else response.high_watermark
        if fetched.offset == end_offset and end_offset >= response.log_start_offset:
            read.at_end = True
            return  # the common case of a consumer that has all records
        if (fetched.max_bytes < 0 or self._max_bytes < 0) and response.log_start_offset <= fetched.offset < end_offset:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
        records = partition.log.read(
            fetched.offset, max(limit, 0), end_offset=end_offset, minimum_one_batch=minimum_one_batch
        )
        take = partial(self._take, read, partition.log) if committed_only and fetched.offset < end_offset else read.take
        if isinstance(records, Promise):
            if not records.done:
                self._slow_reads += 1
                read.slow = _Slow(records, take)
                read.size = max(limit, 1)
                return
            records = records.result()
        take(records)
        if read.slow is not None:
            self._slow_reads += 1

    def _take(self, read: "Read", log: Log, records: RecordSlice) -> None:
        """Keep the records, and find the aborted transactions among them for a ``read_committed`` consumer."""
        read.take(records)
        aborted = log.aborted_transactions(read.fetched.offset, read.size)
        if not isinstance(aborted, Promise):
            read.take_aborted(aborted)
        elif aborted.done:
            read.take_aborted(aborted.result())
        else:
            read.slow = _Slow(aborted, read.take_aborted)

    def _diverges(self, read: "Read", partition: Partition) -> bool:
        """Tell a client whose last record is not in this log the offset where its log diverges (KIP-595)."""
        fetched = read.fetched
        epoch, end_offset = partition.log.offset_for_leader_epoch(fetched.last_fetched_epoch)
        if epoch < 0 or end_offset < 0:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        if epoch < fetched.last_fetched_epoch or end_offset < fetched.offset:
            read.is_urgent = True
            read.response.diverging_epoch = PartitionResponse.EpochEndOffset(epoch=epoch, end_offset=end_offset)
            return True
        return False

    def _answer(self, reads: "list[Read]") -> FetchResponse:
        """Build the response; an incremental one names only partitions that changed."""
        fetch_set = self._fetch_set
        if self._meter is not None and not self._meter.fetched(sum(read.size for read in reads)):
            # The session stays as it was: the client asks again for the records that its quota refused.
            _release(reads)
            fetch_set.rest(self._on_bytes)
            return FetchResponse(session_id=fetch_set.session_id, responses=[])
        topics: dict[str | bytes, TopicResponse] = {}
        for read in reads:
            fetched = read.fetched
            fetch_set.settle(fetched, at_end=read.at_end, got_records=read.size > 0)
            if fetch_set.incremental and not read.has_news():
                continue
            fetched.told_high_watermark = read.response.high_watermark
            fetched.told_log_start_offset = read.response.log_start_offset
            if self._committed_only and read.response.aborted_transactions is None and not read.response.error_code:
                read.response.aborted_transactions = []
            key = fetched.topic_id if self._by_id else fetched.topic_name
            topic = topics.get(key)
            if topic is None:
                topic = topics[key] = TopicResponse(topic=fetched.topic_name, topic_id=fetched.topic_id, partitions=[])
            topic.partitions.append(read.response)
        fetch_set.rest(self._on_bytes)
        return FetchResponse(session_id=fetch_set.session_id, responses=list(topics.values()))


def _topic_gone(topics: Topics, fetched: FetchedPartition) -> KafkaError:
    """Return the error for a topic id that is gone: a session remembers its name, as in Apache."""
    if not fetched.known_name:
        return KafkaError(ErrorCode.UNKNOWN_TOPIC_ID)
    if fetched.known_name in topics.by_name:
        return KafkaError(ErrorCode.INCONSISTENT_TOPIC_ID)
    return KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


class _Slow(NamedTuple):
    """The promise of a log's bytes, and the call that takes them."""

    completion: Promise[Any]
    take: Callable[[Any], None]


class Read:
    """The result of reading one partition, for its part of the answer."""

    __slots__ = ("at_end", "fetched", "is_skipped", "is_urgent", "response", "size", "slow")

    def __init__(self, fetched: FetchedPartition) -> None:
        self.fetched = fetched
        self.size = 0
        """The number of bytes of records; while ``slow`` is pending, the maximum that it may bring."""
        self.slow: _Slow | None = None
        self.is_skipped = False
        self.at_end = False
        self.is_urgent = False
        """Whether the client must be told at once: its log diverges from ours, or it should read from another node."""
        self.response = PartitionResponse(
            partition_index=fetched.index, high_watermark=-1, aborted_transactions=None, records=b""
        )

    def settle(self, completion: Promise[Any]) -> None:
        """Take the bytes of a slow log, or its error. Taking them may begin another slow read: ``slow`` again."""
        found, self.slow = self.slow, None
        try:
            if found is not None:
                found.take(completion.result())
        except KafkaError as error:
            self.fail(error)
        except Exception:
            fetched = self.fetched
            log.exception("Read of %s-%d failed", fetched.known_name or fetched.topic_name, fetched.index)
            self.fail(KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR))

    def take(self, records: RecordSlice) -> None:
        """Keep the records, copied if that is cheaper."""
        if isinstance(records, FileSlice) and len(records) <= COPIED_BYTES:
            records = records.take()
        self.size = len(records)
        self.response.records = records

    def take_aborted(self, transactions: Sequence[AbortedTransaction]) -> None:
        """Name the transactions whose records the consumer must leave out."""
        self.response.aborted_transactions = [
            PartitionResponse.AbortedTransaction(producer_id=each.producer_id, first_offset=each.first_offset)
            for each in transactions
        ]

    def look_for_growth(self) -> None:
        """Note that the read did not reach the end of the partition, if it has grown since."""
        partition, response = self.fetched.partition, self.response
        self.at_end = (
            self.at_end
            and partition is not None
            and partition.high_watermark == response.high_watermark
            and partition.last_stable_offset == response.last_stable_offset
        )

    def fail(self, error: KafkaError) -> None:
        """Answer with an error, and without records."""
        # Records may have been read already: without their aborted transactions, no client must get them.
        _release([self])
        self.response.records = b""
        self.size = 0
        self.response.error_code = error.code
        if error.code in _NOT_FOUND:
            self.response.aborted_transactions = []
        self.response.high_watermark = -1
        self.response.last_stable_offset = -1
        self.response.log_start_offset = -1

    def has_news(self) -> bool:
        """Whether an incremental answer must name this partition."""
        response, fetched = self.response, self.fetched
        return bool(
            self.size
            or response.error_code
            or self.is_urgent
            or response.high_watermark != fetched.told_high_watermark
            or response.log_start_offset != fetched.told_log_start_offset
        )


def _release(reads: "Iterable[Read]") -> None:
    for read in reads:
        if isinstance(read.response.records, FileSlice):
            read.response.records.release()
