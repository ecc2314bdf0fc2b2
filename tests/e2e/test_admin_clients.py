"""Stock admin clients of two families make, change, look at and delete topics on a running broker."""

from collections.abc import Iterator

import confluent_kafka
import confluent_kafka.admin as confluent
import kafka
import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import InvalidPartitionsError, TopicAlreadyExistsError, UnknownTopicOrPartitionError

from ottla.testing import Ottla

TIMEOUT_S = 30
Code = confluent_kafka.KafkaError


@pytest.fixture(scope="module")
def broker() -> Iterator[Ottla]:
    with Ottla() as broker:
        yield broker


@pytest.fixture
def python_admin(broker):
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap, request_timeout_ms=TIMEOUT_S * 1000)
    yield client
    client.close()


@pytest.fixture
def librdkafka_admin(broker):
    return confluent.AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 3})


def results(futures):
    return {str(key): future.result(TIMEOUT_S) for key, future in futures.items()}


def failure(futures):
    (future,) = futures.values()
    with pytest.raises(confluent_kafka.KafkaException) as raised:
        future.result(TIMEOUT_S)
    return raised.value.args[0]


def test_kafka_python_runs_a_topic_from_birth_to_end(python_admin):
    admin = python_admin
    topic = NewTopic("python", num_partitions=2, replication_factor=-1, topic_configs={"retention.ms": "1000"})
    admin.create_topics([topic])
    assert "python" in admin.list_topics()
    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topics([topic])

    admin.create_partitions({"python": 3})
    assert len(admin.describe_topics(["python"])[0]["partitions"]) == 3
    with pytest.raises(InvalidPartitionsError):
        admin.create_partitions({"python": 3})

    changes = {"segment.ms": ("SET", "7"), "retention.ms": ("DELETE", None), "cleanup.policy": ("APPEND", "compact")}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "python", changes)])
    shown = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "python")])["topic"]["python"]
    set_here = {name: each["value"] for name, each in shown.items() if each["config_source"] == "DYNAMIC_TOPIC_CONFIG"}
    assert set_here == {"segment.ms": "7", "cleanup.policy": "delete,compact"}

    admin.delete_topics(["python"])
    assert "python" not in admin.list_topics()
    with pytest.raises(UnknownTopicOrPartitionError):
        admin.delete_topics(["python"])


def test_kafka_python_deletes_records_and_sees_the_log_directory(broker, python_admin):
    producer = kafka.KafkaProducer(bootstrap_servers=broker.bootstrap)
    for _ in range(10):
        producer.send("records", b"value", partition=0)
    producer.close()
    partition = kafka.TopicPartition("records", 0)
    assert python_admin.delete_records({partition: 4})[partition]["low_watermark"] == 4
    consumer = kafka.KafkaConsumer(bootstrap_servers=broker.bootstrap)
    assert consumer.beginning_offsets([partition]) == {partition: 4}
    consumer.close()
    (node,) = python_admin.describe_log_dirs({"records": [0]})
    (directory,) = node["log_dirs"]
    assert directory["log_dir"] == str(broker.data_dir)
    (shown,) = directory["topics"]
    assert shown["partitions"][0]["partition_size"] > 0


def test_librdkafka_runs_a_topic_from_birth_to_end(librdkafka_admin):
    admin = librdkafka_admin
    topic = confluent.NewTopic("librdkafka", num_partitions=2, config={"retention.ms": "1000"})
    assert results(admin.create_topics([topic], validate_only=True)) == {"librdkafka": None}
    assert results(admin.create_topics([topic])) == {"librdkafka": None}
    refused = failure(admin.create_topics([topic]))
    assert (refused.code(), refused.str()) == (Code.TOPIC_ALREADY_EXISTS, "Topic librdkafka already exists")

    assert results(admin.create_partitions([confluent.NewPartitions("librdkafka", 3)])) == {"librdkafka": None}
    assert len(admin.list_topics("librdkafka", timeout=TIMEOUT_S).topics["librdkafka"].partitions) == 3
    refused = failure(admin.create_partitions([confluent.NewPartitions("librdkafka", 1)]))
    assert refused.code() == Code.INVALID_PARTITIONS

    resource = confluent.ConfigResource(
        confluent.ResourceType.TOPIC,
        "librdkafka",
        incremental_configs=[
            confluent.ConfigEntry("segment.ms", "7", incremental_operation=confluent.AlterConfigOpType.SET)
        ],
    )
    results(admin.incremental_alter_configs([resource]))
    (shown,) = results(admin.describe_configs([resource])).values()
    assert (shown["segment.ms"].value, shown["segment.ms"].source) == ("7", 1)
    assert (shown["segment.bytes"].value, shown["segment.bytes"].is_default) == ("1073741824", True)
    assert list(shown["segment.bytes"].synonyms) == ["log.segment.bytes"]

    assert results(admin.delete_topics(["librdkafka"])) == {"librdkafka": None}
    assert failure(admin.delete_topics(["librdkafka"])).code() == Code.UNKNOWN_TOPIC_OR_PART


def test_librdkafka_reads_the_brokers_settings_and_changes_those_that_may_change(librdkafka_admin):
    def broker(*settings):
        entries = [
            confluent.ConfigEntry(name, value, incremental_operation=confluent.AlterConfigOpType.SET)
            for name, value in settings
        ]
        return confluent.ConfigResource(confluent.ResourceType.BROKER, "1", incremental_configs=entries)

    results(librdkafka_admin.incremental_alter_configs([broker(("log.retention.ms", "7"))]))
    (shown,) = results(librdkafka_admin.describe_configs([broker()])).values()
    assert (shown["log.retention.ms"].value, shown["log.retention.ms"].is_read_only) == ("7", False)
    assert (shown["node.id"].value, shown["node.id"].is_read_only) == ("1", True)
    refused = failure(librdkafka_admin.incremental_alter_configs([broker(("node.id", "2"))]))
    assert refused.code() == Code.INVALID_REQUEST


def test_librdkafka_deletes_records(librdkafka_admin):
    results(librdkafka_admin.create_topics([confluent.NewTopic("empty", num_partitions=1)]))
    partition = confluent_kafka.TopicPartition("empty", 0, confluent_kafka.OFFSET_END)
    (deleted,) = librdkafka_admin.delete_records([partition]).values()
    assert deleted.result(TIMEOUT_S).low_watermark == 0
    partition = confluent_kafka.TopicPartition("empty", 0, 1)
    assert failure(librdkafka_admin.delete_records([partition])).code() == Code.OFFSET_OUT_OF_RANGE
