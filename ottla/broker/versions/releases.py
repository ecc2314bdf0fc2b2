"""The releases of Apache Kafka: the versions of APIs and levels of features that each accepts, as its jars say.

`releases.json` is recorded by `compat/releases/record`: until 3.2 from brokers with ZooKeeper, from 3.3 on from those
with KRaft. 0.9 and older have no ApiVersions: their clients have to know the versions.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from ottla.broker.apis import Api
from ottla.wire.codes import ApiKey

Range = tuple[int, int]


class UnknownReleaseError(Exception):
    """The error for an unknown release; the message is one sentence for a person."""


class Release(NamedTuple):
    """One release, by its first two numbers (three, for 0.x): "2.8", "0.10.2"."""

    name: str
    apis: Mapping[int, Range]
    """The first and last version of each API, by its key."""
    features: Mapping[str, Range]
    """The greatest level of each feature, and the one in force in a new cluster, by the feature's name."""

    def accepted(self, api: Api) -> Range | None:
        """Return the versions of an API that this release accepts and Ottla serves; None if there are none."""
        known = self.apis.get(api.key)
        if known is None:
            return None
        first, last = max(known[0], api.served[0]), min(known[1], api.served[1])
        return (first, last) if first <= last else None

    def advertised(self, api: Api) -> Range | None:
        """Return the versions of an API that ApiVersions names; None if it does not name the API."""
        accepted = self.accepted(api)
        # From 4.0 on these are more than it accepts: librdkafka compresses only if it sees these versions.
        return (0, accepted[1]) if accepted is not None and api.key == ApiKey.PRODUCE else accepted


def accepted_versions(api: Api, release: Release | None) -> Range | None:
    """Return the versions of an API that a broker accepts which behaves like ``release`` (None: Ottla itself)."""
    return api.served if release is None else release.accepted(api)


def advertised_versions(api: Api, release: Release | None) -> Range | None:
    """Return the versions of an API that such a broker's ApiVersions names."""
    return api.advertised if release is None or api.advertised is None else release.advertised(api)


def find_release(name: str) -> Release:
    """Return the release of that name; further numbers ("2.8.1") do not matter. Raises UnknownReleaseError."""
    parts = name.strip().removeprefix("v").split(".")
    short = ".".join(parts[:3] if parts[0] == "0" and parts[1:2] != ["9"] else parts[:2])
    found = releases().get(short)
    if found is None:
        raise UnknownReleaseError(f"Kafka {name} is not a known release; known are {', '.join(releases())}")
    return found


@cache
def releases() -> Mapping[str, Release]:
    """Return all releases, the oldest first."""
    recorded = json.loads(files("ottla.broker.versions").joinpath("releases.json").read_text(encoding="utf-8"))
    return {
        name: Release(
            name,
            {int(key): (first, last) for key, (first, last) in found["apis"].items()},
            {feature: (most, at_first) for feature, (most, at_first) in found["features"].items()},
        )
        for name, found in recorded.items()
    }
