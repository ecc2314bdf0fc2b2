"""Topics' settings take effect when they are changed, without a restart: what is seen of each from outside."""

import pytest

from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.messages.configs import IncrementalAlterConfigsRequest
from tests.stage.clients import batch_of, fetch_one, new_topic, produce

NONE = ErrorCode.NONE
SET = 0
TOPIC = 2


@pytest.fixture
def topic(broker):
    return new_topic(broker)


def change(broker, name, value):
    """Change a setting of the topic as an admin client does."""
    config = IncrementalAlterConfigsRequest.Resource.Config(name=name, config_operation=SET, value=value)
    resource = IncrementalAlterConfigsRequest.Resource(resource_type=TOPIC, resource_name="topic", configs=[config])
    response = broker.ask(IncrementalAlterConfigsRequest(resources=[resource], validate_only=False), 1)
    assert response.responses[0].error_code == NONE


def code(answer):
    return ErrorCode(answer.error_code)


def segments(topic):
    return len(topic.partitions[0].log.segments)


def files(broker, suffix):
    return sorted((broker.cluster.directory.root / "topic-0").glob(f"*{suffix}"))


@pytest.mark.parametrize(
    ("name", "value", "batch", "expected"),
    [
        ("max.message.bytes", "500", lambda _: batch_of([bytes(1000)]), ErrorCode.MESSAGE_TOO_LARGE),
        ("cleanup.policy", "compact", lambda _: batch_of(key=None), ErrorCode.INVALID_RECORD),
        ("cleanup.policy", "compact,delete", lambda _: batch_of(key=None), ErrorCode.INVALID_RECORD),
        (
            "message.timestamp.before.max.ms",
            "1000",
            lambda now: batch_of(timestamp=now - 2000),
            ErrorCode.INVALID_TIMESTAMP,
        ),
        (
            "message.timestamp.after.max.ms",
            "1000",
            lambda now: batch_of(timestamp=now + 2000),
            ErrorCode.INVALID_TIMESTAMP,
        ),
    ],
)
def test_what_a_setting_forbids_is_refused_from_now_on(broker, topic, name, value, batch, expected):  # noqa: PLR0917
    topic.partitions[0].replicas.append(2)  # more replicas than there are cannot be asked for
    now = broker.clock.wall_ms()
    assert code(produce(broker, batch(now))) == NONE
    change(broker, name, value)
    assert code(produce(broker, batch(now))) == expected


def test_timestamps_are_the_brokers_from_now_on(broker, topic):
    assert produce(broker).log_append_time_ms == -1
    change(broker, "message.timestamp.type", "LogAppendTime")
    assert produce(broker).log_append_time_ms == broker.clock.wall_ms()


def test_batches_are_compressed_from_now_on(broker, topic):
    produce(broker)
    change(broker, "compression.type", "zstd")
    produce(broker)
    assert [read_header(bytes(fetch_one(broker, offset).records)).codec for offset in (0, 1)] == [0, 4]


@pytest.mark.parametrize(
    ("name", "value"),
    [("segment.bytes", str(1 << 20)), ("segment.ms", "1"), ("segment.index.bytes", "12")],
)
def test_a_segment_that_is_over_a_new_limit_rolls_at_the_next_append(broker, topic, name, value):
    now = broker.clock.wall_ms()
    for _ in range(2):
        assert code(produce(broker, batch_of([bytes(900_000)], timestamp=now - 2000))) == NONE
    assert segments(topic) == 1
    change(broker, name, value)
    assert code(produce(broker, batch_of(timestamp=now))) == NONE
    assert segments(topic) == 2


def test_index_entries_are_as_dense_as_the_setting_says_from_now_on(broker, topic):
    log = topic.partitions[0].log
    for _ in range(5):
        produce(broker)
    before = log.segments[0].index.entries
    change(broker, "index.interval.bytes", "0")
    for _ in range(5):
        produce(broker)
    assert (before, log.segments[0].index.entries) == (0, 5)


def test_the_next_segment_is_preallocated(broker, topic):
    now = broker.clock.wall_ms()
    assert code(produce(broker, batch_of(timestamp=now - 2000))) == NONE
    change(broker, "preallocate", "true")
    change(broker, "segment.bytes", str(1 << 20))
    change(broker, "segment.ms", "1")
    assert code(produce(broker, batch_of(timestamp=now))) == NONE
    assert [path.stat().st_size == 1 << 20 for path in files(broker, ".log")] == [False, True]
