"""Builds an Apache broker's folder in Apache's formats: for what no real broker would give the tests."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from struct import pack

from ottla.storage.files.identity import Identity, write_identity, write_partition_metadata
from ottla.storage.files.real import RealFiles
from ottla.wire.messages.metadata_records import ConfigRecord, PartitionRecord, TopicRecord
from ottla.wire.records import Record, build_batch
from ottla.wire.schema import MetadataRecord

CLUSTER_ID = "b3R0bGEtaW1wb3J0LXRlcw"
NO_OP = bytes([1, 20, 0, 0])


def frame(record: MetadataRecord | bytes) -> bytes:
    """A record as it stands in the log: with its newest version, behind its prefix. Bytes are taken as they are."""
    if isinstance(record, bytes):
        return record
    version = record.versions[1]
    return bytes([1, record.api_key, version]) + record.encode(version)


def batch(records: Iterable[MetadataRecord | bytes], base_offset: int) -> bytes:
    return bytes(build_batch([Record(0, 0, None, frame(record)) for record in records], base_offset=base_offset))


def control(kind: int, base_offset: int) -> bytes:
    return bytes(build_batch([Record(0, 0, pack(">hh", 0, kind), b"\0")], base_offset=base_offset, is_control=True))


def write_log(folder: Path, *batches: Sequence[MetadataRecord | bytes], base_offset: int = 0) -> Path:
    """Write a segment; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{base_offset:020d}.log"
    offset = base_offset
    content = b""
    for records in batches:
        content += batch(records, offset)
        offset += len(records)
    path.write_bytes(content)
    return path


def write_snapshot(folder: Path, records: Sequence[MetadataRecord], *, end_offset: int, whole: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = control(3, 0) + batch(records, 1)
    if whole:
        content += control(4, len(records) + 1)
    (folder / f"{end_offset:020d}-{1:010d}.checkpoint").write_bytes(content)


def topic_id(name: str) -> bytes:
    return name.encode().ljust(16, b".")[:16]


def topic(
    name: str, *, partitions: int = 1, replicas: Sequence[int] = (1,), isr: Sequence[int] | None = None, **configs: str
) -> list[MetadataRecord]:
    """The records of a topic; settings with underscores for dots."""
    isr = replicas if isr is None else isr
    return [
        TopicRecord(name=name, topic_id=topic_id(name)),
        *(
            PartitionRecord(
                partition_id=number,
                topic_id=topic_id(name),
                replicas=list(replicas),
                isr=list(isr),
                removing_replicas=[],
                adding_replicas=[],
                leader=replicas[0],
                leader_epoch=3,
                partition_epoch=5,
                directories=[bytes(16)] * len(replicas),
            )
            for number in range(partitions)
        ),
        *(
            ConfigRecord(resource_type=2, resource_name=name, name=key.replace("_", "."), value=value)
            for key, value in configs.items()
        ),
    ]


def apache_folder(
    root: Path, records: Sequence[MetadataRecord | bytes], *logs: str, node_id: int = 1, clean: bool = True
) -> Path:
    """A broker's folder with this metadata log and these partitions' empty logs, such as ``topic-0``."""
    root.mkdir(parents=True, exist_ok=True)
    files = RealFiles()
    write_identity(files, root, Identity(CLUSTER_ID, node_id, "ZGlyZWN0b3J5LWlkLS0tLQ"))
    if clean:
        (root / ".kafka_cleanshutdown").write_text('{"version":0,"brokerEpoch":-1}')
    write_log(root / "__cluster_metadata-0", records)
    for name in logs:
        (root / name).mkdir()
        (root / name / f"{0:020d}.log").touch()
        write_partition_metadata(files, root / name, topic_id(name.rpartition("-")[0]))
    return root
