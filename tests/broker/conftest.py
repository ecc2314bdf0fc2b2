from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.single_broker import Broker, SlowBroker

OVER_SLOW_LOGS_TOO = {
    "test_compression_type",
    "test_fetch",
    "test_fetch_sessions",
    "test_groups",
    "test_offsets",
    "test_old_clients",
    "test_produce",
    "test_topics",
}
"""These handlers use logs: their tests hold whether a log answers at once or later."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "broker" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in OVER_SLOW_LOGS_TOO:
        kinds = [pytest.param(Broker, id="at_once"), pytest.param(SlowBroker, id="slow", marks=pytest.mark.slow)]
        metafunc.parametrize("broker", kinds, indirect=True)


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    broker: Broker = getattr(request, "param", Broker)(tmp_path)
    yield broker
    broker.settle()
    broker.close()
