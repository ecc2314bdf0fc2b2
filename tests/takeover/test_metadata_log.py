"""An Apache metadata log becomes an image of its cluster; what in it cannot be read is named.

takeover/metadata_log and takeover/metadata_image.

``apache-4.3.1-metadata`` is from the story of tests/apache/test_takeover.py, with the newest of its snapshots.
"""

import shutil
from pathlib import Path

import pytest

from ottla.takeover.metadata_image import MetadataImage
from ottla.takeover.metadata_log import ABOUT_PROCESSES, KINDS, MetadataLogError, decode_record, read_metadata
from ottla.wire.errors import ProtocolError
from ottla.wire.messages.metadata_records import (
    AbortTransactionRecord,
    AccessControlEntryRecord,
    BeginTransactionRecord,
    ClearElrRecord,
    ClientQuotaRecord,
    ConfigRecord,
    DelegationTokenRecord,
    EndTransactionRecord,
    FeatureLevelRecord,
    PartitionChangeRecord,
    ProducerIdsRecord,
    RemoveAccessControlEntryRecord,
    RemoveDelegationTokenRecord,
    RemoveTopicRecord,
    RemoveUserScramCredentialRecord,
    UserScramCredentialRecord,
)
from ottla.wire.schema import MetadataRecord
from tests.stage.apache.metadata import NO_OP, frame, topic, topic_id, write_log, write_snapshot

APACHE = Path(__file__).parent / "apache-4.3.1-metadata"
FIRST_SEGMENT = f"{0:020d}.log"


def names(folder: Path, *, was_clean: bool = True) -> list[str]:
    """The topics that the log knows."""
    return sorted(each.name for each in MetadataImage.of(read_metadata(folder, was_clean=was_clean)).topics.values())


def image(*records: MetadataRecord) -> MetadataImage:
    return MetadataImage.of(records)


def test_apaches_snapshot_and_the_log_after_it_say_what_the_whole_log_says(tmp_path):
    shutil.copyfile(APACHE / FIRST_SEGMENT, tmp_path / FIRST_SEGMENT)
    whole = MetadataImage.of(read_metadata(tmp_path, was_clean=True))
    found = MetadataImage.of(read_metadata(APACHE, was_clean=True))
    assert {key: value for key, value in vars(found).items() if key != "configs"} == {
        key: value for key, value in vars(whole).items() if key != "configs"
    }
    assert found.configs == {key: value for key, value in whole.configs.items() if value}
    assert {topic.name: len(topic.partitions) for topic in found.topics.values()} == {
        "__consumer_offsets": 3,
        "__transaction_state": 2,
        "appended": 1,
        "codecs": 5,
        "compacted": 1,
        "small": 1,
        "swapped": 1,
        "transactions": 1,
    }
    assert found.configs[2, "compacted"] == {
        "cleanup.policy": "compact",
        "retention.ms": "100000",
        "segment.ms": "60000",
    }
    (partition,) = (
        each for topic in found.topics.values() if topic.name == "small" for each in topic.partitions.values()
    )
    assert (partition.replicas, partition.isr, partition.leader_epoch) == ([1], [1], 2)
    assert (found.next_producer_id, found.features["metadata.version"]) == (1000, 30)
    assert list(found.scram_credentials) == [("alice", 2)]


def test_every_segment_is_read_and_records_about_processes_are_passed_over(tmp_path):
    write_log(tmp_path, [*topic("a"), NO_OP], [NO_OP])
    write_log(tmp_path, topic("b"), base_offset=4)
    assert names(tmp_path) == ["a", "b"]


def test_a_snapshot_stands_for_what_is_before_it(tmp_path):
    write_log(tmp_path, topic("gone"), topic("seen"))
    write_snapshot(tmp_path, topic("snapshot"), end_offset=4)
    write_log(tmp_path, topic("later"), base_offset=4)
    assert names(tmp_path) == ["later", "snapshot"]


def test_the_newest_snapshot_counts(tmp_path):
    write_snapshot(tmp_path, topic("old"), end_offset=4)
    write_snapshot(tmp_path, topic("new"), end_offset=9)
    write_log(tmp_path, [*topic("in-the-old-one"), *[NO_OP] * 3], base_offset=4)
    assert names(tmp_path) == ["new"]


def test_a_snapshot_without_its_footer_is_refused(tmp_path):
    write_snapshot(tmp_path, topic("a"), end_offset=4, whole=False)
    with pytest.raises(MetadataLogError, match="cut off"):
        names(tmp_path)


def test_a_log_that_begins_after_the_snapshot_has_lost_something(tmp_path):
    write_snapshot(tmp_path, topic("a"), end_offset=4)
    write_log(tmp_path, topic("b"), base_offset=6)
    with pytest.raises(MetadataLogError, match="lacks the records from offset 4 to 5"):
        names(tmp_path)


def test_a_segment_that_is_missing_is_seen(tmp_path):
    write_log(tmp_path, topic("a"))
    write_log(tmp_path, topic("b"), base_offset=5)
    with pytest.raises(MetadataLogError, match="lacks the offsets 2 to 4"):
        names(tmp_path)


def test_an_empty_folder_is_no_metadata_log(tmp_path):
    with pytest.raises(MetadataLogError, match="neither a log nor a snapshot"):
        names(tmp_path)


@pytest.mark.parametrize("cut", [1, 61, 80])
def test_a_torn_tail_is_passed_over_only_after_a_crash(tmp_path, cut):
    path = write_log(tmp_path, topic("a"), topic("b"))
    path.write_bytes(path.read_bytes()[:-cut])
    assert names(tmp_path, was_clean=False) == ["a"]
    with pytest.raises(MetadataLogError, match="is damaged"):
        names(tmp_path, was_clean=True)


def test_damage_before_the_last_segment_is_never_passed_over(tmp_path):
    path = write_log(tmp_path, topic("a"))
    write_log(tmp_path, topic("b"), base_offset=2)
    content = bytearray(path.read_bytes())
    content[70] ^= 1
    path.write_bytes(content)
    with pytest.raises(MetadataLogError, match="is damaged"):
        names(tmp_path, was_clean=False)


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (bytes([0, 2, 0]), "frame has version 0"),
        (bytes([1, 99, 0]), "kind 99"),
        (bytes([1, 3, 9]), "PartitionRecord of version 9"),
        (bytes([1, 2, 0, 50]), "TopicRecord"),
        (b"", "cut off"),
    ],
)
def test_what_is_not_known_is_named_with_its_place(tmp_path, record, sentence):
    write_log(tmp_path, [NO_OP], [record])
    with pytest.raises(MetadataLogError, match="batch at offset 1") as refusal:
        names(tmp_path)
    assert sentence in str(refusal.value)


def test_any_cut_of_a_record_is_an_error():
    whole = frame(topic("a")[1])
    assert decode_record(whole) == topic("a")[1]
    for end in range(len(whole)):
        with pytest.raises(ProtocolError):
            decode_record(whole[:end])


def test_every_kind_is_either_read_or_about_processes():
    assert not KINDS.keys() & ABOUT_PROCESSES


def test_a_topic_is_the_sum_of_its_records():
    change = PartitionChangeRecord(partition_id=1, topic_id=topic_id("a"), isr=[2, 1], leader=2, replicas=[1, 2])
    quiet = PartitionChangeRecord(partition_id=1, topic_id=topic_id("a"), isr=[], eligible_leader_replicas=[1])
    (found,) = image(*topic("a", partitions=2), change, quiet).topics.values()
    assert found.partitions[0].leader_epoch == 3
    partition = found.partitions[1]
    assert (partition.replicas, partition.isr, partition.eligible, partition.leader_epoch) == ([1, 2], [], [1], 4)
    assert partition.is_whole_on(1)
    assert not partition.is_whole_on(2)


def test_a_replica_is_whole_in_the_isr_among_the_eligible_or_alone():
    def partition(**values: object) -> bool:
        change = PartitionChangeRecord(partition_id=0, topic_id=topic_id("a"), **values)
        (found,) = image(*topic("a", replicas=[1, 2]), change).topics.values()
        return found.partitions[0].is_whole_on(1)

    assert partition(isr=[1])
    assert not partition(isr=[2])
    assert partition(isr=[2], eligible_leader_replicas=[1])
    assert partition(isr=[], replicas=[1])


def test_eligible_leaders_can_be_forgotten():
    change = PartitionChangeRecord(partition_id=0, topic_id=topic_id("a"), isr=[], eligible_leader_replicas=[1])
    for name in ("", "a"):
        (found,) = image(*topic("a", replicas=[1, 2]), change, ClearElrRecord(topic_name=name)).topics.values()
        assert found.partitions[0].eligible == []
    (found,) = image(*topic("a", replicas=[1, 2]), change, ClearElrRecord(topic_name="b")).topics.values()
    assert found.partitions[0].eligible == [1]


def test_a_deleted_topic_takes_its_settings_along():
    records = topic("a", retention_ms="1")
    deleted = image(*records, RemoveTopicRecord(topic_id=topic_id("a")))
    assert (deleted.topics, deleted.configs) == ({}, {})


def test_a_setting_can_be_taken_back():
    back = ConfigRecord(resource_type=2, resource_name="a", name="retention.ms", value=None)
    assert image(*topic("a", retention_ms="1", segment_ms="2"), back).configs == {(2, "a"): {"segment.ms": "2"}}


def test_of_a_transaction_all_counts_or_nothing():
    begin, end = BeginTransactionRecord(name="x"), EndTransactionRecord()
    assert len(image(begin, *topic("a"), end, *topic("b")).topics) == 2
    assert len(image(begin, *topic("a"), AbortTransactionRecord(reason="x"), *topic("b")).topics) == 1
    assert len(image(*topic("b"), begin, *topic("a")).topics) == 1


def test_producer_ids_and_features_are_the_latest():
    found = image(
        ProducerIdsRecord(broker_id=1, next_producer_id=2000),
        ProducerIdsRecord(broker_id=1, next_producer_id=1000),
        FeatureLevelRecord(name="metadata.version", feature_level=29),
        FeatureLevelRecord(name="metadata.version", feature_level=30),
    )
    assert (found.next_producer_id, found.features) == (2000, {"metadata.version": 30})


def test_security_and_quotas_are_counted_while_they_stand():
    acl = AccessControlEntryRecord(
        id=bytes(16),
        resource_type=2,
        resource_name="a",
        pattern_type=3,
        principal="User:x",
        host="*",
        operation=2,
        permission_type=3,
    )
    scram = UserScramCredentialRecord(name="x", mechanism=1, salt=b"", stored_key=b"", server_key=b"", iterations=1)
    token = DelegationTokenRecord(
        owner="x", requester="x", renewers=[], issue_timestamp=0, max_timestamp=0, expiration_timestamp=0, token_id="t"
    )

    def quota(*, remove: bool) -> ClientQuotaRecord:
        entity = [ClientQuotaRecord.EntityData(entity_type="user", entity_name=None)]
        return ClientQuotaRecord(entity=entity, key="producer_byte_rate", value=1.0, remove=remove)

    def counts(*records: MetadataRecord) -> list[int]:
        found = image(*records)
        return [
            len(found.acls),
            len(found.scram_credentials),
            len(found.delegation_tokens),
            sum(map(len, found.quotas.values())),
        ]

    there = [acl, scram, token, quota(remove=False)]
    assert counts(*there) == [1, 1, 1, 1]
    gone = [
        RemoveAccessControlEntryRecord(id=bytes(16)),
        RemoveUserScramCredentialRecord(name="x", mechanism=1),
        RemoveDelegationTokenRecord(token_id="t"),
        quota(remove=True),
    ]
    assert counts(*there, *gone) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "record",
    [RemoveTopicRecord(topic_id=bytes(16)), PartitionChangeRecord(partition_id=7, topic_id=topic_id("a"))],
    ids=["topic", "partition"],
)
def test_a_record_about_what_is_not_there_is_refused(record):
    with pytest.raises(MetadataLogError):
        image(*topic("a"), record)
