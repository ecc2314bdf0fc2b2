"""Idempotent producers of other people's, which live through all rounds and send again on their own."""

import threading
from typing import Any, Protocol

from confluent_kafka import KafkaError, Message, Producer
from kafka import KafkaProducer

from ottla.testing import Ottla
from tests.crash.gate import Gate
from tests.crash.journal import BrokenPromiseError, Journal

MOST_UNACKNOWLEDGED = 50
PATIENCE_S = 60.0
BACKOFF_MS = 100


class StockProducer(Protocol):
    """A client that sends until it is told to end."""

    def start(self) -> None:
        """Begin."""
        ...

    def end(self) -> None:
        """Return when all that was sent is acknowledged. Raises BrokenPromiseError for what was not."""
        ...


class _Sending:
    """Common to both clients: a thread, a book, and a bound on what is on its way."""

    def __init__(self, gate: Gate, journal: Journal, name: str) -> None:
        self._gate = gate
        self._ledger = journal.ledger(name)
        self._name = name
        self._topic = journal.topic
        self._partition = journal.partition
        self._ending = False
        self._room = threading.Semaphore(MOST_UNACKNOWLEDGED)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._ending:
                if self._room.acquire(timeout=0.1):
                    value = b"%s %d" % (self._name.encode(), len(self._ledger.sent))
                    self._ledger.send([value])
                    self._send(value)
                self._serve()
        except BaseException as error:
            self._gate.fail(error, waits=False)

    def _send(self, value: bytes) -> None:
        raise NotImplementedError

    def _serve(self) -> None:
        """Call what has been waiting to be called."""

    def _took(self, value: bytes, offset: int) -> None:
        self._ledger.acknowledge([value], offset)
        self._room.release()
        self._gate.count()

    def _failed(self, value: bytes, error: Any) -> None:
        self._gate.fail(BrokenPromiseError(f"{self._name} could not send {value!r}: {error}"), waits=False)

    def _check_all(self) -> None:
        missing = self._ledger.sent.keys() - self._ledger.acknowledged.keys()
        if missing:
            raise BrokenPromiseError(
                f"{self._name}: {len(missing)} records were never acknowledged, {min(missing)!r} among them"
            )


class KafkaPythonProducer(_Sending):
    """kafka-python's."""

    def __init__(self, broker: Ottla, gate: Gate, journal: Journal, name: str = "kafka-python") -> None:
        super().__init__(gate, journal, name)
        self._producer = KafkaProducer(
            bootstrap_servers=broker.bootstrap,
            client_id=name,
            enable_idempotence=True,
            acks="all",
            retry_backoff_ms=BACKOFF_MS,
            reconnect_backoff_ms=BACKOFF_MS,
            reconnect_backoff_max_ms=BACKOFF_MS,
        )

    def _send(self, value: bytes) -> None:
        future = self._producer.send(self._topic, value, partition=self._partition)
        future.add_callback(lambda told: self._took(value, told.offset))
        future.add_errback(lambda error: self._failed(value, error))

    def end(self) -> None:
        self._ending = True
        self._thread.join(PATIENCE_S)
        self._producer.flush(PATIENCE_S)
        self._producer.close()
        self._check_all()


class LibrdkafkaProducer(_Sending):
    """librdkafka's, through confluent-kafka."""

    def __init__(self, broker: Ottla, gate: Gate, journal: Journal, name: str = "librdkafka") -> None:
        super().__init__(gate, journal, name)
        self._producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap,
                "client.id": name,
                "enable.idempotence": True,
                "linger.ms": 1,
                "retry.backoff.ms": BACKOFF_MS,
                "reconnect.backoff.ms": BACKOFF_MS,
                "reconnect.backoff.max.ms": BACKOFF_MS,
                "log_level": 0,
            }
        )

    def _send(self, value: bytes) -> None:
        def told(error: KafkaError | None, message: Message) -> None:
            if error is None:
                self._took(value, message.offset())
            else:
                self._failed(value, error)

        self._producer.produce(self._topic, value, partition=self._partition, on_delivery=told)

    def _serve(self) -> None:
        self._producer.poll(0)

    def end(self) -> None:
        self._ending = True
        self._thread.join(PATIENCE_S)
        self._producer.flush(PATIENCE_S)
        self._check_all()
