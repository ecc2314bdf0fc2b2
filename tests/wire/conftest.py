"""Apache's own jars, for the tests that compare with them."""

import shutil
from pathlib import Path

import pytest

from compat.apache_broker import jars


@pytest.fixture(scope="session")
def apache_jars() -> Path:
    """The folder with the jars of the Apache release that Ottla is measured by; fetched with Maven once."""
    for tool in ("mvn", "java", "javac"):
        if shutil.which(tool) is None:
            pytest.fail(
                f"`{tool}` is not installed: these tests compare with Apache's jars, got with Maven and a JDK 17."
            )
    return jars()
