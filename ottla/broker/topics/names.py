"""The rules for topic names, and the names that have a meaning of their own."""

from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

OFFSETS_TOPIC = "__consumer_offsets"
TRANSACTION_TOPIC = "__transaction_state"
SHARE_GROUP_TOPIC = "__share_group_state"
INTERNAL_TOPICS = frozenset({OFFSETS_TOPIC, TRANSACTION_TOPIC, SHARE_GROUP_TOPIC})
"""The topics in which coordinators keep their records; no client writes to them."""
CLUSTER_METADATA = "__cluster_metadata"
"""Kafka's own log of metadata; no client may make a topic of this name."""
MAX_NAME_LENGTH = 249
_LEGAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def check_name(name: str) -> None:
    """Refuse a name that no folder or metric could have. Raises ``KafkaError`` INVALID_TOPIC_EXCEPTION."""
    if not name:
        reason = "it is empty"
    elif name in {".", ".."}:
        reason = 'it is "." or ".."'
    elif len(name) > MAX_NAME_LENGTH:
        reason = f"it is longer than {MAX_NAME_LENGTH} characters"
    elif not _LEGAL.issuperset(name):
        reason = "only ASCII letters, digits, '.', '_' and '-' are allowed"
    else:
        return
    raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{name!r} is not a valid topic name: {reason}")


def collision_key(name: str) -> str:
    """Return a key that two names share if they collide in metrics, where '.' and '_' are the same."""
    return name.replace(".", "_")
