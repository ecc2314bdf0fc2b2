"""Long work takes turns with the loop's other work, by the machine's time."""

import pytest

from ottla.scheduling.stepper import SLICE_S, Stepper
from ottla.scheduling.timers import Timers
from tests.stage.held import Held


class Loop:
    """The turns of a loop whose time goes on only as the work costs it."""

    def __init__(self):
        self.now = 0.0
        self.timers = Timers()
        self.disk = Held()
        self.stepper = Stepper(timers=self.timers, stopwatch=lambda: self.now, background=self.disk)
        self.log = []

    def work(self, name, steps, cost_s):
        for number in range(steps):
            self.log.append((name, number))
            self.now += cost_s
            yield None
        return name

    def pass_by(self):
        """One pass: what is due by now is called; what that schedules waits for the next pass."""
        due, self.now = self.now, self.now + SLICE_S / 1000
        return self.timers.run_due(due)


@pytest.fixture
def loop():
    return Loop()


def test_short_work_is_done_at_once(loop):
    done = loop.stepper.run(loop.work("short", 3, SLICE_S / 10))
    assert done.result() == "short"
    assert len(loop.timers) == 0


def test_long_work_gives_others_their_turn_after_each_slice(loop):
    first = loop.stepper.run(loop.work("first", 4, SLICE_S))
    second = loop.stepper.run(loop.work("second", 4, SLICE_S))
    assert not first.done
    assert not second.done
    passes = 0
    while len(loop.timers):
        loop.pass_by()
        passes += 1
    assert (first.result(), second.result()) == ("first", "second")
    assert passes > 1
    names = [name for name, _ in loop.log]
    assert names != sorted(names), "the second work waited for the end of the first"
    assert [number for name, number in loop.log if name == "second"] == [0, 1, 2, 3]


def test_work_that_asks_for_a_pause_goes_on_when_it_is_over(loop):
    def pausing():
        yield 5.0
        return "rested"

    done = loop.stepper.run(pausing())
    assert loop.timers.next_deadline() == 5.0
    loop.timers.run_due(4.9)
    assert not done.done
    loop.timers.run_due(5.0)
    assert done.result() == "rested"


def test_what_blocks_goes_to_the_background_and_holds_up_nobody(loop):
    def reading():
        return (yield lambda: b"data")

    done = loop.stepper.run(reading())
    assert not done.done
    assert len(loop.disk.jobs) == 1
    loop.disk.work_to_the_end()
    assert done.result() == b"data"


def test_work_that_nobody_asked_for_logs_its_failure_under_its_name(loop, caplog):
    def failing():
        yield None
        raise ZeroDivisionError("our bug")

    ended = loop.stepper.start(failing(), "tidying up")
    assert ended.done
    assert ended.error is None
    assert "tidying up failed" in caplog.text
    assert "our bug" in caplog.text


def test_work_that_nobody_asked_for_says_nothing_when_it_ends_well(loop, caplog):
    assert loop.stepper.start(loop.work("tidy", 1, 0.0), "tidying up").done
    assert not caplog.records
