"""Users and rights: on a plain listener, without an authorizer, every client may do everything.

SASL, ACLs and delegation tokens get the answers of such a broker of Apache Kafka; SCRAM credentials are kept.
"""

from ottla.broker.requests.context import Context
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError, ProtocolError
from ottla.wire.messages.security import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    CreateAclsRequest,
    CreateAclsResponse,
    CreateDelegationTokenRequest,
    CreateDelegationTokenResponse,
    DeleteAclsRequest,
    DeleteAclsResponse,
    DescribeAclsRequest,
    DescribeAclsResponse,
    DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse,
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    ExpireDelegationTokenRequest,
    ExpireDelegationTokenResponse,
    RenewDelegationTokenRequest,
    RenewDelegationTokenResponse,
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
    SaslHandshakeRequest,
    SaslHandshakeResponse,
)

DescribedUser = DescribeUserScramCredentialsResponse.Result
AlteredUser = AlterUserScramCredentialsResponse.Result

_NO_AUTHORIZER = "This broker has no authorizer"


def sasl_handshake(context: Context, request: SaslHandshakeRequest) -> SaslHandshakeResponse:
    """Refuse: clients of a plain listener need no authentication."""
    return SaslHandshakeResponse(error_code=ErrorCode.ILLEGAL_SASL_STATE, mechanisms=[])


def sasl_authenticate(context: Context, request: SaslAuthenticateRequest) -> SaslAuthenticateResponse:
    """Refuse, as ``sasl_handshake`` does."""
    return SaslAuthenticateResponse(
        error_code=ErrorCode.ILLEGAL_SASL_STATE,
        error_message="This listener asks for no authentication",
        auth_bytes=b"",
    )


def describe_acls(context: Context, request: DescribeAclsRequest) -> DescribeAclsResponse:
    """Refuse: without an authorizer there are no ACLs."""
    _check_codes(request.resource_type_filter, request.pattern_type_filter, request.operation, request.permission_type)
    return DescribeAclsResponse(error_code=ErrorCode.SECURITY_DISABLED, error_message=_NO_AUTHORIZER, resources=[])


def create_acls(context: Context, request: CreateAclsRequest) -> CreateAclsResponse:
    """Refuse each ACL."""
    for each in request.creations:
        _check_codes(each.resource_type, each.resource_pattern_type, each.operation, each.permission_type)
    return CreateAclsResponse(
        results=[
            CreateAclsResponse.Result(error_code=ErrorCode.SECURITY_DISABLED, error_message=_NO_AUTHORIZER)
            for _ in request.creations
        ]
    )


def delete_acls(context: Context, request: DeleteAclsRequest) -> DeleteAclsResponse:
    """Refuse each filter."""
    for each in request.filters:
        _check_codes(each.resource_type_filter, each.pattern_type_filter, each.operation, each.permission_type)
    return DeleteAclsResponse(
        filter_results=[
            DeleteAclsResponse.Result(
                error_code=ErrorCode.SECURITY_DISABLED, error_message=_NO_AUTHORIZER, matching_acls=[]
            )
            for _ in request.filters
        ]
    )


def _check_codes(*codes: int) -> None:
    """Refuse the code 0, UNKNOWN: Apache does not even read such a request. Raises ``ProtocolError``."""
    if 0 in codes:
        raise ProtocolError("an ACL with the code 0 (UNKNOWN)")


def create_delegation_token(
    context: Context,
    request: CreateDelegationTokenRequest,
) -> CreateDelegationTokenResponse:
    """Refuse: only authenticated clients get a token (KIP-48)."""
    principal = context.principal
    names_owner = bool(request.owner_principal_name)
    return CreateDelegationTokenResponse(
        error_code=ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
        principal_type=(request.owner_principal_type or "") if names_owner else principal.type,
        principal_name=request.owner_principal_name or principal.name,
        token_requester_principal_type=principal.type,
        token_requester_principal_name=principal.name,
        issue_timestamp_ms=-1,
        expiry_timestamp_ms=-1,
        max_timestamp_ms=-1,
        token_id="",
        hmac=b"",
    )


def renew_delegation_token(
    context: Context,
    request: RenewDelegationTokenRequest,
) -> RenewDelegationTokenResponse:
    """Refuse, as ``create_delegation_token`` does."""
    return RenewDelegationTokenResponse(
        error_code=ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, expiry_timestamp_ms=-1
    )


def expire_delegation_token(
    context: Context,
    request: ExpireDelegationTokenRequest,
) -> ExpireDelegationTokenResponse:
    """Refuse, as ``create_delegation_token`` does."""
    return ExpireDelegationTokenResponse(
        error_code=ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, expiry_timestamp_ms=-1
    )


def describe_delegation_token(
    context: Context,
    request: DescribeDelegationTokenRequest,
) -> DescribeDelegationTokenResponse:
    """Refuse, as ``create_delegation_token`` does."""
    return DescribeDelegationTokenResponse(error_code=ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, tokens=[])


def describe_user_scram_credentials(
    context: Context, request: DescribeUserScramCredentialsRequest
) -> DescribeUserScramCredentialsResponse:
    """List the mechanisms of users, never the secrets."""
    credentials = context.cluster.scram_credentials
    asked = [user.name for user in request.users or ()]
    results = []
    for name in dict.fromkeys(asked or credentials.users()):
        answer = DescribedUser(user=name, error_message="", credential_infos=[])
        try:
            if asked.count(name) > 1:
                raise KafkaError(ErrorCode.DUPLICATE_RESOURCE, f"{name!r} is asked for twice")
            answer.credential_infos = [
                DescribedUser.Credential(mechanism=mechanism, iterations=iterations)
                for mechanism, iterations in credentials.describe(name)
            ]
        except KafkaError as error:
            answer.error_code, answer.error_message = error.code, error.message
        results.append(answer)
    return DescribeUserScramCredentialsResponse(error_message="", results=results)


def alter_user_scram_credentials(
    context: Context, request: AlterUserScramCredentialsRequest
) -> AlterUserScramCredentialsResponse:
    """Set and delete credentials, each user by itself; a user named twice is left unchanged."""
    credentials = context.cluster.scram_credentials
    names = [*(each.name for each in request.deletions), *(each.name for each in request.upsertions)]
    errors: dict[str, KafkaError] = {}
    for name in names:
        if names.count(name) > 1:
            errors[name] = KafkaError(ErrorCode.DUPLICATE_RESOURCE, f"{name!r} is changed twice")
    for deletion in request.deletions:
        try:
            credentials.check_deletion(deletion.name, deletion.mechanism)
        except KafkaError as error:
            errors[deletion.name] = error
    for upsertion in request.upsertions:
        try:
            credentials.check(upsertion.name, upsertion.mechanism, upsertion.iterations, upsertion.salted_password)
        except KafkaError as error:
            errors.setdefault(upsertion.name, error)
    for deletion in request.deletions:
        if deletion.name not in errors:
            try:
                credentials.delete(deletion.name, deletion.mechanism)
            except KafkaError as error:
                errors[deletion.name] = error
    for upsertion in request.upsertions:
        if upsertion.name not in errors:
            try:
                credentials.put(
                    upsertion.name,
                    upsertion.mechanism,
                    iterations=upsertion.iterations,
                    salt=upsertion.salt,
                    salted_password=upsertion.salted_password,
                )
            except KafkaError as error:
                errors[upsertion.name] = error
    return AlterUserScramCredentialsResponse(
        results=[_altered(name, errors.get(name)) for name in dict.fromkeys(names)]
    )


def _altered(name: str, error: KafkaError | None) -> AlteredUser:
    if error is None:
        return AlteredUser(user=name, error_message=None)
    return AlteredUser(user=name, error_code=error.code, error_message=error.message)
