"""The records of `__consumer_offsets` as keys and values: the only module that knows their types and versions.

A key begins with its type (int16), a value with its version (int16); a record without a value deletes its key.
Written as Apache 4.3.1 does: OffsetCommitValue 4 (1 where the commit carries an expiry), GroupMetadataValue 3.
"""

from struct import Struct
from typing import NamedTuple

from ottla.broker.coordinators.engine.decision import Decision
from ottla.wire.errors import ProtocolError
from ottla.wire.messages.group_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)

LEGACY_OFFSET_COMMIT = 0
OFFSET_COMMIT = 1
GROUP_METADATA = 2

GROUP_METADATA_VERSION = 3
OFFSET_COMMIT_VERSION = 4
OFFSET_COMMIT_VERSION_WITH_EXPIRY = 1

_SHORT = Struct(">h")
_OFFSET_COMMIT_PREFIX = _SHORT.pack(OFFSET_COMMIT)
_GROUP_METADATA_PREFIX = _SHORT.pack(GROUP_METADATA)


class OffsetRecord(NamedTuple):
    """A committed offset; without a value, the offset is forgotten."""

    key: OffsetCommitKey
    value: OffsetCommitValue | None


class GroupRecord(NamedTuple):
    """A classic group's generation and members; without a value, the group is deleted."""

    key: GroupMetadataKey
    value: GroupMetadataValue | None


CoordinatorRecord = OffsetRecord | GroupRecord


class GroupDecision(Decision[CoordinatorRecord]):
    """A decision about a group or its offsets."""

    __slots__ = ()


def group_record(group_id: str, value: GroupMetadataValue | None) -> GroupRecord:
    """Return the record of a classic group's new state; None deletes the group."""
    return GroupRecord(GroupMetadataKey(group=group_id), value)


def offset_record(group_id: str, topic: str, partition: int, value: OffsetCommitValue | None) -> OffsetRecord:
    """Return the record of a group's committed offset; None forgets it."""
    return OffsetRecord(OffsetCommitKey(group=group_id, topic=topic, partition=partition), value)


def encode(record: CoordinatorRecord) -> tuple[bytes, bytes | None]:
    """Return the record's key and value as they stand in the log."""
    if isinstance(record, OffsetRecord):
        offset_key, offset_value = record
        key = _OFFSET_COMMIT_PREFIX + offset_key.encode(0)
        if offset_value is None:
            return key, None
        has_expiry = offset_value.expire_timestamp != -1
        version = OFFSET_COMMIT_VERSION_WITH_EXPIRY if has_expiry else OFFSET_COMMIT_VERSION
        return key, _SHORT.pack(version) + offset_value.encode(version)
    group_key, group_value = record
    key = _GROUP_METADATA_PREFIX + group_key.encode(0)
    if group_value is None:
        return key, None
    return key, _SHORT.pack(GROUP_METADATA_VERSION) + group_value.encode(GROUP_METADATA_VERSION)


def decode(key: bytes | None, value: bytes | None) -> CoordinatorRecord | int:
    """Return a record of the log, or the number of its type if that is unknown.

    Raises ProtocolError if the bytes are not a record, or a value has an unknown version.
    """
    if key is None or len(key) < _SHORT.size:
        raise ProtocolError("a coordinator's record has no key")
    kind = _SHORT.unpack_from(key)[0]
    if kind in {LEGACY_OFFSET_COMMIT, OFFSET_COMMIT}:
        commit = None
        if value is not None:
            commit = OffsetCommitValue.decode(value, _version(value, OffsetCommitValue.versions[1]), _SHORT.size)
        return OffsetRecord(OffsetCommitKey.decode(key, 0, _SHORT.size), commit)
    if kind == GROUP_METADATA:
        group = None
        if value is not None:
            group = GroupMetadataValue.decode(value, _version(value, GroupMetadataValue.versions[1]), _SHORT.size)
        return GroupRecord(GroupMetadataKey.decode(key, 0, _SHORT.size), group)
    return int(kind)


def _version(value: bytes, newest: int) -> int:
    if len(value) < _SHORT.size:
        raise ProtocolError("a coordinator's record has a value without a version")
    version = int(_SHORT.unpack_from(value)[0])
    if not 0 <= version <= newest:
        raise ProtocolError(f"a coordinator's record has a value of version {version}; known are 0 to {newest}")
    return version
