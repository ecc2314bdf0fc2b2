"""The SCRAM credentials of users (KIP-554), kept in the catalog as RFC 5802 describes: never the password."""

import hashlib
import hmac
from enum import IntEnum

from ottla.storage.catalog import Catalog
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

MINIMUM_ITERATIONS, MAXIMUM_ITERATIONS = 4096, 16_384
KIND = "scram"
"""The kind of the catalog's entries for credentials, named by the user, a line break and the mechanism."""


class Mechanism(IntEnum):
    """A SCRAM mechanism, with its code in the protocol; the value of each is a digest."""

    SCRAM_SHA_256 = 1
    SCRAM_SHA_512 = 2

    @property
    def digest(self) -> str:
        """The name of the hash function."""
        return "sha256" if self is Mechanism.SCRAM_SHA_256 else "sha512"


class ScramCredentials:
    """All credentials. Follows ``ScramControlManager``."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def users(self) -> list[str]:
        """Return the names of the users that have a credential."""
        return sorted({name.rpartition("\n")[0] for name in self._catalog.entries(KIND)})

    def describe(self, user: str) -> list[tuple[Mechanism, int]]:
        """Return the mechanisms of a user with their iterations. Raises ``KafkaError`` RESOURCE_NOT_FOUND."""
        entries = self._catalog.entries(KIND)
        found = [
            (mechanism, int(entries[_name(user, mechanism)]["iterations"]))
            for mechanism in Mechanism
            if _name(user, mechanism) in entries
        ]
        if not found:
            raise KafkaError(ErrorCode.RESOURCE_NOT_FOUND, f"{user!r} has no credential")
        return found

    def check(self, user: str, mechanism: int, iterations: int, salted_password: bytes) -> None:
        """Refuse an invalid credential. Raises ``KafkaError``."""
        _check_user(user, mechanism)
        if not MINIMUM_ITERATIONS <= iterations <= MAXIMUM_ITERATIONS:
            raise KafkaError(
                ErrorCode.UNACCEPTABLE_CREDENTIAL,
                f"{iterations} iterations are not between {MINIMUM_ITERATIONS} and {MAXIMUM_ITERATIONS}",
            )
        if not salted_password:
            raise KafkaError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "The salted password is empty")

    def check_deletion(self, user: str, mechanism: int) -> None:
        """Refuse to delete a credential that does not exist. Raises ``KafkaError``."""
        _check_user(user, mechanism)
        if _name(user, mechanism) not in self._catalog.entries(KIND):
            raise KafkaError(ErrorCode.RESOURCE_NOT_FOUND, f"{user!r} has no credential of this mechanism")

    def put(self, user: str, mechanism: int, *, iterations: int, salt: bytes, salted_password: bytes) -> None:
        """Set a credential that has been checked."""
        digest = Mechanism(mechanism).digest
        client_key = hmac.digest(salted_password, b"Client Key", digest)
        self.restore(
            user,
            mechanism,
            iterations=iterations,
            salt=salt,
            stored_key=hashlib.new(digest, client_key).digest(),
            server_key=hmac.digest(salted_password, b"Server Key", digest),
        )

    def restore(
        self, user: str, mechanism: int, *, iterations: int, salt: bytes, stored_key: bytes, server_key: bytes
    ) -> None:
        """Set a credential in the form in which it is kept, which is Apache's form, too."""
        credential = {
            "salt": salt.hex(),
            "stored_key": stored_key.hex(),
            "server_key": server_key.hex(),
            "iterations": iterations,
        }
        self._catalog.change_entries(KIND, {_name(user, mechanism): credential})

    def delete(self, user: str, mechanism: int) -> None:
        """Remove a credential."""
        self._catalog.change_entries(KIND, {_name(user, mechanism): None})


def _name(user: str, mechanism: int) -> str:
    return f"{user}\n{mechanism}"


def _check_user(user: str, mechanism: int) -> None:
    if not user:
        raise KafkaError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "The name of the user must not be empty")
    if mechanism not in set(Mechanism):
        raise KafkaError(ErrorCode.UNSUPPORTED_SASL_MECHANISM, f"SCRAM mechanism {mechanism} is unknown")
