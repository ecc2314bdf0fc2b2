"""The SCRAM credentials of users (KIP-554): kept as keys, from which the password cannot be had."""

import hashlib
import hmac
from base64 import b64decode

import pytest

from ottla.broker.security.scram_credentials import KIND, Mechanism, ScramCredentials
from ottla.storage.catalogs.sqlite import FILE_NAME, SqliteCatalog
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

SHA_256, SHA_512 = Mechanism


@pytest.fixture
def catalog(tmp_path):
    catalog = SqliteCatalog(tmp_path / FILE_NAME, cluster_id="test", synchronous="OFF")
    yield catalog
    catalog.close()


@pytest.fixture
def credentials(catalog):
    return ScramCredentials(catalog)


def put(credentials, user, mechanism=SHA_256, iterations=4096):
    credentials.put(user, mechanism, iterations=iterations, salt=b"salt", salted_password=b"salted password")


def refused(call, *arguments):
    with pytest.raises(KafkaError) as error:
        call(*arguments)
    return error.value.code


def test_keys_prove_what_those_of_rfc_7677_prove(catalog, credentials):
    # Section 3: the user "user" with the password "pencil" logs in.
    salt, nonce = "W22ZaJ0SNY7soEsUEjb6gQ==", "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    talk = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s={salt},i=4096,c=biws,r={nonce}".encode()
    proof = b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    salted = hashlib.pbkdf2_hmac("sha256", b"pencil", b64decode(salt), 4096)
    credentials.put("user", SHA_256, iterations=4096, salt=b64decode(salt), salted_password=salted)
    [kept] = catalog.entries(KIND).values()
    stored_key, server_key = bytes.fromhex(kept["stored_key"]), bytes.fromhex(kept["server_key"])
    assert hmac.digest(server_key, talk, "sha256") == b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    signature = hmac.digest(stored_key, talk, "sha256")
    client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == stored_key
    assert salted.hex() not in repr(kept)


@pytest.mark.parametrize(("mechanism", "size"), [(SHA_256, 32), (SHA_512, 64)])
def test_keys_are_as_long_as_the_mechanisms_digest(catalog, credentials, mechanism, size):
    put(credentials, "ann", mechanism)
    [kept] = catalog.entries(KIND).values()
    assert len(bytes.fromhex(kept["stored_key"])) == len(bytes.fromhex(kept["server_key"])) == size


def test_users_are_those_with_a_credential_and_each_is_described(credentials):
    put(credentials, "bob")
    put(credentials, "ann", SHA_512, 8192)
    put(credentials, "ann", SHA_256)
    put(credentials, "a\nb")
    assert credentials.users() == ["a\nb", "ann", "bob"]
    assert credentials.describe("ann") == [(SHA_256, 4096), (SHA_512, 8192)]
    assert refused(credentials.describe, "carl") == ErrorCode.RESOURCE_NOT_FOUND


def test_a_credential_is_replaced_and_deleted_by_its_mechanism(credentials):
    put(credentials, "ann")
    put(credentials, "ann", iterations=5000)
    put(credentials, "ann", SHA_512)
    credentials.delete("ann", SHA_512)
    assert credentials.describe("ann") == [(SHA_256, 5000)]
    credentials.delete("ann", SHA_256)
    assert credentials.users() == []


def test_credentials_are_there_again_after_a_restart(catalog, credentials):
    put(credentials, "ann")
    assert ScramCredentials(catalog).describe("ann") == [(SHA_256, 4096)]


@pytest.mark.parametrize(
    ("credential", "code"),
    [
        (("", SHA_256, 4096, b"x"), ErrorCode.UNACCEPTABLE_CREDENTIAL),
        (("ann", 0, 4096, b"x"), ErrorCode.UNSUPPORTED_SASL_MECHANISM),
        (("ann", 3, 4096, b"x"), ErrorCode.UNSUPPORTED_SASL_MECHANISM),
        (("ann", SHA_256, 4095, b"x"), ErrorCode.UNACCEPTABLE_CREDENTIAL),
        (("ann", SHA_256, 16_385, b"x"), ErrorCode.UNACCEPTABLE_CREDENTIAL),
        (("ann", SHA_256, 4096, b""), ErrorCode.UNACCEPTABLE_CREDENTIAL),
    ],
)
def test_what_is_no_credential_is_refused(credentials, credential, code):
    assert refused(credentials.check, *credential) == code


def test_both_bounds_of_the_iterations_are_taken(credentials):
    checked = [credentials.check("ann", SHA_256, iterations, b"x") for iterations in (4096, 16_384)]
    assert checked == [None, None]


def test_only_a_credential_that_is_there_can_be_deleted(credentials):
    put(credentials, "ann")
    credentials.check_deletion("ann", SHA_256)
    assert refused(credentials.check_deletion, "ann", SHA_512) == ErrorCode.RESOURCE_NOT_FOUND
    assert refused(credentials.check_deletion, "ann", 9) == ErrorCode.UNSUPPORTED_SASL_MECHANISM
    assert refused(credentials.check_deletion, "", SHA_256) == ErrorCode.UNACCEPTABLE_CREDENTIAL
