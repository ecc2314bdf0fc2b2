"""A broker that ends: what was acknowledged is there when it starts again, and nobody who waits holds it up.

broker/server.
"""

import os
import signal
import threading
import time

import pytest

from ottla.testing import Ottla
from ottla.wire.messages.produce import ProduceRequest
from ottla.wire.records import read_records
from tests.stage.clients import batch_of, fetch_request
from tests.stage.logs import split
from tests.stage.raw import RawClient, talking

ENOUGH = 100
PRODUCERS = 4


class Producer(threading.Thread):
    """Produces numbers, one after the other, until the broker is gone; ``acknowledged`` of them were."""

    def __init__(self, broker: Ottla, topic: str) -> None:
        super().__init__()
        self.topic = topic
        self.client = RawClient(broker)
        self.client.make_topic(topic)
        self.acknowledged = 0
        self.enough = threading.Event()
        self.refused: set[int] = set()

    def run(self) -> None:
        try:
            while True:
                data = ProduceRequest.Topic.Partition(
                    index=0, records=batch_of([b"%d" % self.acknowledged], producer=(7, 0, self.acknowledged))
                )
                topic = ProduceRequest.Topic(name=self.topic, partition_data=[data])
                response = self.client.ask(ProduceRequest(acks=-1, timeout_ms=1000, topic_data=[topic]), 9)
                self.refused.add(response.responses[0].partition_responses[0].error_code)
                self.acknowledged += 1
                if self.acknowledged >= ENOUGH:
                    self.enough.set()
        except ConnectionError:
            pass
        finally:
            self.enough.set()
            self.client.close()


def stored(client: RawClient, topic: str) -> list[int]:
    """The numbers in a topic."""
    numbers: list[int] = []
    while True:
        response = client.ask(fetch_request((topic, 0, len(numbers))), 12)
        [partition] = response.responses[0].partitions
        batches = split(bytes(partition.records))
        if not batches:
            return numbers
        for batch in batches:
            numbers += [int(record.value or b"") for record in read_records(batch)]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_was_acknowledged_is_there_after_a_stop_under_load(tmp_path, number):
    with Ottla(data_dir=tmp_path) as broker:
        producers = [Producer(broker, f"topic-{index}") for index in range(PRODUCERS)]
        with talking(broker, 20) as consumers:
            for consumer in consumers:
                consumer.make_topic("quiet")
                consumer.request(fetch_request(("quiet", 0, 0), max_wait_ms=60_000, min_bytes=1), 12)
            for producer in producers:
                producer.start()
            for producer in producers:
                assert producer.enough.wait(60)
            begun = time.monotonic()
            os.kill(broker.pid, number)
            for producer in producers:
                producer.join(60)
            for consumer in consumers:
                consumer.wait_until_closed()
            assert time.monotonic() - begun < 20, "clients that wait held up the broker's end"
        process = broker._process
        assert process is not None
        assert process.wait(30) == 0
        broker.stop()
        assert "Traceback" not in broker.log

        broker.start()
        with RawClient(broker) as client:
            for producer in producers:
                assert producer.refused == {0}
                assert producer.acknowledged >= ENOUGH
                numbers = stored(client, producer.topic)
                # The last one may be there without its acknowledgement having come.
                assert numbers == list(range(len(numbers)))
                assert producer.acknowledged <= len(numbers) <= producer.acknowledged + 1


@pytest.mark.slow
def test_a_slow_reader_gets_its_answer_or_the_broker_stops_without_it(tmp_path):
    with Ottla(data_dir=tmp_path) as broker, RawClient(broker) as client:
        client.make_topic("topic")
        data = ProduceRequest.Topic.Partition(index=0, records=batch_of([b"x" * 900_000]))
        topic = ProduceRequest.Topic(name="topic", partition_data=[data])
        for _ in range(20):
            client.ask(ProduceRequest(acks=-1, timeout_ms=1000, topic_data=[topic]), 9)
        with RawClient(broker) as reader:
            reader.request(fetch_request(("topic", 0, 0, 1 << 30), max_bytes=1 << 30), 12)
            reader.socket.recv(1)
            os.kill(broker.pid, signal.SIGTERM)
            client.wait_until_closed()  # the stop has begun
            os.kill(broker.pid, signal.SIGTERM)  # nobody wants to wait for a reader that reads nothing
            process = broker._process
            assert process is not None
            assert process.wait(30) == 0
        broker.stop()
        assert "Traceback" not in broker.log


def test_a_stop_does_not_mind_half_said_requests(tmp_path):
    with Ottla(data_dir=tmp_path) as broker, talking(broker, 50) as clients:
        for index, client in enumerate(clients):
            client.send(b"\0\0\0\x10" if index % 2 else b"\x05\0\0\0\0\0")
        broker.stop()
        assert "Traceback" not in broker.log
