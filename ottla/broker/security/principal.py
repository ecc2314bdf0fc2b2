"""Who a client is for the broker: a type and a name, by which quotas are looked up and tokens are refused."""

from typing import NamedTuple


class Principal(NamedTuple):
    """A user (``KafkaPrincipal``)."""

    type: str
    name: str


ANONYMOUS = Principal("User", "ANONYMOUS")
"""Everybody on a plain listener."""
