"""One heap of deadlines: order, cancelling, and errors."""

import logging

from ottla.scheduling.timers import Timers


def test_what_is_due_is_called_in_the_order_of_deadlines():
    timers, called = Timers(), []
    for deadline in (3.0, 1.0, 2.0):
        timers.schedule(deadline, lambda deadline=deadline: called.append(deadline))
    assert timers.run_due(2.0) == 2
    assert called == [1.0, 2.0]
    assert timers.next_deadline() == 3.0


def test_a_timer_is_called_once():
    timers, called = Timers(), []
    timers.schedule(1.0, lambda: called.append(1))
    timers.run_due(1.0)
    assert timers.run_due(9.0) == 0
    assert called == [1]


def test_a_cancelled_timer_is_not_called():
    timers = Timers()
    timer = timers.schedule(1.0, lambda: 1 / 0)
    timer.cancel()
    timer.cancel()
    assert timers.next_deadline() is None
    assert timers.run_due(1.0) == 0


def test_cancelling_what_was_called_already_does_nothing():
    timers = Timers()
    timer = timers.schedule(1.0, lambda: None)
    timers.run_due(1.0)
    timer.cancel()
    assert timers.next_deadline() is None


def test_a_callback_may_schedule_and_cancel():
    timers, called = Timers(), []
    later = timers.schedule(3.0, lambda: called.append("later"))

    def first():
        later.cancel()
        timers.schedule(0.5, lambda: called.append("overdue at once"))

    timers.schedule(1.0, first)
    assert timers.run_due(1.0) == 1
    assert called == []
    assert timers.run_due(1.0) == 1
    assert called == ["overdue at once"]
    assert timers.next_deadline() is None


def test_a_timer_that_sets_itself_again_in_the_past_lets_the_others_be_called():
    timers, called = Timers(), []

    def again():
        called.append("again")
        timers.schedule(0.0, again)

    timers.schedule(1.0, again)
    timers.schedule(2.0, lambda: called.append("other"))
    assert timers.run_due(2.0) == 2
    assert timers.run_due(2.0) == 1
    assert called == ["again", "other", "again"]


def test_a_callback_may_cancel_another_that_is_due_as_well():
    timers = Timers()
    second = timers.schedule(1.5, lambda: 1 / 0)
    timers.schedule(1.0, second.cancel)
    later = timers.schedule(3.0, lambda: None)
    assert timers.run_due(2.0) == 1
    assert len(timers) == 1
    later.cancel()
    assert timers.next_deadline() is None


def test_what_is_due_can_be_asked_before():
    timers = Timers()
    assert not timers.is_due(1e9)
    timers.schedule(2.0, lambda: None)
    assert not timers.is_due(1.9)
    assert timers.is_due(2.0)


def test_cancelled_timers_do_not_pile_up():
    timers = Timers()
    kept = [timers.schedule(30.0 + index, lambda: None) for index in range(10)]
    for index in range(10_000):
        timers.schedule(30.0 + index / 1000, lambda: None).cancel()
    assert len(timers) < 200
    assert timers.run_due(100.0) == len(kept)


def test_timers_survive_a_clearing_in_the_middle_of_a_run():
    timers, called = Timers(), []
    doomed = [timers.schedule(5.0, lambda: 1 / 0) for _ in range(500)]
    timers.schedule(1.0, lambda: [timer.cancel() for timer in doomed])
    timers.schedule(2.0, lambda: called.append("after"))
    assert timers.run_due(9.0) == 2
    assert called == ["after"]


def test_a_failing_callback_stops_no_other(caplog):
    timers, called = Timers(), []
    timers.schedule(1.0, lambda: 1 / 0)
    timers.schedule(2.0, lambda: called.append("next"))
    with caplog.at_level(logging.ERROR):
        timers.run_due(2.0)
    assert called == ["next"]
    assert "ZeroDivisionError" in caplog.text


def test_only_an_earlier_deadline_wakes_the_sleeper():
    woken = []
    timers = Timers(on_earlier=lambda: woken.append(timers.next_deadline()))
    for deadline in (5.0, 6.0, 4.0):
        timers.schedule(deadline, lambda: None)
    assert woken == [5.0, 4.0]
