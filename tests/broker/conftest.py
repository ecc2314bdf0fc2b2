from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.single_broker import Broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    broker.close()
