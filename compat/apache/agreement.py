"""Compares two answers field by field. What may differ stands here, with the reason; an error code never may."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from compat.apache.side import Side
from ottla.wire.schema import ArrayOf, Primitive, Response, Struct

RANDOM_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

IDENTITIES = (
    "api_key",
    "name",
    "topic",
    "topic_id",
    "topic_name",
    "group_id",
    "key",
    "partition_index",
    "partition",
    "index",
    "resource_type",
    "resource_name",
    "config_name",
    "member_id",
    "producer_id",
    "node_id",
    "user",
    "entity_type",
    "entity_name",
    "entity",
)
"""Fields that tell entries of a list apart; Apache takes many lists from hash maps, so their order means nothing."""


class May(NamedTuple):
    """A field that may differ: API, path with ``*`` for any part, why."""

    api: str
    path: str
    reason: str

    def covers(self, api: str, found: Difference) -> bool:
        """Tell whether this explains what was found. That a text or a time is there at all must agree."""
        if not (fnmatchcase(api, self.api) and fnmatchcase(found.path, self.path)):
            return False
        field = found.path.rpartition(".")[2]
        if field == "error_message":
            return (found.apache is None) == (found.ottla is None)
        if field == "throttle_time_ms":
            return (found.apache == 0) == (found.ottla == 0)
        return True


MAY_DIFFER = (
    May("*", "*error_message", "texts are for people; whether there is one, and the code, must agree"),
    May("*", "*throttle_time_ms", "a time; whether there is one must agree"),
    May("Metadata", "cluster_id", "an id made at the first start"),
    May("DescribeCluster", "cluster_id", "an id made at the first start"),
    *(
        May(api, f"{path}{part}", "an address")
        for api, path in (
            ("Metadata", "brokers.*."),
            ("DescribeCluster", "brokers.*."),
            ("FindCoordinator", ""),
            ("FindCoordinator", "coordinators.*."),
            ("DescribeQuorum", "nodes.*.listeners.*."),
        )
        for part in ("host", "port")
    ),
    May("CreateTopics", "topics.*.topic_id", "an id made by the broker"),
    May("InitProducerId", "producer_id", "an id made by the broker"),
    May("DescribeProducers", "topics.*.partitions.*.active_producers.*.last_timestamp", "a time"),
    May("DescribeQuorum", "topics.*.high_watermark", "how much the controller has written"),
    May("DescribeQuorum", "topics.*.log_end_offset", "how much the controller has written"),
    May("DescribeQuorum", "topics.*.leader_epoch", "how often the controller was elected"),
    May("DescribeQuorum", "topics.*timestamp", "a time"),
    May("DescribeQuorum", "topics.*.replica_directory_id", "an id made by the broker"),
    May("GetTelemetrySubscriptions", "client_instance_id", "an id made by the broker"),
    May("GetTelemetrySubscriptions", "subscription_id", "a number made by the broker"),
    May("Fetch", "session_id", "a random number"),
    May(
        "DescribeLogDirs",
        "results.*.topics.*.partitions.*.partition_size",
        "how the coordinator's records were batched",
    ),
    May("DescribeLogDirs", "results.*.log_dir", "a place"),
    May("DescribeLogDirs", "results.*.total_bytes", "the disk"),
    May("DescribeLogDirs", "results.*.usable_bytes", "the disk"),
    May("DescribeConfigs", "results.*.configs.*.documentation", "texts are for people"),
    May("ApiVersions", "finalized_features_epoch", "how much the controller has written"),
)

NOT_SERVED_YET = {
    ("ApiVersions", "api_keys"): "an API that is not served yet (docs/apis.md)",
    ("ApiVersions", "supported_features"): "a feature whose behaviour is not served yet",
    ("ApiVersions", "finalized_features"): "a feature whose behaviour is not served yet",
}
"""Lists of which Ottla may leave entries out. Those that it has must agree."""


class Difference(NamedTuple):
    """Where two answers disagree, and what each says."""

    path: str
    apache: Any
    ottla: Any


def differences(
    api: str, version: int, apache: tuple[Side, Response | str], ottla: tuple[Side, Response | str]
) -> list[Difference]:
    """All fields that disagree and may not."""
    ours, theirs = (
        answer if isinstance(answer, str) else _plain(answer, version, side) for side, answer in (ottla, apache)
    )
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in (name for known, name in NOT_SERVED_YET if known == api and name in theirs):
            served = {_identity(entry) for entry in ours[name]}
            theirs[name] = [entry for entry in theirs[name] if _identity(entry) in served]
    found = _compare("", theirs, ours)
    return [each for each in found if not any(may.covers(api, each) for may in MAY_DIFFER)]


def _plain(value: Any, version: int, side: Side) -> Any:
    """A message as dictionaries and lists, with names in place of ids that the broker made."""
    if not isinstance(value, Struct):
        return _named(value, side)
    plain = {}
    for each in value.fields():
        if each.in_version(version):
            content = getattr(value, each.name)
            if isinstance(each.type, ArrayOf) and content is not None:
                entries = [_plain(entry, version, side) for entry in content]
                content = sorted(entries, key=_identity) if not isinstance(each.type.element, Primitive) else entries
            else:
                content = _plain(content, version, side)
            plain[each.name] = content
    return plain


def _named(value: Any, side: Side) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        return side.name_of(data) or data.hex()
    if isinstance(value, str):
        return RANDOM_UUID.sub("(uuid)", value)
    return value


def _identity(entry: Any) -> str:
    return repr([entry[name] for name in IDENTITIES if name in entry]) if isinstance(entry, dict) else repr(entry)


def _compare(path: str, apache: Any, ottla: Any) -> Iterator[Difference]:
    if isinstance(apache, dict) and isinstance(ottla, dict):
        for name in apache:
            yield from _compare(f"{path}.{name}" if path else name, apache[name], ottla[name])
    elif isinstance(apache, list) and isinstance(ottla, list) and len(apache) == len(ottla):
        for number, (one, other) in enumerate(zip(apache, ottla, strict=True)):
            yield from _compare(f"{path}.{number}", one, other)
    elif apache != ottla:
        yield Difference(path, apache, ottla)
