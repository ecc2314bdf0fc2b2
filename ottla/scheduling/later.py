"""Answers made of other answers that may come later. Knows no API."""

from collections.abc import Callable
from typing import TypeVar

from ottla.scheduling.completion import Completion
from ottla.scheduling.waiting import Pending
from ottla.wire.errors import KafkaError

A = TypeVar("A")
R = TypeVar("R")


def once_stored(
    outcome: A | Completion[A], accept: Callable[[A], R], refuse: Callable[[KafkaError], R]
) -> R | Pending[R]:
    """Return what is made of a log's answer, or of its refusal, now or when it comes."""
    if not isinstance(outcome, Completion):
        return accept(outcome)
    answer: Pending[R] = Pending()

    def settle(completion: Completion[A]) -> None:
        try:
            response = accept(completion.result())
        except KafkaError as error:
            response = refuse(error)
        except Exception as error:  # a bug, which is logged where the answer is encoded
            answer.fail(error)
            return
        answer.resolve(response)

    outcome.add_done_callback(settle)
    return answer


def then(answer: A | Pending[A], convert: Callable[[A], R]) -> R | Pending[R]:
    """Return what ``convert`` makes of the answer, now or when it comes."""
    if not isinstance(answer, Pending):
        return convert(answer)
    converted: Pending[R] = Pending()

    def settle(pending: Pending[A]) -> None:
        if pending.response is not None:
            converted.resolve(convert(pending.response))
        elif pending.error is not None:
            converted.fail(pending.error)

    answer.add_done_callback(settle)
    return converted


def gather(answers: list[A | Pending[A]]) -> list[A] | Pending[list[A]]:
    """Return all answers in order, now or when the last of them has come."""
    missing = sum(isinstance(answer, Pending) for answer in answers)
    if not missing:
        return [answer for answer in answers if not isinstance(answer, Pending)]
    gathered: Pending[list[A]] = Pending()
    found: list[A | None] = [None if isinstance(answer, Pending) else answer for answer in answers]

    def settle(position: int, pending: Pending[A]) -> None:
        nonlocal missing
        missing -= 1
        if pending.error is not None:
            gathered.fail(pending.error)
        found[position] = pending.response
        if not missing:
            gathered.resolve([answer for answer in found if answer is not None])

    for position, answer in enumerate(answers):
        if isinstance(answer, Pending):
            answer.add_done_callback(lambda pending, position=position: settle(position, pending))  # type: ignore[misc]
    return gathered
