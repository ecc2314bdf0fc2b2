"""Poll sets without ``epoll``: the same answers, and a sleep that new interests and sockets end."""

import errno
import socket
import threading
from contextlib import closing
from functools import partial

import pytest
import trio
import trio.testing

from ottla.broker.network.poll_set import HUNG_UP, MUTED, READ, WRITE, AskedSet, EpollSet, by_poll, by_select

KINDS = {"epoll": EpollSet, "poll": partial(AskedSet, by_poll), "select": partial(AskedSet, by_select)}
OTHERS = {name: kind for name, kind in KINDS.items() if name != "epoll"}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def poll_set(request):
    return request.param()


@pytest.fixture(params=OTHERS.values(), ids=OTHERS)
def asked(request):
    return request.param()


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with closing(ours), closing(theirs):
        yield ours, theirs


def test_what_is_awaited_is_told_and_nothing_else(poll_set, pair):
    ours, theirs = pair
    fd = ours.fileno()
    poll_set.register(fd, READ)
    assert poll_set.poll(0, 10) == []
    theirs.send(b"hello")
    assert poll_set.poll(0, 10) == [(fd, READ)]
    poll_set.modify(fd, READ | WRITE)
    assert poll_set.poll(0, 10) == [(fd, READ | WRITE)]
    poll_set.modify(fd, MUTED)
    assert poll_set.poll(0, 10) == []
    poll_set.unregister(fd)
    assert poll_set.poll(0, 10) == []


def test_a_socket_whose_other_side_has_gone_can_be_read_or_hung_up(poll_set, pair):
    ours, theirs = pair
    poll_set.register(ours.fileno(), READ)
    theirs.close()
    ((fd, mask),) = poll_set.poll(0, 10)
    assert fd == ours.fileno()
    assert mask & (READ | HUNG_UP)


def test_each_of_many_ready_sockets_has_its_turn(poll_set):
    pairs = [socket.socketpair() for _ in range(10)]
    for ours, theirs in pairs:
        poll_set.register(ours.fileno(), READ)
        theirs.send(b"!")
    seen = set()
    for _ in range(4):
        events = poll_set.poll(0, 3)
        assert len(events) == 3
        seen.update(fd for fd, _ in events)
    assert len(seen) == 10
    for pair in pairs:
        for each in pair:
            each.close()


def asleep(poll_set, wake):
    """Sleep until ``wake``, called once the sleep has begun, ends it."""

    async def main():
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(poll_set.wait)
                await trio.testing.wait_all_tasks_blocked()
                wake()

    trio.run(main)


def test_bytes_end_a_sleep(poll_set, pair):
    ours, theirs = pair
    poll_set.register(ours.fileno(), READ)
    asleep(poll_set, lambda: theirs.send(b"!"))
    assert poll_set.poll(0, 10) == [(ours.fileno(), READ)]


def test_a_new_socket_ends_a_sleep(poll_set, pair):
    ours, theirs = pair
    theirs.send(b"!")
    asleep(poll_set, lambda: poll_set.register(ours.fileno(), READ))
    assert poll_set.poll(0, 10) == [(ours.fileno(), READ)]


def test_a_new_interest_ends_a_sleep(poll_set, pair):
    ours, _ = pair
    poll_set.register(ours.fileno(), READ)
    asleep(poll_set, lambda: poll_set.modify(ours.fileno(), READ | WRITE))
    assert poll_set.poll(0, 10) == [(ours.fileno(), WRITE)]


def test_a_sleep_that_is_cancelled_leaves_no_thread_that_waits(asked):
    async def main():
        with trio.move_on_after(0.01):
            await asked.wait()

    before = threading.active_count()
    trio.run(main)
    for thread in threading.enumerate():
        if thread.name.startswith("Trio thread") and not thread.daemon:
            thread.join(5)
    asked.poll(0, 1)
    assert threading.active_count() <= before + 1  # trio keeps one for a while, with nothing to do


def test_select_watches_no_more_than_the_platform_can(pair):
    few = AskedSet(by_select, most=1)
    few.register(pair[0].fileno(), READ)
    with pytest.raises(OSError, match="no more than 1") as refusal:
        few.register(pair[1].fileno(), READ)
    assert refusal.value.errno == errno.EMFILE


@pytest.mark.parametrize("ask", [by_poll, by_select])
def test_a_socket_that_is_closed_before_the_thread_looks_ends_the_sleep(ask):
    ours, theirs = socket.socketpair()

    def close():
        poll_set.unregister(ours.fileno())
        ours.close()

    def ask_late(watched, timeout_s):
        trio.from_thread.run_sync(close)
        return ask(watched, timeout_s)

    poll_set = AskedSet(ask_late)
    with closing(ours), closing(theirs):
        poll_set.register(ours.fileno(), READ)
        trio.run(poll_set.wait)
