"""Workers use the broker while it is killed; each opens its connection again when the broker is back.

They speak in bytes, so that what they sent is known to the last one. Stock clients are in ``stock_clients``.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from random import Random

from ottla.testing import Ottla
from ottla.wire import frames
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.groups import OffsetCommitRequest, OffsetFetchRequest
from ottla.wire.messages.produce import InitProducerIdRequest, ProduceRequest, ProduceResponse
from ottla.wire.records import Record, build_batch
from tests.crash.gate import Gate, WorkIsOverError
from tests.crash.journal import NAMED, BrokenPromiseError, Journal
from tests.stage.raw import RawClient

IN_FLIGHT = 5
PRODUCE_VERSION = 9
COMMIT_VERSION = 5
START_MS = time.time_ns() // 1_000_000
"""Producers whose last record is old are forgotten; these must not be."""
ASK_AGAIN = {
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR,
}


class Worker(ABC):
    """A thread that works while the broker is there."""

    def __init__(self, broker: Ottla, gate: Gate, name: str) -> None:
        self.broker = broker
        self.gate = gate
        self.name = name
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        try:
            while True:
                self.gate.wait()
                try:
                    with RawClient(self.broker, self.name) as client:
                        self.work(client)
                except OSError:
                    continue  # the broker is gone
        except WorkIsOverError:
            pass
        except BaseException as error:
            self.gate.fail(error)

    @abstractmethod
    def work(self, client: RawClient) -> None:
        """Work over one connection until it breaks, or raise WorkIsOverError when the gate's work is over."""


class BytesProducer(Worker):
    """Builds its own batches. An idempotent one sends again what was not acknowledged; another one gives that up."""

    def __init__(self, broker: Ottla, gate: Gate, journal: Journal, *, name: str, idempotent: bool) -> None:
        super().__init__(broker, gate, name)
        self._ledger = journal.ledger(name)
        self._journal = journal
        self._random = Random(name)
        self._idempotent = idempotent
        self._acks = -1 if idempotent else 1
        self._producer_id = -1
        self._sequence = 0
        self._unacknowledged: deque[tuple[list[bytes], bytes]] = deque()

    def work(self, client: RawClient) -> None:
        """Keep requests on their way."""
        if not self._idempotent:
            self._unacknowledged.clear()
        elif self._producer_id < 0:
            asked = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000)
            self._producer_id = client.ask(asked, 3).producer_id
        for _, batch in self._unacknowledged:
            client.request(self._request(batch), PRODUCE_VERSION)
        while True:
            while not self.gate.ended and len(self._unacknowledged) < (IN_FLIGHT if self._idempotent else 1):
                client.request(self._request(self._next()), PRODUCE_VERSION)
            if not self._unacknowledged:
                raise WorkIsOverError
            self._take_answer(client)

    def _next(self) -> bytes:
        """A new batch, booked before it goes out."""
        count = self._random.choice((1, 1, 1, 3, 20))
        size = self._random.choice((0, 10, 100, 3000))
        first = len(self._ledger.sent)
        values = [
            b"%s %d " % (self.name.encode(), first + index) + self._random.randbytes(size) for index in range(count)
        ]
        batch = build_batch(
            [Record(0, START_MS + first + index, b"key", value) for index, value in enumerate(values)],
            producer_id=self._producer_id,
            producer_epoch=0 if self._idempotent else -1,
            base_sequence=self._sequence if self._idempotent else -1,
            codec=self._random.choice((0, 0, 3)),
        )
        self._sequence += count
        self._ledger.send(values, batch)
        self._unacknowledged.append((values, bytes(batch)))
        return bytes(batch)

    def _request(self, batch: bytes) -> ProduceRequest:
        data = ProduceRequest.Topic.Partition(index=self._journal.partition, records=batch)
        topic = ProduceRequest.Topic(name=self._journal.topic, partition_data=[data])
        return ProduceRequest(acks=self._acks, timeout_ms=1000, topic_data=[topic])

    def _take_answer(self, client: RawClient) -> None:
        _, response = frames.decode_response(ProduceResponse, client.answer(), PRODUCE_VERSION)
        [answer] = response.responses[0].partition_responses
        values, _ = self._unacknowledged.popleft()
        if answer.error_code:
            raise BrokenPromiseError(f"{self.name} got {ErrorCode(answer.error_code).name} for {values[0][:NAMED]!r}")
        self._ledger.acknowledge(values, answer.base_offset)
        self.gate.count(len(values))


class Committer(Worker):
    """Commits ever greater offsets for several partitions at once, as a group without members may."""

    PARTITIONS = 2

    def __init__(self, broker: Ottla, gate: Gate, *, name: str, topic: str) -> None:
        super().__init__(broker, gate, name)
        self._topic = topic
        self.asked = 0
        self.acknowledged = 0

    def work(self, client: RawClient) -> None:
        """Commit one after the other."""
        while not self.gate.ended:
            self.asked += 1
            topic = OffsetCommitRequest.Topic(
                name=self._topic,
                partitions=[
                    OffsetCommitRequest.Topic.Partition(
                        partition_index=index, committed_offset=self.asked, committed_metadata=f"{self.name} {index}"
                    )
                    for index in range(self.PARTITIONS)
                ],
            )
            response = client.ask(OffsetCommitRequest(group_id=self.name, member_id="", topics=[topic]), COMMIT_VERSION)
            codes = {ErrorCode(each.error_code) for each in response.topics[0].partitions}
            if codes == {ErrorCode.NONE}:
                self.acknowledged = self.asked
                self.gate.count()
            elif not codes <= ASK_AGAIN:
                raise BrokenPromiseError(f"{self.name} got {codes}")
        raise WorkIsOverError

    def check(self, client: RawClient) -> None:
        """Find the last commit that was acknowledged, or a later one, whole. Raises BrokenPromiseError."""
        partitions = list(range(self.PARTITIONS))
        request = OffsetFetchRequest(
            group_id=self.name, topics=[OffsetFetchRequest.Topic(name=self._topic, partition_indexes=partitions)]
        )
        while True:
            response = client.ask(request, COMMIT_VERSION)
            if response.error_code not in ASK_AGAIN:
                break
        found = {each.committed_offset for each in response.topics[0].partitions}
        least = self.acknowledged or -1
        if len(found) != 1 or not least <= min(found) <= self.asked:
            raise BrokenPromiseError(
                f"{self.name} has {found} committed; {self.acknowledged} was acknowledged, {self.asked} the last"
            )
        if min(found) > 0:
            told = [each.metadata for each in response.topics[0].partitions]
            if told != [f"{self.name} {index}" for index in partitions]:
                raise BrokenPromiseError(f"{self.name} has {told} as its metadata")
