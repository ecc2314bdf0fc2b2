"""Synced data is there after a power failure, whatever the disk did with the rest."""

import os
from pathlib import Path

import pytest

from tests.storage.histories import History

# `OTTLA_HISTORIES=1000 pytest tests/storage/segments/recovery/test_crashes.py` is for a night.
HISTORIES = int(os.environ.get("OTTLA_HISTORIES", "25"))
STEPS = 40
LIVES = 8


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_long_history_of_crashes(tmp_path: Path, seed: int) -> None:
    history = History(tmp_path, seed)
    try:
        for _ in range(LIVES):
            for _ in range(history.random.randrange(STEPS)):
                history.step()
            history.random.choice([history.restart, history.kill, history.fail_power, history.fail_power])()
    except BaseException as failure:
        failure.add_note("\n".join(history.trace[-60:]))
        raise
    finally:
        history.directory.abandon()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(max(HISTORIES // 12, 1)))
def test_a_power_failure_at_every_moment_of_a_history(tmp_path: Path, seed: int) -> None:
    history = History(tmp_path, 1_000_000 + seed, recreates=False)
    try:
        for _ in range(STEPS):
            history.step()
        history.fail_power_at_every_event()
    except BaseException as failure:
        failure.add_note("\n".join(history.trace[-60:]))
        raise
    finally:
        history.directory.abandon()
