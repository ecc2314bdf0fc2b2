"""The configurations of topics, brokers, groups and subscriptions, as administrators read and alter them."""

from ottla.wire.schema import Request, Response, Struct, field, i8, i16, i32, since


class DescribeConfigsRequest(Request, key=32, versions=(0, 4), flexible=4):
    """Read configurations: all keys, or the named ones (KIP-133)."""

    class Resource(Struct):
        resource_type: i8
        resource_name: str
        configuration_keys: list[str] | None

    resources: list[Resource]
    include_synonyms: bool = since(1, default=False)
    include_documentation: bool = since(3, default=False)


class DescribeConfigsResponse(Response, key=32, versions=(0, 4), flexible=4):
    """Values and where each comes from, with synonyms (KIP-226) and documentation (KIP-569)."""

    class Resource(Struct):
        class Config(Struct):
            class Synonym(Struct):
                name: str
                value: str | None
                source: i8

            name: str
            value: str | None
            read_only: bool
            is_default: bool = field(until=0, default=False)
            config_source: i8 = since(1, default=-1)
            is_sensitive: bool
            synonyms: list[Synonym] = since(1, default=[])
            config_type: i8 = since(3, default=0)
            documentation: str | None = since(3, default="")

        error_code: i16 = 0
        error_message: str | None
        resource_type: i8
        resource_name: str
        configs: list[Config]

    throttle_time_ms: i32 = 0
    results: list[Resource]


class IncrementalAlterConfigsRequest(Request, key=44, versions=(0, 1), flexible=1):
    """Change single keys: set (0), delete (1), append (2), subtract (3) (KIP-339)."""

    class Resource(Struct):
        class Config(Struct):
            name: str
            config_operation: i8
            value: str | None

        resource_type: i8
        resource_name: str
        configs: list[Config]

    resources: list[Resource]
    validate_only: bool


class IncrementalAlterConfigsResponse(Response, key=44, versions=(0, 1), flexible=1):
    """How each resource's change went."""

    class Resource(Struct):
        error_code: i16 = 0
        error_message: str | None
        resource_type: i8
        resource_name: str

    throttle_time_ms: i32 = 0
    responses: list[Resource]


class AlterConfigsRequest(Request, key=33, versions=(0, 2), flexible=2):
    """Replace all that is set for each resource (KIP-133); what is not named goes back to its default."""

    class Resource(Struct):
        class Config(Struct):
            name: str
            value: str | None

        resource_type: i8
        resource_name: str
        configs: list[Config]

    resources: list[Resource]
    validate_only: bool


class AlterConfigsResponse(Response, key=33, versions=(0, 2), flexible=2):
    """How each resource's change went."""

    class Resource(Struct):
        error_code: i16 = 0
        error_message: str | None
        resource_type: i8
        resource_name: str

    throttle_time_ms: i32 = 0
    responses: list[Resource]


class ListConfigResourcesRequest(Request, key=74, versions=(0, 1), flexible=0):
    """Ask what has a configuration: client metrics in version 0 (KIP-714), any types from version 1 (KIP-1142)."""

    resource_types: list[i8] = since(1, default=[])

    @staticmethod
    def names_types(version: int) -> bool:
        """Whether the client says which types it wants, and none means all."""
        return version >= 1


class ListConfigResourcesResponse(Response, key=74, versions=(0, 1), flexible=0):
    """The names of what has a configuration."""

    class Resource(Struct):
        resource_name: str
        resource_type: i8 = since(1, default=16)

    throttle_time_ms: i32 = 0
    error_code: i16 = 0
    config_resources: list[Resource]
