"""A real client (librdkafka) that writes to any broker and reads from it."""

from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewTopic,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

TIMEOUT_S = 60
_QUIET = {"log_level": 0}


class Read(NamedTuple):
    """A record as a consumer got it."""

    offset: int
    timestamp: tuple[int, int]
    key: bytes | None
    value: bytes | None
    headers: tuple[Any, ...]


Place = tuple[str, int]
T = TypeVar("T")


class Clients:
    """Clients of one broker."""

    def __init__(self, bootstrap: str) -> None:
        self._settings: dict[str, Any] = {"bootstrap.servers": bootstrap, **_QUIET}
        self.admin = AdminClient(self._settings)

    def create(self, topic: str, partitions: int = 1, **configs: str) -> None:
        settings = {name.replace("_", "."): value for name, value in configs.items()}
        self.admin.create_topics([NewTopic(topic, partitions, 1, config=settings)])[topic].result(TIMEOUT_S)

    def producer(self, **settings: Any) -> Producer:
        return Producer(self._settings | {name.replace("_", "."): value for name, value in settings.items()})

    def produce(self, place: Place, values: Iterable[bytes], *, key: bytes | None = b"key", **settings: Any) -> None:
        """Send records, in order and acknowledged."""
        send(self.producer(**settings), place, values, key=key)

    def consumer(self, group: str, **settings: Any) -> Consumer:
        defaults = {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
        return Consumer(self._settings | defaults | {name.replace("_", "."): value for name, value in settings.items()})

    def take(self, group: str, topic: str, count: int, **settings: Any) -> list[bytes | None]:
        """Join a group, take that many records, commit, and leave; returns their values."""
        consumer = self.consumer(group, **settings)
        consumer.subscribe([topic])
        taken: list[bytes | None] = []
        while len(taken) < count:
            message = consumer.poll(TIMEOUT_S)
            assert message is not None, f"{len(taken)} of {count} records came"
            if message.error():
                raise KafkaException(message.error())
            taken.append(message.value())
            consumer.commit(message=message, asynchronous=False)
        consumer.close()
        return taken

    def committed(self, group: str) -> dict[Place, int]:
        asked = ConsumerGroupTopicPartitions(group)
        found = self.admin.list_consumer_group_offsets([asked])[group].result(TIMEOUT_S)
        return {(each.topic, each.partition): each.offset for each in found.topic_partitions}

    def read_all(self, *, isolation: str = "read_uncommitted") -> dict[Place, list[Read]]:
        """Every record of every topic that is not internal."""
        topics = self.admin.list_topics(timeout=TIMEOUT_S).topics
        places = [(name, number) for name, found in topics.items() for number in found.partitions if name[:2] != "__"]
        consumer = self.consumer("reader", enable_partition_eof=True, isolation_level=isolation, check_crcs=True)
        consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in places])
        read: dict[Place, list[Read]] = {place: [] for place in places}
        ended: set[Place] = set()
        deadline = monotonic() + TIMEOUT_S
        while len(ended) < len(places):
            assert monotonic() < deadline, f"the consumer did not reach the end of {set(places) - ended}"
            for message in consumer.consume(500, 0.1):
                place: Place = _given(message.topic()), _given(message.partition())
                error = message.error()
                if error is None:
                    read[place].append(
                        Read(
                            offset=_given(message.offset()),
                            timestamp=message.timestamp(),
                            key=message.key(),
                            value=message.value(),
                            headers=tuple(message.headers() or ()),
                        )
                    )
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(place)
                else:
                    raise KafkaException(error)
        consumer.close()
        return read

    def ids(self) -> dict[str, str]:
        names = list(self.admin.list_topics(timeout=TIMEOUT_S).topics)
        found = self.admin.describe_topics(TopicCollection(names), request_timeout=TIMEOUT_S)
        return {name: str(description.result(TIMEOUT_S).topic_id) for name, description in found.items()}

    def configs(self) -> dict[str, Mapping[str, str | None]]:
        """The settings of each topic."""
        names = list(self.admin.list_topics(timeout=TIMEOUT_S).topics)
        found = self.admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
        return {
            resource.name: {
                entry.name: entry.value
                for entry in described.result(TIMEOUT_S).values()
                if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
            }
            for resource, described in found.items()
        }

    def give_password(self, user: str, password: bytes, iterations: int) -> None:
        mechanism = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, iterations)
        change = UserScramCredentialUpsertion(user, mechanism, password)
        self.admin.alter_user_scram_credentials([change])[user].result(TIMEOUT_S)

    def iterations(self) -> dict[str, list[int]]:
        """Return the iterations of each user's passwords."""
        found = self.admin.describe_user_scram_credentials().result(TIMEOUT_S)
        return {user: [each.iterations for each in known.scram_credential_infos] for user, known in found.items()}

    def alter(self, topic: str, **configs: str) -> None:
        entries = [ConfigEntry(name.replace("_", "."), value) for name, value in configs.items()]
        for entry in entries:
            entry.incremental_operation = AlterConfigOpType.SET
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        self.admin.incremental_alter_configs([resource])[resource].result(TIMEOUT_S)


def _given(value: T | None) -> T:
    assert value is not None
    return value


def send(producer: Producer, place: Place, values: Iterable[bytes], *, key: bytes | None = b"key") -> None:
    """Send records with a producer that goes on; returns when all are acknowledged."""
    errors: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: object) -> None:
        if error is not None:
            errors.append(error)

    for value in values:
        producer.produce(place[0], value, key, place[1], headers=[("one", b"1"), ("none", None)], on_delivery=delivered)
        producer.poll(0)
    assert producer.flush(TIMEOUT_S) == 0
    assert errors == []
