"""A stock client that produces, consumes and commits beside whatever else goes on, and notes any trouble."""

import threading
from types import TracebackType
from typing import Self

from kafka import KafkaConsumer, KafkaProducer

from ottla.testing import Ottla

NAME = "healthy"
PATIENCE_S = 60.0


class HealthyClient:
    """Sends one record after the other and reads each of them back, within a group."""

    def __init__(self, broker: Ottla) -> None:
        settings = {"bootstrap_servers": broker.bootstrap, "client_id": NAME}
        self._producer = KafkaProducer(retries=0, enable_idempotence=False, acks="all", **settings)
        self._consumer = KafkaConsumer(
            NAME, group_id=NAME, auto_offset_reset="earliest", enable_auto_commit=False, **settings
        )
        self._thread = threading.Thread(target=self._run)
        self._round = threading.Condition()
        self._rounds = 0
        self._stopping = False
        self.trouble: BaseException | str | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self.check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping = True
        self._thread.join()
        self._consumer.close()
        self._producer.close()

    def check(self) -> None:
        """Wait for a round trip that began after this call; whatever went wrong until then is raised."""
        with self._round:
            wanted = self._rounds + 2
            done = self._round.wait_for(lambda: self._rounds >= wanted or self.trouble is not None, PATIENCE_S)
        assert self.trouble is None, self.trouble
        assert done, f"the healthy client had no answer within {PATIENCE_S} s"

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._round_trip(b"%d" % self._rounds)
                with self._round:
                    self._rounds += 1
                    self._round.notify_all()
        except BaseException as error:
            with self._round:
                self.trouble = error
                self._round.notify_all()

    def _round_trip(self, value: bytes) -> None:
        self._producer.send(NAME, value).get(timeout=PATIENCE_S)
        while not self._stopping:
            records = [record for each in self._consumer.poll(timeout_ms=500).values() for record in each]
            if records:
                assert [record.value for record in records] == [value], "a record was lost or doubled"
                self._consumer.commit()
                return
