from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stage.single_broker import Broker, SlowBroker


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked ``over_slow_logs_too`` with logs that answer at once and with logs that answer later."""
    if "broker" in metafunc.fixturenames and metafunc.definition.get_closest_marker("over_slow_logs_too"):
        kinds = [pytest.param(Broker, id="at_once"), pytest.param(SlowBroker, id="slow", marks=pytest.mark.slow)]
        metafunc.parametrize("broker", kinds, indirect=True)


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    broker: Broker = getattr(request, "param", Broker)(tmp_path)
    yield broker
    broker.settle()
    broker.close()
