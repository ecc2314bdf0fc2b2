"""Tells whose data this is: ``meta.properties`` of a data directory, ``partition.metadata`` of a log's folder."""

import base64
import binascii
from pathlib import Path
from typing import NamedTuple

from ottla.storage.files.interface import SegmentFiles

META_PROPERTIES = "meta.properties"
PARTITION_METADATA = "partition.metadata"


class IdentityError(Exception):
    """The identity on disk cannot be read, or is another one."""


class Identity(NamedTuple):
    """The content of ``meta.properties``. Ids are text, 22 characters of base64url."""

    cluster_id: str
    node_id: int
    directory_id: str


def uuid_to_text(value: bytes) -> str:
    """Kafka's form of 16 bytes: base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def uuid_from_text(text: str) -> bytes:
    """Return the 16 bytes of Kafka's form. Raises ValueError."""
    try:
        value = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        value = b""
    if len(value) != 16:
        raise ValueError(f"{text!r} is not a UUID in base64url")
    return value


def read_identity(files: SegmentFiles, folder: Path) -> Identity | None:
    """Return the directory's identity, None if it has none yet. Raises IdentityError."""
    raw = files.read(folder / META_PROPERTIES)
    if raw is None:
        return None
    pairs = (line.partition("=") for line in raw.decode("utf-8", "replace").splitlines() if not line.startswith("#"))
    properties = {name.strip(): value.strip() for name, _, value in pairs}
    try:
        if properties["version"] != "1":
            raise IdentityError(f"{folder / META_PROPERTIES} has version {properties['version']}; only 1 is known")
        return Identity(
            cluster_id=properties["cluster.id"],
            node_id=int(properties["node.id"]),
            directory_id=properties["directory.id"],
        )
    except (KeyError, ValueError) as problem:
        raise IdentityError(f"{folder / META_PROPERTIES} cannot be read: {problem!r}") from None


def write_identity(files: SegmentFiles, folder: Path, identity: Identity) -> None:
    """Write the identity of a data directory, to survive a power cut."""
    content = (
        f"version=1\ncluster.id={identity.cluster_id}\nnode.id={identity.node_id}\n"
        f"directory.id={identity.directory_id}\n"
    )
    files.replace(folder / META_PROPERTIES, content.encode(), sync=True)


def read_partition_metadata(files: SegmentFiles, folder: Path) -> bytes | None:
    """Return the topic id of a log's folder, None if there is none that can be read."""
    raw = files.read(folder / PARTITION_METADATA)
    if raw is None:
        return None
    for line in raw.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "topic_id":
            try:
                return uuid_from_text(value.strip())
            except ValueError:
                return None
    return None


def write_partition_metadata(files: SegmentFiles, folder: Path, topic_id: bytes) -> None:
    """Note which topic the folder's log belongs to."""
    content = f"version: 0\ntopic_id: {uuid_to_text(topic_id)}"
    files.write(folder / PARTITION_METADATA, content.encode(), 0)
