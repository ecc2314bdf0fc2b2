"""Settings of all tests, and the parts of Apache Kafka that some of them need."""

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from compat.apache_broker import LAST_FOR_OLD_CLIENTS, jars

# How long one example takes says more about the machine than about the code; a test that hangs has its own timeout.
settings.register_profile("ottla", deadline=None, print_blob=True)
settings.load_profile("ottla")


@pytest.fixture(scope="session")
def apache_jars() -> Path:
    """The folder with the jars of the Apache release that Ottla is measured by; fetched with Maven once."""
    _need_tools()
    return jars()


@pytest.fixture(scope="session")
def older_apache_jars() -> Path:
    """The folder with the jars of the last Apache release that took what clients before Kafka 2.1 say."""
    _need_tools()
    return jars(LAST_FOR_OLD_CLIENTS)


def _need_tools() -> None:
    for tool in ("mvn", "java", "javac"):
        if shutil.which(tool) is None:
            pytest.fail(
                f"`{tool}` is not installed: these tests compare with Apache's jars, got with Maven and a JDK 17."
            )
