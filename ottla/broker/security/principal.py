"""The identity of a client: a type and a name, by which quotas are looked up and tokens are refused."""

from typing import NamedTuple


class Principal(NamedTuple):
    """A user (``KafkaPrincipal``)."""

    type: str
    name: str


ANONYMOUS = Principal("User", "ANONYMOUS")
"""The user of every client on a plain listener."""
