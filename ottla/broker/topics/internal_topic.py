"""A coordinator's topic as its engine uses it: an ordinary topic of this cluster, created when first needed."""

from collections.abc import Iterator

from ottla.broker.topics.registry import Topics
from ottla.scheduling.clock import Clock
from ottla.scheduling.promise import Promise
from ottla.storage.appends import Appended, AppendOrigin
from ottla.storage.slices import FileSlice, RecordSlice
from ottla.wire.batch import HEADER_SIZE, read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

READ_BYTES = 1 << 20


class InternalTopic:
    """Gives a coordinator the logs of its topic: ``__consumer_offsets`` or another of ``topics.names``."""

    def __init__(self, name: str, topics: Topics, clock: Clock) -> None:
        self.name = name
        self._topics = topics
        self._clock = clock

    def ensure(self) -> Promise[None] | None:
        """Create the topic if it does not exist. Here that is done at once."""
        self._topics.ensure_internal(self.name)
        return None

    def append(self, partition: int, batch: bytearray) -> Appended | Promise[Appended]:
        """Append a coordinator's batch, as with acks=all; raises ``KafkaError``."""
        found = self._topics.partition(self.name, partition)
        if found.lacks_replicas:
            raise KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS)
        return found.append(
            memoryview(batch), read_header(batch), self._clock.wall_ms(), origin=AppendOrigin.COORDINATOR
        )

    def read_all(self, partition: int) -> Iterator[memoryview | Promise[RecordSlice]]:
        """Yield every batch of a partition, from its start, and reads to wait for before the next batch.

        Raises ``KafkaError`` KAFKA_STORAGE_ERROR.
        """
        log = self._topics.partition(self.name, partition).log
        offset = log.log_start_offset
        while offset < log.log_end_offset:
            found = log.read(offset, READ_BYTES, end_offset=log.log_end_offset, minimum_one_batch=True)
            if isinstance(found, Promise):
                yield found
                found = found.result()
            view = memoryview(found.take() if isinstance(found, FileSlice) else found)
            position = 0
            while len(view) - position >= HEADER_SIZE:
                header = read_header(view, position)
                if header.size > len(view) - position:
                    break
                if header.next_offset > offset:
                    yield view[position : position + header.size]
                    offset = header.next_offset
                position += header.size
            if position == 0:
                raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.name}-{partition} cannot be read at {offset}")
