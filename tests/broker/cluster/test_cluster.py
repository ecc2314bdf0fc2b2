"""A cluster remembers its topics over a restart, and follows those that come, grow and go."""

from base64 import urlsafe_b64encode

import pytest

from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from tests.stage.clients import batch_of, fetch_one, new_topic, produce
from tests.stage.logs import offsets
from tests.stage.single_broker import Broker


@pytest.fixture
def restart(tmp_path):
    """Starts a broker on the same folder again and again, each one closed before the next."""
    running = []

    def start(**settings):
        while running:
            running.pop().close()
        running.append(Broker(tmp_path, **settings))
        return running[-1]

    yield start
    while running:
        running.pop().close()


def test_topics_settings_and_records_survive_a_restart(restart):
    first = restart()
    topic = new_topic(first, partitions=3, retention_ms="1000")
    produce(first, batch_of([b"a", b"b"]), partition=2)
    cluster_id = first.cluster.id

    second = restart()
    again = second.cluster.topics.by_name["topic"]
    assert second.cluster.id == cluster_id
    assert again.id == topic.id
    assert second.cluster.topics.by_id[topic.id] is again
    assert again.config.texts()["retention.ms"] == "1000"
    assert [each.high_watermark for each in again.partitions] == [0, 0, 2]
    assert offsets(bytes(fetch_one(second, 0, partition=2).records)) == [0]


def test_leader_epochs_do_not_change_over_a_clean_restart(restart):
    new_topic(restart())
    assert restart().cluster.topics.partition("topic", 0).leader_epoch == 0


def test_a_deleted_topic_is_gone_for_good(restart):
    broker = restart()
    topic = new_topic(broker)
    produce(broker)
    broker.cluster.topics.delete(topic)
    assert not broker.cluster.topics.by_name
    assert not broker.cluster.topics.by_id
    assert not restart().cluster.topics.by_name


def test_the_name_of_a_deleted_topic_is_free_at_once(restart):
    broker = restart()
    old = new_topic(broker)
    produce(broker)
    broker.cluster.topics.delete(old)
    new = new_topic(broker)
    assert new.id != old.id
    assert new.partitions[0].high_watermark == 0
    produce(broker)
    assert restart().cluster.topics.partition("topic", 0).high_watermark == 1


def test_more_partitions_are_numbered_on(restart):
    broker = restart()
    topic = new_topic(broker, partitions=2)
    produce(broker, partition=1)
    broker.cluster.topics.add_partitions(topic, [[1], [1]])
    assert [each.index for each in topic.partitions] == [0, 1, 2, 3]
    produce(broker, partition=3)
    again = restart().cluster.topics.by_name["topic"]
    assert [each.high_watermark for each in again.partitions] == [0, 1, 0, 1]


def test_settings_are_in_force_at_once(restart):
    broker = restart()
    topic = new_topic(broker)
    large = batch_of([b"x" * 2000])
    broker.cluster.topics.configure(topic, {"max.message.bytes": "1000"})
    assert produce(broker, large).error_code == ErrorCode.MESSAGE_TOO_LARGE
    broker.cluster.topics.configure(topic, {})
    assert produce(broker, large).error_code == ErrorCode.NONE


def test_settings_that_are_none_change_nothing(restart):
    topic = new_topic(restart(), retention_ms="5")
    broker = restart()
    with pytest.raises(KafkaError) as refused:
        broker.cluster.topics.configure(broker.cluster.topics.by_name["topic"], {"retention.ms": "soon"})
    assert refused.value.code == ErrorCode.INVALID_CONFIG
    assert broker.cluster.topics.by_name["topic"].config.texts()["retention.ms"] == "5"
    assert broker.cluster.topics.by_name["topic"].id == topic.id


@pytest.mark.parametrize(("first", "second"), [("a.b", "a_b"), ("a_b.c", "a.b_c")])
def test_names_that_metrics_cannot_tell_apart_collide(restart, first, second):
    broker = restart()
    topic = new_topic(broker, first)
    assert broker.cluster.topics.colliding(second) == first
    assert broker.cluster.topics.colliding(first) is None
    broker.cluster.topics.delete(topic)
    assert broker.cluster.topics.colliding(second) is None


def test_topic_ids_are_never_zero_nor_begin_with_a_dash_as_text(restart):
    broker = restart()
    ids = {broker.cluster.topics.new_id() for _ in range(3000)}
    assert len(ids) == 3000
    assert not any(urlsafe_b64encode(each).startswith(b"-") for each in ids)
    assert bytes(16) not in ids


def test_finding_what_is_not_there_names_the_error(restart):
    broker = restart()
    new_topic(broker)
    for topic, index in (("nope", 0), ("topic", 1), ("topic", -1)):
        with pytest.raises(KafkaError) as refused:
            broker.cluster.topics.partition(topic, index)
        assert refused.value.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_auto_created_topics_take_the_brokers_partitions(restart):
    broker = restart(num_partitions="5")
    topic = broker.cluster.topics.create_on_demand("topic", allowed=True, may_make=lambda _: True)
    assert [each.replicas for each in topic.partitions] == [[1]] * 5


def test_what_hangs_on_a_topic_is_told_of_its_end(restart):
    broker = restart()
    topic = new_topic(broker)
    told = []
    broker.cluster.topics.on_deleted.append(told.append)
    broker.cluster.topics.delete(topic)
    assert told == [topic]


def test_a_log_that_no_topic_claims_is_put_aside(restart, tmp_path):
    new_topic(restart())
    stray = tmp_path / "unclaimed-0"
    stray.mkdir()
    assert set(restart().cluster.topics.by_name) == {"topic"}
    assert not stray.exists()
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("unclaimed-0.")]
