"""Records what a broker answers to each of ``produced_batches``, and what it stores.

Run against a fresh Apache broker, into ``golden/produce-answers.tsv``:
``python -m tests.wire.record_produce_answers localhost:9092``
"""

import socket
import struct
import sys
from collections.abc import Iterator

from kafka.admin import KafkaAdminClient, NewTopic

from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from tests.wire.produced_batches import TOPICS, cases


def string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


class Broker:
    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), 10)

    def ask(self, api: int, version: int, body: bytes) -> bytes:
        frame = struct.pack(">hhi", api, version, 1) + string("recorder") + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        (size,) = struct.unpack(">i", self._receive(4))
        return self._receive(size)[4:]

    def produce(self, topic: str, records: bytes) -> tuple[int, int, list[int]]:
        """Error code, base offset, indexes of refused records."""
        body = struct.pack(">hhii", -1, -1, 5000, 1) + string(topic) + struct.pack(">iii", 1, 0, len(records)) + records
        answer = self.ask(0, 8, body)
        position = 4 + 2 + len(topic) + 4
        _, code, base_offset, _, _, refused = struct.unpack_from(">ihqqqi", answer, position)
        position += 34
        indexes = []
        for _ in range(refused):
            index, size = struct.unpack_from(">ih", answer, position)
            indexes.append(index)
            position += 6 + max(size, 0)
        return code, base_offset, indexes

    def stored(self, topic: str, offset: int) -> bytes:
        body = struct.pack(">iiiibi", -1, 500, 1, 1 << 20, 0, 1) + string(topic)
        answer = self.ask(1, 4, body + struct.pack(">iiqi", 1, 0, offset, 1 << 20))
        position = 4 + 4 + 2 + len(topic) + 4
        aborted = struct.unpack_from(">ihqqi", answer, position)[4]
        return answer[position + 26 + max(aborted, 0) * 16 + 4 :]

    def _receive(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            received += self.socket.recv(size - len(received)) or sys.exit("the broker closed the connection")
        return received


def lines(address: str) -> Iterator[str]:
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics([NewTopic(name, 1, 1, topic_configs=configs) for name, configs in TOPICS.items()])
    admin.close()
    broker = Broker(address)
    for topic in TOPICS:
        while broker.produce(topic, b"")[0] != ErrorCode.INVALID_RECORD:
            pass  # the topic's leader is not there yet
    yield "# Apache Kafka 4.3.1, by tests/wire/record_produce_answers.py: case, topic, error code, refused records,"
    yield "# and of the batch that it stored: attributes, max timestamp (now: its own), size"
    for name, topic, records in cases():
        code, base_offset, refused = broker.produce(topic, records)
        stored = ["", "", ""]
        if code == 0:
            header = read_header(broker.stored(topic, base_offset))
            now = "now" if topic == "appended" else str(header.max_timestamp)
            stored = [str(header.attributes), now, str(header.size)]
        yield "\t".join([name, topic, str(code), ",".join(map(str, refused)), *stored])


if __name__ == "__main__":
    for line in lines(sys.argv[1]):
        print(line, flush=True)
