"""The pytest fixture `ottla`: one real broker for the whole session. Imports nothing until a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ottla.testing import Ottla


@pytest.fixture(scope="session")
def ottla() -> Iterator[Ottla]:
    """Give a running broker, shared by all tests of the session: `ottla.bootstrap` is its address.

    For a broker of your own, with settings: `with ottla.testing.Ottla(num_partitions=3) as broker:`.
    """
    from ottla.testing import Ottla

    with Ottla() as broker:
        yield broker
