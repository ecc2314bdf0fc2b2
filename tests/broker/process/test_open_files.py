"""A broker raises its limit of open files to what the system allows, and refuses to start with too few."""

import resource
import subprocess
import sys

from ottla.broker.process.open_files import raise_open_file_limit


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
