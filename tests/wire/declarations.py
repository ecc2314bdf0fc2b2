"""Every declared message and version, found by looking into the families; no test names them one by one."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

from ottla.wire import messages
from ottla.wire.schema import Field, Message, Request, Response, Struct


def _declared() -> Iterator[type[Message]]:
    for family in pkgutil.iter_modules(messages.__path__):
        module = importlib.import_module(f"{messages.__name__}.{family.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Message) and value.__module__ == module.__name__:
                yield value


MESSAGES = tuple(_declared())
FIRST_IN_APACHE_4 = {
    "AlterReplicaLogDirs": 1,
    "CreateAcls": 1,
    "CreateDelegationToken": 1,
    "CreateTopics": 2,
    "DeleteAcls": 1,
    "DeleteTopics": 1,
    "DescribeAcls": 1,
    "DescribeConfigs": 1,
    "DescribeDelegationToken": 1,
    "DescribeLogDirs": 1,
    "ExpireDelegationToken": 1,
    "Fetch": 4,
    "ListOffsets": 1,
    "OffsetCommit": 2,
    "OffsetFetch": 1,
    "OffsetForLeaderEpoch": 2,
    "Produce": 3,
    "RenewDelegationToken": 1,
}
"""The APIs that lost versions with Kafka 4.0, and the first that it left (KIP-896)."""
RPC_MESSAGES = tuple(each for each in MESSAGES if issubclass(each, Request | Response))


def versions(message: type[Message]) -> range:
    first, last = message.versions
    return range(first, last + 1)


def first_in_apache_4(message: type[Message]) -> int:
    """The first version that Kafka 4 knows; those before are as 3.9 had them."""
    api = message.__name__.removesuffix("Request").removesuffix("Response")
    return FIRST_IN_APACHE_4.get(api, 0) if issubclass(message, Request | Response) else 0


def is_dropped(message: type[Message], version: int) -> bool:
    """Whether Kafka 4 knows this version no more."""
    return version < first_in_apache_4(message)


def pairs(of: tuple[type[Message], ...] = MESSAGES) -> list[tuple[type[Message], int]]:
    """Every message in every version."""
    return [(message, version) for message in of for version in versions(message)]


def kept_pairs(of: tuple[type[Message], ...] = MESSAGES) -> list[tuple[type[Message], int]]:
    """Every message in every version that Kafka 4 knows."""
    return [pair for pair in pairs(of) if not is_dropped(*pair)]


def pair_id(value: object) -> str | None:
    """How pytest names a parameter."""
    if isinstance(value, type):
        return value.__name__
    return f"v{value}" if isinstance(value, int) else None


def fields_in(struct: type[Struct], version: int) -> list[Field]:
    """The fields that a version carries, tagged ones too, in the order of the declaration."""
    return [field for field in struct.fields() if field.in_version(version)]


def plain(value: Any, version: int) -> Any:
    """A message as nested lists of its fields' values, in declared order: to compare it with other codecs'."""
    if isinstance(value, Struct):
        return [plain(getattr(value, field.name), version) for field in fields_in(type(value), version)]
    if isinstance(value, list):
        return [plain(each, version) for each in value]
    return bytes(value) if isinstance(value, memoryview) else value
