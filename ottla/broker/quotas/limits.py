"""The quotas of clients (KIP-546): those that are set, kept in the catalog, and the one that binds a client.

Follows ``ClientQuotaControlManager`` and ``ClientQuotaCache``. An entity is a user, a client id, both, or an address;
without a name it is the default for those that have none of their own.
"""

import ipaddress
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ottla.storage.catalog import Catalog
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

USER, CLIENT_ID, IP = "user", "client-id", "ip"
PRODUCER_BYTE_RATE, CONSUMER_BYTE_RATE = "producer_byte_rate", "consumer_byte_rate"
REQUEST_PERCENTAGE = "request_percentage"
CONTROLLER_MUTATION_RATE, CONNECTION_CREATION_RATE = "controller_mutation_rate", "connection_creation_rate"
CLIENT_KEYS = (PRODUCER_BYTE_RATE, CONSUMER_BYTE_RATE, REQUEST_PERCENTAGE, CONTROLLER_MUTATION_RATE)
_KEYS: Mapping[str, tuple[str, ...]] = {USER: CLIENT_KEYS, CLIENT_ID: CLIENT_KEYS, IP: (CONNECTION_CREATION_RATE,)}
_MAXIMUM: Mapping[str, int] = {
    PRODUCER_BYTE_RATE: 2**63 - 1,
    CONSUMER_BYTE_RATE: 2**63 - 1,
    CONNECTION_CREATION_RATE: 2**31 - 1,
}
"""Maximum value of each quota that is a whole number."""
KIND = "quota"
"""The kind of the catalog's entries for quotas; their name is the entity as JSON."""

Entity = tuple[tuple[str, str | None], ...]
"""The types and names of an entity, in the order of the types; no name means the default."""
EXACT, DEFAULT, ANY = range(3)
"""The ways in which a filter's component matches a name."""


class Component(NamedTuple):
    """One component of a filter: the entity must have this type, and a name that matches."""

    entity_type: str
    match_type: int
    match: str | None


class Limit(NamedTuple):
    """The limit for a client, and the clients that share it: all of a user, or each client of a user by itself."""

    value: float
    shared_by: tuple[str, str, str]


class Quotas:
    """All quotas that are set."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._by_entity: dict[Entity, Mapping[str, float]] = {}
        self._read()

    def _read(self) -> None:
        self._by_entity = {
            tuple((kind, name) for kind, name in json.loads(text)): values
            for text, values in self._catalog.entries(KIND).items()
        }
        self._by_address = {
            None if entity[0][1] is None else ipaddress.ip_address(entity[0][1]): values[CONNECTION_CREATION_RATE]
            for entity, values in self._by_entity.items()
            if CONNECTION_CREATION_RATE in values
        }

    @property
    def bind_clients(self) -> bool:
        """Whether a quota is set that requests of clients must be checked against."""
        return any(not values.keys().isdisjoint(CLIENT_KEYS) for values in self._by_entity.values())

    def limit(self, key: str, user: str, client_id: str) -> Limit | None:
        """Return the limit of the most particular entity that matches a client (``DefaultQuotaCallback``)."""
        each, whole = (key, user, client_id), (key, user, "")
        for entity, shared_by in (
            (((CLIENT_ID, client_id), (USER, user)), each),
            (((CLIENT_ID, None), (USER, user)), each),
            (((USER, user),), whole),
            (((CLIENT_ID, client_id), (USER, None)), each),
            (((CLIENT_ID, None), (USER, None)), each),
            (((USER, None),), whole),
            (((CLIENT_ID, client_id),), (key, "", client_id)),
            (((CLIENT_ID, None),), (key, "", client_id)),
        ):
            value = self._by_entity.get(entity, {}).get(key)
            if value is not None:
                return Limit(value, shared_by)
        return None

    def connections_per_second(self, address: str) -> float | None:
        """Return the connections per second that an address may make: its own quota, else that of all addresses."""
        if not self._by_address:
            return None
        return self._by_address.get(ipaddress.ip_address(address), self._by_address.get(None))

    def describe(
        self, components: Sequence[Component], *, strict: bool
    ) -> Iterator[tuple[Entity, Mapping[str, float]]]:
        """Yield the entities that match all components; if strict, only those without other parts.

        Raises ``KafkaError`` INVALID_REQUEST, UNSUPPORTED_VERSION.
        """
        _check_filter(components)
        for entity, values in self._by_entity.items():
            names = dict(entity)
            if strict and len(names) != len(components):
                continue
            if all(each.entity_type in names and _matches(each, names[each.entity_type]) for each in components):
                yield entity, values

    def alter(self, entity: Entity, changes: Sequence[tuple[str, float | None]], *, validate_only: bool) -> None:
        """Set quotas of an entity, or with None remove them, all or none. Raises ``KafkaError`` INVALID_REQUEST."""
        _check_entity(entity)
        values = dict(self._by_entity.get(entity, {}))
        if len({key for key, _ in changes}) < len(changes):
            raise _invalid("A quota is changed more than once")
        for key, value in changes:
            if value is None:
                values.pop(key, None)
            else:
                _check_value(entity, key, value)
                values[key] = value
        if not validate_only and values != self._by_entity.get(entity, {}):
            self._catalog.change_entries(KIND, {json.dumps(entity): values or None})
            self._read()


def as_entity(parts: Sequence[tuple[str, str | None]]) -> Entity:
    """Bring an entity's parts in their order; of two with one type, the last counts, as in Apache."""
    return tuple(sorted(dict(parts).items()))


def _matches(component: Component, name: str | None) -> bool:
    return component.match_type == ANY or name == component.match


def _check_filter(components: Sequence[Component]) -> None:
    types = [each.entity_type for each in components]
    for each in components:
        if not each.entity_type:
            raise _invalid("A component of the filter has no type")
        if each.match_type not in {EXACT, DEFAULT, ANY}:
            raise _invalid(f"Match type {each.match_type} is unknown")
        if (each.match is None) == (each.match_type == EXACT):
            raise _invalid("An exact match needs a name, and no other match may have one")
        if types.count(each.entity_type) > 1:
            raise _invalid(f"The filter names {each.entity_type} more than once")
        if each.entity_type not in _KEYS:
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"{each.entity_type} has no quotas")
    if IP in types and len(types) > 1:
        raise _invalid("ip cannot be combined with other entity types")


def _check_entity(entity: Entity) -> None:
    if not entity:
        raise _invalid("The entity is empty")
    names = dict(entity)
    for entity_type, name in entity:
        if entity_type not in _KEYS:
            raise _invalid(f"{entity_type} has no quotas")
        if name == "":
            raise _invalid(f"The name of a {entity_type} must not be empty")
    if IP in names and len(names) > 1:
        raise _invalid("ip cannot be combined with other entity types")


def _check_value(entity: Entity, key: str, value: float) -> None:
    if key not in _KEYS[entity[0][0]]:
        raise _invalid(f"{key} is not a quota of {entity[0][0]}")
    address = dict(entity).get(IP)
    if address is not None:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise _invalid(f"{address} is not an address") from None
    if value <= 0:  # NaN passes, as in Apache
        raise _invalid(f"{key} must be above 0")
    if key in _MAXIMUM:
        if value > _MAXIMUM[key]:
            raise _invalid(f"{key} can be at most {_MAXIMUM[key]}")
        if value % 1 > 0:
            raise _invalid(f"{key} must be a whole number")


def _invalid(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REQUEST, message)
