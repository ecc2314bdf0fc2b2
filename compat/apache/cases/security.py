"""Authentication, ACLs, delegation tokens and SCRAM credentials, at brokers without an authorizer."""

from __future__ import annotations

from compat.apache.base import Base
from compat.apache.side import Side
from ottla.wire.messages.security import (
    AlterUserScramCredentialsRequest,
    CreateAclsRequest,
    CreateDelegationTokenRequest,
    DeleteAclsRequest,
    DescribeAclsRequest,
    DescribeDelegationTokenRequest,
    DescribeUserScramCredentialsRequest,
    ExpireDelegationTokenRequest,
    RenewDelegationTokenRequest,
    SaslAuthenticateRequest,
    SaslHandshakeRequest,
)

TOPIC, READ, ALLOW = 2, 3, 3
SCRAM_SHA_256, SCRAM_SHA_512 = 1, 2
Upsertion = AlterUserScramCredentialsRequest.Upsertion
Deletion = AlterUserScramCredentialsRequest.Deletion


def _describe_acls(_: Side) -> DescribeAclsRequest:
    return DescribeAclsRequest(
        resource_type_filter=TOPIC,
        resource_name_filter="known",
        principal_filter="User:somebody",
        host_filter="*",
        operation=READ,
        permission_type=ALLOW,
    )


def _create_acls(_: Side) -> CreateAclsRequest:
    creation = CreateAclsRequest.Creation(
        resource_type=TOPIC,
        resource_name="known",
        principal="User:somebody",
        host="*",
        operation=READ,
        permission_type=ALLOW,
    )
    return CreateAclsRequest(creations=[creation])


def _delete_acls(_: Side) -> DeleteAclsRequest:
    each = DeleteAclsRequest.Filter(
        resource_type_filter=TOPIC,
        resource_name_filter="known",
        principal_filter="User:somebody",
        host_filter="*",
        operation=READ,
        permission_type=ALLOW,
    )
    return DeleteAclsRequest(filters=[each])


def _token(_: Side) -> CreateDelegationTokenRequest:
    renewer = CreateDelegationTokenRequest.Renewer(principal_type="User", principal_name="somebody")
    return CreateDelegationTokenRequest(renewers=[renewer], max_lifetime_ms=1_000)


def _tokens(_: Side) -> DescribeDelegationTokenRequest:
    owner = DescribeDelegationTokenRequest.Owner(principal_type="User", principal_name="somebody")
    return DescribeDelegationTokenRequest(owners=[owner])


def _users(side: Side) -> DescribeUserScramCredentialsRequest:
    return DescribeUserScramCredentialsRequest(users=[DescribeUserScramCredentialsRequest.User(name=_user(side))])


def _user(side: Side) -> str:
    return f"user-{side.case}"


def _set_password(side: Side) -> AlterUserScramCredentialsRequest:
    upsertion = Upsertion(
        name=_user(side), mechanism=SCRAM_SHA_256, iterations=4096, salt=b"salt", salted_password=b"p" * 32
    )
    return AlterUserScramCredentialsRequest(deletions=[], upsertions=[upsertion])


def _has_password(side: Side) -> None:
    side.ask(_set_password(side))
    side.ask_until(_users(side), lambda answer: not answer.results[0].error_code)


def _forget_password(side: Side) -> AlterUserScramCredentialsRequest:
    return AlterUserScramCredentialsRequest(
        deletions=[Deletion(name=_user(side), mechanism=SCRAM_SHA_256)], upsertions=[]
    )


BASES = (
    Base("SaslHandshake", lambda _: SaslHandshakeRequest(mechanism="PLAIN")),
    Base("SaslAuthenticate", lambda _: SaslAuthenticateRequest(auth_bytes=b"\0user\0password")),
    Base("DescribeAcls", _describe_acls),
    Base("CreateAcls", _create_acls),
    Base("DeleteAcls", _delete_acls),
    Base("CreateDelegationToken", _token),
    Base("RenewDelegationToken", lambda _: RenewDelegationTokenRequest(hmac=b"token", renew_period_ms=1_000)),
    Base("ExpireDelegationToken", lambda _: ExpireDelegationTokenRequest(hmac=b"token", expiry_time_period_ms=1_000)),
    Base("DescribeDelegationToken", _tokens),
    Base("DescribeUserScramCredentials", _users, before=_has_password),
    Base("DescribeUserScramCredentials, unknown", _users, mutate=False),
    Base("AlterUserScramCredentials", _set_password),
    Base("AlterUserScramCredentials, a deletion", _forget_password, before=_has_password),
    Base("AlterUserScramCredentials, a deletion of nothing", _forget_password, mutate=False),
)
