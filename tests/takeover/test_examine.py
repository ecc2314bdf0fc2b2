"""An Apache broker's folder becomes Ottla's or is refused, and nothing is lost half-way.

takeover/examine and takeover/write.
"""

import shutil
from pathlib import Path

import pytest

from ottla.broker.quotas.limits import Quotas
from ottla.broker.security.scram_credentials import Mechanism, ScramCredentials
from ottla.broker.server import refuse_logs_of_others
from ottla.broker.user_errors import StartError
from ottla.broker.versions.features import Features
from ottla.storage.catalogs.sqlite import FILE_NAME, SqliteCatalog
from ottla.storage.files.directory_lock import DirectoryLock
from ottla.storage.producers import Producers, ProducerState
from ottla.storage.segments.recovery.producer_snapshots import encode_snapshot
from ottla.takeover.examine import Takeover, TakeoverError, describe, examined
from ottla.takeover.write import copy_logs, write_catalog
from ottla.wire.messages.metadata_records import (
    AccessControlEntryRecord,
    ClientQuotaRecord,
    ConfigRecord,
    DelegationTokenRecord,
    FeatureLevelRecord,
    PartitionChangeRecord,
    ProducerIdsRecord,
    RemoveTopicRecord,
    UserScramCredentialRecord,
)
from tests.stage.apache.metadata import CLUSTER_ID, NO_OP, apache_folder, topic, topic_id

ACL = AccessControlEntryRecord(
    id=bytes(16),
    resource_type=2,
    resource_name="a",
    pattern_type=3,
    principal="User:x",
    host="*",
    operation=2,
    permission_type=3,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "kafka"


def setting(resource_type: int, resource_name: str, name: str, value: str) -> ConfigRecord:
    return ConfigRecord(resource_type=resource_type, resource_name=resource_name, name=name, value=value)


def examine(*folders: Path, without_acls: bool = False) -> Takeover:
    with examined(folders, without_acls=without_acls) as found:
        return found


def refusal(*folders: Path) -> str:
    with pytest.raises(TakeoverError) as refused, examined(folders):
        pass
    return str(refused.value)


def catalog_of(folder: Path) -> SqliteCatalog:
    return SqliteCatalog(folder / FILE_NAME, cluster_id=CLUSTER_ID)


def test_topics_settings_and_producer_ids_go_into_the_catalog(root):
    records = [
        *topic("a", partitions=2, retention_ms="1000"),
        *topic("b"),
        *topic("gone"),
        RemoveTopicRecord(topic_id=topic_id("gone")),
        ProducerIdsRecord(broker_id=1, next_producer_id=3000),
        setting(32, "group", "consumer.session.timeout.ms", "50000"),
        setting(4, "1", "log.cleaner.threads", "2"),
        setting(4, "2", "log.cleaner.threads", "3"),
    ]
    write_catalog(examine(apache_folder(root, records, "a-0", "a-1", "b-0")), root)
    catalog = catalog_of(root)
    assert {name: (each.id, dict(each.configs)) for name, each in catalog.topics.items()} == {
        "a": (topic_id("a"), {"retention.ms": "1000"}),
        "b": (topic_id("b"), {}),
    }
    assert catalog.allocate_producer_ids(1) == range(3000, 3001)
    assert catalog.configs(32, "group") == {"consumer.session.timeout.ms": "50000"}
    assert catalog.configs(4, "1") == {"log.cleaner.threads": "2"}
    assert catalog.configs(4, "2") == {}
    catalog.close()


def test_credentials_and_features_go_into_the_catalog(root):
    records = [
        UserScramCredentialRecord(
            name="alice", mechanism=2, salt=b"salt", stored_key=b"stored", server_key=b"server", iterations=4096
        ),
        FeatureLevelRecord(name="metadata.version", feature_level=25),
        FeatureLevelRecord(name="transaction.version", feature_level=2),
    ]
    write_catalog(examine(apache_folder(root, records)), root)
    catalog = catalog_of(root)
    assert ScramCredentials(catalog).describe("alice") == [(Mechanism.SCRAM_SHA_512, 4096)]
    assert list(catalog.entries("scram").values()) == [
        {"salt": b"salt".hex(), "stored_key": b"stored".hex(), "server_key": b"server".hex(), "iterations": 4096}
    ]
    assert Features(catalog).level("metadata.version") == 25
    catalog.close()


def quota(key: str, value: float, **entity: str | None) -> ClientQuotaRecord:
    parts = [
        ClientQuotaRecord.EntityData(entity_type=kind.replace("_", "-"), entity_name=name)
        for kind, name in entity.items()
    ]
    return ClientQuotaRecord(entity=parts, key=key, value=value, remove=False)


def test_quotas_go_into_the_catalog(root):
    records = [
        quota("producer_byte_rate", 1000.0, user="alice", client_id=None),
        quota("request_percentage", 50.0, user="alice", client_id=None),
        quota("connection_creation_rate", 5.0, ip="10.0.0.1"),
    ]
    write_catalog(examine(apache_folder(root, records)), root)
    catalog = catalog_of(root)
    assert dict(Quotas(catalog).describe([], strict=False)) == {
        (("client-id", None), ("user", "alice")): {"producer_byte_rate": 1000.0, "request_percentage": 50.0},
        (("ip", "10.0.0.1"),): {"connection_creation_rate": 5.0},
    }
    catalog.close()


def test_a_quota_that_ottla_cannot_keep_is_refused_and_nothing_is_taken_over(root):
    apache_folder(root, [*topic("a"), quota("connection_creation_rate", 5.0, ip="host.example")], "a-0")
    with pytest.raises(TakeoverError, match=r"host\.example is not an address"):
        write_catalog(examine(root), root)
    assert not (root / FILE_NAME).exists()


def test_this_node_alone_leads_in_a_new_epoch(root):
    records = topic("a", replicas=[2, 1], partitions=1)
    (found,) = examine(apache_folder(root, records, "a-0")).topics
    (state,) = found.partitions
    assert (state.replicas, state.isr, state.leader, state.leader_epoch) == ((1,), (1,), 1, 4)


def test_a_folder_can_be_examined_again_until_its_catalog_is_there(root):
    apache_folder(root, topic("a"), "a-0")
    before = sorted(root.rglob("*"))
    examine(root)
    assert sorted(root.rglob("*")) == [*sorted([*before, root / ".lock"])]
    (root / (FILE_NAME + ".importing")).write_bytes(b"what a crash left")
    write_catalog(examine(root), root)
    assert sorted(path.name for path in root.glob("catalog*")) == [FILE_NAME]


def test_the_clean_mark_stays_for_the_first_start(root):
    write_catalog(examine(apache_folder(root, topic("a"), "a-0")), root)
    assert (root / ".kafka_cleanshutdown").exists()


def test_a_broker_that_was_killed_is_taken_over_and_checked_at_the_first_start(root):
    found = examine(apache_folder(root, topic("a"), "a-0", clean=False))
    assert not found.was_clean
    assert "not stopped cleanly" in found.notes[-1]


def test_a_copy_leaves_apaches_folder_as_it_is(root, tmp_path):
    apache_folder(root, [*topic("a"), *topic("b")], "a-0", "b-0")
    (root / "recovery-point-offset-checkpoint").write_text("0\n3\na 0 5\nb 0 6\n__cluster_metadata 0 7\n")
    (root / "old-0.0123-stray").mkdir()
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    to = tmp_path / "ottla"
    to.mkdir()
    found = examine(root)
    assert list(copy_logs(found, to)) == ["a-0", "b-0"]
    after = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before
    assert sorted(path.name for path in to.iterdir()) == sorted(
        [
            ".kafka_cleanshutdown",
            "a-0",
            "b-0",
            FILE_NAME,
            "log-start-offset-checkpoint",
            "meta.properties",
            "recovery-point-offset-checkpoint",
        ]
    )
    assert (to / "recovery-point-offset-checkpoint").read_text() == "0\n2\na 0 5\nb 0 6\n"
    assert list(catalog_of(to).topics) == ["a", "b"]


def test_a_copy_that_was_cut_off_is_begun_again(root, tmp_path):
    apache_folder(root, topic("a"), "a-0")
    to = tmp_path / "ottla"
    found = examine(root)
    next(copy_logs(found, to))
    assert not to.exists()
    list(copy_logs(found, to))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kafka", "ottla"]


def test_a_copy_goes_over_nothing(root, tmp_path):
    to = tmp_path / "ottla"
    to.mkdir()
    (to / "something").touch()
    with pytest.raises(TakeoverError, match="is not empty"):
        list(copy_logs(examine(apache_folder(root, topic("a"), "a-0")), to))


def test_the_logs_of_several_folders_come_together(root, tmp_path):
    other = tmp_path / "disk2"
    apache_folder(root, [*topic("a"), *topic("b")], "a-0")
    apache_folder(other, [NO_OP], "b-0", clean=False)
    shutil.rmtree(other / "__cluster_metadata-0")
    (root / "recovery-point-offset-checkpoint").write_text("0\n1\na 0 5\n")
    (other / "recovery-point-offset-checkpoint").write_text("0\n1\nb 0 6\n")
    assert "Give all of log.dirs" in refusal(root)
    assert "__cluster_metadata-0 is in 0 of the folders" in refusal(other)
    to = tmp_path / "ottla"
    assert sorted(copy_logs(examine(root, other), to)) == ["a-0", "b-0"]
    assert (to / "recovery-point-offset-checkpoint").read_text() == "0\n2\na 0 5\nb 0 6\n"
    assert not (to / ".kafka_cleanshutdown").exists()


def test_folders_of_two_brokers_are_not_one(root, tmp_path):
    other = tmp_path / "other"
    apache_folder(root, topic("a"), "a-0")
    apache_folder(other, [NO_OP], node_id=2)
    assert "not all of one broker" in refusal(root, other)


def test_what_lies_on_other_brokers_only_is_refused(root):
    records = [*topic("a", replicas=[1]), *topic("b", partitions=7, replicas=[2, 3]), *topic("c", replicas=[3])]
    assert refusal(apache_folder(root, records, "a-0")).splitlines() == [
        "7 partitions (b-0, b-1, b-2, b-3, b-4, ...) are not on this broker (1), only on 2, 3; one must hold all.",
        "1 partition (c-0) is not on this broker (1), only on 3; one must hold all.",
    ]


def test_a_replica_that_has_not_caught_up_is_refused(root):
    apache_folder(root, topic("a", replicas=[2, 1], isr=[2]), "a-0")
    assert refusal(root) == ("1 partition (a-0) is behind the leader on this broker; take over the leader's folder.")


def test_a_replica_that_left_the_isr_as_the_last_one_is_whole(root):
    left = PartitionChangeRecord(
        partition_id=0, topic_id=topic_id("a"), isr=[], leader=-1, eligible_leader_replicas=[1]
    )
    (found,) = examine(apache_folder(root, [*topic("a", replicas=[1, 2]), left], "a-0")).topics
    assert found.partitions[0].leader_epoch == 5


def test_a_folder_of_another_topic_with_the_same_name_is_not_the_log(root):
    apache_folder(root, topic("a"), "b-0")
    (root / "b-0").rename(root / "a-0")
    assert refusal(root).startswith("1 partition (a-0) is in none of the folders given")


def test_tiered_storage_is_refused(root):
    apache_folder(root, topic("a", remote_storage_enable="true"), "a-0")
    assert "tiered storage" in refusal(root)


def test_the_oldest_message_formats_are_refused(root):
    apache_folder(root, topic("a"), "a-0")
    (root / "a-0" / f"{0:020d}.log").write_bytes(bytes(16) + b"\x01" + bytes(20))
    assert "before Kafka 0.11" in refusal(root)


def test_acls_are_left_out_only_when_that_is_said(root):
    apache_folder(root, [*topic("a"), ACL], "a-0")
    assert "1 ACLs" in refusal(root)
    assert "--without-acls" in refusal(root)
    assert "Left out, because Ottla has none yet: 1 ACLs." in examine(root, without_acls=True).notes


def test_what_is_left_out_or_different_is_said(root):
    token = DelegationTokenRecord(
        owner="x", requester="x", renewers=[], issue_timestamp=0, max_timestamp=0, expiration_timestamp=0, token_id="t"
    )
    records = [
        *topic("a", message_format_version="3.0", min_insync_replicas="2"),
        token,
        setting(4, "", "min.insync.replicas", "1"),
        setting(8, "1", "root", "DEBUG"),
    ]
    apache_folder(root, records, "a-0")
    (root / "gone-0.0123-delete").mkdir()
    (root / "left-0.0123-stray").mkdir()
    found = examine(root)
    assert found.topics[0].configs == {"min.insync.replicas": "2"}
    assert found.notes == [
        "a: message.format.version=3.0 is left out: message.format.version is not a topic's setting.",
        "Left out, because Ottla has none yet: 1 delegation tokens.",
        "Left out: 1 folder (left-0.0123-stray) is of no topic.",
    ]
    assert list(describe(found))[:2] == [
        f"Cluster {CLUSTER_ID}, node 1: 1 topics, 1 partitions",
        "  a  YS4uLi4uLi4uLi4uLi4uLg  1 partitions min.insync.replicas=2",
    ]


def test_open_transactions_are_said(root):
    apache_folder(root, topic("a", partitions=3), "a-0", "a-1", "a-2")
    producers = Producers()
    state = ProducerState(0)
    producers.put_all({7: state})
    (root / "a-0" / f"{5:020d}.snapshot").write_bytes(encode_snapshot(producers))
    (root / "a-2" / f"{5:020d}.snapshot").write_bytes(b"damaged")
    state.transaction_offset = 3
    (root / "a-0" / f"{4:020d}.snapshot").write_bytes(encode_snapshot(producers))
    (root / "a-1" / f"{5:020d}.snapshot").write_bytes(encode_snapshot(producers))
    (note,) = examine(root).notes
    assert note.startswith("1 partition (a-1) is in an open transaction")


def test_a_folder_that_is_ottlas_already_is_refused(root):
    write_catalog(examine(apache_folder(root, topic("a"), "a-0")), root)
    assert "is Ottla's already" in refusal(root)


def test_a_folder_that_is_no_brokers_is_refused(tmp_path):
    assert "has no meta.properties" in refusal(tmp_path)
    assert "There is no folder" in refusal(tmp_path / "missing")


def test_a_folder_from_the_time_of_zookeeper_is_refused(root):
    apache_folder(root, topic("a"), "a-0")
    (root / "meta.properties").write_text("version=0\nbroker.id=0\ncluster.id=x\n")
    assert "version 0" in refusal(root)


def test_a_damaged_metadata_log_is_refused(root):
    apache_folder(root, topic("a"), "a-0")
    path = root / "__cluster_metadata-0" / f"{0:020d}.log"
    path.write_bytes(path.read_bytes()[:-1])
    assert "is damaged" in refusal(root)


def test_a_broker_that_still_runs_is_refused(root):
    lock = DirectoryLock(apache_folder(root, topic("a"), "a-0"))
    assert "in use by another broker" in refusal(root)
    lock.release()
    examine(root)


def test_serving_apaches_folder_before_it_is_taken_over_is_refused(root):
    apache_folder(root, topic("a"), "a-0")
    with pytest.raises(StartError, match="ottla import"):
        refuse_logs_of_others(root)
    write_catalog(examine(root), root)
    refuse_logs_of_others(root)
    refuse_logs_of_others(root / "missing")
