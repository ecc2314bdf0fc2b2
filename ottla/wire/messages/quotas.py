"""Limits on clients' rates: DescribeClientQuotas, AlterClientQuotas (KIP-546)."""

from ottla.wire.schema import Request, Response, Struct, f64, i8, i16, i32


class DescribeClientQuotasRequest(Request, key=48, versions=(0, 1), flexible=1):
    """List quotas; each component narrows them by one part of the entity: exactly (0), its default (1), any (2)."""

    class Component(Struct):
        entity_type: str
        match_type: i8
        match: str | None

    components: list[Component]
    strict: bool


class DescribeClientQuotasResponse(Response, key=48, versions=(0, 1), flexible=1):
    """The quotas, by entity; a part without a name is the default."""

    class Entry(Struct):
        class Entity(Struct):
            entity_type: str
            entity_name: str | None

        class Value(Struct):
            key: str
            value: f64

        entity: list[Entity]
        values: list[Value]

    throttle_time_ms: i32 = 0
    error_code: i16 = 0
    error_message: str | None
    entries: list[Entry] | None


class AlterClientQuotasRequest(Request, key=49, versions=(0, 1), flexible=1):
    """Set or remove quotas."""

    class Entry(Struct):
        class Entity(Struct):
            entity_type: str
            entity_name: str | None

        class Op(Struct):
            key: str
            value: f64
            remove: bool

        entity: list[Entity]
        ops: list[Op]

    entries: list[Entry]
    validate_only: bool


class AlterClientQuotasResponse(Response, key=49, versions=(0, 1), flexible=1):
    """How it went for each entity."""

    class Entry(Struct):
        class Entity(Struct):
            entity_type: str
            entity_name: str | None

        error_code: i16 = 0
        error_message: str | None
        entity: list[Entity]

    throttle_time_ms: i32 = 0
    entries: list[Entry]
