"""Quotas are set and found, the most particular one binds a client, and some cannot be set."""

import pytest

from ottla.broker.quotas.limits import (
    ANY,
    CONNECTION_CREATION_RATE,
    CONTROLLER_MUTATION_RATE,
    DEFAULT,
    EXACT,
    PRODUCER_BYTE_RATE,
    REQUEST_PERCENTAGE,
    Component,
    Limit,
    Quotas,
    as_entity,
)
from ottla.storage.catalogs.sqlite import FILE_NAME, SqliteCatalog
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError


@pytest.fixture
def catalog(tmp_path):
    catalog = SqliteCatalog(tmp_path / FILE_NAME, cluster_id="test", synchronous="OFF")
    yield catalog
    catalog.close()


@pytest.fixture
def quotas(catalog):
    return Quotas(catalog)


def put(quotas, entity, *, validate_only=False, **values):
    """Set or, with None, remove quotas of an entity: ``user=name``, ``client-id=name`` or ``ip=address`` each."""
    parts = [part.split("=") for part in entity.split(",")]
    quotas.alter(
        as_entity([(kind, name or None) for kind, name in parts]), [*values.items()], validate_only=validate_only
    )


def found(quotas, *components, strict=False):
    return [entity for entity, _ in quotas.describe(components, strict=strict)]


def test_the_most_particular_quota_binds_and_says_who_shares_it(quotas):
    key, particular_last = (
        PRODUCER_BYTE_RATE,
        [
            ("client-id=", Limit(1, (PRODUCER_BYTE_RATE, "", "app"))),
            ("client-id=app", Limit(2, (PRODUCER_BYTE_RATE, "", "app"))),
            ("user=", Limit(3, (PRODUCER_BYTE_RATE, "ann", ""))),
            ("user=,client-id=", Limit(4, (PRODUCER_BYTE_RATE, "ann", "app"))),
            ("user=,client-id=app", Limit(5, (PRODUCER_BYTE_RATE, "ann", "app"))),
            ("user=ann", Limit(6, (PRODUCER_BYTE_RATE, "ann", ""))),
            ("user=ann,client-id=", Limit(7, (PRODUCER_BYTE_RATE, "ann", "app"))),
            ("user=ann,client-id=app", Limit(8, (PRODUCER_BYTE_RATE, "ann", "app"))),
        ],
    )
    assert quotas.limit(key, "ann", "app") is None
    for entity, expected in particular_last:
        put(quotas, entity, **{key: expected.value})
        assert quotas.limit(key, "ann", "app") == expected


def test_a_quota_binds_only_what_it_is_of(quotas):
    put(quotas, "user=ann", producer_byte_rate=5.0)
    assert quotas.limit(REQUEST_PERCENTAGE, "ann", "app") is None
    assert quotas.limit(PRODUCER_BYTE_RATE, "bob", "app") is None


def test_quotas_of_addresses_bind_no_client_and_the_others_no_address(quotas):
    put(quotas, "ip=10.0.0.1", connection_creation_rate=5.0)
    assert not quotas.bind_clients
    assert quotas.connections_per_second("10.0.0.1") == 5
    assert quotas.connections_per_second("10.0.0.2") is None
    put(quotas, "ip=", connection_creation_rate=7.0)
    assert quotas.connections_per_second("10.0.0.2") == 7
    assert quotas.connections_per_second("10.0.0.1") == 5
    put(quotas, "user=ann", controller_mutation_rate=1.0)
    assert quotas.bind_clients


def test_quotas_are_kept_in_the_catalog_and_removed_from_it(catalog, quotas):
    put(quotas, "user=ann", producer_byte_rate=5.0, request_percentage=200.0)
    put(quotas, "user=ann", producer_byte_rate=None)
    again = Quotas(catalog)
    assert list(again.describe([], strict=False)) == [((("user", "ann"),), {REQUEST_PERCENTAGE: 200})]
    put(again, "user=ann", request_percentage=None)
    assert list(Quotas(catalog).describe([], strict=False)) == []


def test_what_changes_nothing_is_not_written(catalog, quotas):
    put(quotas, "user=ann", producer_byte_rate=5.0)
    before = catalog.metadata_offset
    put(quotas, "user=ann", producer_byte_rate=5.0)
    put(quotas, "user=ann", request_percentage=None)
    put(quotas, "user=ann", producer_byte_rate=6.0, validate_only=True)
    assert catalog.metadata_offset == before
    assert quotas.limit(PRODUCER_BYTE_RATE, "ann", "") == Limit(5, (PRODUCER_BYTE_RATE, "ann", ""))


@pytest.mark.parametrize(
    ("entity", "key", "value"),
    [
        ("user=ann", PRODUCER_BYTE_RATE, 0.0),
        ("user=ann", PRODUCER_BYTE_RATE, -1.0),
        ("user=ann", PRODUCER_BYTE_RATE, 1.5),
        ("user=ann", PRODUCER_BYTE_RATE, 2.0**64),
        ("user=ann", CONNECTION_CREATION_RATE, 1.0),
        ("user=ann", "nonsense", 1.0),
        ("ip=10.0.0.1", PRODUCER_BYTE_RATE, 1.0),
        ("ip=10.0.0.1", CONNECTION_CREATION_RATE, 2.0**31),
        ("ip=nowhere", CONNECTION_CREATION_RATE, 1.0),
        ("ip=10.0.0.1,user=ann", CONNECTION_CREATION_RATE, 1.0),
        ("planet=mars", PRODUCER_BYTE_RATE, 1.0),
    ],
)
def test_a_quota_that_cannot_be_is_refused_and_those_beside_it(quotas, entity, key, value):
    with pytest.raises(KafkaError) as refused:
        put(quotas, entity, **{CONTROLLER_MUTATION_RATE: 1.0, key: value})
    assert refused.value.code == ErrorCode.INVALID_REQUEST
    assert found(quotas) == []


def test_an_entity_needs_a_part_and_a_name_that_is_not_empty(quotas):
    for entity in ((), (("user", ""),)):
        with pytest.raises(KafkaError) as refused:
            quotas.alter(entity, [(PRODUCER_BYTE_RATE, 1.0)], validate_only=False)
        assert refused.value.code == ErrorCode.INVALID_REQUEST


def test_a_quota_that_is_changed_twice_is_refused(quotas):
    with pytest.raises(KafkaError, match="more than once"):
        quotas.alter((("user", "ann"),), [(PRODUCER_BYTE_RATE, 1.0), (PRODUCER_BYTE_RATE, 2.0)], validate_only=False)


def test_an_entitys_parts_have_one_order_and_the_last_of_a_type_counts():
    assert as_entity([("user", "ann"), ("client-id", "app"), ("user", None)]) == (("client-id", "app"), ("user", None))


# --- finding


@pytest.fixture
def filled(quotas):
    for entity in ("user=ann", "user=", "client-id=app,user=ann", "client-id=app"):
        put(quotas, entity, request_percentage=1.0)
    return quotas


ANN, ANYBODY, ANNS_APP, APP = (
    (("user", "ann"),),
    (("user", None),),
    (("client-id", "app"), ("user", "ann")),
    (("client-id", "app"),),
)


@pytest.mark.parametrize(
    ("components", "strict", "entities"),
    [
        ((), False, {ANN, ANYBODY, ANNS_APP, APP}),
        ((), True, set()),
        ((Component("user", EXACT, "ann"),), False, {ANN, ANNS_APP}),
        ((Component("user", EXACT, "ann"),), True, {ANN}),
        ((Component("user", DEFAULT, None),), False, {ANYBODY}),
        ((Component("user", ANY, None),), True, {ANN, ANYBODY}),
        ((Component("user", ANY, None), Component("client-id", EXACT, "app")), True, {ANNS_APP}),
        ((Component("ip", ANY, None),), False, set()),
    ],
)
def test_a_filter_finds_the_entities_that_match_all_its_parts(filled, components, strict, entities):
    assert set(found(filled, *components, strict=strict)) == entities


@pytest.mark.parametrize(
    ("components", "code"),
    [
        ([Component("", ANY, None)], ErrorCode.INVALID_REQUEST),
        ([Component("user", 3, None)], ErrorCode.INVALID_REQUEST),
        ([Component("user", EXACT, None)], ErrorCode.INVALID_REQUEST),
        ([Component("user", ANY, "ann")], ErrorCode.INVALID_REQUEST),
        ([Component("user", ANY, None), Component("user", ANY, None)], ErrorCode.INVALID_REQUEST),
        ([Component("ip", ANY, None), Component("user", ANY, None)], ErrorCode.INVALID_REQUEST),
        ([Component("planet", ANY, None)], ErrorCode.UNSUPPORTED_VERSION),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(filled, components, code):
    with pytest.raises(KafkaError) as refused:
        found(filled, *components)
    assert refused.value.code == code
