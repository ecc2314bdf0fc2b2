"""A broker raises its limit of open files to what the system allows, and refuses to start with too few."""

import resource
import subprocess
import sys

import pytest

from ottla.broker.process.open_files import MINIMUM_OPEN_FILES, OWN_FILES, connection_limit, raise_open_file_limit
from ottla.broker.user_errors import StartError


def test_the_limit_of_open_files_is_raised_to_what_the_system_allows():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
        assert raise_open_file_limit() > 128
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 128
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_too_few_open_files_are_said_before_anything_fails():
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))"
    code = f"{limit}; from ottla.cli import main; main(['serve', '--listen', '127.0.0.1:0', '--ephemeral'])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: only 32 files may be open at once, and a broker needs at least 64")


class Limits:
    """A system that allows as much as its hard limit says, and no more than it can do."""

    def __init__(self, monkeypatch, soft, hard, *, possible=1 << 30):
        self.soft, self.hard, self.possible = soft, hard, possible
        monkeypatch.setattr(resource, "getrlimit", lambda _: (self.soft, self.hard))
        monkeypatch.setattr(resource, "setrlimit", self.set)

    def set(self, _, limits):
        soft, hard = limits
        assert hard == self.hard
        if soft > self.possible or (hard != resource.RLIM_INFINITY and soft > hard):
            raise ValueError("current limit exceeds maximum limit")
        self.soft = soft


@pytest.mark.parametrize(("soft", "hard", "raised"), [(256, 5000, 5000), (500, 500, 500), (256, 1 << 25, 1 << 20)])
def test_the_soft_limit_becomes_the_hard_one_or_a_million(monkeypatch, soft, hard, raised):
    limits = Limits(monkeypatch, soft, hard)
    assert raise_open_file_limit() == limits.soft == raised


def test_where_the_system_can_do_less_than_it_says_a_smaller_limit_is_taken(monkeypatch):
    # macOS says "unlimited" and takes no more than OPEN_MAX.
    limits = Limits(monkeypatch, 256, resource.RLIM_INFINITY, possible=10_240)
    assert raise_open_file_limit() == limits.soft == 10_240


def test_too_few_files_are_refused_in_a_sentence(monkeypatch):
    Limits(monkeypatch, 32, MINIMUM_OPEN_FILES - 1)
    with pytest.raises(StartError, match=f"only {MINIMUM_OPEN_FILES - 1} files may be open at once"):
        raise_open_file_limit()


def test_connections_leave_the_logs_their_share():
    shares = {limit: connection_limit(limit) for limit in (64, 1024, 1 << 20)}
    assert shares[64] >= 8
    assert shares[1024] + OWN_FILES < 1024
    assert shares[1 << 20] > shares[1024]
