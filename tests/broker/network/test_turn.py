"""What a pass shares with its connections: buffers that come back, and what brings the next pass."""

import logging

import pytest

from ottla.broker.network.turn import BIG_BUFFER_BYTES, MAXIMUM_BIG_BUFFERS, PASS_BYTES, RECEIVE_BYTES, Turn


class Woken:
    """Counts how often a pass was asked for."""

    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1


@pytest.fixture
def woken():
    return Woken()


@pytest.fixture
def turn(woken):
    return Turn(
        now=0.0, max_request_bytes=1000, watch=lambda _fd, _interest: None, on_closed=lambda _: None, wake=woken
    )


def test_an_answer_between_passes_brings_a_pass_and_one_within_does_not(turn, woken):
    turn.in_pass = True
    turn.note_answer("first")
    assert woken.times == 0
    turn.in_pass = False
    turn.note_answer("second")
    assert woken.times == 1
    assert turn.answered == ["first", "second"]


def test_a_call_for_the_end_of_a_pass_brings_one_where_there_is_none(turn, woken):
    called = []
    turn.in_pass = True
    turn.at_end_of_pass(lambda: called.append(1))
    assert woken.times == 0
    turn.in_pass = False
    turn.at_end_of_pass(lambda: called.append(2))
    assert woken.times == 1
    assert called == []
    turn.call_ending()
    assert called == [1, 2]
    turn.call_ending()
    assert called == [1, 2]


def test_what_a_call_asks_for_is_not_lost(turn):
    called = []
    turn.at_end_of_pass(lambda: turn.at_end_of_pass(lambda: called.append("later")))
    turn.call_ending()
    assert len(turn.ending) == 1
    turn.call_ending()
    assert called == ["later"]


def test_a_call_that_fails_stops_no_other(turn, caplog):
    called = []
    turn.at_end_of_pass(lambda: 1 / 0)
    turn.at_end_of_pass(lambda: called.append(1))
    with caplog.at_level(logging.ERROR):
        turn.call_ending()
    assert called == [1]
    assert "Call at the end of a pass failed" in caplog.text


def test_big_buffers_are_few_and_come_back(turn):
    lent = [turn.take_buffer() for _ in range(MAXIMUM_BIG_BUFFERS + 2)]
    assert [len(each) for each in lent] == [BIG_BUFFER_BYTES] * MAXIMUM_BIG_BUFFERS + [2 * RECEIVE_BYTES] * 2
    for each in lent:
        turn.give_back(each)
    assert len(turn.spare_buffers) == MAXIMUM_BIG_BUFFERS
    again = turn.take_buffer()
    assert any(again is each for each in lent)


def test_the_shared_buffer_has_room_for_a_receive_after_all_but_the_last_of_a_pass(turn):
    assert len(turn.receive_view) == PASS_BYTES
    assert PASS_BYTES % RECEIVE_BYTES == 0
