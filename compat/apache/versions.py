"""Which versions of an API are compared: those that Apache serves. Ottla may serve older ones, too."""

from __future__ import annotations

from ottla.broker.apis import BY_KEY
from ottla.wire.codes import ApiKey

OLDEST_SERVED: dict[int, int] = {ApiKey.PRODUCE: 3}
"""Apache advertises Produce 0 to 2, because librdkafka compresses only if it sees them, and closes on them."""


def compared_versions(api_key: int) -> range:
    """The versions of an API that both serve; of one that is not advertised, those that Ottla does."""
    api = BY_KEY[api_key]
    first, last = api.advertised or api.served
    return range(max(first, api.served[0], OLDEST_SERVED.get(api_key, 0)), last + 1)
