"""The features of the cluster (KIP-584): their levels, and which way each may go."""

import pytest

from ottla.broker.versions.features import (
    ELIGIBLE_LEADER_REPLICAS,
    FEATURES,
    METADATA_VERSION,
    Features,
    Levels,
    UpgradeType,
)
from ottla.broker.versions.releases import find_release
from ottla.storage.catalogs.sqlite import FILE_NAME, SqliteCatalog
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

UPGRADE, SAFE, UNSAFE = UpgradeType


@pytest.fixture
def catalog(tmp_path):
    catalog = SqliteCatalog(tmp_path / FILE_NAME, cluster_id="test", synchronous="OFF")
    yield catalog
    catalog.close()


def test_a_new_cluster_has_all_features_at_their_first_level(catalog):
    features = Features(catalog)
    assert dict(features.supported()) == FEATURES
    assert dict(features.in_force()) == {METADATA_VERSION: 30, ELIGIBLE_LEADER_REPLICAS: 1}


def test_a_level_that_was_changed_is_kept_in_the_catalog(catalog):
    Features(catalog).update({ELIGIBLE_LEADER_REPLICAS: (0, SAFE)}, validate_only=False)
    assert Features(catalog).level(ELIGIBLE_LEADER_REPLICAS) == 0
    assert ELIGIBLE_LEADER_REPLICAS not in dict(Features(catalog).in_force())
    Features(catalog).update({ELIGIBLE_LEADER_REPLICAS: (1, UPGRADE)}, validate_only=False)
    assert Features(catalog).level(ELIGIBLE_LEADER_REPLICAS) == 1


def test_a_change_can_be_tried_out_and_one_that_is_none_is_not_written(catalog):
    features, before = Features(catalog), catalog.metadata_offset
    features.update({ELIGIBLE_LEADER_REPLICAS: (0, SAFE)}, validate_only=True)
    features.update({ELIGIBLE_LEADER_REPLICAS: (1, UPGRADE)}, validate_only=False)
    assert features.level(ELIGIBLE_LEADER_REPLICAS) == 1
    assert catalog.metadata_offset == before


@pytest.mark.parametrize(
    ("name", "level", "upgrade_type", "why"),
    [
        ("nope", 1, UPGRADE, "nope does not exist"),
        (ELIGIBLE_LEADER_REPLICAS, 0, UPGRADE, "would be a downgrade"),
        (ELIGIBLE_LEADER_REPLICAS, 2, UPGRADE, "levels from 0 to 1"),
        (ELIGIBLE_LEADER_REPLICAS, -1, SAFE, "levels from 0 to 1"),
        (ELIGIBLE_LEADER_REPLICAS, 0, 4, "is unknown"),
        (METADATA_VERSION, 29, SAFE, "cannot be downgraded"),
        (METADATA_VERSION, 29, UNSAFE, "cannot be downgraded"),
    ],
)
def test_a_wrong_change_spoils_those_beside_it(catalog, name, level, upgrade_type, why):
    features = Features(catalog)
    wanted = {ELIGIBLE_LEADER_REPLICAS: (0, SAFE), name: (level, upgrade_type)}
    with pytest.raises(KafkaError, match=why) as refused:
        features.update(wanted, validate_only=False)
    assert refused.value.code == ErrorCode.INVALID_UPDATE_VERSION
    assert features.level(ELIGIBLE_LEADER_REPLICAS) == 1


def test_a_release_knows_no_more_than_it_had(catalog):
    features = Features(catalog, find_release("3.9"))
    assert dict(features.supported()) == {METADATA_VERSION: Levels(7, 21, 21)}
    assert dict(features.in_force()) == {METADATA_VERSION: 21}
    assert dict(Features(catalog, find_release("2.8")).supported()) == {}
