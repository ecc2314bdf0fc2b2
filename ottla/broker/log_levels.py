"""The levels of this process's loggers under log4j's names, as DescribeConfigs shows them (KIP-412)."""

import logging
from collections.abc import Iterator

from ottla.broker.definitions import Source, Type
from ottla.broker.settings import Description

ROOT = "root"
_LEVELS = (
    (logging.CRITICAL, "FATAL"),
    (logging.ERROR, "ERROR"),
    (logging.WARNING, "WARN"),
    (logging.INFO, "INFO"),
    (logging.DEBUG, "DEBUG"),
)


def describe_loggers() -> Iterator[Description]:
    """Yield the root logger and those of Ottla, with the levels in force."""
    yield _describe(ROOT, logging.getLogger())
    for name in sorted(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "ottla":
            yield _describe(name, logging.getLogger(name))


def _describe(name: str, logger: logging.Logger) -> Description:
    level = logger.getEffectiveLevel()
    text = next((text for least, text in _LEVELS if level >= least), "TRACE")
    return Description(
        name=name,
        value=text,
        type=Type.UNKNOWN,
        source=Source.DYNAMIC_BROKER_LOGGER_CONFIG,
        read_only=False,
        sensitive=False,
        synonyms=(),
    )
