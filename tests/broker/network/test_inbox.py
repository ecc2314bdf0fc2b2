"""Calls from outside the loop: in their order, from any thread, none lost and none that stops another."""

import select
import threading

import pytest

from ottla.broker.network.inbox import Inbox

THREADS = 4
CALLS = 500


@pytest.fixture
def inbox():
    inbox = Inbox()
    yield inbox
    inbox.close()


def is_ready(inbox, timeout_s=0.0):
    return bool(select.select([inbox], [], [], timeout_s)[0])


def test_a_call_makes_the_descriptor_readable_until_it_is_made(inbox):
    called = []
    assert not is_ready(inbox)
    inbox.call_soon(lambda: called.append(1))
    inbox.call_soon(lambda: called.append(2))
    assert is_ready(inbox)
    assert called == []
    inbox.on_event(0)
    assert called == [1, 2]
    assert not is_ready(inbox)


def test_a_wake_needs_no_call(inbox):
    inbox.wake()
    assert is_ready(inbox)
    inbox.on_event(0)
    assert not is_ready(inbox)


def test_any_number_of_wakes_is_one_byte(inbox):
    for _ in range(100_000):
        inbox.wake()
    inbox.on_event(0)
    assert not is_ready(inbox)


def test_what_a_call_asks_for_comes_the_next_time(inbox):
    called = []
    inbox.call_soon(lambda: inbox.call_soon(lambda: called.append("next")))
    inbox.on_event(0)
    assert called == []
    assert is_ready(inbox)
    inbox.on_event(0)
    assert called == ["next"]


def test_a_call_that_fails_stops_no_other(inbox, caplog):
    called = []
    inbox.call_soon(lambda: 1 / 0)
    inbox.call_soon(lambda: called.append(1))
    inbox.on_event(0)
    assert called == [1]
    assert "Call from outside the loop failed" in caplog.text


def test_no_call_out_of_a_thread_is_lost(inbox):
    called = []

    def ask(number):
        for each in range(CALLS):
            inbox.call_soon(lambda each=each: called.append((number, each)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    while len(called) < THREADS * CALLS:
        assert is_ready(inbox, 30), "calls are there, and nobody is told"
        inbox.on_event(0)
    for thread in threads:
        thread.join()
    for number in range(THREADS):
        assert [each for by, each in called if by == number] == list(range(CALLS))


def test_after_closing_a_call_is_asked_for_in_vain_and_without_harm(inbox):
    inbox.close()
    inbox.call_soon(lambda: 1 / 0)
    inbox.close()
