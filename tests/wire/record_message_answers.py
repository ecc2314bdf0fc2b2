"""Records what a broker answers to each of ``produced_messages``, and what it stores.

Run against a fresh Apache 3.9.1, into ``golden/message-answers.tsv``:
``python -m tests.wire.record_message_answers localhost:9092``
"""

import struct
import sys
from collections.abc import Iterator

from kafka.admin import KafkaAdminClient, NewTopic

from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from tests.wire.produced_messages import TOPICS, cases
from tests.wire.record_produce_answers import Broker, string


def produce(broker: Broker, topic: str, version: int, records: bytes) -> tuple[int, int]:
    """Error code and base offset, by a Produce of the versions 0 to 2."""
    body = struct.pack(">hii", -1, 5000, 1) + string(topic) + struct.pack(">iii", 1, 0, len(records)) + records
    answer = broker.ask(0, version, body)
    _, code, base_offset = struct.unpack_from(">ihq", answer, 4 + 2 + len(topic) + 4)
    return code, base_offset


def stored(broker: Broker, topic: str, offset: int) -> bytes:
    """Return the log's content, by a Fetch of version 10, the first that gets all codecs."""
    asked = struct.pack(">iiqqi", 0, -1, offset, -1, 1 << 20)
    limits = struct.pack(">iiiibii", -1, 500, 1, 1 << 20, 0, 0, -1)
    body = limits + struct.pack(">i", 1) + string(topic) + struct.pack(">i", 1) + asked + struct.pack(">i", 0)
    answer = broker.ask(1, 10, body)
    position = 4 + 2 + 4 + 4 + 2 + len(topic) + 4
    aborted = struct.unpack_from(">ihqqqi", answer, position)[5]
    return answer[position + 34 + max(aborted, 0) * 16 + 4 :]


def lines(address: str) -> Iterator[str]:
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics([NewTopic(name, 1, 1, topic_configs=configs) for name, configs in TOPICS.items()])
    admin.close()
    broker = Broker(address)
    for topic in TOPICS:
        while produce(broker, topic, 2, b"")[0] != ErrorCode.NONE:
            pass  # the topic's leader is not there yet
    yield "# Apache Kafka 3.9.1, by tests/wire/record_message_answers.py: case, topic, version, error code,"
    yield "# and of the batch that it stored: attributes, records, max timestamp (now: its own)"
    for name, topic, version, records in cases():
        code, base_offset = produce(broker, topic, version, records)
        kept = ["", "", ""]
        if code == 0 and base_offset >= 0:
            header = read_header(stored(broker, topic, base_offset))
            now = "now" if topic == "appended" else str(header.max_timestamp)
            kept = [str(header.attributes), str(header.record_count), now]
        yield "\t".join([name, topic, str(version), str(code), *kept])


if __name__ == "__main__":
    for line in lines(sys.argv[1]):
        print(line, flush=True)
