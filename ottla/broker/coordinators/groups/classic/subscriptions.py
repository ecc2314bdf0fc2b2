"""The topics that consumers subscribe to: the only part of their metadata that the broker reads."""

from collections.abc import Iterable

from ottla.wire.errors import ProtocolError
from ottla.wire.messages.consumer_protocol import ConsumerProtocolSubscription

_VERSION_SIZE = 2


def subscribed_topics(subscriptions: Iterable[bytes]) -> frozenset[str] | None:
    """Return all topics of these subscriptions; None if one of them cannot be read."""
    topics: set[str] = set()
    try:
        for subscription in subscriptions:
            # Every version begins as version 0 does, so newer clients than this broker can be read too.
            message, _ = ConsumerProtocolSubscription.decode_from(subscription, 0, _VERSION_SIZE)
            topics.update(message.topics)
    except ProtocolError:
        return None
    return frozenset(topics)
