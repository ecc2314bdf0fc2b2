"""Work that blocks on the disk: what it returns or raises comes back as a promise."""

import pytest

from ottla.scheduling.background import Inline, outcome_of
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from tests.stage.held import Held


def test_inline_work_is_done_before_the_call_returns():
    told = []
    Inline().run(lambda: told.append("work"), told.append)
    assert told == ["work", None]


def test_inline_work_that_the_disk_refuses_is_told_and_not_raised():
    told = []
    failure = OSError("the disk is gone")

    def work():
        raise failure

    Inline().run(work, told.append)
    assert told == [failure]


def test_inline_work_with_a_bug_raises_it():
    def work():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Inline().run(work, lambda _: None)


def test_inline_soon_is_at_once():
    told = []
    Inline().soon(lambda: told.append("called"))
    assert told == ["called"]


@pytest.mark.parametrize("value", [7, None, 0])
def test_an_outcome_may_be_anything(value):
    assert outcome_of(lambda: value, Inline()).result() == value


def test_an_outcome_comes_when_the_disk_has_done_the_work():
    disk = Held()
    outcome = outcome_of(lambda: 7, disk)
    assert not outcome.done
    disk.work()
    assert outcome.result() == 7


def test_an_outcome_is_the_disks_error():
    def work():
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        outcome_of(work, Inline()).result()


def test_an_outcome_may_be_an_answer_that_refuses():
    def work():
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, "no batch")

    with pytest.raises(KafkaError, match="no batch"):
        outcome_of(work, Inline()).result()
