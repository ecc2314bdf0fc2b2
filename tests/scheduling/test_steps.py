"""Work in steps: what a step waits for comes back into it, outcome or error, at once or later."""

from collections.abc import Callable

import pytest

from ottla.scheduling.background import Inline
from ottla.scheduling.steps import CallSteps, run_steps
from tests.stage.held import Held
from tests.stage.stepping import take_all


def refuse() -> int:
    raise OSError("the disk is gone")


def add(first: Callable[[], int], second: Callable[[], int]) -> CallSteps[int]:
    """Add what two calls return; 100 for one that the disk refuses."""
    total = 0
    for call in (first, second):
        try:
            total += yield call
        except OSError:
            total += 100
    return total


def test_what_the_background_does_at_once_comes_at_once() -> None:
    assert run_steps(add(lambda: 1, refuse), Inline()).result() == take_all(add(lambda: 1, refuse)) == 101


def test_what_takes_its_time_comes_later_in_order() -> None:
    thread = Held()
    done: list[int] = []

    def note(number: int) -> int:
        done.append(number)
        return number

    total = run_steps(add(lambda: note(1), lambda: note(2)), thread)
    assert not total.done
    assert not done
    thread.work_to_the_end()
    assert done == [1, 2]
    assert total.result() == 3


def test_what_the_steps_do_not_catch_fails_the_whole() -> None:
    def fail() -> CallSteps[int]:
        return (yield refuse)

    with pytest.raises(OSError, match="the disk is gone"):
        run_steps(fail(), Inline()).result()
    thread = Held()
    later = run_steps(fail(), thread)
    assert not later.done
    _, then = thread.jobs.pop()
    then(OSError("the disk is gone"))
    with pytest.raises(OSError, match="the disk is gone"):
        later.result()
