"""A loop that expects requests soon waits awake; any other sleeps."""

import os

import pytest

from ottla.broker.network.busy_polling import AWAKE_S, BusyPoll, new_waiter

LONGEST_S = 0.001
READY = [(7, 1)]


class Sockets:
    """A poll set with a clock of its own, on which asking takes a moment."""

    ASKING_S = AWAKE_S / 20

    def __init__(self):
        self.now = 100.0
        self.ready_at = None
        self.asked = []

    def poll(self, timeout_s, most):
        assert most == 24
        self.asked.append(timeout_s)
        self.now += self.ASKING_S
        if self.ready_at is not None and self.ready_at <= self.now + timeout_s:
            self.now = max(self.now, self.ready_at)
            return READY
        self.now += timeout_s
        return []

    def wait(self, waiter, after_s):
        """Wait once; returns what was ready and the timeouts with which the set was asked."""
        self.ready_at = None if after_s is None else self.now + after_s
        self.asked.clear()
        return waiter(), list(self.asked)


@pytest.fixture
def sockets():
    return Sockets()


@pytest.fixture
def waiter(sockets):
    return BusyPoll(sockets.poll, most=24, longest_s=LONGEST_S, now=lambda: sockets.now)


def test_the_first_wait_sleeps(sockets, waiter):
    assert sockets.wait(waiter, AWAKE_S / 2) == (READY, [LONGEST_S])


def test_after_a_short_wait_the_next_is_awake(sockets, waiter):
    sockets.wait(waiter, AWAKE_S / 2)
    for _ in range(3):
        events, asked = sockets.wait(waiter, AWAKE_S / 2)
        assert events == READY
        assert len(asked) > 1
        assert set(asked) == {0}


def test_who_stays_awake_in_vain_sleeps_then_and_the_next_time(sockets, waiter):
    sockets.wait(waiter, AWAKE_S / 2)
    events, asked = sockets.wait(waiter, 3 * AWAKE_S)
    assert events == READY
    assert asked[-1] == LONGEST_S
    assert 10 <= asked.count(0) <= 20
    assert sockets.wait(waiter, AWAKE_S / 2) == (READY, [LONGEST_S])


def test_nobody_ready_is_said_after_the_longest_wait(sockets, waiter):
    began = sockets.now
    assert sockets.wait(waiter, None) == ([], [LONGEST_S])
    assert sockets.now - began < 2 * LONGEST_S


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
def test_on_a_single_core_nobody_stays_awake(sockets):
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        waiter = new_waiter(sockets.poll, most=24, longest_s=LONGEST_S)
    finally:
        os.sched_setaffinity(0, cores)
    for _ in range(3):
        assert sockets.wait(waiter, AWAKE_S / 2) == (READY, [LONGEST_S])
