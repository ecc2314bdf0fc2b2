"""Access control and credentials: ACLs, delegation tokens, SCRAM credentials, and the SASL handshake."""

from ottla.wire.schema import Request, Response, Struct, i8, i16, i32, i64, since

LITERAL = 3
"""``PatternType``: the resource's name stands for itself."""


class SaslHandshakeRequest(Request, key=17, versions=(0, 1)):
    """Choose a SASL mechanism (KIP-43)."""

    mechanism: str


class SaslHandshakeResponse(Response, key=17, versions=(0, 1)):
    """The mechanisms that the listener has."""

    error_code: i16 = 0
    mechanisms: list[str]


class SaslAuthenticateRequest(Request, key=36, versions=(0, 2), flexible=2):
    """One step of a SASL exchange (KIP-152)."""

    auth_bytes: bytes


class SaslAuthenticateResponse(Response, key=36, versions=(0, 2), flexible=2):
    """The server's step, and from version 1 when to authenticate again (KIP-368)."""

    error_code: i16 = 0
    error_message: str | None
    auth_bytes: bytes
    session_lifetime_ms: i64 = since(1, default=0)


class DescribeAclsRequest(Request, key=29, versions=(0, 3), flexible=2):
    """List ACLs that match a filter (KIP-140), with prefixed patterns (KIP-290)."""

    resource_type_filter: i8
    resource_name_filter: str | None
    pattern_type_filter: i8 = since(1, default=LITERAL)
    principal_filter: str | None
    host_filter: str | None
    operation: i8
    permission_type: i8


class DescribeAclsResponse(Response, key=29, versions=(0, 3), flexible=2):
    """The ACLs, by resource."""

    class Resource(Struct):
        class Acl(Struct):
            principal: str
            host: str
            operation: i8
            permission_type: i8

        resource_type: i8
        resource_name: str
        pattern_type: i8 = since(1, default=LITERAL)
        acls: list[Acl]

    throttle_time_ms: i32 = 0
    error_code: i16 = 0
    error_message: str | None
    resources: list[Resource]


class CreateAclsRequest(Request, key=30, versions=(0, 3), flexible=2):
    """Add ACLs."""

    class Creation(Struct):
        resource_type: i8
        resource_name: str
        resource_pattern_type: i8 = since(1, default=LITERAL)
        principal: str
        host: str
        operation: i8
        permission_type: i8

    creations: list[Creation]


class CreateAclsResponse(Response, key=30, versions=(0, 3), flexible=2):
    """How each addition went, in the order of the request."""

    class Result(Struct):
        error_code: i16 = 0
        error_message: str | None

    throttle_time_ms: i32 = 0
    results: list[Result]


class DeleteAclsRequest(Request, key=31, versions=(0, 3), flexible=2):
    """Remove all ACLs that match one of the filters."""

    class Filter(Struct):
        resource_type_filter: i8
        resource_name_filter: str | None
        pattern_type_filter: i8 = since(1, default=LITERAL)
        principal_filter: str | None
        host_filter: str | None
        operation: i8
        permission_type: i8

    filters: list[Filter]


class DeleteAclsResponse(Response, key=31, versions=(0, 3), flexible=2):
    """The ACLs that each filter removed, in the order of the request."""

    class Result(Struct):
        class Acl(Struct):
            error_code: i16 = 0
            error_message: str | None
            resource_type: i8
            resource_name: str
            pattern_type: i8 = since(1, default=LITERAL)
            principal: str
            host: str
            operation: i8
            permission_type: i8

        error_code: i16 = 0
        error_message: str | None
        matching_acls: list[Acl]

    throttle_time_ms: i32 = 0
    filter_results: list[Result]


class CreateDelegationTokenRequest(Request, key=38, versions=(0, 3), flexible=2):
    """Ask for a token (KIP-48), from version 3 on behalf of somebody else (KIP-373)."""

    class Renewer(Struct):
        principal_type: str
        principal_name: str

    owner_principal_type: str | None = since(3, default="")
    owner_principal_name: str | None = since(3, default="")
    renewers: list[Renewer]
    max_lifetime_ms: i64


class CreateDelegationTokenResponse(Response, key=38, versions=(0, 3), flexible=2):
    """The token."""

    error_code: i16 = 0
    principal_type: str
    principal_name: str
    token_requester_principal_type: str = since(3, default="")
    token_requester_principal_name: str = since(3, default="")
    issue_timestamp_ms: i64
    expiry_timestamp_ms: i64
    max_timestamp_ms: i64
    token_id: str
    hmac: bytes
    throttle_time_ms: i32 = 0


class RenewDelegationTokenRequest(Request, key=39, versions=(0, 2), flexible=2):
    """Let a token live longer."""

    hmac: bytes
    renew_period_ms: i64


class RenewDelegationTokenResponse(Response, key=39, versions=(0, 2), flexible=2):
    """Until when it lives."""

    error_code: i16 = 0
    expiry_timestamp_ms: i64
    throttle_time_ms: i32 = 0


class ExpireDelegationTokenRequest(Request, key=40, versions=(0, 2), flexible=2):
    """Let a token end sooner, or now."""

    hmac: bytes
    expiry_time_period_ms: i64


class ExpireDelegationTokenResponse(Response, key=40, versions=(0, 2), flexible=2):
    """Until when it lives."""

    error_code: i16 = 0
    expiry_timestamp_ms: i64
    throttle_time_ms: i32 = 0


class DescribeDelegationTokenRequest(Request, key=41, versions=(0, 3), flexible=2):
    """List tokens of some owners; None means of all."""

    class Owner(Struct):
        principal_type: str
        principal_name: str

    owners: list[Owner] | None


class DescribeDelegationTokenResponse(Response, key=41, versions=(0, 3), flexible=2):
    """The tokens."""

    class Token(Struct):
        class Renewer(Struct):
            principal_type: str
            principal_name: str

        principal_type: str
        principal_name: str
        token_requester_principal_type: str = since(3, default="")
        token_requester_principal_name: str = since(3, default="")
        issue_timestamp: i64
        expiry_timestamp: i64
        max_timestamp: i64
        token_id: str
        hmac: bytes
        renewers: list[Renewer]

    error_code: i16 = 0
    tokens: list[Token]
    throttle_time_ms: i32 = 0


class DescribeUserScramCredentialsRequest(Request, key=50, versions=(0, 0), flexible=0):
    """Ask which SCRAM mechanisms users have (KIP-554); None, or nobody, means everybody."""

    class User(Struct):
        name: str

    users: list[User] | None


class DescribeUserScramCredentialsResponse(Response, key=50, versions=(0, 0), flexible=0):
    """Mechanisms and iterations, never the secrets."""

    class Result(Struct):
        class Credential(Struct):
            mechanism: i8
            iterations: i32

        user: str
        error_code: i16 = 0
        error_message: str | None
        credential_infos: list[Credential]

    throttle_time_ms: i32 = 0
    error_code: i16 = 0
    error_message: str | None
    results: list[Result]


class AlterUserScramCredentialsRequest(Request, key=51, versions=(0, 0), flexible=0):
    """Set or delete users' SCRAM credentials (KIP-554); the client has salted the password."""

    class Deletion(Struct):
        name: str
        mechanism: i8

    class Upsertion(Struct):
        name: str
        mechanism: i8
        iterations: i32
        salt: bytes
        salted_password: bytes

    deletions: list[Deletion]
    upsertions: list[Upsertion]


class AlterUserScramCredentialsResponse(Response, key=51, versions=(0, 0), flexible=0):
    """How it went for each user."""

    class Result(Struct):
        user: str
        error_code: i16 = 0
        error_message: str | None

    throttle_time_ms: i32 = 0
    results: list[Result]
