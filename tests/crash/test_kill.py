"""A few rounds of `python -m tests.crash`; the command does as many as one likes."""

import pytest

from tests.crash.rounds import Rounds

ROUNDS = 4


@pytest.mark.slow
def test_what_was_acknowledged_is_there_after_each_kill(tmp_path):
    rounds = Rounds(tmp_path / "data", seed=5)
    assert len(list(rounds.run(ROUNDS))) == ROUNDS
    ledgers = [ledger for journal in rounds.journals for ledger in journal.ledgers]
    assert ledgers
    assert [ledger for ledger in ledgers if not ledger.acknowledged] == []
    assert rounds.committers
    assert [committer for committer in rounds.committers if not committer.acknowledged] == []
