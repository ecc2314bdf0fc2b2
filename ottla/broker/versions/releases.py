"""What each release of Apache Kafka accepts: versions of APIs and levels of features, as its jars say.

`releases.json` is recorded by `compat/releases/record`. Until 3.2 it is what brokers with ZooKeeper had, from 3.3 on
those with KRaft. 0.9 and older have no ApiVersions: their clients have to know.
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
    """No release of that name; the message is one sentence for a person."""


class Release(NamedTuple):
    """One release, by its first two numbers (three, for 0.x): "2.8", "0.10.2"."""

    name: str
    apis: Mapping[int, Range]
    """First and last version by an API's key."""
    features: Mapping[str, Range]
    """The greatest level that it knows and the one that a new cluster has in force, by a feature's name."""

    def accepted(self, api: Api) -> Range | None:
        """The versions of an API that this release takes and that are served; None if there are none."""
        known = self.apis.get(api.key)
        if known is None:
            return None
        first, last = max(known[0], api.served[0]), min(known[1], api.served[1])
        return (first, last) if first <= last else None

    def advertised(self, api: Api) -> Range | None:
        """What ApiVersions says of an API."""
        accepted = self.accepted(api)
        # From 4.0 on more than is accepted: librdkafka compresses only if it sees these versions.
        return (0, accepted[1]) if accepted is not None and api.key == ApiKey.PRODUCE else accepted


def accepted_versions(api: Api, release: Release | None) -> Range | None:
    """The versions of an API that a broker takes which is to be like that release."""
    return api.served if release is None else release.accepted(api)


def advertised_versions(api: Api, release: Release | None) -> Range | None:
    """What such a broker's ApiVersions says."""
    return api.advertised if release is None or api.advertised is None else release.advertised(api)


def find_release(name: str) -> Release:
    """The release of that name; what comes behind its first numbers does not matter. Raises UnknownReleaseError."""
    parts = name.strip().removeprefix("v").split(".")
    short = ".".join(parts[:3] if parts[0] == "0" and parts[1:2] != ["9"] else parts[:2])
    found = releases().get(short)
    if found is None:
        raise UnknownReleaseError(f"no versions are known of Kafka {name}, only of {', '.join(releases())}")
    return found


@cache
def releases() -> Mapping[str, Release]:
    """All releases, the oldest first."""
    recorded = json.loads(files("ottla.broker.versions").joinpath("releases.json").read_text(encoding="utf-8"))
    return {
        name: Release(
            name,
            {int(key): (first, last) for key, (first, last) in found["apis"].items()},
            {feature: (most, at_first) for feature, (most, at_first) in found["features"].items()},
        )
        for name, found in recorded.items()
    }
