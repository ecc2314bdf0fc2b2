"""Committed offsets: which groups and members may commit, and how long offsets last."""

import pytest

from ottla.wire.codes import ErrorCode
from ottla.wire.messages.group_records import OffsetCommitKey, OffsetCommitValue
from ottla.wire.messages.groups import OffsetFetchRequest
from ottla.wire.schema import ZERO_UUID
from tests.stage.clock import START_MS
from tests.stage.groups import (
    GROUP,
    SETTINGS,
    TOPIC_ID,
    Scenario,
    answered,
    commit_error,
    subscription,
)

DAY = 24 * 3600
MINUTES = 60
KEY = OffsetCommitKey(group=GROUP, topic="topic", partition=0)


def value(offset, timestamp=START_MS):
    return OffsetCommitValue(offset=offset, metadata="", commit_timestamp=timestamp)


def test_members_read_back_what_they_committed():
    scenario = Scenario()
    (a,) = scenario.stable_group("a")
    assert commit_error(a.commit(42, metadata="by a", leader_epoch=3)) == ErrorCode.NONE
    found = a.fetch()
    assert (found.committed_offset, found.committed_leader_epoch, found.metadata) == (42, 3, "by a")
    nothing = a.fetch(partition=1)
    assert (nothing.committed_offset, nothing.committed_leader_epoch, nothing.metadata) == (-1, -1, "")
    assert nothing.error_code == ErrorCode.NONE


def test_null_metadata_is_read_back_as_empty():
    scenario = Scenario()
    client = scenario.client()
    client.commit(metadata=None, alone=True)
    assert client.fetch().metadata == ""


def test_a_client_may_use_a_group_for_nothing_but_its_offsets():
    scenario = Scenario()
    client = scenario.client()
    assert commit_error(client.commit(9, alone=True)) == ErrorCode.NONE
    assert scenario.state() == "Empty"
    assert client.fetch().committed_offset == 9


def test_nobody_commits_past_an_active_group():
    scenario = Scenario()
    (a,) = scenario.stable_group("a")
    assert commit_error(a.commit(alone=True)) == ErrorCode.UNKNOWN_MEMBER_ID
    a.leave()
    assert commit_error(a.commit(alone=True)) == ErrorCode.NONE


def test_commits_of_strangers_and_of_old_generations_are_refused():
    scenario = Scenario()
    (a,) = scenario.stable_group("a")
    a.generation = 0
    assert commit_error(a.commit()) == ErrorCode.ILLEGAL_GENERATION
    a.generation, a.instance = 1, "one"
    assert commit_error(a.commit()) == ErrorCode.UNKNOWN_MEMBER_ID
    stranger = scenario.client()
    stranger.member_id, stranger.generation = "x", 1
    assert commit_error(stranger.commit()) == ErrorCode.UNKNOWN_MEMBER_ID
    stranger.group_id = "nobody"
    assert commit_error(stranger.commit(version=8)) == ErrorCode.ILLEGAL_GENERATION
    assert commit_error(stranger.commit(version=9)) == ErrorCode.GROUP_ID_NOT_FOUND


def test_commits_are_welcome_while_members_join_again_but_not_before_the_new_assignment():
    scenario = Scenario()
    a, b = scenario.stable_group("a", "b")
    join = a.join()
    assert commit_error(b.commit()) == ErrorCode.NONE
    b.joined(b.join())
    a.joined(join)
    assert commit_error(b.commit()) == ErrorCode.REBALANCE_IN_PROGRESS
    a.sync()
    assert commit_error(b.commit()) == ErrorCode.NONE


def test_a_commit_counts_as_a_heartbeat():
    scenario = Scenario()
    (a,) = scenario.stable_group("a")
    for _ in range(5):
        scenario.advance(8)
        a.commit()
    assert a.heartbeat() == ErrorCode.NONE


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ("x" * 4096, ErrorCode.NONE),
        ("x" * 4097, ErrorCode.OFFSET_METADATA_TOO_LARGE),
        ("€" * 4096, ErrorCode.NONE),  # the limit is called bytes and counts UTF-16 units
        ("𝄞" * 2049, ErrorCode.OFFSET_METADATA_TOO_LARGE),
    ],
)
def test_metadata_has_a_limit(metadata, code):
    scenario = Scenario()
    client = scenario.client()
    client.commit(1, alone=True)
    assert commit_error(client.commit(2, metadata=metadata, alone=True)) == code
    assert client.fetch().committed_offset == (2 if code is ErrorCode.NONE else 1)


def test_all_offsets_of_a_group_can_be_read_without_naming_topics():
    scenario = Scenario()
    client = scenario.client()
    client.commit(1, alone=True)
    client.commit(2, partition=3, alone=True)
    client.commit(3, topic="other", alone=True)
    request = OffsetFetchRequest.Group(group_id=GROUP, topics=None)
    group = answered(scenario.coordinator.fetch_offsets(request, require_stable=False))
    found = {
        (topic.name, each.partition_index): each.committed_offset for topic in group.topics for each in topic.partitions
    }
    assert found == {("topic", 0): 1, ("topic", 3): 2, ("other", 0): 3}


def test_an_offset_of_a_deleted_topic_is_not_taken_for_one_of_its_successor():
    scenario = Scenario()
    client = scenario.client()
    client.commit(1, alone=True)
    other = bytes(reversed(range(16)))
    for topic_id, offset in [(TOPIC_ID, 1), (other, -1), (ZERO_UUID, 1)]:
        request = OffsetFetchRequest.Group(
            group_id=GROUP,
            topics=[OffsetFetchRequest.Group.Topic(name="topic", topic_id=topic_id, partition_indexes=[0])],
        )
        group = answered(scenario.coordinator.fetch_offsets(request, require_stable=False))
        assert group.topics[0].partitions[0].committed_offset == offset


def test_offsets_go_with_their_topic():
    scenario = Scenario()
    client = scenario.client()
    client.commit(1, alone=True)
    client.commit(2, topic="other", alone=True)
    scenario.coordinator.forget_topic("topic", TOPIC_ID)
    assert client.fetch().committed_offset == -1
    assert client.fetch(topic="other").committed_offset == 2
    client.commit(3, alone=True)
    scenario.coordinator.forget_topic("topic", bytes(reversed(range(16))))
    assert client.fetch().committed_offset == 3


# --- deleting by hand


def test_offsets_can_be_deleted_unless_members_read_the_topic():
    scenario = Scenario()
    (a,) = scenario.stable_group("a", protocols={"range": subscription("topic")})
    a.commit()
    a.commit(topic="old")
    assert a.delete_offset().topics[0].partitions[0].error_code == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
    assert a.delete_offset("old").topics[0].partitions[0].error_code == ErrorCode.NONE
    assert a.fetch(topic="old").committed_offset == -1
    a.leave()
    assert a.delete_offset().topics[0].partitions[0].error_code == ErrorCode.NONE
    assert a.fetch().committed_offset == -1


def test_offsets_of_groups_that_are_no_consumers_can_be_deleted_only_when_empty():
    scenario = Scenario()
    (worker,) = scenario.stable_group("a", protocol_type="connect")
    assert worker.delete_offset().error_code == ErrorCode.NON_EMPTY_GROUP
    worker.leave()
    assert worker.delete_offset().error_code == ErrorCode.NONE
    assert scenario.client(group_id="nobody").delete_offset().error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert scenario.client(group_id="").delete_offset().error_code == ErrorCode.INVALID_GROUP_ID


def test_a_consumer_whose_subscription_cannot_be_read_keeps_all_its_offsets():
    scenario = Scenario()
    (a,) = scenario.stable_group("a", protocols={"range": b"?"})
    assert a.delete_offset("any").topics[0].partitions[0].error_code == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC


# --- expiry


def test_offsets_of_a_group_age_only_from_when_its_last_member_left():
    scenario = Scenario()
    (a,) = scenario.stable_group("a")
    a.commit()
    for _ in range(9):
        a.session_timeout_ms = 1_800_000
    a.leave()
    scenario.advance(6 * DAY)
    assert a.fetch().committed_offset == 5
    scenario.advance(DAY + 10 * MINUTES)
    assert a.fetch().committed_offset == -1
    assert scenario.state() == "Dead"
    assert scenario.durable() == {}


def test_offsets_of_a_simple_client_age_from_each_commit():
    scenario = Scenario()
    client = scenario.client()
    client.commit(1, alone=True)
    scenario.advance(4 * DAY)
    client.commit(2, partition=1, alone=True)
    scenario.advance(3 * DAY + 10 * MINUTES)
    assert client.fetch().committed_offset == -1
    assert client.fetch(partition=1).committed_offset == 2
    assert scenario.state() == "Empty"


def test_in_a_stable_group_only_offsets_of_topics_that_nobody_reads_age():
    scenario = Scenario(SETTINGS._replace(offsets_retention_ms=60_000, offsets_retention_check_interval_ms=1000))
    (a,) = scenario.stable_group("a", session_timeout_ms=600_000)
    a.commit()
    a.commit(topic="old")
    scenario.advance(62)
    assert a.fetch().committed_offset == 5
    assert a.fetch(topic="old").committed_offset == -1


def test_a_commit_may_bring_its_own_retention():
    scenario = Scenario(SETTINGS._replace(offsets_retention_check_interval_ms=1000))
    client = scenario.client()
    client.commit(1, retention_time_ms=30_000, alone=True)
    scenario.advance(29)
    assert client.fetch().committed_offset == 1
    scenario.advance(2)
    assert client.fetch().committed_offset == -1


def test_a_retention_longer_than_time_is_for_ever():
    client = Scenario().client()
    client.commit(1, retention_time_ms=2**63 - 1, alone=True)
    assert client.fetch().committed_offset == 1


def test_many_old_offsets_are_forgotten_in_several_batches():
    scenario = Scenario(SETTINGS._replace(offsets_retention_check_interval_ms=1000))
    client = scenario.client()
    for partition in range(2500):
        client.commit(1, partition=partition, retention_time_ms=1000, alone=True)
    scenario.advance(3)
    assert client.fetch(partition=2499).committed_offset == -1
    assert scenario.state() == "Dead"


def test_many_groups_are_cleaned_in_turns():
    scenario = Scenario(SETTINGS._replace(offsets_retention_check_interval_ms=1000))
    for number in range(250):
        scenario.client(group_id=f"group {number}").commit(1, retention_time_ms=500, alone=True)
    scenario.advance(1)
    assert scenario.durable() == {}
