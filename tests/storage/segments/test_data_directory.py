"""A data directory: its owner, its logs, its marker.

It keeps the promises of ``storage/store``.
"""

import socket
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from ottla.scheduling.background import Inline
from ottla.storage.files.directory_lock import DirectoryInUseError
from ottla.storage.files.identity import IdentityError, uuid_from_text, uuid_to_text
from ottla.storage.files.real import RealFiles
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.data_directory import DataDirectory, StoredPartition
from tests.stage.held import Held
from tests.stage.logs import TOPIC_ID, append, append_records, batch_of, read_all

CONFIG = LogConfig()


def open_directory(root: Path, **options: object) -> DataDirectory:
    return DataDirectory(root, files=RealFiles(durable=False), **options)  # type: ignore[arg-type]


def test_starts_that_move_in_one_pass_are_written_once_before_it_is_answered(tmp_path: Path) -> None:
    held = Held()
    directory = open_directory(tmp_path, background=held)
    logs = [directory.open_log("topic", each, topic_id=TOPIC_ID, config=CONFIG) for each in range(5)]
    for log in logs:
        append_records(log, 3)
    for log in logs:
        log.delete_records(2)
    assert len(held.calls) == 1
    held.end_pass()
    written = (tmp_path / "log-start-offset-checkpoint").read_text()
    assert written == "0\n5\n" + "".join(f"topic {each} 2\n" for each in range(5))
    logs[3].delete_records(3)
    held.end_pass()
    assert "topic 3 3\n" in (tmp_path / "log-start-offset-checkpoint").read_text()
    directory.abandon()


def test_a_second_broker_is_refused_in_one_sentence(tmp_path: Path) -> None:
    first = open_directory(tmp_path)
    with pytest.raises(DirectoryInUseError, match=r"^The data directory .* is in use by another broker; [^.]*\.$"):
        open_directory(tmp_path)
    first.close()
    open_directory(tmp_path).close()


def test_closing_syncs_what_was_written(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    for partition in range(3):
        append(directory.open_log("topic", partition, topic_id=TOPIC_ID, config=CONFIG))
    directory.close()
    assert (tmp_path / "recovery-point-offset-checkpoint").read_text().count(" 1\n") == 3


def test_a_broker_in_another_process_is_refused(tmp_path: Path) -> None:
    first = open_directory(tmp_path)
    program = f"""
from pathlib import Path
from ottla.storage.segments.data_directory import DataDirectory
from ottla.storage.files.directory_lock import DirectoryInUseError
try:
    DataDirectory(Path({str(tmp_path)!r}))
except DirectoryInUseError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
    first.close()


def test_the_identity_stays(tmp_path: Path) -> None:
    first = open_directory(tmp_path, node_id=3)
    identity = first.identity
    first.close()
    assert identity.node_id == 3
    assert len(uuid_from_text(identity.cluster_id)) == len(uuid_from_text(identity.directory_id)) == 16
    again = open_directory(tmp_path, node_id=3, cluster_id=identity.cluster_id)
    assert again.identity == identity
    again.close()
    assert "version=1\n" in (tmp_path / "meta.properties").read_text()


def test_a_directory_of_another_node_or_cluster_is_refused(tmp_path: Path) -> None:
    open_directory(tmp_path, node_id=3, cluster_id="one").close()
    with pytest.raises(IdentityError, match="is of node 3, not of node 4"):
        open_directory(tmp_path, node_id=4)
    with pytest.raises(IdentityError, match="is of cluster one, not of cluster two"):
        open_directory(tmp_path, cluster_id="two")
    open_directory(tmp_path).close()


@pytest.mark.parametrize("content", ["", "version=2\ncluster.id=a\nnode.id=1\ndirectory.id=b", "version=1\nnode.id=x"])
def test_an_identity_that_cannot_be_read_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "meta.properties").write_text(content)
    with pytest.raises(IdentityError):
        open_directory(tmp_path)


def test_ids_come_from_the_given_random_source(tmp_path: Path) -> None:
    directories = [open_directory(tmp_path / name, random=Random(5)) for name in ("a", "b")]
    assert directories[0].identity == directories[1].identity
    for directory in directories:
        directory.close()


def test_uuids_have_kafkas_text_form() -> None:
    assert uuid_to_text(bytes(16)) == "AAAAAAAAAAAAAAAAAAAAAA"
    assert uuid_from_text(uuid_to_text(TOPIC_ID)) == TOPIC_ID
    for wrong in ("", "AAAA", "AAAAAAAAAAAAAAAAAAAAA!", "A" * 23):
        with pytest.raises(ValueError, match="is not a UUID"):
            uuid_from_text(wrong)


def test_logs_are_found_by_their_folders(tmp_path: Path) -> None:
    directory = open_directory(tmp_path)
    for topic, partition in (("a-b", 0), ("a-b", 1), ("c", 10)):
        append(directory.open_log(topic, partition, topic_id=TOPIC_ID, config=CONFIG))
    directory.close()
    (tmp_path / "__cluster_metadata-0").mkdir()
    (tmp_path / "lost+found").mkdir()
    directory = open_directory(tmp_path)
    assert sorted(directory.stored_partitions()) == [
        StoredPartition("a-b", 0, TOPIC_ID),
        StoredPartition("a-b", 1, TOPIC_ID),
        StoredPartition("c", 10, TOPIC_ID),
    ]
    directory.close()


def test_a_deleted_log_is_gone_and_its_name_is_free(tmp_path: Path) -> None:
    directory = open_directory(tmp_path)
    append_records(directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG), 3)
    directory.delete_log("topic", 0)
    assert not list(tmp_path.glob("topic*"))
    log = directory.open_log("topic", 0, topic_id=bytes(16), config=CONFIG)
    assert (log.log_start_offset, log.log_end_offset) == (0, 0)
    append(log)
    directory.delete_log("topic", 0)
    directory.close()


def test_a_log_whose_folder_cannot_be_renamed_does_not_come_back_under_its_name(tmp_path: Path) -> None:
    class Stubborn(RealFiles):
        refuses = False

        def rename(self, old: Path, new: Path) -> None:
            if self.refuses:
                raise PermissionError("somebody has it open")
            super().rename(old, new)

    files = Stubborn(durable=False)
    directory = DataDirectory(tmp_path, node_id=1, files=files)
    append_records(directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG), 3)
    files.refuses = True
    with pytest.raises(PermissionError):
        directory.delete_log("topic", 0)
    with pytest.raises(PermissionError):
        directory.open_log("topic", 0, topic_id=bytes(16), config=CONFIG)
    files.refuses = False
    log = directory.open_log("topic", 0, topic_id=bytes(16), config=CONFIG)
    assert log.log_end_offset == 0
    append_records(log, 1)
    assert len(list(tmp_path.glob("topic-0.*-stray"))) == 1
    directory.close()


def test_deleting_a_log_that_was_never_written_does_nothing(tmp_path: Path) -> None:
    directory = open_directory(tmp_path)
    directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG)
    directory.delete_log("topic", 0)
    assert directory.logs == {}
    directory.close()


def test_a_deletion_that_a_crash_interrupted_is_finished(tmp_path: Path) -> None:
    class Nowhere(Inline):
        def run(self, work: object, then: object) -> None:
            """Never comes to it."""

    directory = open_directory(tmp_path, background=Nowhere())
    append(directory.open_log("t" * 249, 0, topic_id=TOPIC_ID, config=CONFIG))
    directory.delete_log("t" * 249, 0)
    assert len(list(tmp_path.glob("t*-delete"))) == 1
    directory.abandon()
    directory = open_directory(tmp_path)
    assert not list(tmp_path.glob("t*"))
    directory.close()


def test_an_unclaimed_log_is_put_aside_not_removed(tmp_path: Path) -> None:
    directory = open_directory(tmp_path)
    append(directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG))
    directory.close()
    directory = open_directory(tmp_path)
    directory.put_aside("topic", 0)
    directory.close()
    (aside,) = tmp_path.glob("topic-0.*-stray")
    assert (aside / "00000000000000000000.log").stat().st_size > 0
    directory = open_directory(tmp_path)
    assert directory.stored_partitions() == []
    directory.close()


def test_recovery_points_and_start_offsets_are_written_as_apache_does(tmp_path: Path) -> None:
    directory = open_directory(tmp_path)
    log = directory.open_log("topic", 7, topic_id=TOPIC_ID, config=CONFIG)
    append_records(log, 5)
    log.delete_records(2)
    assert (tmp_path / "log-start-offset-checkpoint").read_text() == "0\n1\ntopic 7 2\n"
    directory.close()
    assert (tmp_path / "recovery-point-offset-checkpoint").read_text() == "0\n1\ntopic 7 5\n"
    assert (tmp_path / ".kafka_cleanshutdown").read_text() == '{"version":0,"brokerEpoch":-1}'


def test_logs_that_were_not_opened_keep_their_checkpoints(tmp_path: Path) -> None:
    directory = open_directory(tmp_path)
    for partition in range(2):
        append_records(directory.open_log("topic", partition, topic_id=TOPIC_ID, config=CONFIG), 4)
    directory.logs["topic", 1].delete_records(3)
    directory.close()
    directory = open_directory(tmp_path)
    directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG)
    directory.close()
    directory = open_directory(tmp_path)
    assert directory.was_clean
    log = directory.open_log("topic", 1, topic_id=TOPIC_ID, config=CONFIG)
    assert (log.log_start_offset, log.log_end_offset, log.recovery_point) == (3, 4, 4)
    directory.close()


def test_a_log_that_nobody_opened_after_a_crash_keeps_the_directory_unclean(tmp_path: Path) -> None:
    directory = open_directory(tmp_path)
    append(directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG))
    directory.abandon()
    open_directory(tmp_path).close()
    assert not open_directory(tmp_path).was_clean


def test_a_log_that_cannot_be_closed_keeps_the_directory_unclean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = open_directory(tmp_path)
    append(directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG))

    def replace(path: Path, data: bytes, *, sync: bool) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(directory.logs["topic", 0].files, "replace", replace)
    directory.close()
    directory = open_directory(tmp_path)
    assert not directory.was_clean
    assert directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG).log_end_offset == 1
    directory.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no limit of descriptors")
def test_a_thousand_partitions_work_under_a_soft_limit_of_256_descriptors(tmp_path: Path) -> None:
    program = f"""
import resource
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from ottla.storage.segments.data_directory import DataDirectory
from ottla.storage.files.real import RealFiles
from ottla.storage.log_config import LogConfig
from tests.stage.held import Held
from tests.stage.logs import TOPIC_ID, append, batch_of, read_all
for round in range(2):
    directory = DataDirectory(Path({str(tmp_path)!r}), files=RealFiles(durable=False))
    logs = [directory.open_log("topic", number, topic_id=TOPIC_ID, config=LogConfig()) for number in range(1000)]
    for number, log in enumerate(logs):
        append(log, batch_of([b"%d" % number]))
    pinned = [log.read(0, 1 << 20, end_offset=1, minimum_one_batch=True) for log in logs]
    sockets = [__import__("socket").socket() for _ in range(100)]
    for number, log in enumerate(logs):
        assert b"%d" % number in read_all(log)[-1]
    del pinned, sockets
    directory.close()
print("done")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_a_slice_can_be_sent_with_sendfile(tmp_path: Path) -> None:
    directory = open_directory(tmp_path)
    log = directory.open_log("topic", 0, topic_id=TOPIC_ID, config=CONFIG)
    append(log, batch_of([b"over the wire"]))
    found = log.read(0, 1 << 20, end_offset=1, minimum_one_batch=True)
    assert not isinstance(found, bytes)
    expected = read_all(log)[0]
    left, right = socket.socketpair()
    with left, right, open(found.fileno(), "rb", closefd=False) as file:
        left.sendfile(file, found.position, len(found))
        assert right.recv(1000) == expected
    found.release()
    directory.close()
