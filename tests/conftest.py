"""What holds for all tests, and what some of them need of Apache Kafka."""

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from compat.apache_broker import jars

# How long one example takes says more about the machine than about the code; a test that hangs has its own timeout.
settings.register_profile("ottla", deadline=None, print_blob=True)
settings.load_profile("ottla")


@pytest.fixture(scope="session")
def apache_jars() -> Path:
    """The folder with the jars of the Apache release that Ottla is measured by; fetched with Maven once."""
    for tool in ("mvn", "java", "javac"):
        if shutil.which(tool) is None:
            pytest.fail(
                f"`{tool}` is not installed: these tests compare with Apache's jars, got with Maven and a JDK 17."
            )
    return jars()
