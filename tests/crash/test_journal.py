"""The judge must see every kind of lie, or its silence says nothing."""

import pytest

from ottla.wire.batch import set_offsets
from tests.crash.journal import BrokenPromiseError, Journal
from tests.stage.logs import batch_of


@pytest.fixture
def journal():
    return Journal("topic")


def stored(values, offset, **options):
    """A batch as it lies in a log."""
    batch = batch_of(values, **options)
    set_offsets(memoryview(batch), offset, 0)
    return bytes(batch)


def sent(journal, *batches, name="writer"):
    ledger = journal.ledger(name)
    for values in batches:
        ledger.send(values, batch_of(values))
    return ledger


def test_what_was_acknowledged_and_is_there_is_right(journal):
    ledger = sent(journal, [b"a", b"b"], [b"c"])
    ledger.acknowledge([b"a", b"b"], 0)
    promised = journal.promised()
    journal.take(stored([b"a", b"b"], 0) + stored([b"c"], 2))
    journal.check(promised)
    assert journal.values == [b"a", b"b", b"c"]


def test_what_was_not_acknowledged_may_be_missing(journal):
    ledger = sent(journal, [b"a"], [b"b"], [b"c"])
    ledger.acknowledge([b"c"], 1)
    journal.take(stored([b"a"], 0) + stored([b"c"], 1))
    journal.check(journal.promised())
    assert journal.values == [b"a", b"c"]


def test_a_lost_record_is_seen(journal):
    ledger = sent(journal, [b"a"], [b"b"])
    ledger.acknowledge([b"a"], 0)
    ledger.acknowledge([b"b"], 1)
    journal.take(stored([b"a"], 0))
    with pytest.raises(BrokenPromiseError, match="acknowledged at 1, and lies at None"):
        journal.check(journal.promised())


def test_a_record_at_another_offset_is_seen(journal):
    ledger = sent(journal, [b"a"], [b"b"])
    ledger.acknowledge([b"b"], 1)
    journal.take(stored([b"b"], 0))
    with pytest.raises(BrokenPromiseError, match="lies at 0"):
        journal.check(journal.promised())


def test_a_record_that_is_there_twice_is_seen(journal):
    sent(journal, [b"a"], [b"b"])
    with pytest.raises(BrokenPromiseError, match="lies at 0 and at 1"):
        journal.take(stored([b"a"], 0) + stored([b"a"], 1))


def test_two_records_in_the_wrong_order_are_seen(journal):
    sent(journal, [b"a"], [b"b"])
    with pytest.raises(BrokenPromiseError, match="out of order"):
        journal.take(stored([b"b"], 0) + stored([b"a"], 1))


def test_two_writers_may_meet_in_any_order(journal):
    sent(journal, [b"a"], [b"b"])
    sent(journal, [b"x"], name="other")
    journal.take(stored([b"a"], 0) + stored([b"x"], 1) + stored([b"b"], 2))
    assert journal.values == [b"a", b"x", b"b"]


def test_a_byte_that_was_changed_is_seen(journal):
    sent(journal, [b"a"])
    with pytest.raises(BrokenPromiseError, match="is not"):
        journal.take(stored([b"a"], 0, timestamps=[1]))


def test_a_record_that_nobody_sent_is_seen(journal):
    sent(journal, [b"a"])
    with pytest.raises(BrokenPromiseError, match="nobody sent"):
        journal.take(stored([b"b"], 0))


def test_a_gap_is_seen(journal):
    sent(journal, [b"a"], [b"b"])
    with pytest.raises(BrokenPromiseError, match="comes after"):
        journal.take(stored([b"a"], 0) + stored([b"b"], 2))


def test_an_acknowledgement_that_changes_is_seen(journal):
    ledger = sent(journal, [b"a"])
    ledger.acknowledge([b"a"], 0)
    ledger.acknowledge([b"a"], 0)
    with pytest.raises(BrokenPromiseError, match="again at 1"):
        ledger.acknowledge([b"a"], 1)
