"""The committed offsets of all groups, as the records of the log and the ends of transactions make them."""

from ottla.broker.coordinators.groups.offsets import Offsets
from ottla.wire.messages.group_records import OffsetCommitKey, OffsetCommitValue
from ottla.wire.schema import ZERO_UUID
from tests.stage.clock import START_MS
from tests.stage.groups import GROUP, TOPIC_ID

KEY = OffsetCommitKey(group=GROUP, topic="topic", partition=0)


def key(partition, *, group=GROUP, topic="topic"):
    return OffsetCommitKey(group=group, topic=topic, partition=partition)


def value(offset, **fields):
    return OffsetCommitValue(offset=offset, metadata="", commit_timestamp=START_MS, **fields)


def test_the_last_record_of_a_partition_counts():
    offsets = Offsets()
    offsets.apply(KEY, value(1), record_offset=0)
    offsets.apply(KEY, value(2), record_offset=1)
    assert offsets.of_group(GROUP)["topic"][0].offset == 2


def test_what_has_no_offset_any_more_is_forgotten_whole():
    offsets = Offsets()
    offsets.apply(key(0), value(1), record_offset=0)
    offsets.apply(key(1), value(1), record_offset=1)
    offsets.apply(key(0), None, record_offset=2)
    assert list(offsets.of_group(GROUP)["topic"]) == [1]
    offsets.apply(key(1), None, record_offset=3)
    offsets.apply(key(1), None, record_offset=4)
    assert offsets.of_group(GROUP) == {}
    assert offsets.groups_with("topic") == []


def test_groups_partitions_and_topics_are_found_with_what_is_pending():
    offsets = Offsets()
    offsets.apply(key(0), value(1), record_offset=0)
    offsets.apply(key(0), value(2), record_offset=1, producer_id=7)
    offsets.apply(key(1), value(3), record_offset=2, producer_id=8)
    offsets.apply(key(0, group="other"), value(4), record_offset=3, producer_id=8)
    offsets.apply(key(0, group="third", topic="elsewhere"), value(5), record_offset=4)
    assert sorted(offsets.partitions_of(GROUP)) == [("topic", 0), ("topic", 1)]
    assert sorted(offsets.groups_with("topic")) == sorted([GROUP, "other"])
    assert sorted((partition, each.offset) for partition, each in offsets.pending_of(GROUP, "topic")) == [
        (0, 2),
        (1, 3),
    ]
    assert offsets.is_pending(GROUP, "topic", 1)
    assert not offsets.is_pending(GROUP, "topic", 2)
    assert not offsets.has_pending("third")


def test_an_offset_may_be_a_topics_with_its_id_or_with_one_that_is_not_known():
    offsets = Offsets()
    offsets.apply(key(0), value(1, topic_id=TOPIC_ID), record_offset=0)
    offsets.apply(key(1), value(1), record_offset=1)
    known, unknown = offsets.of_group(GROUP)["topic"].values()
    assert known.is_of(TOPIC_ID)
    assert known.is_of(ZERO_UUID)
    assert not known.is_of(b"x" * 16)
    assert unknown.is_of(b"x" * 16)


# --- transactions, as the log tells of them


def test_what_a_transaction_commits_counts_only_after_its_marker():
    offsets = Offsets()
    offsets.apply(KEY, value(1), record_offset=0)
    offsets.apply(KEY, value(2), record_offset=1, producer_id=7)
    assert offsets.of_group(GROUP)["topic"][0].offset == 1
    assert offsets.is_pending(GROUP, "topic", 0)
    offsets.end_transaction(7, committed=True)
    assert offsets.of_group(GROUP)["topic"][0].offset == 2
    assert not offsets.has_pending(GROUP)


def test_what_an_aborted_transaction_committed_is_gone():
    offsets = Offsets()
    offsets.apply(KEY, value(2), record_offset=1, producer_id=7)
    offsets.end_transaction(7, committed=False)
    assert offsets.of_group(GROUP) == {}
    assert not offsets.has_pending(GROUP)


def test_a_commit_made_after_the_transactions_own_stays():
    offsets = Offsets()
    offsets.apply(KEY, value(2), record_offset=1, producer_id=7)
    offsets.apply(KEY, value(3), record_offset=2)
    offsets.end_transaction(7, committed=True)
    assert offsets.of_group(GROUP)["topic"][0].offset == 3


def test_a_deleted_offset_is_deleted_from_open_transactions_too():
    offsets = Offsets()
    offsets.apply(KEY, value(2), record_offset=1, producer_id=7)
    offsets.apply(KEY, None, record_offset=2)
    offsets.end_transaction(7, committed=True)
    assert offsets.of_group(GROUP) == {}
