"""A topic follows its settings: its logs do, and so does what is looked at in each batch."""

import pytest

from ottla.broker.settings.topic_config import TopicConfig
from ottla.broker.topics.compression import Compression
from ottla.wire.codes import ErrorCode
from ottla.wire.compression import GZIP
from ottla.wire.errors import KafkaError
from tests.stage.clients import batch_of, new_topic
from tests.stage.single_broker import Broker


def configure(broker, topic, **configs):
    overrides = {name.replace("_", "."): value for name, value in configs.items()}
    topic.configure(TopicConfig(broker.cluster.config, overrides))


def test_logs_have_the_new_settings_at_once(broker):
    topic = new_topic(broker, partitions=2)
    configure(broker, topic, segment_bytes="2000000")
    assert [partition.log.config.segment_bytes for partition in topic.partitions] == [2_000_000] * 2
    assert topic.log_config.segment_bytes == 2_000_000


def test_a_batchs_header_is_enough_where_no_setting_looks_at_records(broker):
    topic = new_topic(broker)
    assert not topic.reads_records
    assert not topic.looks_inside


@pytest.mark.parametrize(
    ("name", "value"), [("cleanup_policy", "compact"), ("message_timestamp_before_max_ms", "1000")]
)
def test_records_are_read_where_a_setting_is_about_them(broker, name, value):
    topic = new_topic(broker)
    configure(broker, topic, **{name: value})
    assert topic.reads_records
    assert topic.looks_inside
    configure(broker, topic)
    assert not topic.looks_inside


def test_records_are_read_where_the_broker_validates_them(tmp_path):
    broker = Broker(tmp_path, record_validation="full")
    assert new_topic(broker).reads_records
    broker.close()


def test_a_codec_of_the_topics_own_looks_inside_but_reads_no_record(broker):
    topic = new_topic(broker)
    configure(broker, topic, compression_type="gzip", compression_gzip_level="3")
    assert topic.compression == Compression(GZIP, 3)
    assert (topic.reads_records, topic.looks_inside) == (False, True)


def test_a_partition_is_found_by_its_index(broker):
    topic = new_topic(broker, partitions=2)
    assert topic.partition(1) is topic.partitions[1]
    for index in (2, -1):
        with pytest.raises(KafkaError) as refused:
            topic.partition(index)
        assert refused.value.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_a_compacted_topic_refuses_records_without_a_key(broker):
    topic = new_topic(broker, cleanup_policy="compact")
    now = broker.clock.wall_ms()
    assert topic.check_records(memoryview(batch_of([b"a", b"b"], timestamp=now)), now) == now + 1
    with pytest.raises(KafkaError) as refused:
        topic.check_records(memoryview(batch_of([b"a"], key=None)), now)
    assert refused.value.code == ErrorCode.INVALID_RECORD


def test_records_older_than_the_setting_are_refused_unless_the_broker_dates_them(broker):
    now = broker.clock.wall_ms()
    old = memoryview(batch_of([b"a"], timestamp=now - 1001))
    topic = new_topic(broker, message_timestamp_before_max_ms="1000")
    with pytest.raises(KafkaError) as refused:
        topic.check_records(old, now)
    assert refused.value.code == ErrorCode.INVALID_TIMESTAMP
    configure(broker, topic, message_timestamp_before_max_ms="1000", message_timestamp_type="LogAppendTime")
    topic.check_records(old, now)
