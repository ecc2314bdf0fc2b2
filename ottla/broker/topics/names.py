"""The rules for topics' names, and the names that have a meaning of their own."""

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
    """Refuse a name that could not be a folder's or a metric's. Raises ``KafkaError`` INVALID_TOPIC_EXCEPTION."""
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
    raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{name!r} is not a topic's name: {reason}")


def collision_key(name: str) -> str:
    """Return what two names that collide in metrics have in common: '.' and '_' are the same there."""
    return name.replace(".", "_")
