"""Work that blocks on the disk: done in threads, its outcome told on the loop, nothing lost at the end."""

import threading
from collections.abc import Iterator

import pytest
import trio

from ottla.broker.process.disk_threads import THREADS, DiskThreads
from ottla.wire.messages.produce import ProduceRequest
from tests.stage.clients import batch_of, new_topic
from tests.stage.single_broker import Broker
from tests.stage.sockets import serving

PATIENCE_S = 30.0


@pytest.fixture
def threads() -> Iterator[DiskThreads]:
    threads = DiskThreads()
    yield threads
    threads.close()


def produce_request() -> ProduceRequest:
    data = ProduceRequest.Topic.Partition(index=0, records=batch_of())
    return ProduceRequest(
        acks=-1, timeout_ms=1000, topic_data=[ProduceRequest.Topic(name="topic", partition_data=[data])]
    )


def nothing() -> None:
    pass


def test_work_is_done_elsewhere_and_its_outcome_comes_in_a_pass_of_the_loop(broker, threads):
    ran: list[int] = []
    outcomes: list[tuple[int, BaseException | None]] = []

    async def talk(served):
        threads.serve_in(served.loop)
        done = trio.Event()

        def then(error):
            outcomes.append((threading.get_ident(), error))
            assert served.loop.turn.in_pass
            done.set()

        threads.run(lambda: ran.append(threading.get_ident()), then)
        await done.wait()

    serving(broker, talk)
    assert outcomes == [(threading.get_ident(), None)]
    assert ran != [threading.get_ident()]


def test_what_was_raised_is_the_outcome(broker, threads):
    outcomes: list[BaseException | None] = []
    threads.run(lambda: 1 / 0, outcomes.append)  # type: ignore[arg-type, return-value]
    threads.close()
    assert [type(error) for error in outcomes] == [ZeroDivisionError]


def test_as_many_things_at_a_time_as_there_are_threads(threads):
    together = threading.Barrier(THREADS)
    outcomes: list[BaseException | None] = []
    for _ in range(2 * THREADS):
        threads.run(lambda: together.wait(PATIENCE_S) and None, outcomes.append)
    threads.close()
    assert outcomes == [None] * 2 * THREADS


def test_closing_waits_for_what_is_under_way_and_tells_its_outcome(threads):
    may_end = threading.Event()
    outcomes: list[BaseException | None] = []
    threads.run(lambda: may_end.wait(PATIENCE_S) and None, outcomes.append)
    closing = threading.Thread(target=threads.close)
    closing.start()
    assert outcomes == []
    may_end.set()
    closing.join(PATIENCE_S)
    assert outcomes == [None]


def test_after_closing_work_is_done_at_once(threads):
    threads.close()
    called: list[object] = []
    threads.run(nothing, called.append)
    threads.soon(lambda: called.append("soon"))
    assert called == [None, "soon"]


def test_an_error_in_what_follows_stops_nothing_else(threads, caplog):
    called: list[object] = []
    threads.run(nothing, lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
    threads.run(nothing, called.append)
    threads.close()
    assert called == [None]
    assert "division by zero" in caplog.text


def test_requests_over_sockets_are_answered_after_their_fsync(tmp_path, threads):
    broker = Broker(tmp_path, background=threads)
    new_topic(broker, flush_messages="1")
    syncs: list[bool] = []

    async def talk(served):
        threads.serve_in(served.loop)
        clients = [served.connect() for _ in range(20)]
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(produce_some, client)

    async def produce_some(client):
        for _ in range(10):
            response = await client.ask(produce_request(), 9)
            [answer] = response.responses[0].partition_responses
            assert answer.error_code == 0
            syncs.append(broker.cluster.directory.logs["topic", 0].recovery_point > answer.base_offset)

    serving(broker, talk)
    threads.close()
    broker.close()
    assert syncs == [True] * 200
