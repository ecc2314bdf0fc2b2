"""SASL, ACLs, delegation tokens and SCRAM credentials, as a plain Apache 4.3.1 without an authorizer has them."""

import hashlib
import hmac

import pytest

from ottla.wire.codes import ErrorCode
from ottla.wire.errors import ProtocolError
from ottla.wire.messages import security as messages
from tests.stage.single_broker import Broker

NONE = ErrorCode.NONE
DISABLED = ErrorCode.SECURITY_DISABLED
NOT_ALLOWED = ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED


@pytest.mark.parametrize("version", [0, 1])
def test_a_plain_listener_knows_no_sasl(broker, version):
    response = broker.ask(messages.SaslHandshakeRequest(mechanism="PLAIN"), version)
    assert (response.error_code, response.mechanisms) == (ErrorCode.ILLEGAL_SASL_STATE, [])
    response = broker.ask(messages.SaslAuthenticateRequest(auth_bytes=b"x"), version)
    assert (response.error_code, response.auth_bytes) == (ErrorCode.ILLEGAL_SASL_STATE, b"")


# --- ACLs

FILTER = {
    "resource_type_filter": 2,
    "resource_name_filter": "x",
    "pattern_type_filter": 3,
    "principal_filter": None,
    "host_filter": "*",
    "operation": 3,
    "permission_type": 3,
}
CREATION = {
    "resource_type": 2,
    "resource_name": "x",
    "resource_pattern_type": 3,
    "principal": "User:a",
    "host": "*",
    "operation": 3,
    "permission_type": 3,
}


@pytest.mark.parametrize("version", range(1, 4))
def test_without_an_authorizer_there_are_no_acls(broker, version):
    described = broker.ask(messages.DescribeAclsRequest(**FILTER), version)
    assert (described.error_code, described.resources) == (DISABLED, [])
    creation = messages.CreateAclsRequest.Creation(**CREATION)
    created = broker.ask(messages.CreateAclsRequest(creations=[creation, creation]), version)
    assert [each.error_code for each in created.results] == [DISABLED] * 2
    asked = messages.DeleteAclsRequest(filters=[messages.DeleteAclsRequest.Filter(**FILTER)])
    deleted = broker.ask(asked, version)
    assert [(each.error_code, each.matching_acls) for each in deleted.filter_results] == [(DISABLED, [])]


@pytest.mark.parametrize("field", ["resource_type", "pattern_type", "operation", "permission_type"])
def test_a_code_that_means_nothing_closes_the_connection(broker, field):
    filtered = {**FILTER, field if field in FILTER else f"{field}_filter": 0}
    created = {**CREATION, "resource_pattern_type" if field == "pattern_type" else field: 0}
    for request in (
        messages.DescribeAclsRequest(**filtered),
        messages.DeleteAclsRequest(filters=[messages.DeleteAclsRequest.Filter(**filtered)]),
        messages.CreateAclsRequest(creations=[messages.CreateAclsRequest.Creation(**created)]),
    ):
        with pytest.raises(ProtocolError):
            broker.ask(request, 3)


# --- Delegation tokens


@pytest.mark.parametrize("version", [1, 2])
def test_who_is_nobody_gets_no_token(broker, version):
    created = broker.ask(messages.CreateDelegationTokenRequest(renewers=[], max_lifetime_ms=-1), version)
    assert (created.error_code, created.principal_type, created.principal_name) == (NOT_ALLOWED, "User", "ANONYMOUS")
    assert (created.token_id, created.hmac, created.expiry_timestamp_ms) == ("", b"", -1)
    for request in (
        messages.RenewDelegationTokenRequest(hmac=b"x", renew_period_ms=1),
        messages.ExpireDelegationTokenRequest(hmac=b"x", expiry_time_period_ms=1),
        messages.DescribeDelegationTokenRequest(owners=None),
    ):
        assert broker.ask(request, version).error_code == NOT_ALLOWED


def test_a_token_for_somebody_else_is_refused_in_his_name(broker):
    request = messages.CreateDelegationTokenRequest(
        owner_principal_type="User", owner_principal_name="a", renewers=[], max_lifetime_ms=-1
    )
    created = broker.ask(request, 3)
    assert (created.principal_name, created.token_requester_principal_name) == ("a", "ANONYMOUS")


@pytest.mark.parametrize(
    ("owner_type", "name", "shown"),
    [
        ("Group", "a", ("Group", "a")),
        ("", "a", ("", "a")),
        ("Group", "", ("User", "ANONYMOUS")),
        ("Group", None, ("User", "ANONYMOUS")),
    ],
)
def test_an_owner_counts_if_he_has_a_name(broker, owner_type, name, shown):
    request = messages.CreateDelegationTokenRequest(
        owner_principal_type=owner_type, owner_principal_name=name, renewers=[], max_lifetime_ms=-1
    )
    created = broker.ask(request, 3)
    assert (created.principal_type, created.principal_name) == shown


# --- SCRAM credentials

SHA_256, SHA_512 = 1, 2


def put(name="alice", mechanism=SHA_256, iterations=4096, salted_password=b"p" * 32):
    return messages.AlterUserScramCredentialsRequest.Upsertion(
        name=name, mechanism=mechanism, iterations=iterations, salt=b"salt", salted_password=salted_password
    )


def alter(broker, *upsertions, delete=()):
    Deletion = messages.AlterUserScramCredentialsRequest.Deletion  # noqa: N806
    request = messages.AlterUserScramCredentialsRequest(
        deletions=[Deletion(name=name, mechanism=mechanism) for name, mechanism in delete], upsertions=list(upsertions)
    )
    return {each.user: ErrorCode(each.error_code) for each in broker.ask(request, 0).results}


def describe(broker, *names):
    """Return each user's mechanisms with their iterations, or the error."""
    User = messages.DescribeUserScramCredentialsRequest.User  # noqa: N806
    asked = [User(name=name) for name in names] if names else None
    response = broker.ask(messages.DescribeUserScramCredentialsRequest(users=asked), 0)
    assert (response.error_code, response.error_message) == (NONE, "")
    return {
        each.user: ErrorCode(each.error_code)
        if each.error_code
        else [(one.mechanism, one.iterations) for one in each.credential_infos]
        for each in response.results
    }


def test_credentials_are_set_shown_and_deleted(broker):
    assert describe(broker) == {}
    assert alter(broker, put(), put("bob", SHA_512, 5000)) == {"alice": NONE, "bob": NONE}
    assert alter(broker, put(mechanism=SHA_512)) == {"alice": NONE}
    assert alter(broker, put(iterations=16384)) == {"alice": NONE}
    assert describe(broker) == {"alice": [(SHA_256, 16384), (SHA_512, 4096)], "bob": [(SHA_512, 5000)]}
    assert describe(broker, "bob", "carol", "alice", "alice") == {
        "bob": [(SHA_512, 5000)],
        "carol": ErrorCode.RESOURCE_NOT_FOUND,
        "alice": ErrorCode.DUPLICATE_RESOURCE,
    }
    assert alter(broker, put("dave"), delete=[("alice", SHA_256), ("bob", SHA_512)]) == {
        "alice": NONE,
        "bob": NONE,
        "dave": NONE,
    }
    assert describe(broker) == {"alice": [(SHA_512, 4096)], "dave": [(SHA_256, 4096)]}


def test_credentials_survive_a_restart_as_keys_never_as_passwords(tmp_path):
    broker = Broker(tmp_path)
    alter(broker, put("x y=z,", SHA_512, salted_password=b"secret" * 8))
    broker.close()
    broker = Broker(tmp_path)
    assert describe(broker) == {"x y=z,": [(SHA_512, 4096)]}
    (stored,) = broker.cluster.catalog.entries("scram").values()
    # RFC 5802: StoredKey is the hash of the client's key.
    client_key = hmac.digest(b"secret" * 8, b"Client Key", "sha512")
    assert stored["stored_key"] == hashlib.sha512(client_key).hexdigest()
    assert (b"secret" * 8).hex() not in repr(stored)
    broker.close()


@pytest.mark.parametrize(
    ("upsertion", "code"),
    [
        (put(mechanism=0), ErrorCode.UNSUPPORTED_SASL_MECHANISM),
        (put(mechanism=3), ErrorCode.UNSUPPORTED_SASL_MECHANISM),
        (put(iterations=4095), ErrorCode.UNACCEPTABLE_CREDENTIAL),
        (put(iterations=16385), ErrorCode.UNACCEPTABLE_CREDENTIAL),
        (put(""), ErrorCode.UNACCEPTABLE_CREDENTIAL),
        (put(salted_password=b""), ErrorCode.UNACCEPTABLE_CREDENTIAL),  # docs/deviations.md
    ],
)
def test_a_wrong_credential_is_refused_and_others_are_set(broker, upsertion, code):
    assert alter(broker, upsertion, put("bob")) == {upsertion.name: code, "bob": NONE}
    assert describe(broker) == {"bob": [(SHA_256, 4096)]}


@pytest.mark.parametrize(
    ("name", "mechanism", "code"),
    [
        ("alice", SHA_512, ErrorCode.RESOURCE_NOT_FOUND),
        ("nobody", SHA_256, ErrorCode.RESOURCE_NOT_FOUND),
        ("alice", 0, ErrorCode.UNSUPPORTED_SASL_MECHANISM),
        ("", SHA_256, ErrorCode.UNACCEPTABLE_CREDENTIAL),
    ],
)
def test_what_is_not_there_is_not_deleted(broker, name, mechanism, code):
    alter(broker, put())
    assert alter(broker, delete=[(name, mechanism)]) == {name: code}
    assert describe(broker) == {"alice": [(SHA_256, 4096)]}


def test_a_user_that_is_named_twice_is_left_alone(broker):
    alter(broker, put())
    twice = {"alice": ErrorCode.DUPLICATE_RESOURCE}
    assert alter(broker, put(iterations=5000), put(mechanism=SHA_512)) == twice
    assert alter(broker, put(mechanism=SHA_512), delete=[("alice", SHA_256)]) == twice
    assert alter(broker, delete=[("alice", SHA_256), ("alice", SHA_256)]) == twice
    assert describe(broker) == {"alice": [(SHA_256, 4096)]}
    # The broker finds first that it cannot be deleted.
    assert alter(broker, put("bob"), delete=[("bob", SHA_512)]) == {"bob": ErrorCode.RESOURCE_NOT_FOUND}
