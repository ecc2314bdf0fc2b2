"""The loop owns time: what a pass serves and in which order, which timers it calls, and which clock each wait uses."""

import logging
import socket
from contextlib import closing

import pytest
import trio
import trio.lowlevel
import trio.testing

from ottla.broker.network.loop import STALL_S
from ottla.broker.process.housekeeping import Housekeeping
from ottla.scheduling.background import Inline
from ottla.scheduling.stepper import SLICE_S, Stepper
from ottla.wire import frames
from tests.stage.clients import batch_of, fetch_request, new_topic, produce
from tests.stage.sockets import any_request, serving, until


def waiting_fetch(max_wait_ms=500):
    request = fetch_request(("topic", 0, 0), max_wait_ms=max_wait_ms, min_bytes=1)
    return frames.encode_request(request, 12, correlation_id=7, client_id="test")


def watchers(broker):
    return len(broker.cluster.topics.partition("topic", 0).watchers)


class Pauser:
    """A trio task that counts how often it has its turn."""

    def __init__(self):
        self.turns = 0

    async def run(self):
        while True:
            await trio.lowlevel.checkpoint()
            self.turns += 1


async def keep_asking(client):
    """Have a request under way at any time."""
    while True:
        await client.send(any_request(10))
        await client.answer()


def stepper_of(loop):
    return Stepper(timers=loop.machine_timers, stopwatch=loop.stopwatch, background=Inline())


def busy_steps(slices, stopwatch):
    """Work that takes so many slices of the machine's time, in steps that are each shorter."""
    for _ in range(4 * slices):
        until_s = stopwatch() + SLICE_S / 4
        while stopwatch() < until_s:
            pass
        yield None
    return slices


# --- two clocks


def test_requests_are_served_while_the_clusters_clock_stands_still(broker):
    async def talk(served):
        client = served.connect()
        for each in range(100):
            await client.send(any_request(10, each))
            assert await client.correlation_ids(1) == [each]

    serving(broker, talk)


def test_a_busy_loop_lets_other_tasks_run_while_the_clusters_clock_stands_still(broker):
    """A loop that never sleeps: each of its passes gives it something to do in the next."""
    pauser = Pauser()

    async def talk(served):
        def again():
            served.loop.call_soon(again)

        await served.in_pass(again)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pauser.run)
            await until_counted(lambda: pauser.turns >= 5)
            nursery.cancel_scope.cancel()

    async def until_counted(condition):
        while not condition():
            await trio.lowlevel.checkpoint()

    serving(broker, talk)
    assert pauser.turns >= 5


@pytest.mark.parametrize("load", [False, True])
def test_long_work_comes_to_its_end_while_the_clusters_clock_stands_still(broker, load):
    async def talk(served):
        stepper = stepper_of(served.loop)
        async with trio.open_nursery() as nursery:
            if load:
                nursery.start_soon(keep_asking, served.connect())
            done = []
            await served.in_pass(
                lambda: stepper.run(busy_steps(10, served.loop.stopwatch)).add_done_callback(done.append)
            )
            assert not done
            await until(lambda: done) if not load else await polled(lambda: done)
            assert done[0].result() == 10
            nursery.cancel_scope.cancel()

    async def polled(condition):
        while not condition():
            await trio.lowlevel.checkpoint()

    serving(broker, talk)


def test_a_compaction_comes_to_its_end_while_the_clusters_clock_stands_still(broker):
    new_topic(broker, cleanup_policy="compact", internal_segment_bytes="2000", min_cleanable_dirty_ratio="0.01")
    for each in range(500):
        produce(broker, batch_of([b"%d" % each]))
    log = broker.cluster.directory.logs["topic", 0]
    before = log.size_bytes

    async def talk(served):
        ended = []
        chores = {chore.name: chore for chore in broker.cluster.directory.chores(Housekeeping(broker.cluster))}
        work = chores["compaction"].begin()
        await served.in_pass(lambda: stepper_of(served.loop).start(work, "compaction").add_done_callback(ended.append))
        assert not ended
        await until(lambda: ended)

    serving(broker, talk)
    assert log.size_bytes < before / 10


def test_a_fetch_waits_until_the_clusters_clock_is_moved(broker):
    new_topic(broker)

    async def talk(served):
        client = served.connect()
        await client.send(waiting_fetch(max_wait_ms=500))
        await until(lambda: watchers(broker) == 1)
        await served.skip(3600)
        await served.move(0.4)
        await served.in_pass(lambda: None)
        (connection,) = served.loop.connections.values()
        assert connection.waiting
        await served.move(0.2)
        assert await client.correlation_ids(1) == [7]

    serving(broker, talk)


def test_pauses_of_the_machine_do_not_end_because_the_clusters_clock_is_moved(broker):
    called = []

    async def talk(served):
        await served.in_pass(lambda: served.loop.after(1000, lambda: called.append("machine")))
        await served.in_pass(
            lambda: broker.cluster.timers.schedule(broker.clock.now + 1000, lambda: called.append("cluster"))
        )
        await served.move(1000)
        await until(lambda: called)
        assert called == ["cluster"]
        await served.skip(1000)
        await until(lambda: len(called) == 2)

    serving(broker, talk)
    assert called == ["cluster", "machine"]


# --- timers


def test_the_loop_wakes_for_a_deadline_of_the_machine(broker):
    async def talk(served):
        called = trio.Event()
        await served.in_pass(lambda: served.loop.after(0.02, called.set))
        await called.wait()

    serving(broker, talk)


def test_an_earlier_timer_that_is_set_outside_of_a_pass_wakes_the_loop(broker):
    async def talk(served):
        await served.in_pass(lambda: served.loop.after(3600, lambda: None))
        await trio.testing.wait_all_tasks_blocked(0.005)
        called = trio.Event()
        served.loop.after(0.0, called.set)
        await called.wait()

    serving(broker, talk)


@pytest.mark.parametrize("whose", ["cluster", "machine"])
def test_a_timer_that_fails_harms_neither_the_others_nor_the_pass(broker, caplog, whose):
    async def talk(served):
        client = served.connect()
        timers = broker.cluster.timers if whose == "cluster" else served.loop.machine_timers
        called = []

        def schedule():
            timers.schedule(0.0, lambda: 1 / 0)
            timers.schedule(0.0, lambda: called.append("next"))

        await served.in_pass(schedule)
        await client.send(any_request(10, 5))
        assert await client.correlation_ids(1) == [5]
        await until(lambda: called)

    serving(broker, talk)
    assert "Timer callback failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("whose", ["cluster", "machine"])
def test_a_timer_that_sets_itself_again_in_the_past_keeps_nobody_from_being_served(broker, whose):
    runs = 0
    pauser = Pauser()

    async def talk(served):
        timers = broker.cluster.timers if whose == "cluster" else served.loop.machine_timers

        def again():
            nonlocal runs
            runs += 1
            timers.schedule(0.0, again)

        await served.in_pass(again)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pauser.run)
            client = served.connect()
            other = trio.Event()
            await served.in_pass(lambda: timers.schedule(1.0, other.set))
            for each in range(10):
                await client.send(any_request(10, each))
                assert await client.correlation_ids(1) == [each]
            await other.wait()
            nursery.cancel_scope.cancel()

    serving(broker, talk)
    assert runs > 10
    assert pauser.turns > 0


def test_a_timers_time_is_that_at_which_the_pass_began(broker):
    """What a timer sets for now comes in the next pass, after what has come meanwhile."""
    order = []

    async def talk(served):
        timers, loop = served.loop.machine_timers, served.loop

        def first():
            order.append("first")
            timers.schedule(0.0, lambda: order.append("second"))
            loop.call_soon(lambda: order.append("call"))

        await served.in_pass(lambda: timers.schedule(0.0, first))
        await until(lambda: len(order) == 3)

    serving(broker, talk)
    assert order == ["first", "call", "second"]


# --- what comes from outside


class Caller:
    """Asks for two calls at the end of the pass in which its socket can be read; the first one fails."""

    def __init__(self, loop):
        self.loop = loop
        self.ours, self.theirs = socket.socketpair()
        self.called = False
        loop.attend(self.ours.fileno(), self)

    def on_event(self, _mask):
        self.ours.recv(1)
        self.loop.at_end_of_pass(lambda: 1 / 0)
        self.loop.at_end_of_pass(self.call)

    def call(self):
        assert self.loop.turn.in_pass
        self.called = True

    def close(self):
        self.loop.ignore(self.ours.fileno())
        self.ours.close()
        self.theirs.close()


def test_a_call_at_the_end_of_a_pass_that_fails_stops_neither_the_others_nor_the_loop(broker, caplog):
    async def talk(served):
        client = served.connect()
        with closing(Caller(served.loop)) as caller:
            caller.theirs.send(b"1")
            await until(lambda: caller.called)
            await client.send(any_request(10, correlation_id=5))
            assert await client.correlation_ids(1) == [5]

    serving(broker, talk)
    assert "ZeroDivisionError" in caplog.text


def test_what_is_asked_for_between_passes_is_done_in_the_next(broker):
    async def talk(served):
        called = []
        served.loop.at_end_of_pass(lambda: called.append(served.loop.turn.in_pass))
        assert not called
        await until(lambda: called)
        assert called == [True]

    serving(broker, talk)


def test_an_answer_that_comes_between_passes_is_sent_in_the_next(broker):
    new_topic(broker)

    async def talk(served):
        client = served.connect()
        await client.send(waiting_fetch())
        await until(lambda: watchers(broker) == 1)
        (connection,) = served.loop.connections.values()
        broker.append("topic", 1)
        assert connection.waiting
        assert await client.correlation_ids(1) == [7]

    serving(broker, talk)


def test_calls_from_outside_go_on_after_a_sleep_of_any_kind(broker):
    async def talk(served):
        for _ in range(20):
            await trio.testing.wait_all_tasks_blocked(0.002)
            await served.in_pass(lambda: None)

    serving(broker, talk)


def test_what_waits_for_the_end_of_a_pass_is_called_when_the_loop_ends(broker):
    called = []

    async def talk(served):
        await trio.testing.wait_all_tasks_blocked()
        served.loop.at_end_of_pass(lambda: called.append("at the end"))

    serving(broker, talk)
    assert called == ["at the end"]


def test_a_pass_that_takes_long_is_told(broker, caplog):
    async def talk(served):
        def stall():
            until_s = served.loop.stopwatch() + STALL_S + 0.01
            while served.loop.stopwatch() < until_s:
                pass

        await served.in_pass(lambda: served.loop.machine_timers.schedule(0.0, stall))
        await until(lambda: caplog.records)

    with caplog.at_level(logging.WARNING, logger="ottla.broker.network.loop"):
        serving(broker, talk)
    assert "1 timers took" in caplog.text


def test_the_time_of_a_pass_does_not_stand_still_while_nobody_asks(broker):
    async def talk(served):
        seen = []
        await served.in_pass(lambda: seen.append(served.loop.turn.now))
        await served.skip(601)
        await served.in_pass(lambda: seen.append(served.loop.turn.now))
        assert seen[1] - seen[0] >= 601

    serving(broker, talk)
