"""Values that come later: who is told, who is not, and what errors do."""

import pytest

from ottla.scheduling.promise import Promise, gather, then
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError


def test_only_the_first_answer_counts():
    pending: Promise[str] = Promise()
    seen = []
    pending.add_done_callback(lambda pending: seen.append(pending.value))
    pending.resolve("first")
    pending.resolve("second")
    pending.fail(KafkaError(ErrorCode.NOT_COORDINATOR))
    assert seen == ["first"]
    assert pending.error is None


def test_who_asks_after_the_answer_gets_it_at_once():
    pending: Promise[str] = Promise()
    error = KafkaError(ErrorCode.NOT_COORDINATOR)
    pending.fail(error)
    seen = []
    pending.add_done_callback(lambda pending: seen.append(pending.error))
    assert seen == [error]


def test_an_abandoned_answer_tells_its_owner_and_nobody_else():
    told, seen = [], []
    pending: Promise[str] = Promise(on_abandoned=lambda: told.append("gone"))
    pending.add_done_callback(lambda _: seen.append("answer"))
    pending.abandon()
    pending.abandon()
    pending.resolve("late")
    assert (told, seen) == (["gone"], [])


def test_an_answered_request_is_not_abandoned_any_more():
    told = []
    pending: Promise[str] = Promise(on_abandoned=lambda: told.append("gone"))
    pending.resolve("answer")
    pending.abandon()
    assert told == []


def test_a_failing_callback_does_not_harm_who_answers(caplog):
    pending: Promise[str] = Promise()
    pending.add_done_callback(lambda _: 1 / 0)
    pending.resolve("answer")
    assert pending.value == "answer"
    assert "ZeroDivisionError" in caplog.text


def test_a_failing_owner_does_not_harm_who_abandons(caplog):
    pending: Promise[str] = Promise(on_abandoned=lambda: 1 / 0)
    pending.abandon()
    assert pending.done
    assert "ZeroDivisionError" in caplog.text


def test_a_failing_callback_harms_no_other_callback(caplog):
    promise: Promise[str] = Promise()
    seen = []
    promise.add_done_callback(lambda _: 1 / 0)
    promise.add_done_callback(lambda done: seen.append(done.result()))
    promise.resolve("value")
    assert seen == ["value"]
    assert "ZeroDivisionError" in caplog.text


def test_a_promise_calls_back_once_it_is_done():
    seen = []
    promise: Promise[int] = Promise()
    promise.add_done_callback(lambda done: seen.append(done.result()))
    with pytest.raises(RuntimeError):
        promise.result()
    promise.resolve(5)
    promise.fail(OSError())
    promise.add_done_callback(lambda done: seen.append(done.done))
    assert seen == [5, True]


def test_a_failed_promise_raises_its_error_where_the_value_is_asked_for():
    failed: Promise[int] = Promise()
    failed.fail(OSError("no"))
    with pytest.raises(OSError, match="no"):
        failed.result()


def test_an_abandoned_promise_has_no_value():
    promise: Promise[int] = Promise()
    promise.abandon()
    with pytest.raises(RuntimeError, match="abandoned"):
        promise.result()


# --- then


def test_steps_follow_one_another_now_or_later():
    first: Promise[int] = Promise()
    second: Promise[int] = Promise()
    total = first.then(lambda number: second.then(lambda more: number + more))
    first.resolve(1)
    assert not total.done
    second.resolve(2)
    assert total.result() == 3
    assert then(1, lambda number: number + 1) == 2


def test_nothing_is_a_value_too():
    promise: Promise[None] = Promise()
    following = promise.then(lambda nothing: [nothing])
    promise.resolve(None)
    assert following.result() == [None]


def test_errors_pass_steps_by():
    promise: Promise[int] = Promise()
    following = promise.then(lambda _: 1 / 0)
    promise.fail(KafkaError(ErrorCode.NOT_COORDINATOR))
    assert isinstance(following.error, KafkaError)


def test_a_step_that_raises_fails_what_follows():
    promise: Promise[int] = Promise()
    following = promise.then(lambda number: 1 / number)
    promise.resolve(0)
    assert isinstance(following.error, ZeroDivisionError)


def test_a_refusal_is_an_answer_and_a_bug_is_none():
    for error, answer in ((KafkaError(ErrorCode.NOT_COORDINATOR), ErrorCode.NOT_COORDINATOR), (KeyError(), None)):
        promise: Promise[int] = Promise()
        answered = then(promise, lambda _: None, refuse=lambda refused: refused.code)
        promise.fail(error)
        assert isinstance(answered, Promise)
        assert answered.value == answer
        assert answered.error is (error if answer is None else None)


def test_what_was_promised_to_others_too_is_not_abandoned():
    promise: Promise[str] = Promise()
    seen = []
    promise.add_done_callback(lambda done: seen.append(done.value))
    promise.then(str.upper).abandon()
    promise.resolve("value")
    assert seen == ["value"]


def test_a_promise_that_nobody_else_waits_for_is_abandoned_with_the_one_made_of_it():
    told: list[str] = []
    promise: Promise[str] = Promise(on_abandoned=lambda: told.append("gone"))
    promise.then(str.upper, owns=True).abandon()
    assert told == ["gone"]
    assert promise.done


# --- gather


def test_all_values_come_in_order_when_the_last_is_there():
    first: Promise[str] = Promise()
    last: Promise[str] = Promise()
    gathered = gather([last, "now", first])
    assert isinstance(gathered, Promise)
    first.resolve("first")
    assert not gathered.done
    last.resolve("last")
    assert gathered.result() == ["last", "now", "first"]
    assert gather(["all", "there"]) == ["all", "there"]


def test_the_first_error_is_the_outcome_of_all():
    first: Promise[str] = Promise()
    last: Promise[str] = Promise()
    gathered = gather([last, first])
    assert isinstance(gathered, Promise)
    first.fail(OSError("no"))
    last.resolve("value")
    with pytest.raises(OSError, match="no"):
        gathered.result()
