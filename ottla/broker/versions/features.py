"""The features of the cluster (KIP-584): the levels that are served, and the one in force, kept in the catalog.

A feature stands here once its behaviour is served: clients choose protocols by the levels in force.
"""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple

from ottla.broker.versions.releases import Release
from ottla.storage.catalog import Catalog
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

METADATA_VERSION = "metadata.version"
ELIGIBLE_LEADER_REPLICAS = "eligible.leader.replicas.version"
KIND = "feature"
"""The kind of the catalog's entries for levels."""


class Levels(NamedTuple):
    """The levels of a feature that are served, and that of a new cluster; 0 means "not in force"."""

    least: int
    most: int
    at_first: int


FEATURES: Mapping[str, Levels] = {
    METADATA_VERSION: Levels(7, 30, 30),  # 3.3-IV3 to 4.3-IV0
    ELIGIBLE_LEADER_REPLICAS: Levels(0, 1, 1),
}


class UpgradeType(IntEnum):
    """The direction in which a level may change."""

    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


class Features:
    """The levels in force. Follows ``FeatureControlManager``."""

    def __init__(self, catalog: Catalog, release: Release | None = None) -> None:
        self._catalog = catalog
        self._release = release

    def supported(self) -> Iterator[tuple[str, Levels]]:
        """Yield each feature with the levels that clients are told of, as in the release that this broker imitates."""
        for name, levels in FEATURES.items():
            if self._release is None:
                yield name, levels
            elif name in self._release.features:
                most, at_first = self._release.features[name]
                yield name, Levels(min(levels.least, most), min(levels.most, most), min(levels.at_first, at_first))

    def level(self, name: str) -> int:
        """Return the level in force; 0 if there is none."""
        return int(self._catalog.entries(KIND).get(name, FEATURES[name].at_first))

    def in_force(self) -> Iterator[tuple[str, int]]:
        """Yield each feature that is in force, with its level."""
        for name, levels in self.supported():
            level = self.level(name) if self._release is None else min(self.level(name), levels.at_first)
            if level:
                yield name, level

    def update(self, wanted: Mapping[str, tuple[int, int]], *, validate_only: bool) -> None:
        """Set levels, all or none: name, level and type of upgrade. Raises ``KafkaError`` INVALID_UPDATE_VERSION."""
        for name, (level, upgrade_type) in wanted.items():
            self._check(name, level, upgrade_type)
        changes = {name: level for name, (level, _) in wanted.items() if level != self.level(name)}
        if changes and not validate_only:
            self._catalog.change_entries(KIND, changes)

    def _check(self, name: str, level: int, upgrade_type: int) -> None:
        served = FEATURES.get(name)
        if served is None:
            raise _invalid(f"Feature {name} does not exist")
        if upgrade_type not in set(UpgradeType):
            raise _invalid(f"Upgrade type {upgrade_type} of {name} is unknown")
        if not served.least <= level <= served.most:
            raise _invalid(f"{name} has levels from {served.least} to {served.most}, not {level}")
        now = self.level(name)
        if level < now and upgrade_type == UpgradeType.UPGRADE:
            raise _invalid(f"{name} is at {now}: {level} would be a downgrade, which was not asked for")
        if level < now and name == METADATA_VERSION:
            raise _invalid(f"{name} cannot be downgraded from {now}")


def _invalid(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_UPDATE_VERSION, message)
